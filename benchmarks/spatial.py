#!/usr/bin/env python3
"""Spatial statistics: the level and the power of the tests in a real lung mask, and their speed.

    benchmarks/spatial.py type-i MASKS [--patterns 2000] [--keep]   how often randomness is rejected
    benchmarks/spatial.py power MASKS [--patterns 200] [--keep]     how often other patterns are
    benchmarks/spatial.py times [--r Rscript] [--corrfunc PYTHON] [--keep] [PART ...]

MASKS is a case of Med-RAD, such as ../shared/ct/medrad-masks/lidc-p3 (4.3 litres, taken on voxels
of 2.1 x 1.8 x 1.8 mm). Patterns are drawn by code that shares nothing with the package: uniform
candidates, kept or refused one by one. Ten patterns at a time share their 199 simulations; every
pattern takes part in one such group only, so that the share rejected is unbiased, and its
standard error is that of single patterns within 5 %. Rows go to build/spatial/ as they are made;
what is there already is not made again.

`times` takes the CPU time of one thread, best of several, each in turn with its peer. It needs R
with spatstat.explore (Debian: r-cran-spatstat.explore), and a Python that has Corrfunc; without
one, its columns stay empty. PART is simulations, pairs, description, covariance or case.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _spatial_lungs import Bench, Site, gradient, read_lungs
from _spatial_tables import Rows, tell_level, tell_power

SEED = 20261122
GROUP = 10
BUILD = Path(__file__).resolve().parents[1] / "build" / "spatial"
#: Name: points in the right and left lung, sensitivity map or not, least distance in mm.
NULLS = {
    "plain": ((55, 45), False, 0.0),
    "sensitivity": ((55, 45), True, 0.0),
    "separation": ((165, 135), False, 4.0),
    "unequal": ((100, 40), False, 0.0),
    "all three": ((200, 80), True, 4.0),
}
NUMBERS = {100: (55, 45), 300: (165, 135)}
CLUSTERED = "clusters"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, patterns in (("type-i", 2000), ("power", 200)):
        command = commands.add_parser(name)
        command.add_argument("masks", type=Path)
        command.add_argument("--patterns", type=int, default=patterns)
        command.add_argument("--keep", action="store_true", help="write benchmarks/results/*.json")
    command = commands.add_parser("times")
    command.add_argument("--r", default="Rscript")
    command.add_argument("--corrfunc", default="")
    command.add_argument("parts", nargs="*", help="tables to make; all of them unless named")
    command.add_argument("--keep", action="store_true", help="write benchmarks/results/*.json")
    options = parser.parse_args()
    if options.command == "times":
        if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
            # Its threads wait busily, and would count twice; it reads this when it is loaded.
            one = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            os.execve(sys.executable, [sys.executable, *sys.argv], one)
        from _spatial_times import measure_times

        results = measure_times(options.r, options.corrfunc, options.parts)
        if options.keep:
            print(results.keep())
        return
    make, tell = (type_i, tell_level) if options.command == "type-i" else (power, tell_power)
    table = Rows(BUILD / f"{options.command}.csv")
    start = time.process_time()
    for key, rows in make(options.masks, options.patterns, table):
        table.add(key, rows)
    print(f"seed {SEED}, {time.process_time() - start:.0f} CPU s in this run")
    results = tell(table)
    if options.keep:
        print(results.keep())


def quantities(
    bench: Bench, points: np.ndarray, rng: np.random.Generator, sizes: np.ndarray, *, side: bool
) -> dict[str, float]:
    """Every p-value and every interval of one pattern."""
    p, clustered = bench.primary(points)
    more, covered = bench.covariates(points, rng, clustered=clustered)
    p |= bench.sizes(points, sizes, rng)
    values = {f"p {name}": value for name, value in {**p, **more}.items()}
    if side:
        values["p side"] = bench.side(len(points), rng)
    return values | {f"interval holds: {name}": value for name, value in covered.items()}


def type_i(masks: Path, patterns: int, table: Rows) -> Iterator[tuple[tuple[str, int], list]]:
    """Draw random patterns; clusters are there for the tests of covariates, which they obey."""
    lungs = read_lungs(masks)
    print(f"volume {np.count_nonzero(lungs.labels) * lungs.spacing_mm.prod() / 1e6:.2f} litres, "
          f"shares {lungs.shares.round(3)}", flush=True)  # fmt: skip
    kinds = {**NULLS, CLUSTERED: ((165, 135), False, 0.0)}
    benches: dict[str, Bench] = {}
    for part in (list(kinds)[:4], list(kinds)[4:]):
        for group, kind in itertools.product(range(patterns // GROUP), part):
            n, uneven, apart = kinds[kind]
            if (kind, group) in table.done:
                continue
            # What is known within 1 % is not bought four times over.
            if kind == CLUSTERED and group >= patterns // GROUP / 4:
                continue
            chance = gradient(lungs) if uneven else None
            if kind not in benches:
                benches[kind] = Bench(lungs, n, chance=chance, apart_mm=apart)
            bench, site = benches[kind], Site(lungs, chance)
            rng = np.random.default_rng([SEED, list(kinds).index(kind), group])
            bench.simulate(rng)
            rows = []
            for _ in range(GROUP):
                if kind == CLUSTERED:
                    points = site.clusters(n, rng, 3.0, 8.0)
                else:
                    points = site.draw(n, rng, apart_mm=apart)
                sizes = rng.lognormal(0.6, 0.2, len(points))
                rows.append(quantities(bench, points, rng, sizes, side=kind != CLUSTERED))
            yield (kind, group), rows


def power(masks: Path, patterns: int, table: Rows) -> Iterator[tuple[tuple[str, int], list]]:
    """Draw patterns that are not random."""
    lungs = read_lungs(masks)
    pleura, height = lungs.images["pleura"], lungs.images["height"]
    top = float(height[lungs.labels > 0].max() - height[lungs.labels > 0].min())

    def at(image: np.ndarray, index: np.ndarray) -> np.ndarray:
        return image[tuple(index.T)]

    site = Site(lungs)
    draws = {
        "clusters of 3, 8 mm": lambda n, rng: site.clusters(n, rng, 3.0, 8.0),
        "clusters of 1, 8 mm": lambda n, rng: site.clusters(n, rng, 1.0, 8.0),
        "hard core 5 mm": lambda n, rng: site.draw(n, rng, apart_mm=5.0),
        "hard core 8 mm": lambda n, rng: site.draw(n, rng, apart_mm=8.0),
        "exp(-depth/60 mm)": lambda n, rng: site.draw(
            n, rng, weight=lambda i: np.exp(-at(pleura, i) / 60.0)
        ),
        "band 8-20 mm deep, 3:1": lambda n, rng: site.draw(
            n, rng, weight=lambda i: np.where(abs(at(pleura, i) - 14) < 6, 1.0, 1 / 3)
        ),
        "base:apex 2:1": lambda n, rng: site.draw(
            n, rng, weight=lambda i: 0.5 ** (at(height, i) / top)
        ),
        "near vessels 2:1": lambda n, rng: site.draw(
            n, rng, weight=lambda i: np.where(at(lungs.images["vessel"], i) < 5, 1.0, 0.5)
        ),
        "larger at the base by half": lambda n, rng: site.draw(n, rng),
    }
    for number, n in NUMBERS.items():
        bench = Bench(lungs, n, chance=None, apart_mm=0.0)
        for kind, draw in draws.items():
            for group in range(patterns // GROUP):
                name = f"{kind}, n {number}"
                if (name, group) in table.done:
                    continue
                rng = np.random.default_rng([SEED, number, list(draws).index(kind), group])
                bench.simulate(rng)
                rows = []
                for _ in range(GROUP):
                    points = draw(n, rng)
                    sizes = rng.lognormal(0.6, 0.2, len(points))
                    if kind.startswith("larger"):
                        sizes *= 1.5 ** (1 - points[:, 0] / points[:, 0].max())
                    rows.append(quantities(bench, points, rng, sizes, side=False))
                yield (name, group), rows


if __name__ == "__main__":
    main()
