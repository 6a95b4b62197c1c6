"""Differences at chosen voxels against a paraboloid, and against those taken one by one."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.stencil import Stencil
from oracles_detect import SHAPE, SPACING, hessian_at, interior_indices

PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def entries(stencil):
    return np.concatenate([stencil.straight(), stencil.mixed()])


def test_entries_are_those_of_the_hessian_taken_voxel_by_voxel(rng):
    image = rng.normal(0, 100, SHAPE).astype(np.float32)
    index = interior_indices(SHAPE)[::7]
    found, expected = entries(Stencil(image, index, SPACING)), hessian_at(image, index, SPACING)
    assert found.dtype == np.float32
    for row, (a, b) in zip(found, PAIRS, strict=True):
        assert_allclose(row, expected[:, a, b], atol=1e-3)


def test_a_paraboloid_has_one_hessian_and_a_gradient_that_grows():
    z, y, x = np.indices(SHAPE) * SPACING[:, None, None, None]
    image = (z**2 + 2 * y**2 + 3 * x**2 + z * y - 2 * y * x).astype(np.float32)
    index = interior_indices(SHAPE)
    near = Stencil(image, index, SPACING)
    expected = np.broadcast_to(np.array([2, 4, 6, 1, 0, -2.0])[:, None], (6, len(index)))
    assert_allclose(entries(near), expected, atol=0.01)
    at_z, at_y, at_x = np.column_stack(np.unravel_index(index, SHAPE)).T * SPACING[:, None]
    gradient = [2 * at_z + at_y, 4 * at_y + at_z - 2 * at_x, 6 * at_x - 2 * at_y]
    assert_allclose(near.gradient(), gradient, atol=0.01)


def test_some_of_the_voxels_and_none(rng):
    image = rng.normal(0, 100, SHAPE).astype(np.float32)
    index = interior_indices(SHAPE)
    near, rows = Stencil(image, index, SPACING), np.array([3, 1000, 7])
    assert_array_equal(near.take(rows).mixed(), near.mixed()[:, rows])
    chosen = rng.random(len(index)) < 0.1
    assert_array_equal(near.take(chosen).straight(), near.straight()[:, chosen])
    assert near.take(rows[:0]).gradient().shape == (3, 0)


def test_beyond_the_border_the_image_goes_on_flat(rng):
    image = rng.normal(0, 100, SHAPE).astype(np.float32)
    every = np.arange(image.size)
    framed = np.pad(image, 1, mode="edge")
    inner = np.ravel_multi_index([i + 1 for i in np.indices(SHAPE).reshape(3, -1)], framed.shape)
    expected = hessian_at(framed, inner, SPACING)
    for row, (a, b) in zip(entries(Stencil.anywhere(image, every, SPACING)), PAIRS, strict=True):
        assert_allclose(row, expected[:, a, b], atol=1e-3)
    index = interior_indices(SHAPE)
    near, same = Stencil.anywhere(image, index, SPACING), Stencil(image, index, SPACING)
    assert_array_equal(entries(near), entries(same))
    assert Stencil.anywhere(image, every[:0], SPACING).gradient().shape == (3, 0)
