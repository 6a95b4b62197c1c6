"""Whether nodules keep to pleura, fissures, vessels or zones: shares, distances, densities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Curve, Share, ZoneDensity
from miliary.kernels.covariates import (
    CovariateStatistics,
    covariate_statistics,
    monte_carlo_p,
    share_ratio,
)
from miliary.spatial.covariates import Covariate, Placed
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


def zone_densities(
    zone_labels: AnyArray,
    zones: Mapping[str, int],
    placed: Placed,
    window: Window,
    lungs: Mapping[str, IntArray],
) -> list[ZoneDensity]:
    """Count nodules per litre by zone and lung.

    Parameters
    ----------
    zone_labels : (z, y, x) int
        Zones on the window's grid.
    zones : mapping of str to int
        Label of each zone.
    placed : Placed
        The points.
    window : Window
        Where points can be. With a sensitivity, ratios are corrected by it; densities are not.
    lungs : mapping of str to (M,) int
        Strata of each lung.

    Returns
    -------
    list of ZoneDensity
        Zone after zone in each lung; None where there is no such volume.
    """
    if zone_labels.shape != window.labels.shape:
        raise ValueError(
            f"zone_labels must have the shape of the window {window.labels.shape}, "
            f"got {zone_labels.shape}"
        )
    size = max(zones.values(), default=0) + 1
    voxels, visible = np.zeros((2, len(window.strata), size))
    for row, stratum in enumerate(window.strata):
        labels = np.minimum(zone_labels[stratum.box].ravel()[stratum.index], size)
        voxels[row] = np.bincount(labels, minlength=size)[:size]
        visible[row] = np.bincount(labels, stratum.sensitivity, size)[:size]
    counts = np.zeros((len(window.strata), size + 1))
    at_points = np.minimum(window.at(zone_labels, placed.points_mm), size)
    np.add.at(counts, (placed.strata, at_points.astype(np.intp)), 1)
    litres = float(np.prod(window.spacing_mm)) / 1e6
    table = []
    for lung, chosen in lungs.items():
        everything, seen = counts[chosen].sum(), visible[chosen].sum()
        for zone, label in zones.items():
            n = float(counts[chosen, label].sum())
            volume = voxels[chosen, label].sum() * litres
            expected = everything * visible[chosen, label].sum() / seen if seen > 0 else 0.0
            table.append(
                ZoneDensity(
                    zone,
                    lung,
                    int(n),
                    float(n / volume) if volume > 0 else None,
                    float(n / expected) if expected > 0 else None,
                )
            )
    return table
