#!/usr/bin/env python3
"""Many scans: nothing lost under faults, throughput of two workers, overhead, memory.

    benchmarks/cohort.py make                 60 small phantoms, into build/cohort/scans
    benchmarks/cohort.py faults               planted faults, kills, 10 dead parents
    benchmarks/cohort.py external             a scheduler and two workers by hand, one killed
    benchmarks/cohort.py full-disk            a file system with too little room
    benchmarks/cohort.py throughput [--n 12]  one and two workers, and no engine at all
    benchmarks/cohort.py memory [--sizes ...] what cases of several sizes need

All run `miliary run` with few simulations (`QUICK`), one thread a case. `faults` and `external`
compare every file of every good case, but for times, with an undisturbed run by one process.
`full-disk` mounts a tmpfs and so needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from _cohort_made import (
    FAULTS,
    HERE,
    N_GOOD,
    check_same,
    command,
    environment,
    events,
    link_scans,
    make,
    plant,
    reference,
    rows,
    run,
    scans,
)

BUILD = HERE.parent / "build" / "cohort"


def descendants(pid: int) -> list[int]:
    """Give all processes below one."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        parents.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(
            int(stat.parent.name)
        )
    found, new = [], [pid]
    while new:
        new = [child for parent in new for child in parents.get(parent, [])]
        found += new
    return found


def kill_some(process: subprocess.Popen[bytes], rng: random.Random, every_s: float) -> list[int]:
    """Start killing a random process below another now and then; gives the list of the killed."""
    killed: list[int] = []

    def work() -> None:
        while process.poll() is None:
            time.sleep(rng.uniform(0.5, 1.5) * every_s)
            below = descendants(process.pid)
            if below and process.poll() is None:
                victim = rng.choice(below)
                try:
                    os.kill(victim, signal.SIGKILL)
                    killed.append(victim)
                except OSError:
                    continue

    threading.Thread(target=work, daemon=True).start()
    return killed


def n_fresh(out: Path, since: int) -> int:
    """Count the cases that were really run since the log had so many bytes."""
    log = out / "log.jsonl"
    if not log.exists():
        return 0
    lines = log.read_bytes()[since:].splitlines()
    told = (line for line in lines if b'"event": "case"' in line and b'"kept": false' in line)
    # What is refused by its headers takes no time.
    return sum(b'"seconds": null' not in line for line in told)


def faults(build: Path, args: argparse.Namespace) -> bool:
    """Planted faults, workers killed, the parent killed and resumed."""
    undisturbed, out = reference(build), build / "disturbed"
    folder, tally = build / "mixed", build / "disturbed.json"
    if not args.go_on:
        link_scans(folder, scans(build)[:N_GOOD])
        plant(folder, scans(build)[N_GOOD], random.Random(7))
        shutil.rmtree(out, ignore_errors=True)
        tally.write_text("[0, 0]")
    words = (folder, "--out", out, "--jobs", 2, "--resume", "--set",
             f"run.timeout_s={args.timeout}", "--set", "run.attempts=5")  # fmt: skip
    for _ in range(args.rounds):
        parents, killed = json.loads(tally.read_text())
        rng = random.Random(parents)
        n_killed, died = one_round(out, command(build, *words, planted=True), rng, args.kill_every)
        tally.write_text(json.dumps([parents + died, killed + n_killed]))
    if args.no_end:
        return True
    status, _, told = run(build, *words, planted=True)
    parents, killed = json.loads(tally.read_text())
    return report_faults(out, undisturbed, status, told, killed, parents)


def one_round(
    out: Path, words: list[str], rng: random.Random, kill_every_s: float
) -> tuple[int, bool]:
    """Start, kill some processes, then the parent; gives how many, and whether it still ran."""
    log = out / "log.jsonl"
    since, enough = log.stat().st_size if log.exists() else 0, rng.randint(2, 5)
    with subprocess.Popen(
        words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        victims = kill_some(process, rng, kill_every_s)
        while process.poll() is None and n_fresh(out, since) < enough:
            time.sleep(0.2)
        time.sleep(rng.uniform(0.0, 3.0))
        died = process.poll() is None
        process.kill()
    return len(victims), died


def report_faults(
    out: Path, undisturbed: Path, status: int, told: str, killed: int, parents: int
) -> bool:
    """Print how it ended; tells whether nothing was lost."""
    wrong = check_same(out, undisturbed, N_GOOD)
    table = {row["source"]: row for row in rows(out)}
    for kind, (n, codes) in FAULTS.items():
        found = [table.get(f"{kind}-{number}", {}) for number in range(n)]
        print(f"  {kind:10} {n}: {', '.join(row.get('code') or 'no row' for row in found)}")
        wrong += [f"{kind}: {row}" for row in found if row.get("code") not in codes]
    good = [name for name in table if name.startswith("good")]
    done = [
        item["case"] for item in events(out)
        if item["event"] == "case" and item["status"] != "failed" and not item["kept"]
    ]  # fmt: skip
    again = len(done) - len(set(done))
    attempts = sum(item["event"] == "killed" for item in events(out))
    print(f"  cases: {len(good)} good, {len(table) - len(good)} bad, exit status {status}")
    print(f"  killed: the parent {parents} times, {killed} processes below; {attempts} case")
    print(f"  processes told of as killed; good cases told as done more than once: {again}")
    if status != 2 or len(good) != N_GOOD:
        wrong.append(told[-2000:])
    print("\n".join(wrong) or "  nothing lost, nothing half, every number the same")
    return not wrong


def external(build: Path, *, n: int) -> bool:
    """A scheduler and two workers started by hand, one of which is killed on the way."""
    undisturbed, folder = reference(build), link_scans(build / f"good-{n}", scans(build)[:n])
    out, address = build / "external", "tcp://127.0.0.1:18786"
    shutil.rmtree(out, ignore_errors=True)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    programs = [
        ["dask_scheduler", "--host", "127.0.0.1", "--port", "18786", "--no-dashboard"],
        *([["dask_worker", address, "--nthreads", "1", "--no-dashboard"]] * 2),
    ]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{words[0]}", *words[1:]],
            env=environment(), start_new_session=True, **quiet,
        )
        for words in programs
    ]  # fmt: skip
    try:
        timer = threading.Thread(target=kill_after, args=(out, n // 3, started[2]), daemon=True)
        timer.start()
        status, seconds, told = run(build, folder, "--out", out, "--scheduler", address)
    finally:
        for process in started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except OSError:
                continue
            process.wait()
    wrong = check_same(out, undisturbed, n)
    dead = started[2].returncode
    print(f"{n} cases, 2 workers by hand, one killed (status {dead}): {status}, {seconds:.0f} s")
    print("\n".join(wrong) or "  same results")
    if status:
        wrong.append(told[-2000:])
    return not wrong


def kill_after(out: Path, n: int, process: subprocess.Popen[bytes]) -> None:
    """Kill a worker with its nanny and all below once so many cases are done."""
    while n_fresh(out, 0) < n:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)


def full_disk(build: Path, *, n: int, room_kb: int) -> bool:
    """Run into a file system that has no room for all; then make some, and go on."""
    undisturbed, folder = reference(build), link_scans(build / f"good-{n}", scans(build)[:n])
    place = build / "small"
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room_kb}k", "tmpfs", place], check=True)
    try:
        out = place / "out"
        words = (folder, "--out", out, "--jobs", 2)
        status, _, _ = run(build, *words)
        first = rows(out)
        hidden = [path.name for path in out.iterdir() if path.name.startswith(".")]
        codes = sorted({row["code"] for row in first if row["status"] == "failed"})
        n_failed = sum(row["status"] == "failed" for row in first)
        print(f"full disk: status {status}, {len(first)} rows, {n_failed} failed {codes}")
        subprocess.run(["mount", "-o", "remount,size=200m", place], check=True)
        again, _, told = run(build, *words, "--retry-failed")
        wrong = check_same(out, undisturbed, n) + hidden
        if (status, again, len(first)) != (2, 0, n) or not 0 < n_failed < n:
            wrong.append(told[-2000:])
        print("\n".join(wrong) or f"  with room again and --retry-failed: status {again}, same")
    finally:
        subprocess.run(["umount", place], check=True)
    return not wrong


def throughput(build: Path, *, n: int) -> bool:
    """One worker, two workers, and a plain loop without engine, one thread a case."""
    folder = link_scans(build / f"good-{n}", scans(build)[:n])
    seconds = {}
    for jobs in (1, 2):
        out = build / f"jobs-{jobs}"
        shutil.rmtree(out, ignore_errors=True)
        status, whole, told = run(build, folder, "--out", out, "--jobs", jobs)
        if status:
            sys.exit(told)
        seconds[jobs] = steady_s(out, n, jobs), whole
        print(f"{jobs} job(s): {n} cases, steady {seconds[jobs][0]:.2f} s a case, whole "
              f"{whole:.1f} s")  # fmt: skip
    ratio = seconds[1][0] / seconds[2][0]
    print(f"two workers: {ratio:.2f} times the throughput of one; with start and end "
          f"{seconds[1][1] / seconds[2][1]:.2f}")  # fmt: skip
    return ratio >= 1.85


def steady_s(out: Path, n: int, jobs: int) -> float:
    """Seconds a case between the first steps of the first cases and the end of the last."""
    from datetime import datetime

    told = [(datetime.fromisoformat(item["time"]).timestamp(), item) for item in events(out)]
    begun = [when for when, item in told if item["event"] == "step" and item["step"] == "read"]
    ended = [when for when, item in told if item["event"] == "case"]
    # Each worker is busy from its own first case to its own last.
    return (sum(sorted(ended)[-jobs:]) - sum(sorted(begun)[:jobs])) / jobs / n


def overhead(build: Path, *, n: int) -> bool:
    """The same cases in a plain loop in one process, and by the engine with one and two jobs."""
    folder = link_scans(build / f"good-{n}", scans(build)[:n])
    code = (
        "import sys, time, shutil\n"
        "from pathlib import Path\n"
        "from miliary.cohort import case\n"
        "from miliary.cohort.rows import Task\n"
        "from miliary.config import load_config\n"
        "from miliary.io.series import find_inputs\n"
        "out, config = Path(sys.argv[2]), load_config(sys.argv[3])\n"
        "infos = find_inputs([Path(sys.argv[1])], config.read)\n"
        "case.run_case(Task(infos[0], out, config), print)\n"
        "started = time.perf_counter()\n"
        "for info in infos: case.run_case(Task(info, out, config), lambda _: None)\n"
        "print('seconds', (time.perf_counter() - started) / len(infos))\n"
    )
    out = build / "plain"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    command(build)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(out), str(build / "quick.toml")],
        env=environment(), check=True, capture_output=True, text=True,
    )  # fmt: skip
    plain = float(done.stdout.split()[-1])
    out = build / "jobs-1"
    shutil.rmtree(out, ignore_errors=True)
    run(build, folder, "--out", out, "--jobs", 1)
    engine = steady_s(out, n, 1)
    print(f"plain loop {plain:.3f} s a case, engine {engine:.3f} s: {engine / plain - 1:+.1%}")
    return engine <= 1.03 * plain


def memory(build: Path, *, sizes: list[int]) -> bool:
    """What cases of several sizes need: phantoms of so many slices."""
    from miliary.cli.phantom import write_phantom
    from miliary.phantom import PhantomSpec

    for size in sizes:
        folder, out = build / f"size-{size}", build / f"size-{size}-out"
        shape = (size, round(1.35 * size), round(1.8 * size))
        if not folder.exists():
            length = 64 * 2.0 / size
            spec = PhantomSpec.of(
                shape=shape, spacing_mm=(length, 0.75 * length, 0.75 * length), pattern="random",
                n_nodules=60, diameter_mm=2.5, seed=599,
            )  # fmt: skip
            write_phantom(folder, spec)
        run(build, folder, "--out", out, "--set", "run.memory_mb=0", "--set", "read.threads=1")
        (row,) = rows(out)
        n = shape[0] * shape[1] * shape[2]
        print(f"{'x'.join(map(str, shape)):>14} {n / 1e6:6.2f} M voxels {row['peak_mb']:>7} MB")
    return True


def main() -> int:
    """Run one part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=("make", "reference", "faults", "external", "full-disk",
                                         "throughput", "overhead", "memory"))  # fmt: skip
    parser.add_argument("--build", type=Path, default=BUILD)
    parser.add_argument("--n", type=int, default=12, help="cases")
    parser.add_argument("--rounds", type=int, default=10, help="deaths of the parent")
    parser.add_argument("--kill-every", type=float, default=15.0, help="seconds")
    parser.add_argument("--go-on", action="store_true", help="with faults that were begun")
    parser.add_argument("--no-end", action="store_true", help="leave faults unfinished")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a case")
    parser.add_argument("--room", type=int, default=2500, help="kB of the full disk")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 96, 128])
    args = parser.parse_args()
    build: Path = args.build
    build.mkdir(parents=True, exist_ok=True)
    parts = {
        "make": lambda: make(build) is None,
        "reference": lambda: reference(build).exists(),
        "faults": lambda: faults(build, args),
        "external": lambda: external(build, n=args.n),
        "full-disk": lambda: full_disk(build, n=args.n, room_kb=args.room),
        "throughput": lambda: throughput(build, n=args.n),
        "overhead": lambda: overhead(build, n=args.n),
        "memory": lambda: memory(build, sizes=args.sizes),
    }
    return 0 if parts[args.part]() else 1


if __name__ == "__main__":
    sys.exit(main())
