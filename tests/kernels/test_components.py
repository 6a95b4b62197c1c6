"""Sizes of components against a flood fill."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import oracles_detect as oracles
from miliary.kernels.components import NOTHING, component_sizes
from miliary.kernels.filters import smooth
from oracles_detect import SHAPE, SPACING


def test_a_bar_and_its_diagonal_neighbour_by_hand():
    image = np.full((5, 6, 7), -850, np.float32)
    image[1, 2, 1:4] = -100
    image[2, 3, 4] = -300
    places = np.array([[1, 2, 1], [2, 3, 4], [4, 5, 6]])
    found = component_sizes(image, places, np.array([2.0, 1.0, 0.5]), (-600.0, -200.0))
    all_four = [np.log(4.0), np.log(np.linalg.norm([4.0, 2.0, 2.0]))]
    bar = [np.log(3.0), np.log(np.linalg.norm([2.0, 1.0, 1.5]))]
    expected = [all_four + bar, [*all_four, *NOTHING], [*NOTHING, *NOTHING]]
    assert_allclose(found, expected, rtol=1e-6)


def test_sizes_match_the_flood_fill(rng):
    image = smooth(rng.normal(-600, 900, SHAPE).astype(np.float32), 0.9, SPACING)
    places = rng.integers(0, SHAPE, (12, 3))
    levels = (-550.0, -500.0, -450.0)
    found = component_sizes(image, places, SPACING, levels)
    seen = 0
    for row, place in zip(found, places, strict=True):
        for level, pair in zip(levels, row.reshape(3, 2), strict=True):
            voxels = oracles.flood(image > level, tuple(place.tolist()))
            if len(voxels) == 0:
                assert_allclose(pair, NOTHING)
                continue
            seen += 1
            sides = (np.ptp(voxels, axis=0) + 1) * SPACING
            expected = np.log([len(voxels) * SPACING.prod(), np.linalg.norm(sides)])
            assert_allclose(pair, expected, rtol=1e-5)
    assert 2 < seen < 36


def test_twice_the_spacing_is_eight_volumes_and_two_extents(rng):
    image = rng.normal(-600, 300, SHAPE).astype(np.float32)
    places = np.argwhere(image > -300)[:20]
    once = component_sizes(image, places, SPACING, (-400.0,))
    twice = component_sizes(image, places, 2 * SPACING, (-400.0,))
    assert_allclose(twice - once, np.tile(np.log([8.0, 2.0]), (20, 1)), atol=1e-5)


def test_mirroring_changes_nothing(rng):
    image = rng.normal(-600, 300, SHAPE).astype(np.float32)
    places = rng.integers(0, SHAPE, (30, 3))
    mirrored = np.array(SHAPE) - 1 - places
    assert_array_equal(
        component_sizes(image[::-1, ::-1, ::-1], mirrored, SPACING, (-400.0,)),
        component_sizes(image, places, SPACING, (-400.0,)),
    )


def test_all_above_none_above_and_no_places():
    flat, place = np.full(SHAPE, -850, np.float32), np.array([[9, 9, 9]])
    whole = component_sizes(flat, place, SPACING, (-900.0, -800.0))
    assert_allclose(np.exp(whole[0, 0]), np.prod(SHAPE) * SPACING.prod(), rtol=1e-5)
    assert_allclose(whole[0, 2:], NOTHING)
    assert component_sizes(flat, place[:0], SPACING, (-900.0, -800.0)).shape == (0, 4)


def test_what_is_minus_infinity_outside_the_lungs_belongs_to_nothing():
    image = np.full(SHAPE, -np.inf, np.float32)
    image[5:8, 5:8, 5:8] = 0
    found = component_sizes(image, np.array([[6, 6, 6], [0, 0, 0]]), SPACING, (-800.0,))
    assert_allclose(found[0, 0], np.log(27 * SPACING.prod()), rtol=1e-6)
    assert_allclose(found[1], NOTHING)
