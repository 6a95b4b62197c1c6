"""Coarse fields between their voxels."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage as ndi

from miliary.phantom.fields import Upsampler, gradient_length

SHAPE, SPACING_MM = (19, 23, 29), (1.25, 0.7, 0.8)
STEP_MM = 1.6
BOX = (slice(3, 9), slice(0, 23), slice(5, 29))


def upsampler():
    return Upsampler(STEP_MM, SHAPE, SPACING_MM)


def coarse_index(box):
    """Coarse voxel, with fractions, of every voxel of a box: (3, k, m, n)."""
    index = np.indices(SHAPE)[(slice(None), *box)]
    return index * np.array(SPACING_MM)[:, None, None, None] / STEP_MM


def test_interpolation_is_exact_for_a_plane():
    z, y, x = np.indices((17, 13, 17)) * STEP_MM
    plane = (3.0 * z - 2.0 * y + 0.5 * x).astype(np.float32)
    place_mm = coarse_index(BOX) * STEP_MM
    expected = np.tensordot([3.0, -2.0, 0.5], place_mm, 1)
    assert_allclose(upsampler().part(plane, BOX), expected, atol=1e-3)
    higher = upsampler().part(plane, BOX, 0.3)
    assert_allclose(higher, expected + 0.9, atol=1e-3)


def test_interpolation_matches_scipy_also_beyond_the_border(rng):
    field = rng.normal(size=(14, 9, 13)).astype(np.float32)
    whole = tuple(slice(0, n) for n in SHAPE)
    for shift_mm in (-0.4, 0.0, 0.4):
        place = coarse_index(whole) + np.array([shift_mm / STEP_MM, 0, 0])[:, None, None, None]
        slow = ndi.map_coordinates(field, place, order=1, mode="nearest")
        fast = upsampler().part(field, whole, shift_mm)
        assert_allclose(fast, slow, atol=1e-5)
        assert fast.dtype == np.float32


def test_empty_box_is_empty():
    nothing = (slice(4, 4), slice(0, 23), slice(5, 29))
    assert upsampler().part(np.zeros((17, 13, 17), np.float32), nothing).shape == (0, 23, 24)


def test_labels_are_those_of_the_nearest_voxel(rng):
    labels = rng.integers(0, 9, (17, 13, 17)).astype(np.uint8)
    # With this step no voxel is as near to two.
    found = Upsampler(1.7, SHAPE, SPACING_MM).nearest(labels, BOX)
    place = coarse_index(BOX) * STEP_MM / 1.7
    assert_array_equal(found, ndi.map_coordinates(labels, place, order=0))
    assert found.dtype == np.uint8


def test_gradient_of_a_plane_is_its_slope(monkeypatch):
    z, y, x = np.indices(SHAPE) * STEP_MM
    plane = (0.3 * z - 0.4 * y + 1.2 * x).astype(np.float32)
    inner = (slice(4, -4),) * 3
    for threads in ("1", "3"):
        monkeypatch.setenv("MILIARY_THREADS", threads)
        length = gradient_length(plane, STEP_MM)
        assert_allclose(length[inner], 1.3, rtol=1e-4)


def test_gradient_is_the_same_on_any_number_of_threads(rng, monkeypatch):
    field = rng.normal(size=(40, 23, 29)).astype(np.float32)
    made = []
    for threads in ("1", "3"):
        monkeypatch.setenv("MILIARY_THREADS", threads)
        made.append(gradient_length(field, STEP_MM))
    assert_array_equal(made[0], made[1])


def test_flat_field_has_the_least_gradient():
    assert_array_equal(
        gradient_length(np.ones(SHAPE, np.float32), 1.6), np.full(SHAPE, np.float32(0.2))
    )
