#!/usr/bin/env python3
"""How well nodules are found and sized, and how well the package knows it.

    benchmarks/detection.py sensitivity     by diameter, at 1, 3, 10 and 20 false positives a litre
    benchmarks/detection.py regions         beside pleura, fissures and vessels
    benchmarks/detection.py sizes           bias, spread and honesty of diameters, 1.5 to 10 mm
    benchmarks/detection.py acquisition     noise and point spread against a phantom's truth
    benchmarks/detection.py calibration     said sensitivity and false positives against the true
    benchmarks/detection.py dense           nodules at 1 per ml
    benchmarks/detection.py larger          found and sized at 4 to 10 mm
    benchmarks/detection.py times           beside skimage's blob_log
    benchmarks/detection.py whole           seconds and memory of a whole scan: on a quiet machine

Real scans come from ../shared (not part of the repository); nodules are put into them by
../shared/eval/insert_nodules.py, which shares no code with the package. The left lung of lidc-0314
took no part in training. `--phantoms` leaves the real scans out. Three seeds each, none of them
used for training or fitting. Intervals are 95 %. Scenes and results are kept in build/detection/,
results by a fingerprint of the package: a run that was ended goes on where it stopped, and one
after a change measures anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from _detection_acquisition import acquisition
from _detection_known import calibration, sizes
from _detection_larger import larger
from _detection_runs import OWN_MM, Found, found_in
from _detection_scenes import PHANTOM_SEEDS, REAL, REAL_SEEDS, litre_phantom, real
from _detection_tables import REACH_MM, rate, share
from _detection_times import times, whole
from _results import Results
from scipy.spatial import KDTree

from miliary.config.detect import DetectSettings

BANDS_MM = ((1.2, 1.6), (1.6, 2.2), (2.2, 3.0))
FALSE_PER_LITRE = (1, 3, 10, 20)
#: Nodules a litre: some 8 mm apart, so that they seldom touch.
PER_LITRE = 300
#: Nodules a litre of a dense scan, and the diameters in mm that count in it and in thin ones.
DENSE, DENSE_MM = 1000, (1.6, 2.4)
SCANS = (REAL, "nlst-low-dose", "rider-0117-lower")
#: Where no nodule is, to tell how often a candidate is near by chance.
AWAY_MM = np.array([4.0, 0.0, 0.0])
LEFT, BOTH = (2,), (1, 2)


def sources(only_phantoms: bool) -> dict[str, Callable[[], list[Found]]]:
    """Groups of scenes by name, three seeds each."""

    def phantoms() -> list[Found]:
        return [
            found_in(f"phantom-{seed}", partial(litre_phantom, seed, PER_LITRE, 1.2, 3.0))
            for seed in PHANTOM_SEEDS
        ]

    def inserted(sides: tuple[int, ...]) -> list[Found]:
        return [
            found_in(f"{REAL}-{seed}", partial(real, seed, PER_LITRE)).lung(sides)
            for seed in REAL_SEEDS
        ]

    groups: dict[str, Callable[[], list[Found]]] = {}
    if not only_phantoms:
        groups[f"{REAL}, left lung (never trained on)"] = partial(inserted, LEFT)
        groups[f"{REAL}, both lungs"] = partial(inserted, BOTH)
    groups["phantoms, 1 l each"] = phantoms
    return groups


def sensitivity(options: argparse.Namespace) -> Results:
    """Table (a): by diameter, at several rates of false positives and at the default."""
    results = Results(
        "detection-sensitivity",
        "Share of nodules found, put into a real scan by other code or drawn in phantoms, by "
        "diameter; what is found besides is false, a patient's own nodules too.",
    )
    default = DetectSettings().threshold
    rows = []
    for name, group in sources(options.phantoms).items():
        scenes = group()
        graded = [scene.graded() for scene in scenes]
        for low, high in BANDS_MM:
            cells = [name, f"{low}-{high}"]
            limits = [[g.threshold(rate_) for g in graded] for rate_ in FALSE_PER_LITRE]
            limits.append([np.nextafter(default, 0)] * len(graded))
            cells += [pooled(scenes, graded, at, low, high) for at in limits]
            rows.append([*cells, survived(scenes, low, high)])
        n = sum(int((g.false_score >= default).sum()) for g in graded)
        told = rate(n, sum(g.litres for g in graded))
        rows.append([name, "false a litre", *map(str, FALSE_PER_LITRE), told, ""])
    heads = ["scan", "mm", *(f"at {n} a litre" for n in FALSE_PER_LITRE)]
    results.table(
        f"Sensitivity, {PER_LITRE} nodules a litre, three seeds; default threshold {default}",
        [*heads, "at the default", f"scored (within {OWN_MM} mm)"],
        rows,
    )
    if not options.phantoms:
        untouched(results)
    return results


def pooled(scenes: list[Found], graded: list, limits: list[float], low: float, high: float) -> str:
    """Share found above each scene's limit of the nodules in a band."""
    hits = [
        g.score[in_band(s, low, high)] > limit
        for s, g, limit in zip(scenes, graded, limits, strict=True)
    ]
    joined = np.concatenate(hits)
    return share(joined.sum(), len(joined))


def survived(scenes: list[Found], low: float, high: float) -> str:
    """Share of the nodules with a candidate of their own; beside it, of places 4 mm away."""
    own, chance, n = 0, 0, 0
    for scene in scenes:
        tree = KDTree(scene.points_mm)
        places = scene.truth_mm[in_band(scene, low, high)]
        own += (tree.query(places)[0] <= OWN_MM).sum()
        chance += (tree.query(places + AWAY_MM)[0] <= OWN_MM).sum()
        n += len(places)
    return f"{share(own, n)}, by chance {chance / n:.2f}"


def in_band(scene: Found, low: float, high: float) -> np.ndarray:
    """Which nodules (N,) are of some diameters."""
    return (scene.diameter_mm >= low) & (scene.diameter_mm < high)


def untouched(results: Results) -> None:
    """False positives of the default in scans as they are; patients' own nodules count as such."""
    default, rows = DetectSettings().threshold, []
    for scan in SCANS:
        found = found_in(f"{scan}-as-it-is", partial(real, 0, 0, scan=scan))
        for name, sides in (("left", LEFT), ("both", BOTH)):
            lung = found.lung(sides)
            n = int((lung.candidates.score >= default).sum())
            rows.append([scan, name, rate(n, sum(lung.litres.values()))])
    results.table("Accepted in scans without insertion", ["scan", "lung", "a litre"], rows)


def regions(options: argparse.Namespace) -> Results:
    """Table (b): sensitivity by what a nodule lies beside, at 10 false positives a litre."""
    results = Results(
        "detection-regions",
        "Share of nodules found by what they lie beside: the pleura, a fissure or a vessel, the "
        "first that holds.",
    )
    rows = []
    for name, group in sources(options.phantoms).items():
        scenes = group()
        graded = [scene.graded() for scene in scenes]
        for low, high in BANDS_MM[1:]:
            cells = []
            for place in ("interior", "outer 3 mm", "fissure", "vessel"):
                hits = np.concatenate(
                    [
                        g.score[in_band(s, low, high) & (s.beside == place)] > g.threshold(10)
                        for s, g in zip(scenes, graded, strict=True)
                    ]
                )
                cells.append(f"{share(hits.sum(), len(hits))} of {len(hits)}")
            rows.append([name, f"{low}-{high}", *cells])
    results.table(
        "Sensitivity at 10 false positives a litre, by place",
        ["scan", "mm", "interior", "outer 3 mm", "fissure (2 mm)", "vessel (2 mm)"],
        rows,
    )
    return results


def dense(options: argparse.Namespace) -> Results:
    """Table (f): what is lost, merged and doubled at 1 nodule per ml, at the default."""
    results = Results(
        "detection-dense",
        "What is found, merged with a neighbour and found twice at 1 nodule per ml, beside "
        "nodules of the same size in thinner scans.",
    )

    def left_lung(seed: int) -> Found:
        make = partial(real, seed, DENSE, *DENSE_MM, side="left")
        return found_in(f"{REAL}, left lung-{seed}-{DENSE}", make)

    def one_phantom(seed: int) -> Found:
        make = partial(litre_phantom, seed, DENSE, *DENSE_MM)
        return found_in(f"phantoms, 1 l each-{seed}-{DENSE}", make)

    thin, rows = sources(options.phantoms), []
    kinds: dict[str, tuple[Callable[[int], Found], tuple[int, ...]]] = {}
    if not options.phantoms:
        kinds[f"{REAL}, left lung (never trained on)"] = (left_lung, REAL_SEEDS)
    kinds["phantoms, 1 l each"] = (one_phantom, PHANTOM_SEEDS)
    for name, (crowded, seeds) in kinds.items():
        groups = {PER_LITRE: thin[name](), DENSE: [crowded(seed) for seed in seeds]}
        for per_litre, scenes in groups.items():
            *counts, n = np.sum([outcomes(scene) for scene in scenes], axis=0)
            told = [share(k, n) for k in counts]
            rows.append([name, f"{per_litre / 1000}", str(n), *told])
    heads = ["scan", "per ml", "nodules", "found", "merged", "doubled"]
    results.table("Nodules of 1.6 to 2.4 mm at the default operating point", heads, rows)
    return results


def outcomes(scene: Found) -> tuple[int, int, int, int]:
    """Found, merged with a neighbour that was found, doubled, and how many, of `DENSE_MM`.

    Merged: missed, and the candidate of a neighbour lies between the two. Doubled: a second
    accepted candidate inside the nodule's reach that is nobody else's.
    """
    accepted = scene.candidates.score >= DetectSettings().threshold
    kept = Found(**{**vars(scene), "candidates": scene.candidates.take(accepted)})
    graded = kept.graded()
    hit, counted = graded.row >= 0, in_band(scene, *DENSE_MM)
    left = kept.points_mm[graded.false_row]
    doubled = 0
    if len(left):
        distance, which = KDTree(scene.truth_mm).query(left)
        doubled = len(np.unique(which[(distance <= REACH_MM) & (hit & counted)[which]]))
    merged, missed = 0, scene.truth_mm[~hit & counted]
    if hit.any() and len(missed):
        # A candidate matched to another nodule, nearer to the missed one than nodules are wide.
        taken = KDTree(kept.points_mm[graded.row[hit]])
        merged = int((taken.query(missed)[0] <= REACH_MM).sum())
    return int((hit & counted).sum()), merged, doubled, int(counted.sum())


PARTS = {
    "sensitivity": sensitivity,
    "regions": regions,
    "sizes": sizes,
    "acquisition": acquisition,
    "calibration": calibration,
    "dense": dense,
    "larger": larger,
    "times": times,
    "whole": whole,
}


def parts(names: list[str]) -> Iterator[Callable[[argparse.Namespace], Results]]:
    """The parts asked for; all of them for none."""
    for name, part in PARTS.items():
        if not names or name in names:
            yield part


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all unless named")
    parser.add_argument("--phantoms", action="store_true", help="without the real scans")
    parser.add_argument("--keep", action="store_true", help="keep the tables in benchmarks/results")
    options = parser.parse_args()
    for part in parts(options.parts):
        results = part(options)
        if options.keep:
            print(results.keep())


if __name__ == "__main__":
    main()
