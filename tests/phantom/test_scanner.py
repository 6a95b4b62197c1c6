"""Blur and noise: what was asked for is what is measured."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_phantom
from miliary.phantom.scanner import (
    Upsampler,
    blurred_disc,
    coloured_noise,
    disc_table,
    draw_tubes,
    edge_share,
)
from miliary.phantom.trees import Tubes

SHAPE, SPACING_MM = (19, 23, 29), (1.25, 0.7, 0.8)
PSF_MM = (0.65, 0.45, 0.45)


def tube(start, end, radius):
    return Tubes(np.array([start], float), np.array([end], float), np.array([radius], float))


@pytest.mark.parametrize("radius", [0.5, 1.0, 3.0])
def test_blurred_disc_matches_the_sum_over_small_squares(radius):
    distances = np.array([0.0, 0.7, 1.5, 3.2])
    fast = blurred_disc(distances, np.full(4, radius), disc_table())
    slow = [oracles_phantom.blurred_disc(d, radius) for d in distances]
    assert_allclose(fast, slow, atol=2e-3)


def test_wide_disc_has_a_straight_edge():
    share = blurred_disc(np.array([19.0, 20.0, 21.0, 40.0]), np.full(4, 20.0), disc_table())
    # The table's widest disc stands in for wider ones: its edge is bent by 0.03.
    assert_allclose(share, [0.84, 0.5, 0.16, 0.0], atol=0.04)


@pytest.mark.parametrize("radius", [0.3, 0.6, 1.5])
def test_cross_section_of_a_tube_is_that_of_its_disc(radius):
    # Along z through the whole image, with an isotropic spread in the plane: nothing is cut.
    image = np.zeros(SHAPE, np.float32)
    draw_tubes(image, tube((-5, 8.1, 11.3), (30, 8.1, 11.3), radius), SPACING_MM, PSF_MM)
    area = image.sum(axis=(1, 2)) * SPACING_MM[1] * SPACING_MM[2]
    assert_allclose(area, np.pi * radius**2, rtol=0.02)


def test_oblique_tube_has_its_volume():
    image = np.zeros((40, 60, 60), np.float32)
    start, end = np.array([8.0, 9.0, 9.0]), np.array([40.0, 33.0, 38.0])
    draw_tubes(image, tube(start, end, 1.2), SPACING_MM, PSF_MM)
    length = np.linalg.norm(end - start)
    expected = np.pi * 1.2**2 * length + 4 / 3 * np.pi * 1.2**3
    # The ends are balls only nearly, and the spread is taken along the distance alone.
    assert_allclose(image.sum() * np.prod(SPACING_MM), expected, rtol=0.03)


def test_tubes_outside_are_not_drawn_and_the_largest_share_stays():
    image = np.full(SHAPE, 0.9, np.float32)
    draw_tubes(image, tube((90, 90, 90), (99, 99, 99), 2.0), SPACING_MM, PSF_MM)
    draw_tubes(image, tube((3, 3, 3), (9, 9, 9), 0.3), SPACING_MM, PSF_MM)
    assert_array_equal(image, np.full(SHAPE, 0.9, np.float32))


def test_edge_is_half_at_the_surface_and_as_wide_as_the_spread():
    share = edge_share(np.array([-0.5, 0.0, 0.5], np.float32), 0.5)
    assert_allclose(share, [0.1587, 0.5, 0.8413], atol=1e-4)


@pytest.mark.parametrize(("z_sigma_mm", "peak_per_mm"), [(0.0, 0.3), (0.6, 0.3), (0.5, 0.5)])
def test_noise_has_the_spread_and_spectrum_asked_for(rng, z_sigma_mm, peak_per_mm):
    shape, sd_hu = (64, 96, 110), 37.0
    noise = coloured_noise(shape, SPACING_MM, sd_hu, peak_per_mm, z_sigma_mm, rng)
    assert abs(noise.std() / sd_hu - 1) < 0.02
    assert abs(noise.mean()) < 0.01 * sd_hu
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(axis=0)
    fy, fx = np.fft.fftfreq(shape[1], 0.7)[:, None], np.fft.fftfreq(shape[2], 0.8)[None]
    f = np.hypot(fy, fx)
    ring = np.rint(f / 0.05).astype(int)
    counted = np.bincount(ring.ravel())
    measured = np.bincount(ring.ravel(), power.ravel()) / counted
    asked = np.bincount(ring.ravel(), (f * np.exp(-f / peak_per_mm)).ravel()) / counted
    rings = slice(2, 12)
    ratio = (measured / measured[rings].sum())[rings] / (asked / asked[rings].sum())[rings]
    assert_allclose(ratio, 1.0, atol=0.1)


def test_noise_is_correlated_along_z_as_the_slice_profile(rng):
    noise = coloured_noise((80, 64, 64), SPACING_MM, 10.0, 0.3, 0.8, rng)
    between = (noise[1:] * noise[:-1]).mean() / noise.var()
    assert_allclose(between, np.exp(-(1.25**2) / (4 * 0.8**2)), atol=0.03)


def test_no_noise_is_nothing(rng):
    assert not coloured_noise(SHAPE, SPACING_MM, 0.0, 0.3, 0.5, rng).any()


def test_interpolation_is_exact_for_a_plane():
    step = 1.6
    z, y, x = np.indices((17, 13, 17)) * step
    plane = (3.0 * z - 2.0 * y + 0.5 * x).astype(np.float32)
    box = (slice(3, 9), slice(0, 23), slice(5, 29))
    part = Upsampler(step, SHAPE, SPACING_MM).part(plane, box)
    index = np.stack(np.indices(SHAPE), -1)[box] * SPACING_MM
    assert_allclose(part, index @ [3.0, -2.0, 0.5], atol=1e-3)
