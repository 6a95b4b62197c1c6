"""Interpolation around points against the eight voxels by hand and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import oracles_detect as oracles
from miliary.kernels import interpolation
from miliary.kernels.interpolation import Interpolator, points_at_once

SHAPE = oracles.SHAPE
#: Weights are kept in single precision: some 1e-6 of a voxel, at steps of several hundred HU.
ROUNDING_HU = 2e-3


def test_values_are_those_of_the_eight_voxels_by_hand(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    offsets = rng.uniform(-3, 3, (9, 3))
    # Beyond the border too.
    index = rng.uniform(-1, SHAPE, (6, 3))
    found = Interpolator(image, offsets, 6).around(index)
    for n, k in np.ndindex(found.shape):
        expected = oracles.interpolate(image, index[n] + offsets[k])
        assert_allclose(found[n, k], expected, atol=ROUNDING_HU)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_few_places_are_read_from_the_image_as_from_a_copy(rng, monkeypatch, dtype):
    image = rng.normal(-850, 100, SHAPE).astype(dtype)
    offsets = rng.uniform(-3, 3, (9, 3))
    inner = rng.uniform(4, np.array(SHAPE) - 5, (6, 3))
    with monkeypatch.context() as patch:
        patch.setattr(interpolation, "cut_cubes", None)
        found = Interpolator(image, offsets, 6).around(inner).copy()
    # One point at the border, and all are read from copies.
    with_copies = Interpolator(image, offsets, 7).around(np.concatenate([inner, [[0, 0, 0]]]))
    assert_array_equal(found, with_copies[:6])


def test_many_points_match_scipy(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    offsets = rng.uniform([-2, -4, -3], [5, 1, 2], (200, 3))
    index = rng.uniform(-5, np.array(SHAPE) + 5, (50, 3))
    found = Interpolator(image, offsets, 50).around(index)
    places = np.moveaxis(index[:, None] + offsets, -1, 0)
    expected = ndimage.map_coordinates(image.astype(float), places, order=1, mode="nearest")
    assert_allclose(found, expected, atol=ROUNDING_HU)


@pytest.mark.parametrize("whole", [0, 3])
def test_voxels_themselves_are_read_exactly(rng, whole):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    index = np.array([[7.0, 9.0, 11.0], [8.0, 3.0, 25.0]])
    found = Interpolator(image, np.full((1, 3), whole), 2).around(index)
    assert_array_equal(found[:, 0], image[tuple((index + whole).astype(int).T)])


def test_fewer_points_than_there_is_room_for_and_none(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    offsets = rng.uniform(-3, 3, (9, 3))
    index = rng.uniform(4, 14, (5, 3))
    read = Interpolator(image, offsets, 5)
    every = read.around(index).copy()
    assert_array_equal(read.around(index[2:4]), every[2:4])
    assert read.around(index[:0]).shape == (0, 9)


def test_large_neighbourhoods_are_told_apart(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    # More voxels in the last of four neighbourhoods than single precision can count up to.
    offsets = np.concatenate([[[-30, -140, -140], [30, 140, 140]], rng.uniform(-5, 5, (50, 3))])
    index = rng.uniform(5, np.array(SHAPE) - 5, (4, 3))
    found = Interpolator(image, offsets, 4).around(index)
    places = np.moveaxis(index[:, None] + offsets, -1, 0)
    expected = ndimage.map_coordinates(image.astype(float), places, order=1, mode="nearest")
    # Weights of an offset of 140 voxels are good for 1e-5 of a voxel.
    assert_allclose(found, expected, atol=10 * ROUNDING_HU)


@pytest.mark.parametrize(("reach", "points"), [(3, 32), (39, 7), (200, 1)])
def test_of_large_neighbourhoods_fewer_are_read_at_once(reach, points):
    # Offsets from -reach to reach take 2 reach + 3 voxels along an axis: 7 times 81**3 are 3.7 M.
    corners = np.array([[-reach] * 3, [reach] * 3])
    assert points_at_once(corners, 32) == points
