"""Speed of the spatial step beside spatstat and Corrfunc, each in turn, CPU time of one thread."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import edt
import numpy as np
from _results import Results
from scipy import fft

from miliary.config.spatial import SpatialSettings
from miliary.kernels.mask import set_covariance
from miliary.kernels.pairs import pair_histogram
from miliary.spatial import Window, describe_distribution
from miliary.spatial.curves import combined_test, summary_functions
from miliary.spatial.simulate import count_patterns

SEED = 20261122
SPACING = np.array([0.8, 0.7, 0.7])
SIDE_MM = 4.8e6 ** (1 / 3)
SETTINGS = SpatialSettings(simulations=199, empty_space_simulations=0, lattice_points=100)
BOTH = np.arange(2)
#: What was asked: what, the limit, what was measured, whether it is met.
Asked = tuple[str, str, str, bool]

_R = """
suppressPackageStartupMessages({library(spatstat.geom); library(spatstat.random)
library(spatstat.explore)})
n <- as.integer(commandArgs(TRUE)[1]); s <- as.numeric(commandArgs(TRUE)[2])
set.seed(as.integer(commandArgs(TRUE)[3]))
X <- pp3(runif(n, 0, s), runif(n, 0, s), runif(n, 0, s), box3(c(0, s), c(0, s), c(0, s)))
t <- system.time(envelope(X, K3est, nsim = 199, rmax = 30, nrval = 61,
                          correction = "translation", verbose = FALSE))
cat(t[["user.self"]] + t[["sys.self"]])
"""

_CORRFUNC = """
import sys, time
import numpy as np
from Corrfunc.theory.DD import DD
n, side, loops, seed = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng, bins = np.random.default_rng(seed), np.linspace(0, 30, 61)
bins[0] = 1e-6
start = time.process_time()
for _ in range(loops):
    x, y, z = rng.uniform(0, side, (3, n))
    DD(1, 1, bins, x, y, z, periodic=False)
print((time.process_time() - start) / loops)
"""


def measure_times(r: str, corrfunc: str, parts: list[str]) -> Results:
    """Give the tables; peers that are not there stay empty."""
    window = make_window()
    results = Results(
        "spatial-times",
        f"Mask of two lungs, {window.volume_mm3 / 1e6:.2f} litres, for peers a box of as much; CPU "
        f"of one thread, best of 3 to 5, each in turn; load {os.getloadavg()[0]:.1f}.",
    )
    tables: dict[str, Callable[[], list[Asked]]] = {
        "simulations": lambda: simulations_beside_peers(results, window, r, corrfunc),
        "pairs": lambda: pairs_beside_corrfunc(results, corrfunc),
        "description": lambda: whole_description(results, window),
        "covariance": lambda: covariance_beside_transforms(results),
        "case": lambda: whole_case(results, window),
    }
    results.asked([row for part in parts or tables for row in tables[part]()])
    return results


def make_window() -> Window:
    """Two half-egg lungs of 4.8 litres on 400 x 512 x 512 voxels."""
    z, y, x = (np.arange(n, dtype=np.float32) * s for n, s in zip((400, 512, 512), SPACING,
                                                                  strict=True))  # fmt: skip
    labels = np.zeros((400, 512, 512), np.uint8)
    for label, middle, size in ((1, 108.0, (123.0, 86.0, 59.0)), (2, 250.0, (120.0, 83.0, 52.0))):
        plane = ((y - 179) / size[1])[:, None] ** 2 + ((x - middle) / size[2]) ** 2
        for number, height in enumerate((z - 160) / size[0]):
            labels[number][plane + height**2 < 1] = label
    return Window(labels, SPACING)


def simulations_beside_peers(
    results: Results, window: Window, r: str, corrfunc: str
) -> list[Asked]:
    """199 simulations with K, L, G and their test, beside envelope.pp3 and a loop of Corrfunc."""
    rows, asked = [], []
    limits = {300: (10, 0.5), 1000: (6, 0.9), 3000: (9, 1.1)}
    os.environ["MILIARY_THREADS"] = "1"
    rng = np.random.default_rng(SEED)
    script = Path(tempfile.mkdtemp()) / "envelope.R"
    script.write_text(_R)
    for n, repeats in ((300, 5), (1000, 5), (3000, 3)):
        points, strata = window.sample(_shared(window, n), rng)
        _test(points, strata, window, replace(SETTINGS, simulations=19))
        ours, spatstat, loop = [], [], []
        for repeat in range(repeats):
            ours.append(_cpu(lambda p=points, s=strata: _test(p, s, window, SETTINGS)))
            spatstat.append(_run([r, str(script), str(n), str(SIDE_MM), str(repeat)]))
            loop.append(_run([corrfunc, "-c", _CORRFUNC, str(n), str(SIDE_MM), "199",
                              str(repeat)]) * 199)  # fmt: skip
        a, b, c = min(ours), min(spatstat), min(loop)
        rows.append(
            [f"n {n}", f"{a:.3f}", _seconds(b), _ratio(b / a, 1), _seconds(c), _ratio(a / c, 2)]
        )
        times, share = limits[n]
        asked += [
            (f"times faster than envelope.pp3 of spatstat, n {n}", f"at least {times}",
             _ratio(b / a, 1), b / a >= times),
            (f"share of the time of a loop of Corrfunc, n {n}", f"at most {share}",
             _ratio(a / c, 2), a / c <= share),
        ]  # fmt: skip
    script.unlink()
    heads = ["199 simulations, CPU s", "ours", "spatstat, box", "ratio", "Corrfunc loop, box"]
    results.table("Simulations with K, L, G and their test", [*heads, "share of it"], rows)
    return asked


def pairs_beside_corrfunc(results: Results, corrfunc: str) -> list[Asked]:
    """The pair histogram in 300 bins with nearest neighbours, beside Corrfunc in 60 bins."""
    rows = []
    rng = np.random.default_rng(SEED)
    for n in (1000, 3000, 10_000, 20_000):
        points, strata = rng.uniform(0, SIDE_MM, (n, 3)), np.zeros(n, int)
        ours, theirs = [], []
        for repeat in range(5):
            ours.append(_cpu(lambda p=points, s=strata: pair_histogram(
                p, s, n_strata=1, max_mm=30.0, bin_mm=0.1)))  # fmt: skip
            theirs.append(_run([corrfunc, "-c", _CORRFUNC, str(n), str(SIDE_MM), "5",
                                str(repeat)]))  # fmt: skip
        a, b = 1000 * min(ours), 1000 * min(theirs)
        rows.append([f"n {n}", f"{a:.1f}", _ratio(b, 1), _ratio(a / b, 2)])
    results.table("Pair histogram, CPU ms", ["n", "ours", "Corrfunc", "ratio"], rows)
    return [
        ("pair histogram at 20,000, times Corrfunc's", "at most 1.8", rows[-1][3], a / b <= 1.8)
    ]


def whole_description(results: Results, window: Window) -> list[Asked]:
    """999 simulations of K, L, G with their test, on one thread and on two."""
    rows, asked = [], []
    rng = np.random.default_rng(SEED)
    for n in (1000, 5000):
        points, strata = window.sample(_shared(window, n), rng)
        for threads in (1, 2):
            os.environ["MILIARY_THREADS"] = str(threads)
            start = time.perf_counter()
            cpu = _cpu(lambda p=points, s=strata: _test(
                p, s, window, replace(SETTINGS, simulations=999)))  # fmt: skip
            wall = time.perf_counter() - start
            rows.append([f"n {n}", str(threads), f"{cpu:.2f}", f"{wall:.2f}"])
        most = {1000: 4, 5000: 40}[n]
        what = f"999 simulations of K, L, G at {n} on 2 cores, s"
        # Beside others' work a wall time tells of them: both threads then count by their CPU time.
        busy = os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)
        seconds = cpu / 2 if busy else wall
        told = f"{seconds:.1f}" + (", CPU over two threads: others were at work" if busy else "")
        asked.append((what, f"at most {most}", told, seconds <= most))
    heads = ["points", "threads", "CPU s", "wall s"]
    results.table("999 simulations of K, L, G with their test", heads, rows)
    return asked


def whole_case(results: Results, window: Window) -> list[Asked]:
    """Everything that a case asks of the step, from labels and distances on."""
    rows = []
    spacing = tuple(SPACING)
    rng = np.random.default_rng(SEED)
    y, x = np.indices(window.labels.shape[1:], dtype=np.float32)
    tubes = np.zeros(y.shape, bool)
    for middle in rng.uniform(60, 450, (150, 2)):
        tubes |= np.hypot(y - middle[0], x - middle[1]) < rng.uniform(1, 4)
    labels = np.where(tubes, 0, window.labels).astype(np.uint8)
    vessel = edt.edt(~tubes, anisotropy=spacing[1:])
    distances = {
        "pleura": edt.edt(window.labels > 0, anisotropy=spacing),
        "vessel": np.broadcast_to(vessel, labels.shape),
        "fissure": np.broadcast_to(abs(0.7 * (y - 230)), labels.shape),
    }
    sensitivity = np.ascontiguousarray(
        np.broadcast_to(np.minimum(0.6 + vessel / 25, 1).astype(np.float32), labels.shape)
    )
    zones = np.where(labels > 0, 1 + np.arange(400)[:, None, None] // 110, 0).astype(np.uint8)
    for n, threads in ((300, 2), (300, 1), (1000, 1), (1000, 2), (3000, 1), (3000, 2)):
        os.environ["MILIARY_THREADS"] = str(threads)
        start, used = time.perf_counter(), time.process_time()
        own = Window(labels, SPACING, sensitivity)
        describe_distribution(
            own.sample(_shared(own, n), rng)[0], own, distances_mm=distances, zone_labels=zones,
            lobe_labels=zones, sizes_mm=rng.lognormal(0.6, 0.2, n), min_separation_mm=3.0,
            settings=SpatialSettings(), rng=rng,
        )  # fmt: skip
        cpu, wall = time.process_time() - used, time.perf_counter() - start
        rows.append([f"n {n}", str(threads), f"{cpu:.2f}", f"{wall:.2f}"])
    results.table("Whole step of a case", ["points", "threads", "CPU s", "wall s"], rows)
    return []


def covariance_beside_transforms(results: Results) -> list[Asked]:
    """The set covariance at full resolution, in a process of its own, beside bare transforms."""
    told = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, check=True
    ).stdout  # the last lines of this file
    ours, bare, peak, made = map(float, told.split())
    ratio, memory = ours / bare, f"{peak:.2f} GB, {made:.2f} of it to make the mask"
    results.table(
        "Set covariance at full resolution",
        ["CPU s", "bare transforms, CPU s", "ratio", "peak memory"],
        [[f"{ours:.2f}", f"{bare:.2f}", f"{ratio:.2f}", memory]],
    )
    return [
        ("set covariance, times bare transforms", "at most 1.3", f"{ratio:.2f}", ratio <= 1.3),
        ("its memory", "under 1 GB", memory, peak < 1),
    ]


def _covariance() -> None:
    labels = make_window().labels
    box = tuple(slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(labels))
    mask = np.ascontiguousarray(labels[box] > 0)
    del labels
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    padded = [fft.next_fast_len(n + int(np.ceil(30.0 / s)) + 1, real=True)
              for n, s in zip(mask.shape, SPACING, strict=True)]  # fmt: skip
    ours, bare = [], []

    def transforms() -> None:
        spectrum = fft.rfftn(mask.astype(np.float32), padded, workers=2)
        fft.irfftn(spectrum, padded, workers=2)

    for _ in range(3):
        ours.append(_cpu(lambda: set_covariance(mask, SPACING, max_lag_mm=30.0, capacity=1)))
        bare.append(_cpu(transforms))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(min(ours), min(bare), peak, before)


def _test(
    points: np.ndarray, strata: np.ndarray, window: Window, settings: SpatialSettings
) -> None:
    rng = np.random.default_rng(SEED)
    counts = count_patterns(points, strata, window, settings, min_separation_mm=0.0, rng=rng)
    functions = summary_functions(counts, BOTH, window, settings, min_separation_mm=0.0)
    combined_test(functions, alpha=0.05)


def _shared(window: Window, n: int) -> np.ndarray:
    right = round(n * window.strata[0].volume_mm3 / window.volume_mm3)
    return np.array([right, n - right])


def _seconds(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _ratio(value: float, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _run(command: list[str]) -> float:
    """Run a peer that prints its own CPU time; not a number where there is none."""
    if not command[0]:
        return np.nan
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{command[0]}: {error}", file=sys.stderr)
        return np.nan
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    _covariance()
