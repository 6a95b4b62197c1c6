"""How the nodules lie in the lungs: tests, curves and shares against randomness in this lung."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from miliary.anatomy import SIDES, ZONES
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Curve, Distribution, Share, Test
from miliary.kernels.covariates import holm, monte_carlo_p
from miliary.kernels.envelopes import envelope_test
from miliary.spatial.covariates import Covariate, Placed, bin_covariate, covariate_tests
from miliary.spatial.curves import Functions, combined_test, make_curve, summary_functions
from miliary.spatial.involvement import distance_curve, shell_shares, zone_densities
from miliary.spatial.simulate import Counts, count_patterns
from miliary.spatial.window import Window

#: Name of the primary test, the only one whose p-value is not adjusted for the others.
PRIMARY = "L and G, global envelope"


def describe_distribution(
    points_grid_mm: FloatArray,
    window: Window,
    *,
    distances_mm: Mapping[str, FloatArray],
    zone_labels: AnyArray,
    settings: SpatialSettings,
    rng: np.random.Generator,
) -> Distribution:
    """Describe how points lie in a window, against randomness in this very window.

    Randomness means: the number in each lung as it is, places independent and as the window's
    sensitivity has it, no two nearer than the detector's smallest separation. The primary test
    holds L and G together against simulations of that, by extreme rank lengths; every other
    p-value in `tests` is adjusted for their number (Holm). P-values of `shares` are raw.

    Points outside the window by no more than `settings.move_mm` are moved to its nearest voxel,
    others are left out. Points moved do not count for the distance to vessels: these are holes of
    the window, and the points would all come to lie on their walls. Where nodules are clustered,
    p-values and intervals of shares and distances allow for it by a design effect over cubes.

    Parameters
    ----------
    points_grid_mm : (N, 3) float
        Points `(z, y, x)` in mm from the centre of the first voxel.
    window : Window
        Where they could have been seen: 1 right lung, 2 left lung.
    distances_mm : mapping of str to (z, y, x) float32
        Distances to `pleura`, `fissure`, `vessel`, as far as known; not finite where unknown.
    zone_labels : (z, y, x) uint8
        1 upper, 2 middle, 3 lower zone.
    settings : SpatialSettings
        Numbers of simulations, radii, limits.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Distribution
        With None for what so few nodules, or so small a window, cannot tell, and sentences why.
    """
    placed, notes = _place(points_grid_mm, window, settings)
    lungs = _lungs(window)
    counts = count_patterns(placed.points_mm, placed.strata, window, settings, rng=rng)
    tests, curves, crowded = _randomness(counts, lungs, window, settings, notes)
    close = None if crowded is None else crowded[crowded <= settings.cluster_mm]
    clustered = None if close is None else len(close) > 0
    notes += _crowding_notes(crowded, settings)
    covariates = _covariates(
        distances_mm, placed, window, settings, clustered=bool(clustered), rng=rng
    )
    shares: list[Share] = []
    for covariate in covariates:
        for lung, chosen in lungs.items():
            names = ("Z1", "Z2", "KS") if lung == "both" else ("Z2", "KS")
            tests += covariate_tests(covariate, lung, chosen, names, min_n=settings.min_nodules)
            if covariate.name in distances_mm:
                curves.append(distance_curve(covariate, lung, chosen, settings))
        if covariate.name in distances_mm:
            shares += shell_shares(covariate, lungs["both"], settings)
    if clustered and covariates:
        notes.append(
            "Nodules are clustered: tests and intervals for distances count them as fewer "
            "independent ones."
        )
    tests += _side_test(placed, window, settings, rng)
    return Distribution(
        n=len(placed.points_mm),
        csr_p=tests[0].p,
        clark_evans=_clark_evans(counts, lungs["both"])[0],
        clustered=clustered,
        tests=_adjusted(tests),
        curves=tuple(curves),
        shares=tuple(shares),
        zones=tuple(zone_densities(zone_labels, ZONES, placed, window, lungs)),
        notes=tuple(notes),
    )


def _crowding_notes(crowded: FloatArray | None, settings: SpatialSettings) -> list[str]:
    """Say at which distances nodules are crowded: close by is clustering, far off is unevenness."""
    if crowded is None or len(crowded) == 0:
        return []
    reach = f"from {crowded[0]:g} to {crowded[-1]:g} mm"
    if crowded[0] <= settings.cluster_mm:
        return [
            "There are more close pairs or nearer neighbours than chance allows at distances "
            f"{reach}."
        ]
    return [
        f"Only at distances {reach} are there more pairs than chance allows: the density of the "
        "nodules, or of what the scan shows of them, changes slowly through the lungs."
    ]


def _place(
    points_mm: FloatArray, window: Window, settings: SpatialSettings
) -> tuple[Placed, list[str]]:
    """Bring points into the window, and tell what became of those outside."""
    points = np.asarray(points_mm, float).reshape(-1, 3)
    if not np.isfinite(points).all():
        raise ValueError(
            f"points_grid_mm must be finite, got {(~np.isfinite(points)).sum()} other values"
        )
    moved_points, strata, moved = window.locate(points, move_mm=settings.move_mm)
    inside: BoolArray = strata >= 0
    notes = []
    if moved.any():
        notes.append(
            f"{moved.sum()} of {len(points)} nodules lie outside the evaluable lung by at most "
            f"{settings.move_mm:g} mm and were moved into it; they do not count for the "
            "distance to vessels."
        )
    if not inside.all():
        notes.append(
            f"{(~inside).sum()} of {len(points)} nodules lie outside the evaluable lung and are "
            "left out of its statistics."
        )
    return Placed(moved_points[inside], strata[inside], moved[inside]), notes


def _lungs(window: Window) -> dict[str, IntArray]:
    """Name the strata: both, and each side that the window has."""
    labels = [stratum.label for stratum in window.strata]
    sides = {side: label for side, label in SIDES.items() if label in labels}
    return {
        "both": np.arange(len(labels)),
        **{side: np.array([labels.index(label)]) for side, label in sides.items()},
    }


def _randomness(
    counts: Counts,
    lungs: Mapping[str, IntArray],
    window: Window,
    settings: SpatialSettings,
    notes: list[str],
) -> tuple[list[Test], list[Curve], FloatArray | None]:
    """Test against randomness lung by lung; the primary test comes first."""
    tests: list[Test] = []
    curves: list[Curve] = []
    crowded: FloatArray | None = None
    for lung, chosen in lungs.items():
        functions = summary_functions(counts, chosen, window, settings)
        n = int(counts.n[chosen].sum())
        curves += [
            make_curve(name, lung, functions.r_mm, values, alpha=settings.alpha)
            for name, values in functions.values.items()
        ]
        reason = _untestable(lung, n, functions, settings)
        if reason:
            notes.append(reason)
            tests.append(Test(PRIMARY, lung, None, None))
        else:
            test, above = combined_test(functions, alpha=settings.alpha)
            tests.append(Test(PRIMARY, lung, test.p, _largest_excess(functions.values["L"])))
            if lung == "both":
                crowded = functions.r_mm[above]
        if lung == "both":
            tests += _single_tests(counts, chosen, functions, settings, skipped=bool(reason))
    return tests, curves, crowded


def _untestable(lung: str, n: int, functions: Functions, settings: SpatialSettings) -> str:
    """Say why there is no test; nothing where there is one."""
    where = "both lungs" if lung == "both" else f"the {lung} lung"
    if n < max(settings.min_nodules, 2):
        return (
            f"Randomness in {where} is not tested: it takes {settings.min_nodules} nodules, "
            f"there are {n}."
        )
    if len(functions.r_mm) == 0:
        return f"Randomness in {where} is not tested: the evaluable part is too small."
    return ""


def _single_tests(
    counts: Counts,
    chosen: IntArray,
    functions: Functions,
    settings: SpatialSettings,
    *,
    skipped: bool,
) -> list[Test]:
    """Test L, G and the mean distance to the nearest neighbour alone."""
    names = ("L, global envelope", "G, global envelope", "Clark-Evans")
    if skipped:
        return [Test(name, "both", None, None) for name in names]
    tests = []
    for name in names[:2]:
        values = functions.values[name[0]]
        test = envelope_test(values, alternative="two-sided", alpha=settings.alpha)
        tests.append(Test(name, "both", test.p, _largest_excess(values)))
    ratio, p = _clark_evans(counts, chosen)
    return [*tests, Test(names[2], "both", p, ratio)]


def _largest_excess(values: FloatArray) -> float:
    """Give the observed function's largest deviation from the mean of the simulated ones."""
    excess = values[0] - values[1:].mean(axis=0)
    return float(excess[np.abs(excess).argmax()])


def _clark_evans(counts: Counts, chosen: IntArray) -> tuple[float | None, float | None]:
    """Compare the mean distance to the nearest neighbour with that of the simulations."""
    sums = counts.nearest_mm[:, chosen].sum(axis=1)
    expected = float(sums[1:].mean())
    if not expected > 0:
        return None, None
    return float(sums[0] / expected), monte_carlo_p(sums[0] - expected, sums[1:] - expected)


def _covariates(
    distances_mm: Mapping[str, FloatArray],
    placed: Placed,
    window: Window,
    settings: SpatialSettings,
    *,
    clustered: bool,
    rng: np.random.Generator,
) -> list[Covariate]:
    """Put every distance into bins, and the height in the chest."""
    shape = window.labels.shape
    height = np.arange(shape[0], dtype=np.float32) * np.float32(window.spacing_mm[0])
    images = {**distances_mm, "height": np.broadcast_to(height[:, None, None], shape)}
    made = [
        bin_covariate(name, image, placed, window, settings, clustered=clustered, rng=rng)
        for name, image in images.items()
    ]
    return [covariate for covariate in made if covariate is not None]


def _side_test(
    placed: Placed, window: Window, settings: SpatialSettings, rng: np.random.Generator
) -> list[Test]:
    """Test whether the right lung has its share of the nodules."""
    visible = {s.label: s.visible_mm3 for s in window.strata if s.label in SIDES.values()}
    if len(visible) < len(SIDES) or not sum(visible.values()) > 0:
        return []
    labels = np.array([stratum.label for stratum in window.strata])[placed.strata]
    n = int(np.isin(labels, list(visible)).sum())
    name = "side: right against left"
    if n < max(settings.min_nodules, 1):
        return [Test(name, "both", None, None)]
    share = visible[SIDES["right"]] / sum(visible.values())
    right = int((labels == SIDES["right"]).sum())
    drawn = rng.binomial(n, share, size=settings.covariate_simulations)
    p = monte_carlo_p(right - n * share, drawn - n * share)
    return [Test(name, "both", p, right / n / share if share > 0 else None)]


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
