"""The forward model of nodules against sums over small cubes, and its invariances."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_phantom
from miliary.kernels.balls import ball_patches, ball_profile, render_balls

SHAPE, SPACING_MM = (19, 23, 29), (1.25, 0.7, 0.8)
PSF_MM = (0.65, 0.45, 0.45)

#: The quadrature is made for 1e-3; the cubes of the slow twin are good for some 1e-3 as well.
SHARE_TOLERANCE = 2e-3


def ball_ml(diameter_mm):
    return np.pi / 6 * np.asarray(diameter_mm) ** 3


def test_a_large_ball_is_full_in_the_middle_half_at_the_rim_and_empty_outside():
    share = ball_profile(np.array([0.0, 10.0, 14.0]), 20.0, 0.5)
    # At the rim of a ball of 20 sigmas radius, curvature takes 0.02 from the half of a plane.
    assert_allclose(share, [1.0, 0.5, 0.0], atol=0.025)


def test_profile_has_no_jump_at_the_centre():
    near = ball_profile(np.array([0.0, 1e-6, 1e-3]), 1.2, 0.45)
    assert_allclose(near, near[0], rtol=1e-5)


@pytest.mark.parametrize(
    "psf_mm",
    [(0.45, 0.45, 0.45), (0.47, 0.42, 0.42), (1.0, 0.4, 0.4), (0.4, 0.6, 0.6), (0.5, 0.4, 0.7)],
)
def test_patches_match_the_sum_over_cubes(rng, psf_mm):
    offset = rng.uniform(-0.4, 0.4, (2, 3))
    diameters = np.array([1.1, 2.3])
    shape = (7, 9, 9)
    patches = ball_patches(offset, diameters, psf_mm, shape, SPACING_MM)
    index = rng.integers(0, shape, (40, 3))
    for patch, centre, diameter in zip(patches, offset, diameters, strict=True):
        places = (index - np.array(shape) // 2) * SPACING_MM - centre
        slow = oracles_phantom.blurred_ball(places, diameter, psf_mm)
        assert_allclose(patch[tuple(index.T)], slow, atol=SHARE_TOLERANCE)


def test_integrated_share_is_the_volume_wherever_the_ball_lies(rng):
    # Spreads as on CT, where a voxel is at most two standard deviations.
    diameters = rng.uniform(1.0, 3.0, 100)
    offset = rng.uniform(-0.5, 0.5, (100, 3)) * SPACING_MM
    patches = ball_patches(offset, diameters, PSF_MM, (13, 19, 17), SPACING_MM)
    volume = patches.sum(axis=(1, 2, 3)) * np.prod(SPACING_MM)
    assert_allclose(volume, ball_ml(diameters), rtol=0.01)


def test_image_holds_each_ball_at_its_place():
    centres = np.array([[11.2, 5.1, 8.3], [6.0, 11.0, 15.0]])
    diameters = np.array([1.5, 2.0])
    image = render_balls(SHAPE, SPACING_MM, centres, diameters, PSF_MM)
    assert_allclose(image.sum() * np.prod(SPACING_MM), ball_ml(diameters).sum(), rtol=0.01)
    grid = np.stack(np.indices(SHAPE), -1) * SPACING_MM
    for centre in centres:
        near = np.where(np.linalg.norm(grid - centre, axis=-1) < 4.0, image, 0.0)
        centroid = (grid * near[..., None]).sum(axis=(0, 1, 2)) / near.sum()
        assert_allclose(centroid, centre, atol=0.02)


def test_what_reaches_over_the_border_is_cut_off(rng):
    centres = rng.uniform(-1.0, 1.0, (40, 3)) + rng.uniform(0, 1, (40, 3)) * 22.0
    diameters = rng.uniform(1.0, 4.0, 40)
    pad = np.array([6, 9, 8])
    image = render_balls(SHAPE, SPACING_MM, centres, diameters, PSF_MM)
    wide_shape = tuple((np.array(SHAPE) + 2 * pad).tolist())
    wide = render_balls(wide_shape, SPACING_MM, centres + pad * SPACING_MM, diameters, PSF_MM)
    inner = tuple(slice(p, p + n) for p, n in zip(pad, SHAPE, strict=True))
    assert_allclose(image, wide[inner], atol=1e-5)


def test_turning_the_axes_turns_the_image(rng):
    centres, diameters = rng.uniform(4, 14, (5, 3)), rng.uniform(1, 3, 5)
    psf = (0.7, 0.5, 0.4)
    image = render_balls(SHAPE, SPACING_MM, centres, diameters, psf)
    turned = render_balls(SHAPE[::-1], SPACING_MM[::-1], centres[:, ::-1], diameters, psf[::-1])
    assert_allclose(turned.transpose(), image, atol=2e-3)


def test_twice_the_lengths_is_the_same_image(rng):
    centres, diameters = rng.uniform(4, 14, (5, 3)), rng.uniform(1, 3, 5)
    image = render_balls(SHAPE, SPACING_MM, centres, diameters, PSF_MM)
    twice = render_balls(
        SHAPE, tuple(2 * s for s in SPACING_MM), 2 * centres, 2 * diameters, (1.3, 0.9, 0.9)
    )
    assert_allclose(twice, image, atol=1e-5)


def test_overlapping_balls_are_never_more_than_full():
    image = render_balls(SHAPE, SPACING_MM, np.full((3, 3), 9.0), np.full(3, 6.0), PSF_MM)
    assert image.max() == 1.0


def test_no_balls_is_an_empty_image():
    image = render_balls(SHAPE, SPACING_MM, np.empty((0, 3)), np.empty(0), PSF_MM)
    assert_array_equal(image, np.zeros(SHAPE, np.float32))
    assert ball_patches(np.empty((0, 3)), np.empty(0), PSF_MM, (5, 5, 5), SPACING_MM).shape == (
        0,
        5,
        5,
        5,
    )


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"three positive lengths, got \(0\.0, 1\.0"):
        ball_patches(np.zeros((1, 3)), np.ones(1), (0.0, 1.0, 1.0), (3, 3, 3), SPACING_MM)
    with pytest.raises(ValueError, match="2 centres and 1"):
        ball_patches(np.zeros((2, 3)), np.ones(1), PSF_MM, (3, 3, 3), SPACING_MM)
    with pytest.raises(ValueError, match="positive, got -1"):
        ball_profile(np.zeros(1), 1.0, -1.0)


def test_a_tiny_ball_is_as_wide_as_the_point_spread():
    spacing, shape = (0.4, 0.3, 0.3), (31, 31, 31)
    patch = ball_patches(np.zeros((1, 3)), np.array([0.1]), PSF_MM, shape, spacing)[0]
    for axis, sigma_mm in enumerate(PSF_MM):
        along = patch.sum(axis=tuple(k for k in range(3) if k != axis))
        place = (np.arange(31) - 15) * spacing[axis]
        assert_allclose(np.sqrt((along * place**2).sum() / along.sum()), sigma_mm, rtol=0.01)
