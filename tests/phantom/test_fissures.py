"""Fissures and lobes: where they part, how deep a lobe is, waves of unit size."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.phantom.fissures import (
    Waves,
    depth_in_lobe,
    fissure_present,
    label_lobes,
    make_fissures,
)

#: Heights above oblique, horizontal and left fissure at six places, four of them on the right.
ABOVE = tuple(
    np.array(column, np.float32)
    for column in ([3, 2, -4, -1, 9, 9], [5, -6, 7, -8, 9, 9], [9, 9, 9, 9, 2, -3])
)
RIGHT = np.array([True, True, True, True, False, False])


def test_lobes_lie_between_the_fissures():
    assert_array_equal(label_lobes(ABOVE, RIGHT), [1, 2, 3, 3, 4, 5])


def test_the_horizontal_fissure_ends_at_the_oblique_one():
    assert_array_equal(fissure_present(ABOVE, 0, RIGHT), RIGHT)
    assert_array_equal(fissure_present(ABOVE, 1, RIGHT), [True, True] + 4 * [False])
    assert_array_equal(fissure_present(ABOVE, 2, RIGHT), ~RIGHT)


@pytest.mark.parametrize("lobe", [1, 2, 3, 4, 5])
def test_depth_in_a_lobe_is_positive_just_inside_it(lobe):
    depth = depth_in_lobe(ABOVE, RIGHT, lobe)
    assert_array_equal(depth > 0, label_lobes(ABOVE, RIGHT) == lobe)


def test_depth_in_a_lobe_is_that_to_its_nearest_fissure():
    assert_allclose(depth_in_lobe(ABOVE, RIGHT, 1)[0], 3)
    assert_allclose(depth_in_lobe(ABOVE, RIGHT, 3)[2:4], [4, 1])
    assert (depth_in_lobe(ABOVE, RIGHT, 1)[4:] < -100).all()


def test_waves_have_unit_size_and_no_grid(rng):
    places = rng.uniform(-300, 300, (3, 40_000)).astype(np.float32)
    for seed in range(5):
        waves = Waves.draw((40.0, 90.0), np.random.default_rng(seed))
        values = waves.at(*places)
        assert_allclose(values.std(), 1.0, atol=0.03)
        assert_allclose(values.mean(), 0.0, atol=0.03)
        level = waves.share_above(0.2)
        assert 0.14 < (values > level).mean() < 0.26
        assert_allclose(waves.at(*places[:, :5]), values[:5], rtol=1e-6)


def test_flat_waves_do_not_change_with_height(rng):
    waves = Waves.draw((40.0, 90.0), rng, flat=True)
    y, x = rng.uniform(-50, 50, (2, 30))
    assert_array_equal(waves.at(np.zeros(30), y, x), waves.at(np.full(30, 80.0), y, x))


def test_oblique_fissures_rise_to_the_back_and_the_horizontal_one_does_not(rng):
    right, horizontal, left = make_fissures(rng)
    y, x = np.array([-60.0, 60.0]), np.array([-70.0, -70.0])
    for fissure in (right, left):
        rise = np.diff(fissure.height(y, x))[0] / 120
        assert 0.75 < rise < 1.25
    assert abs(np.diff(horizontal.height(y, x))[0] / 120) < 0.25
