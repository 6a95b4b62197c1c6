"""Maxima and their separation against loops over neighbours and points."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import oracles_detect as oracles
from miliary.kernels.maxima import local_maxima, suppress_neighbours

SHAPE = oracles.SHAPE


def maxima_everywhere(image):
    index = oracles.interior_indices(image.shape)
    return index[local_maxima(image, index)]


def test_maxima_match_the_loop_over_neighbours(rng):
    # Few levels, so that there are ties.
    image = rng.integers(0, 6, (7, 9, 11)).astype(np.float32)
    found = maxima_everywhere(image)
    index = oracles.interior_indices(image.shape)
    places = zip(*(axis.tolist() for axis in np.unravel_index(index, image.shape)), strict=True)
    expected = index[[oracles.is_maximum(image, place) for place in places]]
    assert len(expected) > 3
    assert_array_equal(found, expected)


def test_mirroring_mirrors_the_maxima(rng):
    image = rng.normal(0, 1, SHAPE)
    mask, mirrored = np.zeros((2, *SHAPE), bool)
    mask.ravel()[maxima_everywhere(image)] = True
    mirrored.ravel()[maxima_everywhere(np.ascontiguousarray(image[::-1, :, ::-1]))] = True
    assert_array_equal(mirrored[::-1, :, ::-1], mask)


def test_a_plateau_has_one_maximum():
    image = np.zeros((5, 5, 6))
    image[2, 2, 2:4] = 3.0
    assert_array_equal(maxima_everywhere(image), [np.ravel_multi_index((2, 2, 3), image.shape)])


def test_a_diagonal_neighbour_counts():
    image = np.zeros((5, 5, 6))
    image[2, 2, 2], image[3, 3, 3] = 3.0, 4.0
    assert_array_equal(maxima_everywhere(image), [np.ravel_multi_index((3, 3, 3), image.shape)])


def test_only_the_voxels_asked_for_are_told():
    image = np.zeros((5, 5, 6))
    image[2, 2, 2] = 3.0
    peak = np.ravel_multi_index((2, 2, 2), image.shape)
    assert_array_equal(local_maxima(image, np.array([peak + 1, peak])), [False, True])
    assert len(local_maxima(image, np.empty(0, int))) == 0


@pytest.mark.parametrize("separation_mm", [0.5, 3.0, 8.0])
def test_separation_matches_the_loop_over_points(rng, separation_mm):
    points = rng.uniform(0, 25, (200, 3))
    priority = rng.integers(0, 20, 200).astype(float)
    kept = suppress_neighbours(points, priority, separation_mm)
    assert_array_equal(kept, oracles.keep_apart(points, priority, separation_mm))


def test_a_chain_keeps_its_ends_when_the_middle_is_weaker_and_the_middle_when_it_is_not():
    points = np.array([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]])
    assert_array_equal(suppress_neighbours(points, np.array([3.0, 2, 1]), 1.5), [1, 0, 1])
    assert_array_equal(suppress_neighbours(points, np.array([1.0, 2, 1]), 1.5), [0, 1, 0])


def test_of_equals_the_earlier_is_kept():
    points = np.zeros((3, 3))
    assert_array_equal(suppress_neighbours(points, np.ones(3), 1.0), [True, False, False])


@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one_are_all_kept(n):
    kept = suppress_neighbours(np.zeros((n, 3)), np.ones(n), 2.0)
    assert kept.shape == (n,)
    assert kept.all()


def test_the_order_of_the_points_is_irrelevant(rng):
    points, priority = rng.uniform(0, 15, (120, 3)), rng.permutation(120).astype(float)
    order = rng.permutation(120)
    kept = suppress_neighbours(points, priority, 2.5)
    assert_array_equal(suppress_neighbours(points[order], priority[order], 2.5), kept[order])
