#!/usr/bin/env python3
"""How long a scan takes, what of it, how that grows, and how long others take.

    benchmarks/speed.py [PART ...] [--scan FOLDER] [--keep]

Parts: `stages` (each step of one scan), `whole` (the command, with calibration and without),
`slices` and `nodules` (growth), `peers` (a chain of the usual calls), `start` (help and import),
`picture` (drawn from what was kept). All of them unless named.

The scan is a phantom of 512 x 512 x 400 voxels, made once under build/speed, unless another
folder is named. CPU times are given as multiples of the yardstick too: the CPU time of
scipy.ndimage.gaussian_filter(volume, 1) of the same scan as float32, measured in the same run, so
that they can be compared between machines. Modules are compiled first, as pip leaves them. A part
is short enough to halt all else meanwhile.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from subprocess import DEVNULL
from typing import Any

import numpy as np
from _results import FOLDER as KEPT
from _results import Results
from _speed_chain import chain
from _speed_inputs import FOLDER, phantom

import miliary
from miliary.cohort.launch import server_environment
from miliary.cohort.memory import family_of, rolled_mb

HERE = Path(__file__).parent
#: Runs of the whole.
REPEATS = 5
SLICES, NODULES = (100, 200, 400, 800, 1200), (0, 1000, 3000, 10000, 20000)
#: Threads of the runs of a growth: all there are, or one, so that steps do not mix.
THREADS = {"slices": None, "nodules": 1}
#: Stages whose time is looked at as nodules grow in number: those before do not know them.
LATE = ("detect", "measure", "calibrate", "describe", "write")
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def run(*words: object, threads: int | None = None) -> dict[str, Any]:
    """One run in a process of its own, as a case of `miliary run`, and the yardstick in another."""
    of_case = server_environment() | ({"MILIARY_THREADS": str(threads)} if threads else {})
    return told(of_case, *words) | {"gaussian": yardstick(*words)}


def yardstick(*words: object) -> float:
    """CPU seconds of one Gaussian of the scan of a run, with the libraries as they come."""
    return float(told(os.environ | SINGLE, *words, "--yardstick")["gaussian"])


def told(env: Mapping[str, str], *words: object) -> dict[str, Any]:
    """What a process says at its end."""
    command = [sys.executable, HERE / "_speed_run.py", *words]
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, env=env)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def grown(scan: Path, what: str, n: int, only: list[int]) -> dict[str, Any] | None:
    """One run of a growth, kept under build/speed; of sizes not asked for, what was kept."""
    place = FOLDER / f"{what}-{n}.json"
    if not only or n in only:
        place.write_text(json.dumps(run(scan, f"--{what}", n, threads=THREADS[what])))
    return json.loads(place.read_text()) if place.exists() else None


def total(made: dict[str, Any], key: str, stages: tuple[str, ...] = ()) -> float:
    return sum(row[key] for row in made["stages"] if not stages or row["stage"] in stages)


def measure_stages(scan: Path, results: Results) -> None:
    """Wall, CPU, multiples and memory of each step of one scan."""
    made = run(scan, threads=1)
    yard = made["gaussian"]
    rows = [
        [
            row["stage"],
            f"{row['wall']:.1f}",
            f"{row['cpu']:.1f}",
            f"{row['cpu'] / yard:.2f}",
            f"{row['mb']:.0f}",
        ]
        for row in made["stages"]
    ]
    peak = max(row["mb"] for row in made["stages"])
    cpu = total(made, "cpu")
    rows.append(["all", f"{total(made, 'wall'):.1f}", f"{cpu:.1f}", f"{cpu / yard:.2f}"])
    rows[-1].append(f"{peak:.0f}")
    results.table(
        f"Steps of one scan of {' x '.join(map(str, made['shape']))} voxels, {made['found']} found",
        ["step", "wall s", "CPU s", "Gaussians", "peak MB"],
        rows,
        f"One Gaussian is {yard:.2f} CPU s. On one thread; without start and imports.",
    )


def measure_whole(scan: Path, results: Results) -> None:
    """The command itself, from DICOM to the report; several times, as machines are not alone."""
    modes: dict[str, tuple[str, ...]] = {
        "as it is": (),
        "no calibration": ("--set", "calibrate.n_nodules=0"),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in modes}
    yards, rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "miliary", "run", str(scan), "--out", f"{folder}/out"]
        # In turns: machines are faster for some minutes, and slower for others.
        for _ in range(REPEATS):
            yards.append(yardstick(scan))
            for name, words in modes.items():
                times[name].append(whole_s([*command, *words]))
        for name, words in modes.items():
            walls, cpus = zip(*times[name], strict=True)
            gaussians = [cpu / yard for cpu, yard in zip(cpus, yards, strict=True)]
            # Once more, for to look at it takes its time.
            peak = peak_mb([*command, *words])
            rows.append([name, *map(with_range, (walls, cpus)), with_range(gaussians, 2)])
            rows[-1].append(f"{peak:.0f}")
    results.table(
        "`miliary run` on one scan, DICOM to report",
        ["", "wall s", "CPU s", "Gaussians", "peak MB"],
        rows,
        f"One Gaussian is {median(yards):.2f} CPU s. Median of {REPEATS} runs, least, most; with "
        f"start and imports; {os.cpu_count()} cores. Memory of all processes together, what they "
        "share counted once.",
    )


def whole_s(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and its processes."""
    before, began = children_s(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began, children_s() - before


def with_range(values: Sequence[float], digits: int = 1) -> str:
    """Median, least and most."""
    low, middle, high = (
        f"{value:.{digits}f}" for value in (min(values), median(values), max(values))
    )
    return f"{middle} ({low}-{high})"


def peak_mb(command: list[str]) -> float:
    """Most memory that a command and its processes hold together, looked at 5 times a second."""
    process, peak = subprocess.Popen(command, stdout=DEVNULL, stderr=DEVNULL), 0.0
    while process.poll() is None:
        peak = max(peak, sum(rolled_mb(pid, "Pss") for pid in family_of(process.pid)))
        time.sleep(0.2)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def exponent(sizes: list[float], values: list[float]) -> float:
    """Slope of a line through logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def measure_slices(scan: Path, results: Results, only: list[int]) -> None:
    """The same chest in more and thinner slices."""
    rows, cpus = [], []
    for n in SLICES:
        made = grown(scan, "slices", n, only)
        if made is None:
            continue
        cpus.append(total(made, "cpu"))
        peak = max(row["mb"] for row in made["stages"])
        rows.append([str(n), f"{total(made, 'wall'):.1f}", f"{cpus[-1]:.1f}"])
        rows[-1] += [f"{cpus[-1] / made['gaussian']:.2f}", f"{peak:.0f}", str(made["found"])]
    slope = exponent([float(row[0]) for row in rows], cpus) if len(rows) > 1 else float("nan")
    results.table(
        "Growth with the slices of the same chest",
        ["slices", "wall s", "CPU s", "Gaussians", "peak MB", "found"],
        rows,
        f"CPU time grows with the voxels to the power of {slope:.2f}. Without reading.",
    )


def measure_nodules(scan: Path, results: Results, only: list[int]) -> None:
    """The same chest in 200 slices, with ever more nodules put into it."""
    rows, cpus, found = [], [], []
    for n in NODULES:
        made = grown(scan, "nodules", n, only)
        if made is None:
            continue
        parts = [total(made, "cpu", (stage,)) for stage in LATE]
        cpus.append(sum(parts))
        found.append(max(made["found"], 1))
        rows.append([str(n), str(made["found"]), *(f"{part:.1f}" for part in parts)])
        rows[-1].append(f"{cpus[-1]:.1f}")
    slope = exponent([float(n) for n in found[1:]], cpus[1:]) if len(rows) > 2 else float("nan")
    results.table(
        "Growth with the nodules: CPU s of the steps that know them",
        ["put in", "found", *LATE, "together"],
        rows,
        f"They grow with the number found to the power of {slope:.2f}. 200 slices.",
    )


def measure_peers(scan: Path, results: Results) -> None:
    """The usual chain on the same scan, step by step, scaled from a crop."""
    yard = yardstick(scan)
    steps = chain(scan, 800)
    rows = [[name, on, f"{cpu:.0f}", f"{cpu / yard:.1f}"] for name, on, cpu in steps]
    # One of the two vessel filters would do: the faster counts.
    slower = max(cpu for name, _, cpu in steps if name.startswith("vessels"))
    cpu = sum(cpu for *_, cpu in steps) - slower
    rows.append(["all, with the faster vessel filter", "", f"{cpu:.0f}", f"{cpu / yard:.1f}"])
    results.table(
        "A chain of the usual SciPy and scikit-image calls on the same scan",
        ["step", "timed on", "CPU s of the whole", "Gaussians"],
        rows,
        "No calibration, no fitted sizes, no fissure surfaces, no report.",
    )


def measure_start(results: Results) -> None:
    """Seconds until the help is there, and until the package is imported."""
    rows = []
    for name, words in (("miliary --help", ["-m", "miliary", "--help"]), ("import miliary", None)):
        command = [sys.executable, *(words or ["-c", "import miliary"])]
        rows.append([name, f"{min(timed(command) for _ in range(5)):.2f}"])
    results.table("Start", ["", "wall s, best of 5"], rows)


def timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def draw() -> None:
    """Draw what was kept: steps beside the chain, and growth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    kept = {name: kept_rows(name) for name in ("stages", "peers", "slices")}
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(3, 2))
    for y, (name, column) in enumerate((("peers", 3), ("stages", 3))):
        at, rows = 0.0, kept[name][:-1]
        # Of the two vessel filters of the chain the faster one counts.
        filters = [row for row in rows if row[0].startswith("vessels:")]
        slower = max(filters, key=lambda row: float(row[column]), default=None)
        for row in rows:
            if row is slower:
                continue
            width = float(row[column])
            # An edge would hide what is narrow.
            edge = {"edgecolor": "white"} if width > 5 else {}
            left.barh(y, width, left=at, height=0.6, **edge)
            if width > 24:
                word = row[0].split(":")[0].split()[0]
                left.text(at + width / 2, y, word, ha="center", va="center", size=7)
            at += width
        left.text(at, y, f"  {at:.0f}", va="center")
    left.set_yticks([0, 1], ["usual chain", "miliary"])
    left.set_xlabel("CPU time, multiples of one Gaussian filter of the scan")
    slices = [float(row[0]) for row in kept["slices"]]
    right.loglog(slices, [float(row[2]) for row in kept["slices"]], "o-", label="CPU s")
    right.loglog(slices, [float(row[4]) / 100 for row in kept["slices"]], "s--", label="100 MB")
    right.set_xticks(slices, [f"{n:.0f}" for n in slices])
    right.set_yticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    right.minorticks_off()
    right.set_xlabel("slices of 512 x 512")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(HERE / "pictures" / "speed.png", dpi=110)


def as_installed() -> None:
    """Compile the package's modules, as pip does, and let compiled ones be kept."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(Path(miliary.__file__).parent, quiet=1)


def kept_rows(part: str) -> list[list[str]]:
    content = json.loads((KEPT / f"speed-{part}.json").read_text())
    rows: list[list[str]] = content["tables"][0]["rows"]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--scan", type=Path, help="folder of another scan")
    parser.add_argument("--only", type=int, nargs="*", default=[], help="these sizes of a growth")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/speed-*.json")
    options = parser.parse_args()
    as_installed()
    scan = options.scan or phantom()
    on = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"
    measures: dict[str, Callable[[Results], None]] = {
        "stages": lambda results: measure_stages(scan, results),
        "whole": lambda results: measure_whole(scan, results),
        "slices": lambda results: measure_slices(scan, results, options.only),
        "nodules": lambda results: measure_nodules(scan, results, options.only),
        "peers": lambda results: measure_peers(scan, results),
        "start": measure_start,
    }
    parts = options.parts or [*measures, "picture"]
    for part in parts:
        if part == "picture":
            draw()
            continue
        results = Results(f"speed-{part}", f"Speed, {part}; {on}.")
        measures[part](results)
        if options.keep:
            results.keep()


if __name__ == "__main__":
    main()
