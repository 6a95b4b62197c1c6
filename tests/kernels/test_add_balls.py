"""Balls put into a scan: how much they add, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.balls import _nearest_balls, add_balls, render_balls

SHAPE, SPACING_MM = (19, 23, 29), np.array([1.25, 0.7, 0.8])
PSF_MM = (0.6, 0.45, 0.45)
LUNG_HU, TISSUE_HU = -860.0, 30.0

#: `render_balls` keeps the volume within a hundredth.
VOLUME_TOLERANCE = 0.02

CENTRES_MM = np.array([[11.3, 5.2, 6.1], [10.1, 10.9, 16.4]])
DIAMETERS_MM = np.array([1.6, 3.0])


def put_in(image, smoothed, centres=CENTRES_MM, diameters=DIAMETERS_MM):
    return add_balls(
        image, smoothed, SPACING_MM, centres, diameters,
        psf_sigma_mm=PSF_MM, tissue_hu=TISSUE_HU, lung_limit_hu=-600.0, reach_mm=4.0,
    )  # fmt: skip


def lung(value=LUNG_HU):
    return np.full(SHAPE, value, np.float32)


def test_balls_add_their_volume_times_their_contrast():
    added = put_in(lung(), lung()) - lung()
    volume_mm3 = np.pi / 6 * (DIAMETERS_MM**3).sum()
    total = added.sum(dtype=float) * np.prod(SPACING_MM)
    assert_allclose(total, volume_mm3 * (TISSUE_HU - LUNG_HU), rtol=VOLUME_TOLERANCE)


def test_a_large_ball_is_tissue_in_its_middle():
    filled = put_in(lung(), lung(), CENTRES_MM[:1], np.array([8.0]))
    middle = tuple(np.rint(CENTRES_MM[0] / SPACING_MM).astype(int))
    assert_allclose(filled[middle], TISSUE_HU, atol=2.0)
    assert filled.max() <= TISSUE_HU + 1e-3


def test_noise_stays_as_it_is(rng):
    noisy = (lung() + rng.normal(0, 40, SHAPE)).astype(np.float32)
    clean_gain = put_in(lung(), lung()) - lung()
    assert_allclose(put_in(noisy, lung()) - noisy, clean_gain, atol=1e-3)


def test_a_ball_in_a_vessel_adds_nothing_and_half_way_a_part():
    vessel = lung()
    vessel[..., :12] = TISSUE_HU
    added = put_in(vessel, vessel) - vessel
    assert_allclose(added[..., :12], 0.0, atol=1e-3)
    assert added[..., 12:].max() > 500


def test_level_of_the_lung_is_taken_ball_by_ball():
    uneven = lung()
    uneven[..., 15:] = -700.0
    added = put_in(uneven, uneven) - uneven
    volume_mm3 = np.pi / 6 * DIAMETERS_MM**3
    want = volume_mm3 * (TISSUE_HU - np.array([LUNG_HU, -700.0]))
    got = np.array([added[..., :14].sum(), added[..., 14:].sum()]) * np.prod(SPACING_MM)
    # The 4 mm round the second ball hold some of the darker half.
    assert_allclose(got, want, rtol=0.06)


def test_the_blur_of_a_vessel_beside_does_not_raise_the_level_of_the_lung():
    beside = lung()
    # Brighter than lung and darker than a vessel, in a fifth of what lies round the first ball.
    beside[:6] = -650.0
    added = put_in(beside, beside)[6:] - beside[6:]
    alone = put_in(lung(), lung())[6:] - lung()[6:]
    far = np.arange(SHAPE[2]) < 14
    assert_allclose(added[..., far], alone[..., far], atol=1e-3)


def test_what_balls_do_not_touch_is_untouched_and_inputs_stay(rng):
    image = (lung() + rng.normal(0, 20, SHAPE)).astype(np.float32)
    before = image.copy()
    result = put_in(image, lung())
    share = render_balls(SHAPE, tuple(SPACING_MM), CENTRES_MM, DIAMETERS_MM, PSF_MM)
    assert_array_equal(image, before)
    assert_array_equal(result[share == 0], image[share == 0])
    assert result is not image


def test_no_balls_give_the_same_scan():
    image = lung()
    result = put_in(image, image, np.empty((0, 3)), np.empty(0))
    assert_array_equal(result, image)


def test_a_ball_without_lung_around_adds_little():
    wall = lung(TISSUE_HU)
    assert_allclose(put_in(wall, wall), wall, atol=1e-3)


@pytest.mark.parametrize("gap_mm", [30.0, 2.0])
def test_each_voxel_belongs_to_the_ball_that_is_nearest(rng, gap_mm):
    n = 12
    middle = rng.uniform(0, 9, (n, 3))
    middle[:, 0] += rng.permutation(n) * gap_mm
    index = middle[rng.integers(0, n, 400)] + rng.uniform(-3, 3, (400, 3))
    voxels = np.maximum(np.rint(index / SPACING_MM), 0).astype(int)
    found = _nearest_balls(middle, tuple(voxels.T), SPACING_MM)
    gaps = np.linalg.norm((voxels * SPACING_MM)[:, None] - middle, axis=2)
    assert_array_equal(found, gaps.argmin(axis=1))
