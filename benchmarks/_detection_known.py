"""What the package says of its own sizes, sensitivity and false positives, against the truth."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from _detection_runs import Found, Told, found_in, told_of
from _detection_scenes import (
    PHANTOM_SEEDS,
    REAL,
    REAL_SEEDS,
    Scene,
    litre_phantom,
    real,
    sizes_phantom,
)
from _detection_tables import mean, rate
from _results import Results

from miliary.calibrate import correct_sizes, sensitivity_at
from miliary.config import Config

SMALL_MM, LARGE_MM = (1.5, 2.0, 2.5, 3.0), (4.0, 6.0, 8.0, 10.0)
#: Attenuations of the nodules: as the prior of the fit has it, and spread as widely as it allows.
TISSUES_HU = {"30 HU": (30.0,), "30 +- 60 HU": (-43.5, 30.0, 103.5)}
PSF_FACTORS = (1.0, 0.85, 1.15)
BANDS_MM = ((1.2, 1.6), (1.6, 2.2), (2.2, 3.0))
PER_LITRE = (0, 50, 300)
#: Seeds of the real scan at these densities; without nodules there is but one.
REAL_FALSE = {0: REAL_SEEDS[:1], 50: (), 300: REAL_SEEDS}


def sizes(_: argparse.Namespace) -> Results:
    """Table (c): errors of the diameters of nodules found, as fitted and as reported."""
    results = Results(
        "detection-sizes",
        "Diameters of nodules that were found in phantoms, less the true ones: as the ball fitted "
        "to each has them, and as reported, with the errors taken out that the calibration finds.",
    )
    rows = []
    for tissue, hu in TISSUES_HU.items():
        for diameters, n in ((SMALL_MM, 240), (LARGE_MM, 24)):
            pairs = [
                size_errors(
                    f"sizes-{tissue}-{n}-{seed}", partial(sizes_phantom, seed, diameters, n, hu)
                )
                for seed in PHANTOM_SEEDS
            ]
            true, plain, reported, plain_se, se = (
                np.concatenate(c) for c in zip(*pairs, strict=True)
            )
            for diameter in diameters:
                mine = true == diameter
                rows.append([tissue, f"{diameter}", str(mine.sum())])
                for error, one_se in ((plain, plain_se), (reported, se)):
                    rows[-1] += spread(error[mine], one_se[mine])
    heads = ["tissue", "mm", "found"]
    for name in ("fitted", "reported"):
        heads += [f"{name}: mean", "median", "SD", "robust SD", "inside 1 SE"]
    title = "Errors of diameter in mm at 30 HU of noise, three seeds"
    results.table(title, heads, rows, "Mean with its 95 % interval.")
    return results


def spread(error: np.ndarray, se: np.ndarray) -> list[str]:
    """Mean, median, SD, robust SD, and share inside one standard error."""
    if len(error) < 3:
        return ["-"] * 5
    low, middle, high = np.quantile(error, [0.25, 0.5, 0.75])
    numbers = (middle, error.std(ddof=1), (high - low) / 1.349, (np.abs(error) <= se).mean())
    return [mean(error), *(f"{number:.2f}" for number in numbers)]


def size_errors(name: str, make: Callable[[], Scene]) -> tuple[np.ndarray, ...]:
    """True diameters, errors as fitted and as reported, and the standard errors of both."""
    found, told = found_in(name, make), told_of(name, make)
    config = Config()
    accepted = found.candidates.score >= config.detect.threshold
    graded = replace(found, candidates=found.candidates.take(accepted)).graded()
    hit = graded.row >= 0
    rows, true = graded.row[hit], found.diameter_mm[hit]
    plain = told.nodules.take(rows)
    better = correct_sizes(plain, told.calibration, config.measure.micronodule_mm)
    return (
        true,
        plain.diameter_mm - true,
        better.diameter_mm - true,
        plain.diameter_se_mm,
        better.diameter_se_mm,
    )


def scenes(only_phantoms: bool) -> dict[str, list[tuple[str, Callable[[], Scene]]]]:
    """Named scenes of each group, the same as those of the sensitivity."""
    groups = {}
    if not only_phantoms:
        groups[f"{REAL}, its own point spread"] = [
            (f"{REAL}-own-{seed}", partial(real, seed, 300, own_spread=True)) for seed in REAL_SEEDS
        ]
        groups[f"{REAL}, as ../shared/eval has it"] = [
            (f"{REAL}-{seed}", partial(real, seed, 300)) for seed in REAL_SEEDS
        ]
    groups["phantoms"] = [
        (f"phantom-{seed}", partial(litre_phantom, seed, 300, 1.2, 3.0)) for seed in PHANTOM_SEEDS
    ]
    return groups


def calibration(options: argparse.Namespace) -> Results:
    """Table (e): said less true sensitivity, with the point spread right and off by 15 %."""
    results = Results(
        "detection-calibration",
        "What the package says of its own sensitivity and false positives, less the truth. Nodules "
        "are put in by other code, which is not the package's; in lidc-0314 once through the point "
        "spread that the scan's edges have, and once through the wider one of ../shared/eval.",
    )
    rows = []
    for name, group in scenes(options.phantoms).items():
        for factor in PSF_FACTORS:
            if factor != 1 and "eval" in name:
                continue
            trials = [said_and_true(one, make, factor) for one, make in group]
            said, hit, diameter, region = (
                np.concatenate(column) for column in zip(*trials, strict=True)
            )
            cells = [mean(said - hit)]
            for low, high in BANDS_MM:
                mine = (diameter >= low) & (diameter < high)
                cells.append(mean((said - hit)[mine]))
            places = ("subpleural", "fissural", "perivascular", "interior")
            cells += [mean((said - hit)[region == label]) for label in places]
            rows.append([name, f"{factor:.2f}", f"{hit.mean():.2f}", *cells])
    heads = ["scan", "point spread x", "true", "all", *(f"{low}-{high}" for low, high in BANDS_MM)]
    heads += ["subpleural", "fissural", "perivascular", "interior"]
    title = "Said less true sensitivity at the default, nodules in evaluable lung"
    results.table(title, heads, rows, "With 95 % intervals.")
    false_positives(options, results)
    return results


def said_and_true(
    name: str, make: Callable[[], Scene], factor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Said sensitivity, whether found, diameter and region of the nodules told about."""
    found, told = found_in(name, make), told_of(name, make, factor)
    hit = found.graded().score >= Config().detect.threshold
    said = np.array(
        [
            sensitivity_at(told.calibration, region or "all", diameter)
            for region, diameter in zip(told.region, found.diameter_mm, strict=True)
        ],
        float,
    )
    mine = told.region != ""
    return said[mine], hit[mine], found.diameter_mm[mine], told.region[mine]


def false_positives(options: argparse.Namespace, results: Results) -> None:
    """Expected beside true false positives a litre, over densities of nodules."""
    rows = []
    for per_litre in PER_LITRE:
        for seed in PHANTOM_SEEDS:
            make = partial(litre_phantom, seed, per_litre, 1.2, 3.0)
            name = f"phantom-{seed}" if per_litre == 300 else f"phantom-{seed}-{per_litre}"
            rows.append(["phantom", str(seed), str(per_litre), *said_false(name, make)])
        for seed in () if options.phantoms else REAL_FALSE[per_litre]:
            name = f"{REAL}-{seed}" if per_litre == 300 else f"{REAL}-{seed}-{per_litre}"
            make = partial(real, seed, per_litre)
            rows.append([REAL, str(seed), str(per_litre), *said_false(name, make)])
    heads = ["scan", "seed", "put in a litre", "true", "said"]
    results.table("False positives a litre at the default", heads, rows)


def said_false(name: str, make: Callable[[], Scene]) -> list[str]:
    """True and said false positives a litre."""
    found: Found = found_in(name, make)
    told: Told = told_of(name, make)
    graded = found.graded()
    n = int((graded.false_score >= Config().detect.threshold).sum())
    said = told.calibration.false_per_litre
    return [rate(n, graded.litres), "-" if said is None else f"{said:.1f}"]
