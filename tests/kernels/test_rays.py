"""Rays against interpolation by hand, ramps and turned images."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import oracles_detect as oracles
from miliary.kernels.rays import ray_features, sample_rays, sphere_directions
from oracles_detect import SHAPE, SPACING

RADII = np.array([0.5, 1.5, 3.0, 4.5])
QUANTILES = {"shell_quantiles": np.array([0.0, 0.5, 1.0]), "ridge_quantiles": np.array([0.5, 1.0])}
#: Places on the rays are told in single precision, some 1e-5 of a voxel.
ROUNDING_HU = 0.05


def describe(image, index, spacing=SPACING, n_directions=184):
    return ray_features(
        image, index, spacing, n_directions=n_directions, radii_mm=RADII, **QUANTILES
    )


def ball_and_vessel():
    """A ball of 1.5 mm radius, and a vessel as wide along x, far apart."""
    z, y, x = (n * s for n, s in zip(np.indices((61, 61, 61)), (0.5, 0.5, 0.5), strict=True))
    ball = (z - 8) ** 2 + (y - 8) ** 2 + (x - 15) ** 2 < 1.5**2
    vessel = (z - 20) ** 2 + (y - 20) ** 2 < 1.5**2
    return np.where(ball | vessel, 0, -850).astype(np.float32)


def test_directions_are_unit_vectors_spread_evenly():
    directions = sphere_directions(184)
    assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-12)
    assert_allclose(directions.mean(axis=0), 0, atol=0.01)
    # Even: the second moments are those of the sphere, and no two neighbours are too close.
    assert_allclose(directions.T @ directions / 184, np.eye(3) / 3, atol=0.01)
    nearest = np.sort(directions @ directions.T, axis=1)[:, -2]
    # 184 equal caps reach 8.4 degrees from their middles.
    assert np.rad2deg(np.arccos(nearest)).min() > 8.4


def test_samples_match_interpolation_by_hand(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    # Points near the border too, from which rays leave the image.
    index = rng.uniform(-0.5, np.array(SHAPE) - 0.5, (6, 3))
    directions = sphere_directions(7)
    samples = sample_rays(image, index, SPACING, directions, RADII)
    assert samples.shape == (6, 4, 7)
    for n, r, d in np.ndindex(samples.shape):
        place = index[n] + RADII[r] * directions[d] / SPACING
        expected = oracles.interpolate(image, place)
        assert abs(samples[n, r, d] - expected) < ROUNDING_HU


def test_a_ramp_is_sampled_exactly():
    slope = np.array([3.0, -2.0, 5.0])
    grid = np.stack(np.indices(SHAPE), -1) * SPACING
    image = (grid @ slope).astype(np.float32)
    index = np.array([[9.0, 11.0, 14.0]])
    features = describe(image, index)
    middle = index[0] * SPACING @ slope
    # The extremes over the directions are the slope's length times the radius, either side.
    reach = RADII * np.linalg.norm(slope)
    lowest, median, highest = features[0, :12].reshape(4, 3).T
    assert_allclose(highest - middle, reach, rtol=0.02)
    assert_allclose(lowest - middle, -reach, rtol=0.02)
    assert_allclose(median, middle, atol=0.2)


def test_there_is_one_column_for_each_quantile_and_radius_but_no_ridge_at_the_first():
    features = describe(np.zeros(SHAPE, np.float32), np.full((5, 3), 9.0))
    assert features.shape == (5, 4 * 3 + 3 * 2)
    assert features.dtype == np.float32
    assert_array_equal(features, 0)


def test_a_ridge_leads_away_from_a_vessel_and_not_from_a_ball():
    image = ball_and_vessel()
    ball, vessel = describe(image, np.array([[16, 16, 30], [40, 40, 30]], float), np.full(3, 0.5))
    # The last column: the brightest of the running minima at 4.5 mm.
    assert ball[-1] == -850
    assert vessel[-1] == 0
    # What is bright again behind a gap is on the shell, but no ridge.
    image[:, :, 38:] = 0
    behind = describe(image, np.array([[16.0, 16, 30]]), np.full(3, 0.5))[0]
    assert behind[11] == 0
    assert behind[-1] == -850


def test_turning_the_image_changes_nothing_but_the_sampling(rng):
    image = ball_and_vessel()
    index = np.array([[16.0, 16, 30], [40, 40, 30], [36, 38, 12]])
    features = describe(image, index, np.full(3, 0.5), 2000)
    turned = describe(
        np.ascontiguousarray(image.transpose(2, 0, 1)[:, ::-1]),
        np.column_stack([index[:, 2], 60 - index[:, 0], index[:, 1]]),
        np.full(3, 0.5),
        2000,
    )
    # Steps of 850 HU at a rim one voxel wide: a few directions of 2000 fall on the other side.
    assert np.abs(turned - features).mean() < 8


def test_twice_the_spacing_and_radii_are_the_same_numbers(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    index = rng.uniform(5, 14, (4, 3))
    twice = ray_features(
        image, index, 2 * SPACING, n_directions=50, radii_mm=2 * RADII, **QUANTILES
    )
    assert_array_equal(twice, describe(image, index, n_directions=50))


def test_batches_do_not_show(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    index = rng.uniform(0, 18, (1100, 3))
    features = describe(image, index, n_directions=20)
    assert_array_equal(
        features[[0, 600, 1099]], describe(image, index[[0, 600, 1099]], n_directions=20)
    )


def test_no_points_have_no_features():
    features = describe(np.zeros(SHAPE, np.float32), np.empty((0, 3)))
    assert features.shape == describe(np.zeros(SHAPE, np.float32), np.ones((1, 3)))[:0].shape
