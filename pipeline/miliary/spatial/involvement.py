"""Whether nodules keep to pleura, fissures, vessels or one side: shares and distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from miliary.anatomy import SIDES
from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Curve, Preference, Share, Test
from miliary.kernels.covariates import (
    CovariateStatistics,
    monte_carlo_p,
    share_ratio,
)
from miliary.kernels.distance_image import Distances
from miliary.kernels.slabs import on_threads
from miliary.spatial.clustering import Clusters, Placed
from miliary.spatial.covariates import (
    Covariate,
    bin_points,
    bin_window,
    covariate_tests,
    preference,
)
from miliary.spatial.curves import make_curve
from miliary.spatial.window import Window

#: Weight of Z2 beside the number of points: it decides only between equal numbers.
_TIE = 0.01


@dataclass(frozen=True, eq=False)
class Involvement:
    """What covariates say of the points.

    Parameters
    ----------
    tests : tuple of Test
        P-values are raw.
    curves : tuple of Curve
        Of distances, by group.
    shares : tuple of Share
        By structure and shell.
    preferences : tuple of Preference
        By covariate and group.
    at_points : dict of str to (N,) float
        Covariates at the points; NaN at those that do not count.
    """

    tests: tuple[Test, ...] = ()
    curves: tuple[Curve, ...] = ()
    shares: tuple[Share, ...] = ()
    preferences: tuple[Preference, ...] = ()
    at_points: dict[str, FloatArray] = field(default_factory=dict)


def judge_involvement(
    distances_mm: Mapping[str, Distances],
    placed: Placed,
    window: Window,
    settings: SpatialSettings,
    *,
    clusters: Clusters | None,
    rng: np.random.Generator,
) -> Involvement:
    """Hold covariates at the points against the window: distances, height, side and depth.

    Parameters
    ----------
    distances_mm : mapping of str to (z, y, x) DistanceImage or float
        Distances to structures; not finite where unknown.
    placed : Placed
        The points.
    window : Window
        Where points can be; where in the chest counts in lungs only.
    settings : SpatialSettings
        Number of samples, shells, level.
    clusters : Clusters or None
        To measure design effects with; None where nodules are not clustered.
    rng : numpy.random.Generator
        Source of the seeds: one a covariate, so that threads change nothing.

    Returns
    -------
    Involvement
        Covariate after covariate, those that are known anywhere.
    """
    images = {**distances_mm, **(_places(window) if window.lungs else {})}
    seeds = np.random.SeedSequence(int(rng.integers(2**63))).spawn(len(images) + 1)
    sources = [np.random.default_rng(seed) for seed in seeds]

    def hold(name: str, source: np.random.Generator) -> Involvement:
        binned = bin_window(name, images[name], window, settings)
        if binned is None:
            return Involvement()
        made = bin_points(binned, placed, window, settings, clusters=clusters, rng=source)
        return _involve(made, window, settings, distance=name in distances_mm)

    held = on_threads(lambda pair: hold(*pair), list(zip(images, sources[1:], strict=True)))
    found = dict(zip(images, held, strict=True))
    if window.lungs:
        tests, preferences = compare_sides(
            placed, window, settings, clusters=clusters, rng=sources[0]
        )
        # Between height and depth: to the head, to the right, to the back.
        last = found.pop("depth")
        found["side"] = Involvement(tests=tuple(tests), preferences=tuple(preferences))
        found["depth"] = last
    parts = found.values()
    return Involvement(
        tests=tuple(chain.from_iterable(part.tests for part in parts)),
        curves=tuple(chain.from_iterable(part.curves for part in parts)),
        shares=tuple(chain.from_iterable(part.shares for part in parts)),
        preferences=tuple(chain.from_iterable(part.preferences for part in parts)),
        at_points={name: at for part in parts for name, at in part.at_points.items()},
    )


def _places(window: Window) -> dict[str, AnyArray]:
    """Give height (to the head) and depth (to the back) in mm, without the memory of an image."""
    shape = window.labels.shape
    z, y = (
        np.arange(shape[axis], dtype=np.float32) * np.float32(window.spacing_mm[axis])
        for axis in (0, 1)
    )
    return {
        "height": np.broadcast_to(z[:, None, None], shape),
        "depth": np.broadcast_to(y[:, None], shape),
    }


def _involve(
    covariate: Covariate, window: Window, settings: SpatialSettings, *, distance: bool
) -> Involvement:
    """Describe one covariate in every group; shells and a curve for distances."""
    tests: list[Test] = []
    groups = window.groups
    whole = next(iter(groups))
    for group, chosen in groups.items():
        names = ("Z1", "Z2", "KS") if group == whole else ("Z2", "KS")
        tests += covariate_tests(covariate, group, chosen, names, min_n=settings.min_nodules)
    curves = [distance_curve(covariate, *group, settings) for group in groups.items() if distance]
    return Involvement(
        tuple(tests),
        tuple(curves),
        tuple(shell_shares(covariate, groups[whole], settings)) if distance else (),
        tuple(preference(covariate, *group, settings) for group in groups.items()),
        {covariate.name: covariate.at_points},
    )


def shell_shares(covariate: Covariate, chosen: IntArray, settings: SpatialSettings) -> list[Share]:
    """Compare the shares of nodules near a structure with those of the window.

    Numbers are few, and patterns with the same number many: with these all as extreme, a test at
    5 % would reject 1.6 % where two nodules are expected. Between equal numbers Z2 decides, how
    near the nodules are on the whole, which makes the level what it says.

    Parameters
    ----------
    covariate : Covariate
        Distance to the structure, in bins.
    chosen : (M,) int
        Strata.
    settings : SpatialSettings
        Shells, level.

    Returns
    -------
    list of Share
        One a shell; only the expected share where there is no nodule.
    """
    counts, weights = covariate.of(chosen)
    n = int(counts[0].sum())
    if n == 0:
        volume = covariate.weights[chosen].sum(axis=0)
        weights = volume / max(volume.sum(), 1e-300)
        statistics: CovariateStatistics | None = None
    else:
        statistics = covariate.statistics(chosen)
    return [
        _share(covariate, shell, counts, weights, n, statistics, settings)
        for shell in settings.shells_mm
    ]


def _share(
    covariate: Covariate,
    shell_mm: float,
    counts: IntArray,
    weights: FloatArray,
    n: int,
    statistics: CovariateStatistics | None,
    settings: SpatialSettings,
) -> Share:
    inside = int(np.searchsorted(covariate.values, shell_mm))
    expected = float(weights[:inside].sum())
    if statistics is None:
        return Share(covariate.name, shell_mm, None, expected, *(None,) * 5)
    near = counts[:, :inside].sum(axis=1)
    auc = float(statistics.auc[0])
    if not expected > 0:
        return Share(covariate.name, shell_mm, float(near[0] / n), expected, *(None,) * 4, auc)
    effect = covariate.effects.get(f"{shell_mm:g}", 1.0)
    ratio, low, high = share_ratio(near[0], n, expected, alpha=settings.alpha, design_effect=effect)
    # Nearer is more in a shell, and a lower Z2.
    excess = near - n * expected - _TIE * statistics.z2
    p = monte_carlo_p(excess[0] / np.sqrt(effect), excess[1:])
    return Share(
        covariate.name, shell_mm, float(near[0] / n), expected, float(ratio), low, high, p, auc
    )


def distance_curve(
    covariate: Covariate, lung: str, chosen: IntArray, settings: SpatialSettings
) -> Curve:
    """Give the distribution of a distance over the nodules, with its global envelope.

    Parameters
    ----------
    covariate : Covariate
        Distance, in bins.
    lung : str
        Name of the chosen strata.
    chosen : (M,) int
        Strata.
    settings : SpatialSettings
        Radii, level.

    Returns
    -------
    Curve
        Share of nodules nearer than each radius; the expectation is the window's own. NaN
        without nodules.
    """
    counts, weights = covariate.of(chosen)
    every = settings.radius_step_mm
    radii = np.arange(every, settings.max_radius_mm + every / 2, every)
    ends = np.searchsorted(covariate.values, radii)
    starts = np.append(0, ends[:-1])
    some = ends > starts
    n = int(covariate.counts[0, chosen].sum())
    if n == 0:
        unknown = np.full(len(radii), np.nan)
        return Curve(covariate.name, lung, radii, *(unknown.copy() for _ in range(4)))

    def cumulative(rows: AnyArray) -> FloatArray:
        # What lies between two radii is summed; bins beyond the last are never looked at.
        steps = np.zeros((len(rows), len(ends)))
        if some.any():
            steps[:, some] = np.add.reduceat(rows[:, : ends[-1]], starts[some], axis=1, dtype=float)
        return np.cumsum(steps, axis=1, out=steps)

    curve = make_curve(covariate.name, lung, radii, cumulative(counts) / n, alpha=settings.alpha)
    exact = cumulative(weights[None])[0]
    return Curve(covariate.name, lung, radii, curve.observed, exact, curve.low, curve.high)


def compare_sides(
    placed: Placed,
    window: Window,
    settings: SpatialSettings,
    *,
    clusters: Clusters | None,
    rng: np.random.Generator,
) -> tuple[list[Test], list[Preference]]:
    """Test whether the right lung has its share of the nodules.

    Parameters
    ----------
    placed : Placed
        The points.
    window : Window
        Of two lungs.
    settings : SpatialSettings
        Number of samples, level.
    clusters : Clusters or None
        To measure the design effect with; None where nodules are not clustered.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    tests : list of Test
        Its statistic is the observed over the expected share of the right lung; empty where there
        are no two lungs.
    preferences : list of Preference
        The same as an AUC, the right lung being the higher value.
    """
    sides = list(SIDES.values())
    visible = {s.label: s.visible_mm3 for s in window.strata if window.lungs and s.label in sides}
    if len(visible) < len(SIDES) or not sum(visible.values()) > 0:
        return [], []
    share = visible[SIDES["right"]] / sum(visible.values())
    labels = np.array([stratum.label for stratum in window.strata])
    of_point = labels[placed.strata]
    n, right = int(np.isin(of_point, sides).sum()), int((of_point == SIDES["right"]).sum())
    name, drawn = "side: right against left", np.empty(0, int)
    if n >= max(settings.min_nodules, 1):
        drawn = rng.binomial(n, share, size=settings.covariate_simulations)
    if n == 0 or not 0 < share < 1:
        return [Test(name, "both", None, None)], [Preference("side", "both", n, None, None, None)]
    effect = 1.0
    if clusters is not None:
        scores = (of_point == SIDES["right"]).astype(float)
        there = (labels[clusters.place_strata] == SIDES["right"]).astype(float)
        effect = clusters.side_effect(scores, there)
    ratio, *ends = share_ratio(right, n, share, alpha=settings.alpha, design_effect=effect)
    # The middle of the distribution function at a value of two: 1/2 + (observed - expected) / 2.
    auc, low, high = (0.5 + share * (value - 1.0) / 2.0 for value in (ratio, *ends))
    p = monte_carlo_p((right - n * share) / np.sqrt(effect), drawn - n * share)
    test = Test(name, "both", p, ratio) if len(drawn) else Test(name, "both", None, None)
    return [test], [Preference("side", "both", n, auc, low, high)]
