"""Uniformity of size: the true spread without the error of measurement."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from miliary.config.sizes import SizeSettings
from miliary.sizes import describe_sizes

SETTINGS = SizeSettings()


def drawn(rng, n, *, median_mm=2.0, cv=0.2, se_mm=0.2):
    true = rng.normal(median_mm, cv * median_mm, n)
    return true + rng.normal(0, se_mm, n), np.full(n, se_mm)


def describe(diameters, errors, settings=SETTINGS, seed=5):
    return describe_sizes(diameters, errors, settings, rng=np.random.default_rng(seed))


def test_a_row_of_numbers_by_hand():
    # Median 2, deviations 0.1 to 1.0 either side: their median is 0.5.
    diameters = 2.0 + np.concatenate([-np.arange(0.1, 1.05, 0.1), [0.0], np.arange(0.1, 1.05, 0.1)])
    summary = describe(diameters, np.full(21, 0.3))
    assert summary.n == 21
    assert_allclose(summary.median_mm, 2.0)
    assert_allclose(summary.iqr_mm, (1.5, 2.5))
    assert_allclose(summary.cv, 1.4826 * 0.5 / 2)
    assert_allclose(summary.cv_corrected, np.sqrt((1.4826 * 0.5) ** 2 - 0.3**2) / 2)


@pytest.mark.parametrize("true_cv", [0.1, 0.2, 0.4])
def test_the_error_of_measurement_is_taken_out(rng, true_cv):
    summary = describe(*drawn(rng, 4000, cv=true_cv, se_mm=0.25))
    assert_allclose(summary.cv, np.hypot(true_cv, 0.125), rtol=0.05)
    # What is left after the subtraction carries the whole sampling error.
    assert_allclose(summary.cv_corrected, true_cv, rtol=0.12)
    assert summary.cv_low < summary.cv_corrected < summary.cv_high


def test_the_interval_holds_the_truth_as_often_as_it_says(rng):
    settings = SizeSettings(n_bootstrap=199)
    summaries = [describe(*drawn(rng, 100, cv=0.25, se_mm=0.15), settings) for _ in range(120)]
    held = np.mean([s.cv_low <= 0.25 <= s.cv_high for s in summaries])
    # 120 draws tell a share of 0.95 to 0.02; a percentile bootstrap of a median is a little off.
    assert 0.88 <= held <= 1.0


def test_uniform_not_uniform_and_not_to_be_told(rng):
    uniform = describe(*drawn(rng, 300, cv=0.15, se_mm=0.1))
    assert uniform.uniform is True
    assert uniform.sentence.startswith("Uniform:")
    mixed = describe(*drawn(rng, 300, cv=0.45, se_mm=0.1))
    assert mixed.uniform is False
    assert mixed.sentence.startswith("Not uniform:")
    for cv in (0.27, 0.33):
        # Quantiles of a normal distribution: the estimate is on either side, the interval on both.
        quantiles = stats.norm.ppf((np.arange(40) + 0.5) / 40)
        between = describe(2.0 + 2.0 * cv * quantiles, np.full(40, 0.1))
        assert between.cv_low < SETTINGS.uniform_cv < between.cv_high
        assert (between.cv_corrected > SETTINGS.uniform_cv) == (cv > 0.3)
        assert between.uniform is None
        assert between.sentence.startswith("Uniformity cannot be told:")


def test_mostly_error_is_said_so(rng):
    summary = describe(*drawn(rng, 30, cv=0.05, se_mm=1.0))
    assert summary.uniform is None
    assert summary.sentence.startswith("Mostly measurement error (")


def test_diameters_of_one_size_are_uniform_without_a_warning():
    summary = describe(np.full(50, 2.0), np.full(50, 0.1))
    assert summary.cv == summary.cv_corrected == summary.cv_high == 0
    assert summary.uniform is True


def test_a_few_nodules_have_a_median_and_nothing_more(rng):
    diameters, errors = drawn(rng, SETTINGS.min_nodules - 1)
    summary = describe(diameters, errors)
    assert summary.median_mm == np.median(diameters)
    assert summary.uniform is summary.cv is summary.cv_corrected is summary.cv_low is None
    assert summary.sentence == "19 nodules are too few to tell uniformity; 20 are needed."
    assert describe(*drawn(rng, SETTINGS.min_nodules)).cv is not None


def test_no_nodules_are_borne():
    summary = describe(np.empty(0), np.empty(0))
    assert (summary.n, summary.median_mm, summary.uniform) == (0, None, None)
    assert summary.sentence == "No nodules to measure."


def test_twice_the_lengths_have_the_same_spread(rng):
    diameters, errors = drawn(rng, 200)
    once, twice = describe(diameters, errors), describe(2 * diameters, 2 * errors)
    assert_allclose(twice.median_mm, 2 * once.median_mm)
    assert_allclose(
        [twice.cv, twice.cv_corrected, twice.cv_low, twice.cv_high],
        [once.cv, once.cv_corrected, once.cv_low, once.cv_high],
    )
    assert twice.uniform == once.uniform


def test_one_wild_size_does_not_matter(rng):
    diameters, errors = drawn(rng, 200)
    wild = diameters.copy()
    wild[np.argmax(wild)] = 15.0
    assert_allclose(describe(wild, errors).cv, describe(diameters, errors).cv, rtol=1e-6)
