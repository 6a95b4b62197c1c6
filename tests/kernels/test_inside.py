"""Values inside a mask, against the same without threads."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from miliary.kernels.inside import cap_inside, choose_inside, median_inside, spread_inside

SHAPE = (19, 23, 29)


def test_the_median_is_that_of_every_so_many_th_row_of_the_mask(rng):
    image, inside = rng.integers(-1000, 200, SHAPE).astype(np.int16), rng.random(SHAPE) > 0.4
    assert median_inside(image, inside, every=1) == np.median(image[inside])
    z, y, _ = np.indices(SHAPE)
    some = inside & (y % 7 == z % 7)
    assert median_inside(image, inside, every=7) == np.median(image[some])


def test_where_the_chosen_rows_hold_nothing_of_the_mask_all_are_looked_at(rng):
    image, inside = rng.normal(size=SHAPE), np.zeros(SHAPE, bool)
    inside[3, 4, 5:8] = True
    assert median_inside(image, inside, every=7) == np.median(image[3, 4, 5:8])


def test_chosen_voxels_are_every_so_many_th_of_the_mask(rng):
    inside = rng.random(SHAPE) > 0.4
    inside[3] = False
    every = np.count_nonzero(inside) // 500
    assert every > 1
    assert_array_equal(spread_inside(inside, 500), np.flatnonzero(inside)[::every])
    assert_array_equal(spread_inside(inside, inside.size), np.flatnonzero(inside))
    assert len(spread_inside(np.zeros(SHAPE, bool), 5)) == 0


def test_no_voxel_has_no_median(rng):
    assert np.isnan(median_inside(np.zeros(SHAPE), np.zeros(SHAPE, bool), every=11))


def test_inside_a_ceiling_and_outside_one_value(rng):
    image, inside = rng.integers(-1000, 900, SHAPE).astype(np.int16), rng.random(SHAPE) > 0.4
    before = image.copy()
    capped = cap_inside(image.astype(np.float32), inside, ceiling=100.5, outside=-850.5)
    assert capped.dtype == np.float32
    assert_array_equal(capped, np.where(inside, np.minimum(image, 100.5), -850.5))
    capped = cap_inside(image, inside, ceiling=100.0, outside=-850.6)
    assert capped.dtype == np.int16
    assert_array_equal(capped, np.where(inside, np.minimum(image, 100), -851))
    assert_array_equal(image, before)


def test_voxels_are_chosen_from_the_first_to_the_last_of_a_mask(rng):
    inside = rng.random(SHAPE) > 0.6
    inside[[0, 5]] = False
    every = np.argwhere(inside)
    assert_array_equal(choose_inside(inside, inside.size), every)
    ranks = np.linspace(0, len(every) - 1, 50).astype(int)
    assert_array_equal(choose_inside(inside, 50), every[ranks])
    assert choose_inside(np.zeros(SHAPE, bool), 5).shape == (0, 3)
