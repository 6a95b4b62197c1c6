"""Rates, their ratios, and differences of medians, with their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from miliary.arrays import AnyArray, FloatArray


def rate_interval(
    n: float, exposure: float, *, confidence: float, design_effect: float
) -> tuple[float, float]:
    """Give the interval of a Poisson rate (Garwood 1936): exact for independent events.

    Parameters
    ----------
    n : float
        Count.
    exposure : float
        What it is divided by, above 0.
    confidence : float
        Of the interval, below 1.
    design_effect : float
        By how much clustering inflates the variance; events count as so many fewer. 1 for none.

    Returns
    -------
    low, high : float
        Of the rate; `low` is 0 for no event.

    Raises
    ------
    ValueError
        For an exposure that is not above 0.
    """
    if not exposure > 0:
        raise ValueError(f"exposure must be above 0, got {exposure}")
    tail, events = _tail(confidence), n / design_effect
    low = float(special.gammaincinv(events, tail)) if n > 0 else 0.0
    high = float(special.gammainccinv(events + 1.0, tail))
    return low * design_effect / exposure, high * design_effect / exposure


def rate_ratio(
    n_earlier: ArrayLike,
    n_later: ArrayLike,
    exposure_earlier: ArrayLike,
    exposure_later: ArrayLike,
    *,
    log_variance: ArrayLike,
    continuity: float,
    confidence: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Divide the later of two Poisson rates by the earlier one.

    The interval is normal on the logarithm, whose variance is the sum of those of the two counts
    and of what else the exposures are unsure by.

    Parameters
    ----------
    n_earlier, n_later : (N,) int
        Counts.
    exposure_earlier, exposure_later : (N,) float
        What each count is divided by, above 0.
    log_variance : (N,) float or float
        Variance of the logarithm of the ratio of the exposures; 0 when they are known.
    continuity : float
        Added to each count; above 0, or the ratio to none is not a number.
    confidence : float
        Of the interval, below 1.

    Returns
    -------
    ratio, low, high : (N,) float
        Length 0 for no counts.

    Raises
    ------
    ValueError
        For an exposure that is not above 0.
    """
    exposures = np.asarray(exposure_earlier, float), np.asarray(exposure_later, float)
    for exposure in exposures:
        if not (exposure > 0).all():
            raise ValueError(f"exposures must be above 0, got {np.min(exposure)}")
    earlier = np.asarray(n_earlier, float) + continuity
    later = np.asarray(n_later, float) + continuity
    log_ratio = np.log(later / earlier) - np.log(exposures[1] / exposures[0])
    spread = np.sqrt(1 / earlier + 1 / later + np.asarray(log_variance, float))
    half = _quantile(confidence) * spread
    return np.exp(log_ratio), np.exp(log_ratio - half), np.exp(log_ratio + half)


def median_with_error(values: AnyArray) -> tuple[float, float]:
    """Take the median and its standard error, from two ranks that hold it.

    The ranks lie about two standard errors to either side; how likely they hold the median is
    binomial, whatever the values are distributed like.

    Parameters
    ----------
    values : (N,) float
        Two at least; with fewer than twenty the error is poorly known.

    Returns
    -------
    median, error : float
        In the unit of the values.

    Raises
    ------
    ValueError
        For fewer than two values.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"a median with an error needs two values or more, got {n}")
    rank = max(int(np.rint((n + 1) / 2 - np.sqrt(n))), 1)
    ordered = np.sort(np.asarray(values, float))
    width = ordered[n - rank] - ordered[rank - 1]
    # The median lies below the lower rank when fewer than `rank` of n coins show heads.
    quantile = -float(special.ndtri(special.bdtr(rank - 1, n, 0.5)))
    return float(np.median(ordered)), float(width / (2 * quantile))


def probability_above(n: int, exposure: float, limit: float) -> float:
    """Give the probability that a Poisson rate is above a limit (Jeffreys prior).

    Parameters
    ----------
    n : int
        Count.
    exposure : float
        What it is divided by.
    limit : float
        Of the rate.

    Returns
    -------
    float
        0 to 1.
    """
    return float(special.gammaincc(n + 0.5, limit * exposure))


def _quantile(confidence: float) -> float:
    return float(special.ndtri(1 - _tail(confidence)))


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, got {confidence}")
    return 1 - (1 + confidence) / 2
