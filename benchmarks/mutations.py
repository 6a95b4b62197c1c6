#!/usr/bin/env python3
"""Damaged files through `miliary series` and `miliary run`: no crash, no hang, little memory.

    benchmarks/mutations.py [--n 2000] [--first 0] [--jobs 2] [--keep build/mutations]

Makes small scans in 15 kinds of file (`tests/mutations.py`), damages each in one of nine ways, and
runs both commands on it in a worker process that is watched: over 60 s is a hang, a dead worker is
a crash, and so is what the commands call an internal error. Prints a table of how they ended and
what was worst; folders that failed are kept.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import io
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

LIMIT_S, LIMIT_MB = 60.0, 2048
#: Statuses that a command may end with.
STATUSES = (0, 2, 3)
#: What stands in place of a row where a file is no longer known to be a CT.
NO_CT = "the input must hold a CT"


def work(first: int, n: int, step: int) -> None:
    """Do every `step`-th number; one line of JSON for each."""
    from mutations import Mutator

    with tempfile.TemporaryDirectory() as place:
        mutator = Mutator(Path(place, "whole"))
        for number in range(first, n, step):
            folder = Path(place, "in")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(Path(place, "out"), ignore_errors=True)
            name = mutator.make(number, folder)
            say({"number": number, "name": name})
            say({"number": number, "name": name, **both(folder, Path(place, "out"))})


def say(told: dict[str, Any]) -> None:
    """Tell the parent."""
    sys.__stdout__.write(json.dumps(told) + "\n")
    sys.__stdout__.flush()


def both(folder: Path, out: Path) -> dict[str, Any]:
    """Run the two commands in this process; gives how they ended."""
    Path("/proc/self/clear_refs").write_text("5")
    listed = command("series", "--csv", str(folder))
    ran = command("run", str(folder), "--out", str(out))
    rows = list(csv.DictReader(io.StringIO(listed["out"])))
    told = {
        "series": listed["status"],
        "run": ran["status"],
        "seconds": max(listed["seconds"], ran["seconds"]),
        "mb": peak_mb(),
        "rows": len(rows),
        "codes": sorted(row["code"] for row in rows),
        "fault": "",
    }
    table = out / "cases.csv"
    cases = list(csv.DictReader(table.open(encoding="utf-8"))) if table.is_file() else []
    told["cases"] = [f"{case['status']} {case['code']}".strip() for case in cases]
    for ended in (listed, ran):
        if ended["status"] not in STATUSES:
            told["fault"] = f"status {ended['status']}: {ended['err'][-300:]}"
        if "internal error" in ended["err"] or "E_INTERNAL" in ended["err"]:
            told["fault"] = ended["err"][-600:]
        if not rows and NO_CT not in ended["err"]:
            told["fault"] = f"no row, and no word: {ended['err'][-200:]}"
    if any(row["chosen"] == "true" for row in rows) and not cases:
        told["fault"] = f"chosen, but no case: {ran['err'][-200:]}"
    return told


def command(*words: str) -> dict[str, Any]:
    """Run a command with its two streams caught at the file descriptors."""
    from miliary.cli.main import main

    kept = os.dup(1), os.dup(2)
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            status = main(list(words))
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    seconds = time.perf_counter() - began
    return {"status": status, "out": texts[0], "err": texts[1], "seconds": seconds}


def peak_mb() -> float:
    """Peak memory of this process since it was reset, and of the processes that it keeps."""
    mine = ["self"]
    for task in Path("/proc/self/task").glob("*/children"):
        # A thread may end while it is looked at.
        with contextlib.suppress(OSError):
            mine += task.read_text().split()
    total = 0.0
    for process in mine:
        with contextlib.suppress(OSError):
            lines = Path("/proc", process, "status").read_text().splitlines()
            total += sum(int(line.split()[1]) / 1024 for line in lines if "VmHWM" in line)
    return total


class Watched:
    """A worker that does every `step`-th number, started again after what killed it."""

    def __init__(self, first: int, n: int, step: int) -> None:
        self.n, self.step, self.now, self.told = n, step, first, 0.0
        self.name = ""
        self.start()

    def start(self) -> None:
        """Start at the number that is next."""
        call = [sys.executable, __file__, "--work", str(self.now), str(self.n), str(self.step)]
        self.process = subprocess.Popen(call, stdout=subprocess.PIPE)
        self.told = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether there is something left."""
        return self.now < self.n

    def step_on(self) -> dict[str, Any] | None:
        """Take one line, or see that there will be none."""
        ready, _, _ = select.select([self.process.stdout], [], [], 0.2)
        line = self.process.stdout.readline() if ready else b""
        if line:
            told: dict[str, Any] = json.loads(line)
            self.told, self.name = time.monotonic(), told["name"]
            if "run" not in told:
                return None
            self.now = told["number"] + self.step
            return told
        hangs = time.monotonic() - self.told > 2 * LIMIT_S
        dead = bool(ready) and self.process.wait() is not None
        if not (hangs or dead):
            return None
        self.process.kill()
        status = self.process.wait()
        fault = "hang" if hangs else f"crash, signal or status {status}"
        lost = {"number": self.now, "name": self.name, "fault": fault, "seconds": 2 * LIMIT_S}
        self.now += self.step
        if self.busy:
            self.start()
        return lost | {"mb": 0.0, "rows": 0, "codes": [], "cases": [], "run": status}


def main() -> None:
    """Run, watch, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("build/mutations"))
    parser.add_argument("--work", type=int, nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(*args.work)
        return
    began, told = time.monotonic(), []
    workers = [Watched(args.first + k, args.first + args.n, args.jobs) for k in range(args.jobs)]
    while any(worker.busy for worker in workers):
        told += [line for worker in workers if worker.busy and (line := worker.step_on())]
    for worker in workers:
        worker.process.wait()
    report(told, args.keep, time.monotonic() - began)


def report(told: list[dict[str, Any]], keep: Path, seconds: float) -> None:
    """Print how all of them ended; keep what failed."""
    from mutations import Mutator

    faults = [t for t in told if t["fault"] or t["seconds"] > LIMIT_S or t["mb"] > LIMIT_MB]
    print(f"{len(told)} damaged scans in {seconds:.0f} s, {len(faults)} faults")
    print(f"slowest {max(t['seconds'] for t in told):.1f} s", end=", ")
    print(f"most memory {max(t['mb'] for t in told):.0f} MB")
    codes = collections.Counter(code for t in told for code in t["codes"] or ["(no CT)"])
    cases = collections.Counter(case for t in told for case in t["cases"] or ["(no case)"])
    for name, counted in (("series", codes), ("cases", cases)):
        print(f"\n| {name} | n |\n|---|---|")
        for what, n in counted.most_common():
            print(f"| {what} | {n} |")
    with tempfile.TemporaryDirectory() as place:
        mutator = Mutator(Path(place)) if faults else None
        for t in faults:
            print(f"\n{t['number']}: {t['name']}: {t['seconds']:.1f} s, {t['mb']:.0f} MB")
            print(t["fault"])
            folder = keep / str(t["number"])
            shutil.rmtree(folder, ignore_errors=True)
            if mutator:
                mutator.make(t["number"], folder)
    for t in (
        sorted(told, key=lambda t: -t["mb"])[:3] + sorted(told, key=lambda t: -t["seconds"])[:3]
    ):
        print(f"{t['number']}: {t['name']}: {t['seconds']:.1f} s, {t['mb']:.0f} MB, {t['cases']}")
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
