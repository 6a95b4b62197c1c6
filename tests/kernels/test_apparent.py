"""Apparent diameters of drawn balls, alone, at a wall and beside vessels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_detect as oracles
from miliary.kernels.apparent import apparent_diameters

SPACING = np.array([1.0, 0.7, 0.75])
SHAPE = (34, 48, 44)
CENTRE = np.array([[17.0, 17.0, 17.0]])
PSF = (0.5, 0.45, 0.45)


def ball(diameter_mm):
    return oracles.draw_balls(SHAPE, SPACING, CENTRE, [diameter_mm], PSF)


def seen(image, *, cap=np.inf, largest_mm=15.0, off_mm=0.0):
    return apparent_diameters(image, (CENTRE + off_mm) / SPACING, SPACING, largest_mm, cap=cap)


@pytest.mark.parametrize("diameter_mm", [4.0, 6.0, 8.0, 10.0])
def test_a_ball_looks_as_wide_as_it_is(diameter_mm):
    assert_allclose(seen(ball(diameter_mm)), diameter_mm, atol=0.35)
    assert_allclose(seen(ball(diameter_mm), off_mm=0.25), diameter_mm, atol=0.5)


def test_what_touches_on_one_side_does_not_count():
    image = ball(6.0)
    z, y, _ = (n * s for n, s in zip(np.indices(SHAPE), SPACING, strict=True))
    image[np.hypot(z - 17, y - 17) < 1.0] = oracles.TISSUE_HU
    assert_allclose(seen(image), 6.0, atol=0.5)
    image[:, : round((17 - 3) / 0.7)] = oracles.TISSUE_HU
    assert_allclose(seen(image), 6.0, atol=0.8)


def test_bright_voxels_count_as_the_cap():
    image = ball(8.0)
    image[image > 0] = 900
    assert seen(image)[0] < 7.6
    assert_allclose(seen(image, cap=oracles.TISSUE_HU), 8.0, atol=0.35)


def test_what_never_falls_to_half_is_infinitely_wide():
    assert_array_equal(seen(ball(10.0), largest_mm=5.0), np.inf)
    assert_array_equal(seen(np.full(SHAPE, -850, np.int16)), np.inf)
    assert apparent_diameters(ball(4.0), np.empty((0, 3)), SPACING, 15.0).shape == (0,)


def test_many_points_are_each_seen_alone(rng):
    image = ball(6.0)
    index = rng.uniform(0, np.array(SHAPE) - 1, (70, 3))
    index[40] = CENTRE[0] / SPACING
    whole = apparent_diameters(image, index, SPACING, 12.0)
    alone = [apparent_diameters(image, point[None], SPACING, 12.0)[0] for point in index]
    assert_allclose(whole, alone, rtol=1e-5)
