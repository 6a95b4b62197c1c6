"""Whether the marks of near points are alike, and whether marks rise or fall with a covariate."""

from __future__ import annotations

import numpy as np
from scipy import special

from miliary.arrays import BoolArray, FloatArray, IntArray


def mark_products(
    marks: FloatArray, first: IntArray, second: IntArray, bins: IntArray, *, n_bins: int
) -> FloatArray:
    """Sum the products of the marks of pairs, by distance.

    Parameters
    ----------
    marks : (N,) float
        Marks; divide them by their mean first, and their correlation is about 1.
    first, second : (P,) int
        Pairs of points.
    bins : (P,) int
        Bin of the distance of each pair, below `n_bins`.
    n_bins : int
        Number of bins.

    Returns
    -------
    (n_bins,) float
        Sums.
    """
    products = marks.take(first)
    products *= marks.take(second)
    return np.asarray(np.bincount(bins, products, n_bins), float)


def mark_correlation(
    products: FloatArray,
    pairs: FloatArray,
    edges_mm: FloatArray,
    radii_mm: FloatArray,
    *,
    bandwidth_mm: float,
) -> FloatArray:
    """Smooth the mean product of the marks of points at a distance: Stoyan's `k_mm`.

    A quotient of two Epanechnikov estimates over the same pairs (Stoyan & Stoyan 1994, p. 262), in
    which corrections for the border all but cancel: they are left out.

    Parameters
    ----------
    products : (..., B) float
        Sums by `mark_products` of marks whose mean is 1.
    pairs : (B,) float
        Number of pairs in each bin.
    edges_mm : (B + 1,) float
        Edges of the bins; pairs are taken to lie at their centres.
    radii_mm : (R,) float
        Where to evaluate.
    bandwidth_mm : float
        Half width of the kernel.

    Returns
    -------
    (..., R) float
        1 where marks do not depend on each other, below where large ones keep apart; NaN where
        there is no pair.
    """
    centres = (edges_mm[:-1] + edges_mm[1:]) / 2.0
    kernel = np.clip(1.0 - ((radii_mm - centres[:, None]) / bandwidth_mm) ** 2, 0.0, None)
    below = pairs @ kernel
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: FloatArray = np.where(below > 0, (products @ kernel) / below, np.nan)
    return quotient


def rank_scores(values: FloatArray) -> FloatArray:
    """Put values into ranks about 0, so that strata of any size can be taken together.

    Parameters
    ----------
    values : (N,) float
        Values; not finite where unknown.

    Returns
    -------
    (N,) float64
        Ranks among the known ones, less their mean, over their number; ties share theirs. 0 where
        unknown.
    """
    scores = np.zeros(len(values))
    known: BoolArray = np.isfinite(values)
    n = int(known.sum())
    if n:
        _, which, ties = np.unique(values[known], return_inverse=True, return_counts=True)
        ranks = np.cumsum(ties) - (ties - 1) / 2.0
        scores[known] = (ranks[which] - (n + 1) / 2.0) / n
    return scores


def spearman_interval(correlation: float, n: int, *, alpha: float) -> tuple[float, float]:
    """Give the interval of Spearman's rank correlation of independent pairs.

    Fisher's z with the variance of Bonett & Wright (2000), `(1 + r²/2) / (n - 3)`.

    Parameters
    ----------
    correlation : float
        The rank correlation.
    n : int
        Pairs.
    alpha : float
        One minus the level of the interval.

    Returns
    -------
    low, high : float
        -1 and 1 for fewer than four pairs.
    """
    if n < 4:
        return -1.0, 1.0
    # All ranks in order would make an interval of no width.
    middle = np.arctanh(np.clip(correlation, -1.0 + 1e-9, 1.0 - 1e-9))
    half = special.ndtri(1.0 - alpha / 2.0) * np.sqrt((1.0 + correlation**2 / 2.0) / (n - 3))
    return float(np.tanh(middle - half)), float(np.tanh(middle + half))
