"""Global envelope tests of curves by their extreme rank lengths (Myllymäki et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Envelope:
    """A global envelope and the test it belongs to.

    Parameters
    ----------
    p : float
        Monte Carlo p-value of the first curve.
    measure : (S,) float
        Extreme rank length of each curve: the share of curves that are at least as extreme.
    low, high : (D,) float
        The envelope; a curve that leaves it anywhere has a p-value of at most alpha.
    """

    p: float
    measure: FloatArray
    low: FloatArray
    high: FloatArray


def pointwise_ranks(curves: FloatArray, *, alternative: str) -> FloatArray:
    """Rank the curves at every argument: small is extreme.

    Parameters
    ----------
    curves : (S, D) float
        One curve a row, without NaN.
    alternative : str
        `two-sided`, `greater` (high values are extreme) or `less`.

    Returns
    -------
    (S, D) float
        Ranks; tied curves share the mean of theirs.

    Raises
    ------
    ValueError
        For another alternative.
    """
    if alternative not in ("two-sided", "greater", "less"):
        raise ValueError(
            f"alternative must be 'two-sided', 'greater' or 'less', got {alternative!r}"
        )
    # Not a stable sort, which takes twice the time: ties share their ranks in any order.
    order = np.argsort(curves, axis=0)
    ordered = np.take_along_axis(curves, order, axis=0)
    n = len(curves)
    place = np.arange(n)[:, None]
    changes = ordered[1:] != ordered[:-1]
    edge = np.ones((1, curves.shape[1]), bool)
    first = np.maximum.accumulate(np.where(np.vstack([edge, changes]), place, 0), axis=0)
    last = np.where(np.vstack([changes, edge]), place, n)
    last = np.minimum.accumulate(last[::-1], axis=0)[::-1]
    ranks = np.empty(curves.shape)
    np.put_along_axis(ranks, order, (first + last) / 2.0 + 1.0, axis=0)
    if alternative == "less":
        return ranks
    return n + 1.0 - ranks if alternative == "greater" else np.minimum(ranks, n + 1.0 - ranks)


def extreme_rank_lengths(ranks: FloatArray) -> FloatArray:
    """Order curves by their smallest rank, then by how often, then by the next.

    Parameters
    ----------
    ranks : (S, D) float
        Pointwise ranks, whole or halves.

    Returns
    -------
    (S,) float
        For each curve the share of curves at least as extreme; equal curves get the same.
    """
    sorted_ranks = np.sort(ranks, axis=1)
    # Doubled ranks are whole numbers; as big-endian bytes, whole rows compare like words.
    words = np.ascontiguousarray((2.0 * sorted_ranks).astype(">u4"))
    rows = words.view(np.dtype((np.void, words.dtype.itemsize * words.shape[1]))).ravel()
    _, group, size = np.unique(rows, return_inverse=True, return_counts=True)
    measure: FloatArray = np.cumsum(size)[group] / len(ranks)
    return measure


def envelope_test(
    curves: FloatArray, *, alternative: str, alpha: float, ranks: FloatArray | None = None
) -> Envelope:
    """Test whether the first curve is one of them.

    Parameters
    ----------
    curves : (S, D) float
        The observed curve, then the simulated ones. Several functions put side by side make a
        combined test, in which each weighs by its number of arguments.
    alternative : str
        `two-sided`, `greater` or `less`.
    alpha : float
        Share of curves that may leave the envelope.
    ranks : (S, D) float or None
        Their pointwise ranks, where these are known already.

    Returns
    -------
    Envelope
        Its p is exact when the curves are exchangeable under the null hypothesis.

    Raises
    ------
    ValueError
        For curves with NaN, or without any argument.
    """
    if curves.shape[1] == 0 or not np.isfinite(curves).all():
        raise ValueError(
            "curves must be finite and have at least one argument, "
            f"got {(~np.isfinite(curves)).sum()} bad values in {curves.shape}; "
            "take the arguments out at which some are not defined"
        )
    if ranks is None:
        ranks = pointwise_ranks(curves, alternative=alternative)
    measure = extreme_rank_lengths(ranks)
    n = len(curves)
    # The least extreme of the curves that alpha leaves outside sets the limit.
    limit = np.sort(measure)[::-1][max(int(np.floor((1.0 - alpha) * n + 1e-9)), 1) - 1]
    inside = curves[measure >= limit]
    low, high = inside.min(axis=0), inside.max(axis=0)
    if alternative == "greater":
        low = np.full_like(low, -np.inf)
    elif alternative == "less":
        high = np.full_like(high, np.inf)
    return Envelope(float(measure[0]), measure, low, high)


def rank_interval(ranks: FloatArray) -> tuple[float, float]:
    """Give the interval of p-values of the plain rank test, which ties keep from being one.

    Parameters
    ----------
    ranks : (S, D) float
        Pointwise ranks.

    Returns
    -------
    low, high : float
        Liberal and conservative p.
    """
    smallest = ranks.min(axis=1)
    return float((smallest < smallest[0]).mean()), float((smallest <= smallest[0]).mean())
