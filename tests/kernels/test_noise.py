"""Deviations in cubes: noise is kept, what is smooth is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.noise import deviations, gather_cubes


def test_cubes_are_cut_round_their_middles_and_moved_in_at_the_border():
    image = np.arange(19 * 23 * 29, dtype=np.int32).reshape(19, 23, 29)
    cubes = gather_cubes(image, np.array([(9, 11, 14), (0, 22, 14)]), (3, 4, 5))
    assert_array_equal(cubes[0], image[8:11, 9:13, 12:17])
    assert_array_equal(cubes[1], image[0:3, 19:23, 12:17])


def test_no_places_give_no_cubes_and_no_deviations():
    cubes = gather_cubes(np.zeros((19, 23, 29)), np.zeros((0, 3)), (3, 4, 5))
    assert cubes.shape == (0, 3, 4, 5)
    assert [part.shape for part in deviations(cubes)] == [(0,), (0,)]


def test_both_deviations_are_that_of_white_noise(rng):
    total, fine = deviations(rng.normal(0, 30, (400, 5, 7, 6)))
    # 400 cubes of 210 voxels: the mean of either is sure to 1 %.
    assert_allclose(np.sqrt((total**2).mean()), 30, rtol=0.01)
    assert_allclose(np.sqrt((fine**2).mean()), 30, rtol=0.02)


def test_slopes_and_ridges_along_an_axis_leave_no_fine_detail(rng):
    z, y, x = np.meshgrid(np.arange(5), np.arange(7), np.arange(6), indexing="ij")
    smooth = np.stack([3.0 * z - y + 5 * x, 900.0 * (y == 3) + 2 * x, 40.0 * (x - 2) ** 2 * z])
    total, fine = deviations(smooth)
    assert (total > 5).all()
    assert_allclose(fine, 0, atol=1e-9)


def test_scaled_values_scale_both_and_an_offset_neither(rng):
    cubes = rng.normal(0, 1, (3, 5, 7, 6))
    assert_allclose(deviations(7 * cubes - 850), 7 * np.array(deviations(cubes)), rtol=1e-9)


def test_cubes_must_fit_and_have_three_voxels():
    with pytest.raises(ValueError, match=r"fit into the image \(2, 5, 5\), got \(3, 3, 3\)"):
        gather_cubes(np.zeros((2, 5, 5)), np.zeros((1, 3)), (3, 3, 3))
    with pytest.raises(ValueError, match=r"three voxels along y and x, got \(2, 2, 3\)"):
        deviations(np.zeros((1, 2, 2, 3)))
