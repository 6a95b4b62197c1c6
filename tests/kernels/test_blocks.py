"""Means of blocks against loops over blocks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.blocks import block_means

SHAPE = (19, 23, 29)


@pytest.mark.parametrize("block", [(1, 1, 1), (2, 3, 3), (5, 1, 4)])
def test_means_are_those_of_every_block(rng, block):
    image = rng.integers(-1000, 400, SHAPE).astype(np.int16)
    found = block_means(image, np.array(block), cap=60.0)
    assert found.dtype == np.float32
    assert found.shape == tuple(n // side for n, side in zip(SHAPE, block, strict=True))
    for place in np.ndindex(found.shape):
        part = tuple(slice(k * n, (k + 1) * n) for k, n in zip(place, block, strict=True))
        assert_allclose(found[place], np.minimum(image[part], 60).mean(), rtol=1e-5, atol=1e-3)


def test_masks_give_shares(rng):
    mask = rng.random(SHAPE) < 0.5
    found = block_means(mask, np.array([2, 2, 2]))
    assert_array_equal(found * 8, np.rint(found * 8))
    assert_allclose(found[3, 4, 5] * 8, mask[6:8, 8:10, 10:12].sum())


def test_an_image_smaller_than_a_block_gives_none():
    assert block_means(np.zeros((1, 9, 9)), np.array([2, 3, 3])).shape == (0, 3, 3)
