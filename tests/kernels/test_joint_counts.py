"""Voxels counted by several labels at once, against one combination after the other."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from miliary.kernels import joint_counts
from miliary.kernels.joint_counts import count_together

SHAPE = (19, 23, 29)


@pytest.mark.parametrize("sizes", [(3,), (3, 4), (3, 3, 4, 6, 3), (255, 200, 7)])
def test_each_combination_is_counted(rng, sizes, monkeypatch):
    monkeypatch.setattr(joint_counts, "_AT_ONCE", 4 * SHAPE[1] * SHAPE[2])
    images = [rng.integers(0, size, SHAPE).astype(np.uint8) for size in sizes]
    counts = count_together(images, sizes)
    assert counts.shape == sizes
    assert counts.sum() == np.prod(SHAPE)
    for cell in list(product(*map(range, sizes)))[:200]:
        here = np.all([image == label for image, label in zip(images, cell, strict=True)], axis=0)
        assert counts[cell] == np.count_nonzero(here)


def test_hand_sized():
    lung = np.array([[[0, 1, 1, 2]]], np.uint8)
    lobe = np.array([[[0, 3, 3, 1]]], np.uint8)
    counts = count_together((lung, lobe), (3, 4))
    assert counts[1, 3] == 2
    assert counts[2, 1] == counts[0, 0] == 1


def test_a_label_above_its_size_is_refused_and_no_voxel_is_no_count():
    labels = np.full(SHAPE, 3, np.uint8)
    with pytest.raises(ValueError, match="labels must be below 3, got 3"):
        count_together((labels,), (3,))
    assert_array_equal(count_together((labels[:0], labels[:0]), (4, 5)), np.zeros((4, 5)))
