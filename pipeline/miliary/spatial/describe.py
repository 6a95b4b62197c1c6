"""How the nodules lie in the lungs: tests, curves and shares against randomness in this lung."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Distribution, SizeTrend, Test
from miliary.kernels.covariates import holm
from miliary.kernels.distance_image import Distances
from miliary.spatial.clustering import Clusters, Placed
from miliary.spatial.involvement import judge_involvement
from miliary.spatial.marks import correlate_sizes
from miliary.spatial.randomness import judge_randomness
from miliary.spatial.regions import lobe_densities, map_density, zone_densities
from miliary.spatial.simulate import count_patterns
from miliary.spatial.trends import size_trends
from miliary.spatial.window import Window


def describe_distribution(
    points_grid_mm: FloatArray,
    window: Window,
    *,
    distances_mm: Mapping[str, Distances],
    zone_labels: AnyArray | None = None,
    lobe_labels: AnyArray | None = None,
    sizes_mm: FloatArray | None = None,
    min_separation_mm: float = 0.0,
    settings: SpatialSettings,
    rng: np.random.Generator,
) -> Distribution:
    """Describe how points lie in a window, against randomness in this very window.

    Randomness means: the number in each lung as it is, places independent and as the window's
    sensitivity has it, no two nearer than the detector's smallest separation. The primary test
    holds L and G together against simulations of that, by extreme rank lengths; every other
    p-value in `tests` is adjusted for their number (Holm 1979). P-values of `shares` are raw.

    Points outside the window by no more than `settings.move_mm` are moved to its nearest voxel,
    others are left out. Points moved do not count for the distance to vessels: these are holes of
    the window, and the points would all come to lie on their walls. Where nodules are clustered,
    p-values and intervals allow for it by a design effect over clusters.

    Parameters
    ----------
    points_grid_mm : (N, 3) float
        Points `(z, y, x)` in mm from the centre of the first voxel.
    window : Window
        Where they could have been seen: 1 right lung, 2 left lung.
    distances_mm : mapping of str to (z, y, x) DistanceImage or float32
        Distances to `pleura`, `fissure`, `vessel`, as far as known; not finite where unknown.
    zone_labels : (z, y, x) uint8 or None
        1 upper, 2 middle, 3 lower zone.
    lobe_labels : (z, y, x) uint8 or None
        1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL; 0 unknown.
    sizes_mm : (N,) float or None
        Sizes of the points, to test whether they depend on place: on those near by, and on each
        covariate.
    min_separation_mm : float
        No two points can lie nearer: the detector keeps one of two. 0 for no such rule.
    settings : SpatialSettings
        Numbers of simulations, radii, limits.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Distribution
        With None for what so few nodules, or so small a window, cannot tell, and sentences why.
    """
    placed, inside, notes = _place(points_grid_mm, window, settings)
    counts = count_patterns(
        placed.points_mm,
        placed.strata,
        window,
        settings,
        min_separation_mm=min_separation_mm,
        rng=rng,
    )
    random = judge_randomness(
        counts, window.groups, window, settings, min_separation_mm=min_separation_mm
    )
    notes += random.notes
    crowded = random.crowded_mm
    clustered = None if crowded is None else bool((crowded <= settings.cluster_mm).any())
    clusters = Clusters.of(placed, window, settings) if clustered else None
    near = judge_involvement(distances_mm, placed, window, settings, clusters=clusters, rng=rng)
    if clusters is not None and near.preferences:
        notes.append(
            f"{window.nouns[0].capitalize()} are clustered: tests and intervals for distances "
            "count them as fewer independent ones."
        )
    tests, curves = [*random.tests, *near.tests], [*random.curves, *near.curves]
    marks: list[SizeTrend] = []
    if sizes_mm is not None:
        sizes = _sizes_of(sizes_mm, inside)
        test, curve = correlate_sizes(sizes, placed, window, settings, rng=rng)
        more, marks = size_trends(sizes, near.at_points, placed, window, settings, rng=rng)
        tests += [test, *more]
        curves.append(curve)
    effect = 1.0 if clusters is None else clusters.number_effect()
    regions = [
        () if labels is None else densities(labels, placed, window, settings, number_effect=effect)
        for densities, labels in ((zone_densities, zone_labels), (lobe_densities, lobe_labels))
    ]
    return Distribution(
        n=len(placed.points_mm),
        csr_p=tests[0].p,
        clark_evans=random.clark_evans,
        clustered=clustered,
        tests=_adjusted(tests),
        curves=tuple(curves),
        shares=near.shares,
        zones=tuple(regions[0]),
        notes=tuple(notes),
        lobes=tuple(regions[1]),
        preferences=near.preferences,
        density=map_density(placed, window, settings),
        marks=tuple(marks),
    )


def _place(
    points_mm: FloatArray, window: Window, settings: SpatialSettings
) -> tuple[Placed, BoolArray, list[str]]:
    """Bring points into the window; tell which are in it and what became of the others."""
    points = np.asarray(points_mm, float).reshape(-1, 3)
    if not np.isfinite(points).all():
        raise ValueError(
            f"points_grid_mm must be finite, got {(~np.isfinite(points)).sum()} other values"
        )
    moved_points, strata, moved = window.locate(points, move_mm=settings.move_mm)
    inside: BoolArray = strata >= 0
    things, where = window.nouns
    notes = []
    if moved.any():
        notes.append(
            f"{moved.sum()} of {len(points)} {things} lie outside {where} by at most "
            f"{settings.move_mm:g} mm and were moved into it; they do not count for the "
            "distance to vessels."
        )
    if not inside.all():
        notes.append(
            f"{(~inside).sum()} of {len(points)} {things} lie outside {where} and are "
            "left out of its statistics."
        )
    return Placed(moved_points[inside], strata[inside], moved[inside]), inside, notes


def _sizes_of(sizes_mm: FloatArray, inside: BoolArray) -> FloatArray:
    """Give the sizes of the points inside."""
    sizes: FloatArray = np.asarray(sizes_mm, float)
    if sizes.shape != inside.shape:
        raise ValueError(f"sizes must be one a point ({len(inside)}), got shape {sizes.shape}")
    return sizes[inside]


def _adjusted(tests: list[Test]) -> tuple[Test, ...]:
    """Adjust all p-values but the first for their number."""
    raw = np.array([np.nan if test.p is None else test.p for test in tests[1:]])
    adjusted = holm(raw)
    return (
        tests[0],
        *(
            Test(test.name, test.lung, None if np.isnan(p) else float(p), test.statistic)
            for test, p in zip(tests[1:], adjusted, strict=True)
        ),
    )
