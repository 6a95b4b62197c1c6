"""Nodules of 4 to 10 mm: found and sized with and without the search on a coarser grid."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from _detection_scenes import PHANTOM_SEEDS, REAL, REAL_SEEDS, Scene, kept, real, results
from _detection_scenes import sizes_phantom as phantom_of
from _detection_tables import mean, rate, share
from _results import Results
from scipy.spatial import KDTree

import miliary
from miliary.config import Config
from miliary.config.detect import DetectSettings
from miliary.measure import measure
from miliary.nodules import Nodules
from miliary.quality import estimate_quality

DIAMETERS_MM = (4.0, 5.0, 6.0, 8.0, 10.0)
#: Of each diameter in a phantom of a litre; a litre in the real scan, of any from 4 to 10.5 mm.
OF_EACH, PER_LITRE = 10, 15
#: A row at least this large counts as one of a larger nodule.
LARGE_MM = 3.5
SCANS = (REAL, "nlst-low-dose")
SEARCHES = {
    "fine grid alone": DetectSettings(larger_threshold=1.0),
    "both": DetectSettings(),
}


@dataclass(frozen=True, eq=False)
class Seen:
    """What each search makes of a scene.

    Parameters
    ----------
    points_mm : dict of str to (M, 3) float
        Accepted nodules as grid points.
    diameter_mm : dict of str to (M,) float
        As fitted.
    truth_mm, true_mm : (N, 3) and (N,) float
        Nodules that are there, and their diameters.
    inner : (N,) bool
        Whether their centres lie in the lungs that the package finds.
    litres : float
        Lung that was searched.
    """

    points_mm: dict[str, np.ndarray]
    diameter_mm: dict[str, np.ndarray]
    truth_mm: np.ndarray
    true_mm: np.ndarray
    inner: np.ndarray
    litres: float


def larger(options: argparse.Namespace) -> Results:
    """Table (h): found, bias and spread at 4 to 10 mm, and false ones."""
    kept_tables = Results(
        "detection-larger",
        "Nodules of 4 to 10 mm put in by other code or drawn in phantoms: how many are found and "
        "how well they are sized by the search on the scan's own grid alone, and with the search "
        "on a coarser grid beside it.",
    )
    groups = {
        "phantoms, 1 l each": [
            seen(f"phantom-{s}", partial(phantom_of, s, DIAMETERS_MM, 5 * OF_EACH, (30.0,)))
            for s in PHANTOM_SEEDS
        ]
    }
    if not options.phantoms:
        groups[f"{REAL}, both lungs"] = [
            seen(f"{REAL}-{seed}", partial(real, seed, PER_LITRE, 3.5, 10.5)) for seed in REAL_SEEDS
        ]
    rows = [
        row
        for name, scenes in groups.items()
        for search in SEARCHES
        for row in one_search(name, search, scenes)
    ]
    heads = ["scan", "search", "mm", "found", "of those centred in the lungs", "bias, mm", "SD, mm"]
    title = "Nodules of 4 to 10 mm at the default, three seeds; in the real scan within 0.5 mm"
    note = (
        "Diameters as fitted; intervals are 95 %. A large nodule under the pleura is cut off with "
        "the wall, so that its centre may lie outside of the lungs that are searched."
    )
    kept_tables.table(title, heads, rows, note)
    kept_tables.table("Rows of 3.5 mm and more that are none", *false_rows(groups, options))
    return kept_tables


def seen(name: str, make: Callable[[], Scene]) -> Seen:
    """Both searches of a scene."""

    def run() -> Seen:
        scene, config = make(), Config()
        spacing = scene.spacing_mm
        quality = estimate_quality(scene.hu, scene.anatomy, config.quality)
        points, diameters = {}, {}
        for search, settings in SEARCHES.items():
            found = miliary.detect(scene.hu, scene.anatomy.inside_lung, spacing, settings)
            nodules: Nodules = measure(scene.hu, scene.anatomy, found, quality, config.measure)
            points[search] = scene.anatomy.geometry.to_grid_mm(nodules.points_mm)
            diameters[search] = nodules.diameter_mm
        truth = scene.index_zyx * spacing
        inner = scene.anatomy.at(scene.anatomy.lung_labels, scene.index_zyx) > 0
        return Seen(points, diameters, truth, scene.diameter_mm, inner, scene.litres())

    return kept(results("calibrate"), f"larger-{name}", run)


def one_search(name: str, search: str, scenes: list[Seen]) -> list[list[str]]:
    """One row a diameter."""
    matched = [fitted(scene, search) for scene in scenes]
    errors = np.concatenate([found - s.true_mm for found, s in zip(matched, scenes, strict=True)])
    true = np.concatenate([scene.true_mm for scene in scenes])
    inner = np.concatenate([scene.inner for scene in scenes])
    rows = []
    for diameter in DIAMETERS_MM:
        mine = np.abs(true - diameter) < 0.5
        hit = errors[mine & np.isfinite(errors)]
        spread = f"{hit.std(ddof=1):.2f}" if len(hit) > 1 else "-"
        cells = [
            f"{share(np.isfinite(errors[those]).sum(), those.sum())} of {those.sum()}"
            for those in (mine, mine & inner)
        ]
        rows.append([name, search, f"{diameter:.0f}", *cells, mean(hit), spread])
    return rows


def fitted(scene: Seen, search: str) -> np.ndarray:
    """Diameter of the nearest row whose centre lies in the middle half of a nodule; else NaN."""
    points, diameters = scene.points_mm[search], scene.diameter_mm[search]
    if len(points) == 0:
        return np.full(len(scene.truth_mm), np.nan)
    distance, which = KDTree(points).query(scene.truth_mm)
    return np.where(distance <= scene.true_mm / 4, diameters[which], np.nan)


def false_rows(
    groups: dict[str, list[Seen]], options: argparse.Namespace
) -> tuple[list[str], list[list[str]]]:
    """Large rows that touch no nodule, a litre; and all of those in scans as they are."""
    groups = dict(groups)
    for scan in () if options.phantoms else SCANS:
        groups[f"{scan} as it is"] = [
            seen(f"{scan}-as-it-is", partial(real, 0, 0, scan=scan)),
        ]
    rows = []
    for name, scenes in groups.items():
        counts = [sum(false_of(scene, search) for scene in scenes) for search in SEARCHES]
        litres = sum(scene.litres for scene in scenes)
        rows.append([name, f"{litres:.1f}", *(rate(n, litres) for n in counts)])
    return ["scan", "litres", *(f"{search}, a litre" for search in SEARCHES)], rows


def false_of(scene: Seen, search: str) -> int:
    """How many large rows touch no nodule."""
    large = scene.diameter_mm[search] >= LARGE_MM
    points = scene.points_mm[search][large]
    if len(points) == 0 or len(scene.truth_mm) == 0:
        return len(points)
    distance, which = KDTree(scene.truth_mm).query(points)
    return int((distance > scene.true_mm[which] / 2 + 1.0).sum())
