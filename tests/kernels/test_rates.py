"""Rates and their ratios: by hand, by simulation, and against exact tails."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from miliary.kernels.rates import (
    median_with_error,
    probability_above,
    rate_interval,
    rate_ratio,
)

#: Standard error of a coverage of 0.95 from 6000 trials is 0.003; three of them.
COVERAGE_ERROR = 0.009


def ratio(*counts_and_exposures, log_variance=0.0, continuity=0.5, confidence=0.95):
    return rate_ratio(*counts_and_exposures, log_variance=log_variance, continuity=continuity,
                      confidence=confidence)  # fmt: skip


def test_a_ratio_by_hand():
    value, low, high = ratio([10], [40], [2.0], [4.0], continuity=0.0)
    # Five a litre, then ten; the error of the logarithm is sqrt(1/10 + 1/40).
    assert_allclose(value, 2.0)
    assert_allclose([low, high], [[2 * np.exp(-0.69296)], [2 * np.exp(0.69296)]], rtol=1e-4)


def test_swapping_the_scans_inverts_the_ratio(rng):
    n, litres = rng.poisson(40, (2, 50)), rng.uniform(0.5, 4, (2, 50))
    value, low, high = ratio(*n, *litres, log_variance=0.01)
    back, back_low, back_high = ratio(*n[::-1], *litres[::-1], log_variance=0.01)
    assert_allclose(value * back, 1)
    assert_allclose(low * back_high, 1)
    assert_allclose(high * back_low, 1)


@pytest.mark.parametrize("mean", [10, 40, 300])
@pytest.mark.parametrize("true", [1.0, 3.0])
def test_the_interval_holds_the_true_ratio_as_often_as_it_says(rng, mean, true):
    n = rng.poisson(mean, 6000), rng.poisson(mean * true * 0.8, 6000)
    value, low, high = ratio(*n, 1.0, 0.8)
    covered = np.mean((low <= true) & (true <= high))
    assert 0.95 - COVERAGE_ERROR <= covered <= 0.97
    assert np.median(value) == pytest.approx(true, rel=0.05)


def test_so_it_does_when_sensitivities_are_estimates(rng):
    true, sensitivity, trials = 1.5, np.array([[0.5], [0.8]]), 130
    n = rng.poisson(np.array([[200.0], [200.0 * true]]) * sensitivity, (2, 6000))
    told = rng.binomial(trials, sensitivity, (2, 6000)) / trials
    variance = ((1 - told) / (told * trials)).sum(axis=0)
    _, low, high = ratio(*n, *told, log_variance=variance)
    assert np.mean((low <= true) & (true <= high)) == pytest.approx(0.95, abs=COVERAGE_ERROR)
    _, low, high = ratio(*n, *told)
    assert np.mean((low <= true) & (true <= high)) < 0.9


def test_nothing_then_nothing_is_anything_round_one():
    value, low, high = ratio([0], [0], [1.0], [1.0])
    assert value == 1
    assert low < 0.05
    assert high > 20


def test_no_pairs_give_no_ratios():
    assert [len(part) for part in ratio([], [], [], [])] == [0, 0, 0]


def test_bad_exposures_and_confidences_are_named():
    with pytest.raises(ValueError, match=r"exposures must be above 0, got 0\.0"):
        ratio([1], [1], [1.0], [0.0])
    with pytest.raises(ValueError, match="confidence must be above 0 and below 1, got 1"):
        ratio([1], [1], [1.0], [1.0], confidence=1.0)


@pytest.mark.parametrize("n", [20, 21, 150])
def test_the_error_of_a_median_covers_it(rng, n):
    drawn = rng.normal(2.0, 0.3, (4000, n))
    medians, errors = np.transpose([median_with_error(row) for row in drawn])
    assert_allclose(medians, np.median(drawn, axis=1))
    covered = np.mean(np.abs(medians - 2.0) <= 1.96 * errors)
    # An error from twenty values is itself unsure; 4000 trials err by 0.01.
    assert 0.92 <= covered <= 0.97


def test_a_median_of_one_value_has_no_error():
    with pytest.raises(ValueError, match="two values or more, got 1"):
        median_with_error(np.ones(1))


@pytest.mark.parametrize(("n", "litres"), [(0, 2.0), (61, 2.0), (200, 3.5)])
def test_probability_above_is_the_tail_of_the_gamma_distribution(n, litres):
    expected = stats.gamma(n + 0.5, scale=1 / litres).sf(30.0)
    assert_allclose(probability_above(n, litres, 30.0), expected, rtol=1e-9, atol=1e-12)


def test_the_interval_of_a_rate_is_garwoods():
    # 10 events: 4.795 to 18.39; none: 0 to 3.689, as in any table.
    low, high = rate_interval(10, 2.0, confidence=0.95, design_effect=1.0)
    assert_allclose([low, high], [4.795 / 2, 18.39 / 2], rtol=1e-3)
    assert rate_interval(0, 1.0, confidence=0.95, design_effect=1.0)[0] == 0
    assert_allclose(rate_interval(0, 1.0, confidence=0.95, design_effect=1.0)[1], 3.689, rtol=1e-3)
    wide = rate_interval(10, 2.0, confidence=0.95, design_effect=4.0)
    assert wide[0] < low < high < wide[1]


def test_a_rate_without_exposure_is_refused():
    with pytest.raises(ValueError, match="exposure must be above 0"):
        rate_interval(1, 0.0, confidence=0.95, design_effect=1.0)
