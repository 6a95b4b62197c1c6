"""Distances within many patterns at once against double loops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_spatial as oracles
from miliary.kernels import sweeps as kernel


@pytest.mark.parametrize(("n_patterns", "n"), [(3, 90), (1, 33), (5, 2), (2, 32)])
def test_pairs_and_neighbours_match_the_double_loop(rng, n_patterns, n):
    points = rng.uniform(0, [40, 60, 25], (n_patterns, n, 3))
    # Two in one place, and one that has no neighbour near.
    points[0, 0] = points[0, 1]
    points[-1, -1] = [30, 400, 10]
    counts, nearest = kernel.pair_counts(points, n_bins=24, bin_mm=0.5)
    for number, pattern in enumerate(points):
        histogram, distances = oracles.pair_histogram(pattern, np.zeros(n, int), 1, 12.0, 0.5)
        assert_array_equal(counts[number], histogram[0])
        assert_allclose(nearest[number], distances, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 4, 3), (3, 0, 3), (3, 1, 3)])
def test_fewer_than_two_points_are_no_pairs(shape):
    counts, nearest = kernel.pair_counts(np.zeros(shape), n_bins=4, bin_mm=0.5)
    assert_array_equal(counts, np.zeros((shape[0], 4)))
    assert_array_equal(nearest, np.full(shape[:2], np.inf))


def test_places_find_what_is_nearest_within_their_limit(rng):
    points = rng.uniform(0, [40, 60, 25], (4, 70, 3))
    places, limits = rng.uniform(-5, 50, (900, 3)), rng.uniform(0, 9, 900)
    found = kernel.nearest_within(places, limits, points)
    gaps = np.linalg.norm(places[:, None] - points[:, None], axis=3).min(axis=2)
    within = gaps <= limits
    assert 0.1 < within.mean() < 0.9
    assert_allclose(found[within], gaps[within], atol=1e-6)
    assert (found > limits)[~within].all()


def test_without_points_or_places_nothing_is_near():
    limits = np.full(3, 5.0)
    nowhere = kernel.nearest_within(np.zeros((3, 3)), limits, np.zeros((2, 0, 3)))
    assert_array_equal(nowhere, np.full((2, 3), np.inf))
    assert kernel.nearest_within(np.zeros((0, 3)), limits[:0], np.ones((2, 4, 3))).shape == (2, 0)
