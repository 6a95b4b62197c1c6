"""Whether nodules keep to pleura, fissures, vessels or one side: shares and distances."""

from __future__ import annotations

import numpy as np

from miliary.anatomy import SIDES
from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Curve, Preference, Share, Test
from miliary.kernels.covariates import (
    CovariateStatistics,
    covariate_statistics,
    monte_carlo_p,
    share_ratio,
)
from miliary.spatial.clustering import Clusters, Placed
from miliary.spatial.covariates import Covariate
from miliary.spatial.curves import make_curve
from miliary.spatial.window import Window


def shell_shares(covariate: Covariate, chosen: IntArray, settings: SpatialSettings) -> list[Share]:
    """Compare the shares of nodules near a structure with those of the window.

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
        statistics = covariate_statistics(counts[:1], covariate.values, weights)
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
    inside = covariate.values < shell_mm
    expected = float(weights[inside].sum())
    if statistics is None:
        return Share(covariate.name, shell_mm, None, expected, *(None,) * 5)
    near = counts[:, inside].sum(axis=1)
    auc = float(statistics.auc[0])
    if not expected > 0:
        return Share(covariate.name, shell_mm, float(near[0] / n), expected, *(None,) * 4, auc)
    effect = covariate.effects.get(f"{shell_mm:g}", 1.0)
    ratio, low, high = share_ratio(near[0], n, expected, alpha=settings.alpha, design_effect=effect)
    excess = near - n * expected
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
    at = np.searchsorted(covariate.values, radii)
    n = int(counts[0].sum())
    if n == 0:
        unknown = np.full(len(radii), np.nan)
        return Curve(covariate.name, lung, radii, *(unknown.copy() for _ in range(4)))

    def cumulative(rows: AnyArray) -> FloatArray:
        zero = np.zeros((len(rows), 1))
        total: FloatArray = np.hstack([zero, np.cumsum(rows, axis=1)])[:, at]
        return total

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
