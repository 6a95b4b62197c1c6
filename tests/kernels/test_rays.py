"""Rays against interpolation by hand, ramps and turned images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_detect as oracles
from miliary.kernels.rays import RaySpec, ray_features, sphere_directions
from oracles_detect import SHAPE, SPACING

RADII = np.array([0.5, 1.5, 3.0, 4.5])
QUANTILES = {
    "shell_quantiles": (0.0, 0.5, 1.0),
    "ridge_quantiles": (0.5, 1.0),
    "axis_quantiles": (0.0, 1.0),
}
#: Weights are kept in single precision: some 1e-6 of a voxel, at steps of several hundred HU.
ROUNDING_HU = 0.01


def describe(image, index, spacing=SPACING, n_directions=184, radii_mm=RADII):
    spec = RaySpec(n_directions=n_directions, radii_mm=tuple(radii_mm), **QUANTILES)
    return ray_features(image, index, spacing, spec)


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
    assert_array_equal(directions[92:], -directions[:92])


def test_numbers_are_those_of_samples_interpolated_by_hand(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    # Points near the border too, from which rays leave the image.
    index = rng.uniform(-0.5, np.array(SHAPE) - 0.5, (6, 3))
    directions = sphere_directions(8)
    found = describe(image, index, n_directions=8)
    for n, point in enumerate(index):
        samples = np.array(
            [
                [oracles.interpolate(image, point + r * d / SPACING) for d in directions]
                for r in RADII
            ]
        )
        shells = np.sort(samples, axis=1)[:, [0, 4, 7]]
        assert_allclose(found.levels_hu[n, :12], shells.ravel(), atol=ROUNDING_HU)
        first = 3 * np.linalg.norm(samples @ directions / 8, axis=1)
        assert_allclose(found.spreads_hu[n, :4], first, atol=ROUNDING_HU)


def test_a_ramp_is_sampled_exactly():
    slope = np.array([3.0, -2.0, 5.0])
    grid = np.stack(np.indices(SHAPE), -1) * SPACING
    image = (grid @ slope).astype(np.float32)
    index = np.array([[9.0, 11.0, 14.0]])
    found = describe(image, index)
    middle = index[0] * SPACING @ slope
    # The extremes over the directions are the slope's length times the radius, either side.
    reach = RADII * np.linalg.norm(slope)
    lowest, median, highest = found.levels_hu[0, :12].reshape(4, 3).T
    assert_allclose(highest - middle, reach, rtol=0.02)
    assert_allclose(lowest - middle, -reach, rtol=0.02)
    assert_allclose(median, middle, atol=0.2)
    # A ramp is all first moment: its length is the ramp's height at that radius.
    first, second = found.spreads_hu[0, :8].reshape(2, 4)
    assert_allclose(first, reach, rtol=0.02)
    assert (second < 0.03 * reach).all()


@pytest.mark.parametrize(("sign", "shape"), [(1, 1.0), (-1, -1.0)])
def test_a_line_and_a_sheet_are_told_by_the_second_moment(sign, shape):
    axis = np.array([1.0, 2.0, -2.0]) / 3
    place = (np.stack(np.indices((41, 41, 41)), -1) - 20) * 0.5
    along = (place @ axis) ** 2 / np.maximum((place**2).sum(axis=-1), 1e-9)
    # Bright along the axis by 300 HU as the second Legendre polynomial has it, or across it.
    image = (sign * 300 * (1.5 * along - 0.5)).astype(np.float32)
    found = describe(image, np.full((1, 3), 20.0), np.full(3, 0.5), radii_mm=(3.0, 4.0))
    first, second, ridge_first, ridge_second = np.split(found.spreads_hu[0], [2, 4, 5])
    assert_allclose(second, 300, rtol=0.03)
    assert_allclose(ridge_second, 300, rtol=0.03)
    assert_allclose([*first, *ridge_first], 0, atol=3)
    assert_allclose(found.shapes[0], shape, atol=0.03)


def test_without_brightness_there_is_no_moment_and_no_shape():
    found = describe(np.full(SHAPE, -850, np.float32), np.full((2, 3), 9.0))
    assert_array_equal(found.spreads_hu, 0)
    assert_array_equal(found.shapes, 0)


def test_there_is_a_column_for_each_quantile_and_radius_but_no_ridge_at_the_first():
    found = describe(np.zeros(SHAPE, np.float32), np.full((5, 3), 9.0))
    assert found.levels_hu.shape == (5, 4 * 3 + 3 * (2 + 2))
    assert found.spreads_hu.shape == (5, 2 * (4 + 3))
    assert found.shapes.shape == (5, 4 + 3)
    assert found.levels_hu.dtype == found.spreads_hu.dtype == found.shapes.dtype == np.float32


def test_a_ridge_leads_away_from_a_vessel_and_not_from_a_ball():
    image, fine = ball_and_vessel(), np.full(3, 0.5)
    places = np.array([[16, 16, 30], [40, 40, 30]], float)
    ball, vessel = describe(image, places, fine).levels_hu
    last_shell, last_ridge = 11, 12 + 2 * 3 - 1
    # The brightest of the running minima at 4.5 mm.
    assert ball[last_ridge] == -850
    assert vessel[last_ridge] == 0
    # What is bright again behind a gap is on the shell, but no ridge.
    image[:, :, 38:] = 0
    behind = describe(image, places[:1], fine).levels_hu[0]
    assert behind[last_shell] == 0
    assert behind[last_ridge] == -850


def test_an_axis_is_as_bright_as_the_darker_of_its_two_rays():
    image, fine = ball_and_vessel(), np.full(3, 0.5)
    middle = np.array([[40.0, 40, 30]])
    assert describe(image, middle, fine).levels_hu[0, -1] == 0
    # A vessel that ends here has a ridge to one side, and no bright axis.
    image[40 - 4 : 40 + 5, 40 - 4 : 40 + 5, 31:] = -850
    ended = describe(image, middle, fine).levels_hu[0]
    assert ended[12 + 2 * 3 - 1] == 0
    assert ended[-1] == -850


def every_number(found):
    return np.concatenate([found.levels_hu, found.spreads_hu, found.shapes], axis=1)


def test_turning_the_image_changes_nothing_but_the_sampling(rng):
    image = ball_and_vessel()
    index = np.array([[16.0, 16, 30], [40, 40, 30], [36, 38, 12]])
    found = describe(image, index, np.full(3, 0.5), 2000)
    turned = describe(
        np.ascontiguousarray(image.transpose(2, 0, 1)[:, ::-1]),
        np.column_stack([index[:, 2], 60 - index[:, 0], index[:, 1]]),
        np.full(3, 0.5),
        2000,
    )
    # Steps of 850 HU at a rim one voxel wide: a few directions of 2000 fall on the other side.
    assert np.abs(turned.levels_hu - found.levels_hu).mean() < 8
    assert np.abs(turned.spreads_hu - found.spreads_hu).mean() < 8


def test_twice_the_spacing_and_radii_are_the_same_numbers(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    index = rng.uniform(5, 14, (4, 3))
    twice = describe(image, index, 2 * SPACING, 50, 2 * RADII)
    assert_array_equal(every_number(twice), every_number(describe(image, index, SPACING, 50)))


def test_batches_do_not_show(rng):
    image = rng.normal(-850, 100, SHAPE).astype(np.float32)
    index = rng.uniform(0, 18, (1100, 3))
    chosen = [0, 600, 1099]
    whole = every_number(describe(image, index, n_directions=20))[chosen]
    part = every_number(describe(image, index[chosen], n_directions=20))
    # The products of a batch are summed in another order.
    assert_allclose(part, whole, rtol=1e-4, atol=1e-2)


def test_no_points_have_no_features():
    found = describe(np.zeros(SHAPE, np.float32), np.empty((0, 3)))
    one = describe(np.zeros(SHAPE, np.float32), np.ones((1, 3)))
    assert every_number(found).shape == (0, every_number(one).shape[1])


def test_an_odd_number_of_directions_is_refused():
    with pytest.raises(ValueError, match="must be even, got 7"):
        sphere_directions(7)
