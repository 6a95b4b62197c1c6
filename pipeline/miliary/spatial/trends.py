"""Whether sizes rise or fall with a covariate: rank correlations, held against sizes dealt anew."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from miliary.arrays import FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import SizeTrend, Test
from miliary.kernels.covariates import monte_carlo_p
from miliary.kernels.marks import rank_scores, spearman_interval
from miliary.spatial.clustering import Placed
from miliary.spatial.window import Window

#: Sizes are dealt anew so many at a time: 32 MB.
_AT_ONCE = 2**22


def size_trends(
    sizes: FloatArray,
    covariates: Mapping[str, FloatArray],
    placed: Placed,
    window: Window,
    settings: SpatialSettings,
    *,
    rng: np.random.Generator,
) -> tuple[list[Test], list[SizeTrend]]:
    """Correlate the ranks of sizes with those of covariates at the points.

    The mark correlation sees whether near nodules are alike, and misses sizes that change slowly
    through the lung. Ranks are taken within strata, and sizes dealt anew within these while places
    stay, so that neither clustering of the nodules nor a difference between the lungs matters.
    Sizes that are alike within clusters do: the trends take them for independent.

    Parameters
    ----------
    sizes : (N,) float
        One a point, not finite where unknown.
    covariates : mapping of str to (N,) float
        Values at the points, by name; not finite where unknown.
    placed : Placed
        The points.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Number of permutations, level, how many points it takes.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    tests : list of Test
        Of all strata together, one a covariate; p-values are raw.
    trends : list of SizeTrend
        By covariate and group.
    """
    n_strata = len(window.strata)
    known = {name: np.isfinite(sizes) & np.isfinite(v) for name, v in covariates.items()}
    scores = np.zeros((len(covariates), len(sizes)))
    dealt = np.zeros((settings.simulations + 1, n_strata, len(covariates)))
    for stratum in range(n_strata):
        members = np.flatnonzero((placed.strata == stratum) & np.isfinite(sizes))
        for row, values in enumerate(covariates.values()):
            scores[row, members] = rank_scores(values[members])
        # Sizes where the covariate is unknown are dealt too: their scores are 0.
        ranks = rank_scores(sizes[members])
        dealt[:, stratum] = _deal(ranks, scores[:, members], settings.simulations, rng)
    tests, trends = [], []
    whole = next(iter(window.groups))
    for row, name in enumerate(covariates):
        for group, chosen in window.groups.items():
            own = np.isin(placed.strata, chosen) & known[name]
            sums = dealt[:, chosen, row].sum(axis=1)
            trend = _trend(name, group, sizes[own], placed.strata[own], scores[row, own], sums,
                           settings)  # fmt: skip
            trends.append(trend)
            if group == whole:
                label = f"sizes with {name}: rank correlation"
                tests.append(Test(label, group, trend.p, trend.correlation))
    return tests, trends


def _deal(
    ranks: FloatArray, scores: FloatArray, n_simulations: int, rng: np.random.Generator
) -> FloatArray:
    """Sum products of ranks and scores: as they are, then with the ranks dealt anew."""
    rows = max(1, _AT_ONCE // max(len(ranks), 1))
    sums = [ranks[None] @ scores.T]
    for first in range(0, n_simulations, rows):
        same = np.tile(ranks, (min(rows, n_simulations - first), 1))
        sums.append(rng.permuted(same, axis=1, out=same) @ scores.T)
    return np.concatenate(sums)


def _trend(
    name: str,
    group: str,
    sizes: FloatArray,
    strata: IntArray,
    scores: FloatArray,
    sums: FloatArray,
    settings: SpatialSettings,
) -> SizeTrend:
    """Give the rank correlation of one covariate in one group."""
    n = len(sizes)
    ranks = np.zeros(n)
    for stratum in np.unique(strata):
        ranks[strata == stratum] = rank_scores(sizes[strata == stratum])
    spread = float(np.sqrt((ranks @ ranks) * (scores @ scores)))
    if n < max(settings.min_nodules, 2) or not spread > 0:
        return SizeTrend(name, group, n, None, None, None, None)
    correlation = float(ranks @ scores) / spread
    low, high = spearman_interval(correlation, n, alpha=settings.alpha)
    return SizeTrend(name, group, n, correlation, low, high, monte_carlo_p(sums[0], sums[1:]))
