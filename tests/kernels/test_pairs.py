"""Pair counts and nearest neighbours against the double loop."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_spatial as oracles
from miliary.kernels import pairs as kernel


def test_pair_histogram_matches_the_double_loop(rng):
    points = rng.uniform(0, 40, (60, 3))
    strata = rng.integers(0, 3, 60)
    found = kernel.pair_histogram(points, strata, n_strata=3, max_mm=12.0, bin_mm=0.5)
    expected = oracles.pair_histogram(points, strata, 3, 12.0, 0.5)
    assert_array_equal(found[0], expected[0])
    assert_allclose(found[1], expected[1])


def test_pair_histogram_of_three_points_by_hand():
    points = np.array([[0.0, 0, 0], [0, 3, 4], [0, 0, 1.2]])
    histogram, nearest = kernel.pair_histogram(
        points, np.zeros(3, int), n_strata=2, max_mm=6.0, bin_mm=1.0
    )
    assert_array_equal(histogram, [[0, 1, 0, 0, 1, 1], [0] * 6])
    assert_allclose(nearest, [1.2, np.hypot(3, 2.8), 1.2])


@pytest.mark.parametrize("n", [0, 1])
def test_no_pairs_without_two_points(n):
    points = np.zeros((n, 3))
    histogram, nearest = kernel.pair_histogram(
        points, np.zeros(n, int), n_strata=1, max_mm=5.0, bin_mm=0.1
    )
    assert histogram.sum() == 0
    assert_array_equal(nearest, np.full(n, np.inf))
    assert len(kernel.pair_differences(points, max_mm=5.0)[3]) == 0
    assert_array_equal(kernel.nearest_distances(points, points, same=True), np.full(n, np.inf))


def test_points_in_one_place_are_pairs_at_distance_zero():
    histogram, nearest = kernel.pair_histogram(
        np.ones((5, 3)), np.zeros(5, int), n_strata=1, max_mm=2.0, bin_mm=0.5
    )
    assert_array_equal(histogram, [[10, 0, 0, 0]])
    assert_array_equal(nearest, np.zeros(5))


@pytest.mark.parametrize("n", [2, 97, 700])
def test_blocks_count_as_the_list_does(rng, monkeypatch, n):
    # Some points in one place, some on a grid, whose distances fall inside bins.
    points = np.concatenate([rng.uniform(-30, 60, (n, 3)), np.full((3, 3), 7.0)])
    points[: n // 3] = np.rint(points[: n // 3] * 0.5) * 2.537
    strata = (np.arange(n + 3) % 5 == 0).astype(int)
    options = {"n_strata": 2, "max_mm": 30.0, "bin_mm": 0.1}
    expected = kernel.pair_histogram(points, strata, **options)
    monkeypatch.setattr(kernel, "_MANY", 2)
    found = kernel.pair_histogram(points, strata, **options)
    assert_array_equal(found[0], expected[0])
    assert_allclose(found[1], expected[1], atol=1e-9)


def test_lags_are_first_minus_second(rng):
    points = rng.uniform(0, 9, (30, 3))
    first, second, lags, distances = kernel.pair_differences(points, max_mm=4.0)
    assert_allclose(lags, points[first] - points[second])
    gaps = np.linalg.norm(points[:, None] - points, axis=2)[np.triu_indices(30, 1)]
    assert_allclose(np.sort(distances), np.sort(gaps[gaps <= 4.0]))


def test_nearest_distances_match_the_double_loop(rng):
    places, points = rng.uniform(0, 9, (20, 3)), rng.uniform(0, 9, (15, 3))
    gaps = np.linalg.norm(places[:, None] - points, axis=2)
    assert_allclose(kernel.nearest_distances(places, points, same=False), gaps.min(axis=1))


@pytest.mark.parametrize("crowded", [32, 0])
def test_close_pairs_match_the_double_loop_by_sweep_and_by_tree(rng, monkeypatch, crowded):
    monkeypatch.setattr(kernel, "_CROWDED", crowded)
    points = np.concatenate([rng.uniform(0, 20, (80, 3)), np.full((2, 3), 3.0)])
    found = {frozenset(pair) for pair in np.stack(kernel.close_pairs(points, 2.5), 1).tolist()}
    gaps = np.linalg.norm(points[:, None] - points, axis=2)
    expected = np.argwhere(np.triu(gaps <= 2.5, 1)).tolist()
    assert found == {frozenset(pair) for pair in expected}
    assert len(found) > 5


@pytest.mark.parametrize("n", [0, 1])
def test_without_two_points_none_are_close(n):
    first, second = kernel.close_pairs(np.zeros((n, 3)), 2.0)
    assert len(first) == len(second) == 0
