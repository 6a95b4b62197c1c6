"""Components by runs against labels of every voxel, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

from miliary.kernels.runs import Runs

SHAPE = (9, 11, 13)


def test_runs_by_hand():
    mask = np.zeros((2, 3, 5), bool)
    mask[0, 1, 1:4] = mask[0, 2, 4] = mask[1, 0, 0] = mask[1, 2] = True
    runs = Runs.of(mask)
    assert_array_equal(runs.first, [6, 14, 15, 25])
    assert_array_equal(runs.last, [8, 14, 15, 29])
    z, y, first, last = runs.places()
    assert_array_equal(
        np.column_stack([z, y, first, last]),
        [[0, 1, 1, 3], [0, 2, 4, 4], [1, 0, 0, 0], [1, 2, 0, 4]],
    )
    # Faces join the last row to the one before it in z; edges and corners join all.
    assert runs.label(6)[0].tolist() == [0, 1, 2, 1]
    assert runs.label(26)[0].tolist() == [0, 0, 0, 0]


def test_a_run_ends_with_its_row_and_its_slice():
    mask = np.ones((2, 2, 3), bool)
    assert_array_equal(Runs.of(mask).lengths, [3, 3, 3, 3])
    assert Runs.of(mask).label(6)[1] == 1


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 1.0])
@pytest.mark.parametrize(("connectivity", "reach"), [(6, 1), (26, 3)])
def test_components_are_those_of_every_voxel(rng, share, connectivity, reach):
    mask = rng.random(SHAPE) < share
    runs = Runs.of(mask)
    labels, n_labels = runs.label(connectivity)
    drawn = np.zeros(mask.size, int)
    drawn[runs.voxels()] = np.repeat(labels + 1, runs.lengths)
    expected, n_expected = ndimage.label(mask, ndimage.generate_binary_structure(3, reach))
    assert_array_equal(drawn.reshape(SHAPE) > 0, mask)
    assert n_labels == n_expected
    # Each label stands for one of the others.
    assert len(set(zip(drawn[mask.ravel()], expected[mask], strict=True))) == n_expected


def test_rows_far_apart_in_a_slice_do_not_touch_across_its_ends():
    mask = np.zeros(SHAPE, bool)
    # The last voxel of a row and the first of the next, and so with slices.
    mask[3, 4, -1] = mask[3, 5, 0] = mask[4, -1, 6] = mask[5, 0, 6] = True
    assert Runs.of(mask).label(26)[1] == 4


@pytest.mark.parametrize("shape", [(0, 5, 7), (5, 0, 7), (5, 7, 0)])
def test_an_image_without_voxels_has_no_runs(shape):
    runs = Runs.of(np.zeros(shape, bool))
    assert runs.label(6)[1] == 0
    assert len(runs.voxels()) == 0
