"""Faces of small masks, counted by hand."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from miliary.kernels.faces import find_faces


def test_faces_lie_between_a_voxel_inside_and_one_outside():
    mask = np.zeros((4, 5, 6), bool)
    mask[1:3, 2, 3:5] = True
    assert_array_equal(
        find_faces(mask, 0, 99), [(0.5, 2, 3), (0.5, 2, 4), (2.5, 2, 3), (2.5, 2, 4)]
    )
    assert sorted(map(tuple, find_faces(mask, 1, 99).tolist())) == [
        (z, y, x) for z in (1, 2) for y in (1.5, 2.5) for x in (3, 4)
    ]
    assert sorted(map(tuple, find_faces(mask, 2, 99).tolist())) == [
        (z, 2, x) for z in (1, 2) for x in (2.5, 4.5)
    ]


def test_faces_are_thinned_evenly_and_the_border_is_none():
    mask = np.zeros((9, 9, 9), bool)
    mask[4:] = True
    some = find_faces(mask, 0, 10)
    assert len(some) == 10
    assert set(some[:, 0]) == {3.5}
    assert np.ptp(some[:, 1]) == 8
    assert find_faces(np.ones((3, 4, 5), bool), 1, 10).shape == (0, 3)
