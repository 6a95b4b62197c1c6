"""Balls on a grid against each voxel's distance."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from miliary.kernels.ball_labels import label_balls, list_ball_labels

SHAPE, SPACING = (19, 23, 29), np.array([1.25, 0.7, 0.8])


def test_a_ball_holds_the_voxels_whose_centre_lies_in_it(rng):
    index, diameter = rng.uniform(4, 15, (1, 3)), np.array([6.3])
    offset_mm = (np.stack(np.indices(SHAPE), -1) - index[0]) * SPACING
    expected = np.linalg.norm(offset_mm, axis=-1) <= diameter[0] / 2
    assert_array_equal(label_balls(SHAPE, SPACING, index, diameter) == 1, expected)


def test_of_two_the_first_has_what_they_share_and_each_keeps_its_centre():
    index = np.array([[9.0, 11, 14], [9.0, 12, 14], [9.0, 40, 14]])
    labels = label_balls(SHAPE, SPACING, index, np.array([4.0, 4.0, 2.0]))
    assert labels[9, 11, 14] == 1
    assert labels[9, 12, 14] == 2
    assert labels[9, 13, 14] == 1
    assert set(np.unique(labels)) == {0, 1, 2}


def test_without_a_diameter_it_is_one_voxel_and_without_a_ball_none():
    one = label_balls(SHAPE, SPACING, np.array([[3.2, 4.4, 5.0]]), np.array([np.nan]))
    assert np.argwhere(one).tolist() == [[3, 4, 5]]
    none = label_balls(SHAPE, SPACING, np.empty((0, 3)), np.empty(0))
    assert none.shape == SHAPE
    assert not none.any()


def test_more_than_a_label_can_tell_are_refused():
    with pytest.raises(ValueError, match="at most 65535, got 65536"):
        label_balls(SHAPE, SPACING, np.zeros((65536, 3)), np.ones(65536))


def test_the_list_of_voxels_is_that_of_the_labels(rng):
    # Some lie off the grid, some overlap, one has no diameter.
    index, diameter = rng.uniform(-3, 25, (30, 3)), rng.uniform(0.3, 6, 30)
    diameter[4] = np.nan
    image = label_balls(SHAPE, SPACING, index, diameter)
    voxels, labels = list_ball_labels(SHAPE, SPACING, index, diameter)
    assert_array_equal(voxels, np.flatnonzero(image))
    assert_array_equal(labels, image[image > 0])
    none, unlabelled = list_ball_labels(SHAPE, SPACING, np.empty((0, 3)), np.empty(0))
    assert none.shape == unlabelled.shape == (0,)


def test_overlapping_balls_are_those_painted_one_over_the_other(rng):
    """The last ball is painted first, so that the first shows, and centres over all."""
    index, diameter = rng.uniform(-2, 24, (40, 3)), rng.uniform(1, 9, 40)
    offset_mm = (np.stack(np.indices(SHAPE), -1)[..., None, :] - index) * SPACING
    inside = np.linalg.norm(offset_mm, axis=-1) <= diameter / 2
    expected = np.where(inside.any(-1), inside.argmax(-1) + 1, 0)
    for label, at in enumerate(np.rint(index).astype(int), start=1):
        if ((at >= 0) & (at < SHAPE)).all():
            expected[tuple(at)] = label
    assert_array_equal(label_balls(SHAPE, SPACING, index, diameter), expected)
