"""Smoothed density against sums over points and voxels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import oracles_spatial as oracles
from miliary.kernels import intensity as kernel

SHAPE = (7, 9, 11)


@pytest.fixture
def room(rng):
    z, y, x = np.indices(SHAPE)
    ball = ((z - 3) / 4) ** 2 + ((y - 4) / 4) ** 2 + ((x - 5) / 6) ** 2 < 1
    return ball * rng.uniform(0.2, 1.0, SHAPE) * 0.7


def test_it_matches_sums_over_points_and_room(rng, room):
    counts = np.where(room > 0, rng.poisson(0.2, SHAPE), 0)
    for sigma in ([1.2, 0.8, 2.0], [3.0, 4.0, 9.0]):
        found = kernel.smooth_intensity(counts, room, sigma_voxels=np.array(sigma))
        # The reach in whole voxels: 4 standard deviations, rounded up.
        expected = oracles.intensity(counts, room, np.array(sigma), 4.0)
        assert_allclose(found[0], expected[0], rtol=1e-9)
        assert_allclose(found[1], expected[1], rtol=1e-9)


def test_an_even_density_is_even_up_to_the_border(room):
    found, _ = kernel.smooth_intensity(0.02 * room, room, sigma_voxels=np.array([1.0, 2.0, 1.5]))
    assert_allclose(found[room > 0], 0.02, rtol=1e-12)
    assert np.isnan(found[room == 0]).all()


def test_one_point_alone_is_as_unsure_as_it_is_dense(room):
    counts = np.zeros(SHAPE)
    counts[3, 4, 5] = 1
    density, error = kernel.smooth_intensity(counts, room, sigma_voxels=np.full(3, 1.5))
    assert_allclose(error[room > 0], density[room > 0])


def test_no_points_and_no_room():
    density, error = kernel.smooth_intensity(
        np.zeros(SHAPE), np.ones(SHAPE), sigma_voxels=np.full(3, 1.0)
    )
    assert (density == 0).all()
    assert (error == 0).all()
    nothing, _ = kernel.smooth_intensity(
        np.zeros(SHAPE), np.zeros(SHAPE), sigma_voxels=np.full(3, 1.0)
    )
    assert np.isnan(nothing).all()


def test_a_gaussian_without_width_is_refused():
    with pytest.raises(ValueError, match="must be above 0"):
        kernel.smooth_intensity(np.zeros(SHAPE), np.ones(SHAPE), sigma_voxels=np.zeros(3))
