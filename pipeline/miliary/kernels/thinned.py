"""Numbers of things of which some are missed and some are false, and how they changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import FloatArray

#: What stands for the knowledge, before counting, of how many were missed (Jeffreys).
_PRIOR = 0.5


@dataclass(frozen=True)
class Doubts:
    """What makes two counts of one patient unsure, beside the counts themselves.

    Parameters
    ----------
    false_sd : float
        Standard deviation of the logarithm of the rate of false ones, the same in both scans.
    false_shared : float
        Part of the false ones that are the same things in both scans, 0 to 1.
    found_shared : float
        Correlation between finding a thing in one scan and finding it in the other.
    shift, shift_sd : float
        By how much the log odds of being found are higher than the sensitivities say, the same in
        both scans, with its standard deviation.
    model_sd : float
        Standard deviation of the log odds of each scan by itself, beyond its own error.
    """

    false_sd: float
    false_shared: float
    found_shared: float
    shift: float
    shift_sd: float
    model_sd: float


def draw_numbers(
    n: FloatArray,
    false: FloatArray,
    logit: FloatArray,
    logit_sd: FloatArray,
    *,
    doubts: Doubts,
    draws: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw how many there really were in two scans, given how many were counted.

    False ones are Poisson about their expectation, some of them the same in both scans. Of the
    others each was found with the scan's sensitivity: the number missed has the mean and variance
    of a negative binomial. The smaller number is taken to be among the larger one, so what was
    missed in both scans cancels in part.

    Parameters
    ----------
    n, false : (P, 2) float
        Counts by place and scan, and how many of them are expected to be false.
    logit, logit_sd : (2,) float
        Log odds of the sensitivity of each scan, with their standard errors.
    doubts : Doubts
        What else is unsure.
    draws : int
        How many draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (draws, P, 2) float
        Numbers, above 0: half of one stands in for none.
    """
    places = len(n)
    rate = np.exp(doubts.false_sd * rng.standard_normal((draws, 1, 1)) - doubts.false_sd**2 / 2)
    same = doubts.false_shared * false.min(axis=1, keepdims=True)
    mistaken = rng.poisson(same * rate) + rng.poisson((false - same) * rate)
    true = n - np.minimum(mistaken, n)
    sd = np.hypot(logit_sd, doubts.model_sd)
    shift = doubts.shift + doubts.shift_sd * rng.standard_normal((draws, 1, 1))
    odds = np.exp(logit + shift + sd * rng.standard_normal((draws, 1, 2)))
    share = odds / (1 + odds)
    expected = (true + _PRIOR) * (1 - share) / share
    spread = np.sqrt((true + _PRIOR) * (1 - share)) / share
    missed = np.maximum(expected + spread * _alike(true, doubts, (draws, places), rng), 0.0)
    numbers: FloatArray = true + missed + _PRIOR
    return numbers


def _alike(
    true: FloatArray, doubts: Doubts, shape: tuple[int, int], rng: np.random.Generator
) -> FloatArray:
    """Pairs of normal deviates, as alike as the scans have things in common."""
    few, many = true.min(axis=2) + _PRIOR, true.max(axis=2) + _PRIOR
    alike = doubts.found_shared * np.sqrt(few / many)
    first, second = rng.standard_normal(shape), rng.standard_normal(shape)
    deviates: FloatArray = np.stack([first, alike * first + np.sqrt(1 - alike**2) * second], axis=2)
    return deviates


def middle_and_interval(
    draws: FloatArray, confidence: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take the median of draws and the interval that leaves as many on either side.

    Parameters
    ----------
    draws : (K, ...) float
        Draws along the first axis.
    confidence : float
        Share of the draws inside, above 0 and below 1.

    Returns
    -------
    middle, low, high : (...) float
        Of the draws.

    Raises
    ------
    ValueError
        For a confidence that is no share.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, got {confidence}")
    tail = (1 - confidence) / 2
    middle, low, high = np.quantile(draws, [0.5, tail, 1 - tail], axis=0)
    return middle, low, high
