"""Mark correlation against the loop over pairs, ranks against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import oracles_spatial as oracles
from miliary.kernels import marks as kernel
from miliary.kernels.pairs import pair_differences

EDGES = 0.5 * np.arange(41)


def correlate(points, marks, radii, bandwidth):
    first, second, _, distance = pair_differences(points, max_mm=20.0)
    bins = np.minimum((distance / 0.5).astype(int), 39)
    products = kernel.mark_products(marks, first, second, bins, n_bins=40)
    pairs = np.bincount(bins, minlength=40).astype(float)
    return kernel.mark_correlation(products, pairs, EDGES, radii, bandwidth_mm=bandwidth)


def test_it_matches_the_loop_over_pairs(rng):
    points, marks = rng.uniform(0, 30, (40, 3)), rng.lognormal(0, 0.4, 40)
    radii = np.array([1.0, 4.0, 11.5])
    strata = np.zeros(40)
    expected = [oracles.mark_correlation(points, strata, marks, r, 2.5, 20, 0.5) for r in radii]
    assert_allclose(correlate(points, marks, radii, 2.5), expected, rtol=1e-12)


def test_three_points_by_hand():
    points = np.array([[0.0, 0, 0], [0, 0, 2.2], [0, 0, 12.2]])
    found = correlate(points, np.array([0.5, 2.0, 3.0]), np.array([2.25, 10.25, 17.0]), 1.0)
    assert_allclose(found, [1.0, 6.0, np.nan])


def test_equal_marks_give_one(rng):
    found = correlate(rng.uniform(0, 20, (50, 3)), np.ones(50), np.array([3.0, 9.0]), 2.0)
    assert_allclose(found, 1.0)


def test_no_pairs_give_nan():
    none = np.empty(0, int)
    products = kernel.mark_products(np.ones(1), none, none, none, n_bins=40)
    found = kernel.mark_correlation(
        products, np.zeros(40), EDGES, np.array([5.0]), bandwidth_mm=1.0
    )
    assert np.isnan(found).all()


def test_rank_scores_by_hand():
    values = np.array([7.0, 1.0, np.nan, 7.0, np.inf, 3.0])
    assert_array_equal(kernel.rank_scores(values) * 4, [1.0, -1.5, 0.0, 1.0, 0.0, -0.5])
    assert kernel.rank_scores(np.empty(0)).shape == (0,)
    assert_array_equal(kernel.rank_scores(np.array([np.nan])), [0.0])


def test_correlated_scores_are_spearmans_correlation(rng):
    one = rng.normal(0, 1, 60).round(1)
    other = (one + rng.normal(0, 1, 60)).round(1)
    a, b = kernel.rank_scores(one), kernel.rank_scores(other)
    expected = stats.spearmanr(one, other).statistic
    assert_allclose(a @ b / np.sqrt((a @ a) * (b @ b)), expected, rtol=1e-12)
    assert_allclose(kernel.rank_scores(np.exp(one)), a)


@pytest.mark.parametrize("slope", [0.0, 0.7])
def test_spearmans_interval_holds_what_it_says(rng, slope):
    # For normal pairs the rank correlation of the population is known (Pearson 1907).
    pearson = slope / np.sqrt(1 + slope**2)
    truth = 6 / np.pi * np.arcsin(pearson / 2)
    held = 0
    for _ in range(1000):
        one = rng.normal(0, 1, 50)
        other = slope * one + rng.normal(0, 1, 50)
        r = float(stats.spearmanr(one, other).statistic)
        low, high = kernel.spearman_interval(r, 50, alpha=0.05)
        held += low <= truth <= high
    # Three standard errors of 1,000 patterns.
    assert 0.929 <= held / 1000 <= 0.971


def test_spearmans_interval_at_its_ends():
    assert kernel.spearman_interval(0.5, 3, alpha=0.05) == (-1.0, 1.0)
    low, high = kernel.spearman_interval(1.0, 30, alpha=0.05)
    assert 0.9 < low < high <= 1.0
