"""Mark correlation against the loop over pairs."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

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
