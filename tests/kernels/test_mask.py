"""Set covariance, coarse voxels, border distance."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_spatial as oracles
from miliary.kernels import mask as kernel

SPACING = np.array([1.25, 0.7, 0.8])
SHAPE = (19, 23, 29)
#: Float64 transforms of whole numbers are rounded to whole numbers: only the sums differ.
EXACT = 1e-12


@pytest.fixture
def blob(rng):
    z, y, x = np.indices(SHAPE)
    ball = ((z - 9) / 8) ** 2 + ((y - 11) / 9) ** 2 + ((x - 14) / 12) ** 2 < 1
    return ball & (rng.random(SHAPE) > 0.2)


def box_covariance(lags, size):
    return np.prod(np.clip(size - np.abs(lags), 0, None), axis=1)


def test_the_covariance_of_a_box_is_the_closed_form(rng):
    size = np.array(SHAPE) * SPACING
    table = kernel.set_covariance(np.ones(SHAPE, bool), SPACING, max_lag_mm=30.0, capacity=1)
    lags = rng.uniform(-17, 17, (200, 3))
    assert_allclose(table.at(lags), box_covariance(lags, size), rtol=EXACT, atol=1e-9)


def test_the_covariance_of_a_ragged_mask_is_the_sum_of_overlaps(rng, blob):
    blob = blob[5:13, 5:14, 8:20]
    table = kernel.set_covariance(blob, SPACING, max_lag_mm=6.0, capacity=1)
    lags = rng.uniform(-3.4, 3.4, (12, 3))
    expected = [oracles.set_covariance_at(blob, SPACING, lag) for lag in lags]
    assert_allclose(table.at(lags), expected, rtol=EXACT)


def test_lag_zero_is_the_volume_and_lags_past_the_window_are_zero(blob):
    table = kernel.set_covariance(blob, SPACING, max_lag_mm=60.0, capacity=1)
    at_zero, far = table.at(np.array([[0.0, 0, 0], [0, 0, 40.0]]))
    assert_allclose(at_zero, blob.sum() * SPACING.prod(), rtol=EXACT)
    assert far == 0


def test_covariance_is_even_and_scales_with_the_spacing(rng, blob):
    lags = rng.uniform(-8, 8, (50, 3))
    table = kernel.set_covariance(blob, SPACING, max_lag_mm=15.0, capacity=1)
    twice = kernel.set_covariance(blob, 2 * SPACING, max_lag_mm=30.0, capacity=1)
    assert_allclose(table.at(lags), table.at(-lags), rtol=EXACT)
    assert_allclose(twice.at(2 * lags), 8 * table.at(lags), rtol=EXACT)


def test_float32_transforms_of_large_windows_are_as_good_as_needed(blob, monkeypatch):
    exact = kernel.set_covariance(blob, SPACING, max_lag_mm=15.0, capacity=1)
    monkeypatch.setattr(kernel, "_EXACT_SIZE", 0)
    single = kernel.set_covariance(blob, SPACING, max_lag_mm=15.0, capacity=1)
    # A mask of this size is small enough for float32 counts to round to the truth.
    assert_array_equal(single.covariance_mm3, exact.covariance_mm3)


def test_the_isotropic_covariance_of_a_box_near_zero_follows_its_surface():
    size = np.array(SHAPE) * SPACING
    table = kernel.set_covariance(np.ones(SHAPE, bool), SPACING, max_lag_mm=5.0, capacity=1)
    z, y, x = size
    r = np.array([0.0, 0.5, 1.0])
    # Means over directions: |h_i| r/2, |h_i h_j| 2 r²/(3 pi), |h_z h_y h_x| r³/(4 pi).
    exact = (
        z * y * x
        - r / 2 * (z * y + y * x + z * x)
        + 2 * r**2 / (3 * np.pi) * (z + y + x)
        - r**3 / (4 * np.pi)
    )
    mean = table.isotropic(r, n_directions=2000)
    assert_allclose(mean, exact, rtol=1e-5)  # the error of 2,000 directions


def test_directions_are_unit_vectors_spread_over_a_half_sphere():
    directions = kernel.half_sphere(500)
    assert_allclose(np.linalg.norm(directions, axis=1), 1)
    assert (directions[:, 0] > 0).all()
    assert_allclose(directions.T @ directions / 500, np.eye(3) / 3, atol=5e-3)


def test_set_covariance_refuses_an_empty_array():
    with pytest.raises(ValueError, match="needs voxels"):
        kernel.set_covariance(np.zeros((0, 3, 3), bool), SPACING, max_lag_mm=3.0, capacity=1)


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 3, 2), (4, 8, 9)])
def test_coarse_counts_hold_every_voxel_once(blob, factors):
    counts = kernel.coarse_counts(blob, factors)
    assert counts.sum(dtype=int) == blob.sum()
    f, g, h = factors
    assert counts[1, 1, 1] == blob[f : 2 * f, g : 2 * g, h : 2 * h].sum()
    assert counts.shape == tuple(-(-n // k) for n, k in zip(SHAPE, factors, strict=True))


def test_coarse_covariance_is_within_a_few_percent(blob):
    solid = np.ones(SHAPE, bool)
    fine = kernel.set_covariance(solid, SPACING, max_lag_mm=10.0, capacity=1)
    coarse = kernel.set_covariance(
        kernel.coarse_counts(solid, (1, 2, 2)), SPACING * (1, 2, 2), max_lag_mm=10.0, capacity=4
    )
    lags = np.array([[0.0, 3.0, 4.0], [5.0, 1.0, 2.0], [0.0, 7.0, 0.0]])
    # The odd axes end in half-filled blocks, which the blurred covariance spreads by a voxel.
    assert_allclose(coarse.at(lags), fine.at(lags), rtol=0.02)


def test_border_distance_matches_the_double_loop(blob):
    blob = blob[4:14, 4:14, 4:14]
    depth = kernel.border_distance(blob, SPACING, hole_mm=0.0)
    assert_allclose(depth, oracles.border_distance(blob, SPACING), atol=1e-5)


def test_narrow_holes_do_not_count_as_border():
    solid = np.ones((30, 40, 40), bool)
    pierced = solid.copy()
    pierced[:, 20, 20] = False
    whole = kernel.border_distance(solid, SPACING, hole_mm=0.0)
    closed = kernel.border_distance(pierced, SPACING, hole_mm=1.5)
    open_hole = kernel.border_distance(pierced, SPACING, hole_mm=0.0)
    assert_allclose(closed, whole)
    assert open_hole[15, 20, 21] < 1 < whole[15, 20, 21]
