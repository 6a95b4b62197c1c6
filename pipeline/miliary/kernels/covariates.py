"""Tests of a covariate at points against its distribution over a window, from histograms alone.

Under the null hypothesis points are independent places of the window, so that everything a
covariate statistic needs is how the window's voxels fall into bins of the covariate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from miliary.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class CovariateStatistics:
    """Statistics of one or many samples of points.

    Parameters
    ----------
    z1 : (S,) float
        Berman's Z1 with the variance of the covariate about its mean: the sum of squares that
        spatstat takes is right for a Poisson number of points only, and given their number
        makes the test reject 0.1 % instead of 5 %.
    z2 : (S,) float
        Berman's Z2, from the distribution function of the covariate (Berman 1986).
    ks : (S,) float
        Largest distance between the distribution functions (Kolmogorov & Smirnov).
    auc : (S,) float
        Probability that a point has a higher value than a random place; 0.5 is no preference.
    """

    z1: FloatArray
    z2: FloatArray
    ks: FloatArray
    auc: FloatArray


def covariate_statistics(
    counts: IntArray, values: FloatArray, weights: FloatArray
) -> CovariateStatistics:
    """Compare binned samples with the distribution they should come from.

    Parameters
    ----------
    counts : (S, B) int
        Points in each bin, one sample a row.
    values : (B,) float
        Covariate of each bin, increasing.
    weights : (B,) float
        Probability of each bin under the null hypothesis.

    Returns
    -------
    CovariateStatistics
        NaN for samples without points.
    """
    n = counts.sum(axis=1).astype(float)
    some = np.where(n > 0, n, np.nan)
    weights = weights / weights.sum()
    below = np.cumsum(weights)
    middle = below - weights / 2.0
    mean = weights @ values
    spread = np.sqrt(weights @ (values - mean) ** 2)
    excess = counts @ (values - mean)
    auc = (counts @ middle) / some
    return CovariateStatistics(
        # A covariate that is the same everywhere says nothing of the points.
        z1=excess / (np.sqrt(some) * (spread if spread > 0 else 1.0)),
        z2=np.sqrt(12.0 * some) * (auc - 0.5),
        ks=np.abs(np.cumsum(counts, axis=1) / some[:, None] - below).max(axis=1),
        auc=auc,
    )


def simulate_counts(
    n_per_stratum: IntArray,
    weights: FloatArray,
    *,
    n_simulations: int,
    rng: np.random.Generator,
) -> IntArray:
    """Draw binned samples under the null hypothesis, with the number per stratum fixed.

    Parameters
    ----------
    n_per_stratum : (L,) int
        Points in each stratum.
    weights : (L, B) float
        Volume, weighted by the chance of being seen, of each bin in each stratum.
    n_simulations : int
        How many samples.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (n_simulations, L, B) int
        Points in each bin; none in a stratum without any volume.
    """
    drawn = np.zeros((n_simulations, *weights.shape), np.int64)
    for stratum, (n, row) in enumerate(zip(n_per_stratum, weights, strict=True)):
        if n > 0 and row.sum() > 0:
            filled = np.flatnonzero(row)
            share = row[filled] / row[filled].sum()
            drawn[:, stratum, filled] = rng.multinomial(n, share, size=n_simulations)
    return drawn


def monte_carlo_p(observed: float, simulated: FloatArray) -> float:
    """Give the two-sided p-value of a statistic that is centred at 0.

    Parameters
    ----------
    observed : float
        The statistic.
    simulated : (S,) float
        The same under the null hypothesis.

    Returns
    -------
    float
        From 1 / (S + 1) to 1.
    """
    # Sums in another order differ in the last digits; equal counts must stay ties.
    as_extreme = np.abs(simulated) >= abs(observed) * (1.0 - 1e-9)
    return float((1 + as_extreme.sum()) / (1 + len(simulated)))


def share_ratio(
    n_near: float, n: float, expected: float, *, alpha: float, design_effect: float
) -> tuple[float, float, float]:
    """Compare an observed share with an expected one that is known.

    Parameters
    ----------
    n_near, n : float
        Points near a structure, and all points; at least one.
    expected : float
        Share expected, above 0.
    alpha : float
        One minus the level of the interval.
    design_effect : float
        By how much clustering inflates the variance; points count as so many fewer.

    Returns
    -------
    ratio, low, high : float
        Observed over expected, with the interval of Clopper and Pearson.
    """
    near, far = n_near / design_effect, (n - n_near) / design_effect
    low = special.betaincinv(near, far + 1.0, alpha / 2.0) if near > 0 else 0.0
    high = special.betaincinv(near + 1.0, far, 1.0 - alpha / 2.0) if far > 0 else 1.0
    return n_near / n / expected, float(low) / expected, float(high) / expected


def design_effect(
    scores: FloatArray,
    blocks: IntArray,
    reference_scores: FloatArray,
    reference_blocks: IntArray,
    reference_weights: FloatArray,
) -> float:
    """Measure by how much clustering inflates the variance of a sum over points.

    The sums over blocks of space are compared with what the blocks' own share of the window lets
    expect. Independent points give 1 on average; points that come in groups bring their scores
    in groups too.

    Parameters
    ----------
    scores : (N,) float
        What is summed, at the points.
    blocks : (N,) int
        Block of each point.
    reference_scores : (M,) float
        The same at places spread evenly over the window.
    reference_blocks : (M,) int
        Their blocks.
    reference_weights : (M,) float
        Chance of a point there, up to a factor.

    Returns
    -------
    float
        At least 1; 1 where it cannot be measured.
    """
    n, total = len(scores), reference_weights.sum()
    if n == 0 or not total > 0:
        return 1.0
    weights = reference_weights / total
    mean = weights @ reference_scores
    variance = weights @ (reference_scores - mean) ** 2
    if not variance > 0:
        return 1.0
    _, index = np.unique(np.concatenate([blocks, reference_blocks]), return_inverse=True)
    size = int(index.max()) + 1
    observed = np.bincount(index[:n], scores - mean, size)
    expected = n * np.bincount(index[n:], weights * (reference_scores - mean), size)
    return max(1.0, float(((observed - expected) ** 2).sum() / (n * variance)))


def holm(p_values: FloatArray) -> FloatArray:
    """Adjust p-values for the number of tests (Holm 1979).

    Parameters
    ----------
    p_values : (T,) float
        Raw p-values; NaN stands for a test that could not be done.

    Returns
    -------
    (T,) float
        Adjusted ones, at most 1; NaN stays.
    """
    adjusted = np.full(len(p_values), np.nan)
    done: BoolArray = np.isfinite(p_values)
    order = np.flatnonzero(done)[np.argsort(p_values[done], kind="stable")]
    factor = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factor), 1.0)
    return adjusted
