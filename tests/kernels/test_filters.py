"""Scale space against Gaussians, which blur to wider ones, and against running weights."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from miliary.kernels import filters
from miliary.kernels.filters import (
    gaussian_reach,
    smooth,
    smooth_at,
    smooth_in_slabs,
    smooth_inner,
)
from oracles_detect import SHAPE, SPACING

#: Single precision at lung's -850 HU, over the square of the smallest voxel side.
ROUNDING_HU = 2e-3


def grid_mm(shape=SHAPE, spacing=SPACING):
    centre = (np.array(shape) // 2) * spacing
    return [n * s - c for n, s, c in zip(np.indices(shape), spacing, centre, strict=True)]


def test_a_gaussian_blurs_to_a_wider_gaussian():
    spacing, width, sigma = SPACING / 2, 2.0, 0.9
    square = sum(g**2 for g in grid_mm((41, 61, 61), spacing))
    image = (500 * np.exp(-square / (2 * width**2))).astype(np.float32)
    variance = width**2 + sigma**2
    expected = 500 * (width**2 / variance) ** 1.5 * np.exp(-square / (2 * variance))
    # Cut at 4 sigmas, sampled at 0.35 to 0.63 mm: a part in a thousand.
    assert_allclose(smooth(image, sigma, spacing), expected, atol=0.5)


def test_smoothing_takes_as_much_out_of_noise_as_theory_says(rng):
    noise = rng.normal(0, 100, (40, 50, 50)).astype(np.float32)
    sigma = 1.3
    inner = smooth(noise, sigma, SPACING)[6:-6, 8:-8, 8:-8]
    # White noise through a Gaussian: SD times voxel volume^(1/2) / (2 sqrt(pi) sigma)^(3/2).
    expected = 100 * np.sqrt(SPACING.prod()) / (2 * np.sqrt(np.pi) * sigma) ** 1.5
    assert_allclose(inner.std(), expected, rtol=0.05)


def test_smoothing_goes_on_flat_beyond_the_border():
    assert_allclose(smooth(np.full(SHAPE, -850, np.float32), 1.5, SPACING), -850, atol=1e-3)


def test_smoothing_commutes_with_mirroring(rng):
    image = rng.normal(-850, 60, SHAPE).astype(np.float32)
    mirrored = smooth(np.ascontiguousarray(image[::-1, :, ::-1]), 0.85, SPACING)
    assert_allclose(mirrored[::-1, :, ::-1], smooth(image, 0.85, SPACING), atol=1e-3)


@pytest.mark.parametrize("threads", ["1", "4"])
def test_slabs_do_not_show(rng, monkeypatch, threads):
    image = rng.normal(-850, 60, SHAPE).astype(np.float32)
    once = smooth(image, 1.2, SPACING)
    monkeypatch.setenv("MILIARY_THREADS", threads)
    assert_array_equal(smooth(image, 1.2, SPACING), once)


@pytest.mark.parametrize("sigma_mm", [0.45, 1.2])
def test_the_inner_part_is_blurred_as_the_whole(rng, sigma_mm):
    image = rng.normal(-850, 60, SHAPE).astype(np.float32)
    reach = gaussian_reach(sigma_mm / SPACING)
    inner = tuple(slice(far, n - far) for far, n in zip(reach, SHAPE, strict=True))
    found = smooth_inner(image, sigma_mm / SPACING)
    assert found.dtype == np.float32
    assert_allclose(found, smooth(image, sigma_mm, SPACING)[inner], atol=ROUNDING_HU)


def test_more_can_be_left_out_of_the_inner_part(rng):
    image = rng.normal(-850, 60, SHAPE).astype(np.float32)
    margin = gaussian_reach(0.85 / SPACING) + np.array([1, 0, 2])
    inner = tuple(slice(far, n - far) for far, n in zip(margin, SHAPE, strict=True))
    found = smooth_inner(image, 0.85 / SPACING, margin)
    assert_allclose(found, smooth(image, 0.85, SPACING)[inner], atol=ROUNDING_HU)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_chosen_voxels_are_blurred_as_the_whole(rng, monkeypatch, dtype):
    monkeypatch.setattr(filters, "_CHUNK", 7)
    image = rng.normal(-850, 60, SHAPE).astype(dtype)
    corners = np.array([[0, 0, 0], np.array(SHAPE) - 1])
    voxels = np.concatenate([corners, rng.integers(0, SHAPE, (30, 3))])
    found = smooth_at(image, voxels, 0.85, SPACING)
    expected = smooth(image, 0.85, SPACING)[tuple(voxels.T)]
    assert_allclose(found, expected, atol=ROUNDING_HU)
    assert smooth_at(image, voxels[:0], 0.85, SPACING).shape == (0,)


def assembled(image, sigma_mm, spacing, **options):
    """Slabs with their halo put together; what no slab holds stays NaN."""
    whole, halo = np.full(image.shape, np.nan, np.float32), options.get("halo", 0)

    def keep(part, slab):
        low, high = max(part.start - halo, 0), min(part.stop + halo, len(image))
        assert slab.shape == (high - low, *image.shape[1:])
        whole[low:high] = slab

    smooth_in_slabs(image, sigma_mm, spacing, keep, **options)
    return whole


@pytest.mark.parametrize(("around_mm", "halo"), [(0.0, 0), (3.0, 0), (3.0, 2)])
def test_what_is_wanted_is_blurred_as_the_whole_with_its_neighbours(rng, around_mm, halo):
    image, spacing = rng.normal(-850, 60, (40, 70, 75)).astype(np.float32), SPACING
    where = np.zeros(image.shape, bool)
    where[5, 31, 64], where[30:33, 2, 3] = True, True
    part = assembled(image, 1.3, spacing, where=where, around_mm=around_mm, halo=halo)
    grid = np.meshgrid(*(np.arange(-4, 5) * step for step in spacing), indexing="ij")
    near = sum(g**2 for g in grid) <= around_mm**2
    near |= np.all([np.abs(g) < 1.5 * s for g, s in zip(grid, spacing, strict=True)], axis=0)
    near = ndimage.binary_dilation(where, near)
    if halo == 0:
        assert_allclose(part[near], smooth(image, 1.3, spacing)[near], rtol=1e-6)
    known = ~np.isnan(part)
    assert_allclose(part[known], smooth(image, 1.3, spacing)[known], rtol=1e-6)
    assert known[where].all()
    assert known.mean() < 0.7


def test_nothing_wanted_is_nothing_blurred(rng):
    image = rng.normal(-850, 60, SHAPE)
    nowhere = np.zeros(SHAPE, bool)
    assert np.isnan(assembled(image, 1.3, SPACING, where=nowhere)).all()


def test_inputs_stay_as_they_are(rng):
    image = rng.normal(-850, 200, SHAPE).astype(np.float32)
    before = image.copy()
    smooth(image, 0.8, SPACING)
    smooth_inner(image, 0.5 / SPACING)
    smooth_at(image, np.array([[9, 11, 14]]), 0.8, SPACING)
    assert_array_equal(image, before)


@pytest.mark.parametrize("shape", [SHAPE, (70, 5, 90), (1, 40, 3)])
def test_blocks_of_bands_give_what_running_weights_give(rng, shape):
    image = rng.normal(-850, 200, shape).astype(np.float32)
    expected = ndimage.gaussian_filter(image, 1.1 / SPACING, mode="nearest", truncate=4.0)
    assert_allclose(smooth(image, 1.1, SPACING), expected, atol=ROUNDING_HU)


def test_a_gaussian_of_no_width_changes_nothing(rng):
    image = rng.normal(-850, 200, SHAPE).astype(np.float32)
    assert_array_equal(smooth(image, 0.0, SPACING), image)
    assert_array_equal(smooth_inner(image, np.zeros(3)), image)
    voxels = rng.integers(0, SHAPE, (30, 3))
    assert_array_equal(smooth_at(image, voxels, 0.0, SPACING), image[tuple(voxels.T)])
