"""Distances against balls and planes, morphology against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_anatomy as oracles
from miliary.kernels.distances import (
    close_gaps,
    deep_inside,
    deeper_than,
    depth_inside,
    distance_to,
    within,
)

SHAPE, SPACING = (19, 23, 29), np.array([1.25, 0.7, 0.8])
#: Half a voxel's diagonal: a voxel's centre cannot know its surface better.
VOXEL_MM = 0.5 * float(np.linalg.norm(SPACING))
#: The mean over a ball is far better than a single voxel.
MEAN_MM = 0.1


def ball(radius_mm, shape=(41, 73, 65)):
    grid = oracles.grid_mm(shape, SPACING)
    distance = np.sqrt(sum(axis**2 for axis in grid))
    return distance <= radius_mm, distance


def test_depth_inside_a_ball_is_its_radius_less_the_distance_to_its_centre():
    mask, distance = ball(20.0)
    error = (depth_inside(mask, SPACING) - (20.0 - distance))[mask]
    assert np.abs(error).max() < VOXEL_MM
    for low, high in ((0, 1), (1, 3), (3, 6), (6, 20)):
        here = ((20.0 - distance) > low) & ((20.0 - distance) <= high)
        assert abs(error[here[mask]].mean()) < MEAN_MM


def test_distance_to_a_ball_is_zero_in_it_and_grows_outside():
    mask, distance = ball(9.0)
    found = distance_to(mask, SPACING)
    assert_array_equal(found[mask], 0)
    error = (found - (distance - 9.0))[~mask]
    assert np.abs(error).max() < VOXEL_MM
    assert abs(error.mean()) < MEAN_MM


def test_touching_labels_have_a_surface_between_them_but_the_image_border_is_none():
    labels = np.ones(SHAPE, np.uint8)
    labels[:, :, 15:] = 2
    depth = depth_inside(labels, SPACING)
    assert depth[0, 0, 14] == depth[9, 11, 14] == depth[9, 11, 15]
    assert_array_equal(depth, np.broadcast_to(depth[:1, :1], SHAPE))
    assert (np.diff(depth[0, 0, 15:]) > 0).all()


def test_without_a_surface_depth_is_infinite():
    assert np.isposinf(depth_inside(np.ones(SHAPE, bool), SPACING)).all()
    assert np.isposinf(distance_to(np.zeros(SHAPE, bool), SPACING)).all()
    assert_array_equal(depth_inside(np.zeros(SHAPE, bool), SPACING), 0)


def test_twice_the_spacing_gives_twice_the_distance():
    mask, _ = ball(9.0)
    assert_allclose(depth_inside(mask, 2 * SPACING), 2 * depth_inside(mask, SPACING), rtol=1e-5)


@pytest.mark.parametrize("radius_mm", [0.5, 0.8, 1.25, 2.1, 3.0])
def test_within_matches_every_pair_of_voxels(rng, radius_mm):
    mask = rng.random((7, 11, 13)) > 0.98
    expected = oracles.within(mask, radius_mm, SPACING)
    assert_array_equal(within(mask, radius_mm, SPACING), expected)


def test_a_large_ball_gives_what_runs_would_give(rng, monkeypatch):
    mask = rng.random(SHAPE) > 0.999
    made = [step(mask, 4.0, SPACING) for step in (within, close_gaps)]
    deep = deeper_than(~mask, 4.0, SPACING)
    monkeypatch.setattr("miliary.kernels.distances._MAX_ROWS", 0)
    assert_array_equal(within(mask, 4.0, SPACING), made[0])
    assert_array_equal(close_gaps(mask, 4.0, SPACING), made[1])
    assert_array_equal(deeper_than(~mask, 4.0, SPACING), deep)


def test_erosion_is_dilation_of_the_background(rng):
    mask = rng.random(SHAPE) > 0.05
    assert_array_equal(deeper_than(mask, 1.3, SPACING), ~within(~mask, 1.3, SPACING))
    assert deeper_than(np.ones(SHAPE, bool), 3.0, SPACING).all()


def test_closing_fills_a_narrow_slit_and_leaves_a_wide_one():
    mask = np.ones((19, 23, 60), bool)
    mask[:, 6:, 10:13], mask[:, 6:, 30:42] = False, False
    closed = close_gaps(mask, 2.0, SPACING)
    assert closed[3:-3, 9:-3, 10:13].all()
    assert not closed[9, 18, 33:39].any()
    assert closed[mask].all()


def test_closing_twice_changes_nothing(rng):
    mask = rng.random(SHAPE) > 0.9
    closed = close_gaps(mask, 1.5, SPACING)
    assert_array_equal(close_gaps(closed, 1.5, SPACING), closed)


def test_closing_nothing_gives_nothing():
    assert not close_gaps(np.zeros(SHAPE, bool), 2.0, SPACING).any()


def test_depth_in_labels_is_that_in_each_alone_wherever_they_touch(rng):
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:15, 5:20, 4:14], labels[5:19, 2:20, 14:25] = 1, 3
    labels[rng.random(SHAPE) > 0.99] = 0
    depth = depth_inside(labels, SPACING)
    for label in (1, 3):
        alone = depth_inside(labels == label, SPACING)
        assert_array_equal(depth[labels == label], alone[labels == label])
    assert_array_equal(depth[labels == 0], 0)


@pytest.mark.parametrize("depth_mm", [0.3, 1.0, 2.7, 4.0])
def test_deep_inside_is_where_depth_is_larger(rng, depth_mm):
    labels = np.zeros((31, 37, 63), np.uint8)
    labels[3:28, 5:33, 4:30], labels[5:31, 2:34, 30:60] = 1, 2
    labels[rng.random(labels.shape) > 0.9995] = 0
    expected = depth_inside(labels, SPACING) > depth_mm
    assert_array_equal(deep_inside(labels, depth_mm, SPACING), expected)
    assert expected.any()


@pytest.mark.parametrize("shape", [(0, 5, 7), (5, 0, 7), (5, 7, 0), (0, 0, 0)])
def test_an_image_without_voxels_is_left_so(shape):
    mask, labels = np.zeros(shape, bool), np.zeros(shape, np.uint8)
    for radius_mm in (2.0, 20.0):
        for step in (within, deeper_than, close_gaps):
            assert step(mask, radius_mm, SPACING).shape == shape
    assert depth_inside(labels, SPACING).shape == shape
