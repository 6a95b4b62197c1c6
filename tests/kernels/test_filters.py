"""Scale space against Gaussians and parabolas, whose derivatives are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from miliary.kernels.filters import hessian_at, laplacian, smooth
from miliary.kernels.hessian import eigenvalues_at
from oracles_detect import SHAPE, SPACING

#: Single precision at lung's -850 HU, over the square of the smallest voxel side.
ROUNDING_HU = 2e-3


def grid_mm(shape=SHAPE, spacing=SPACING):
    centre = (np.array(shape) // 2) * spacing
    return [n * s - c for n, s, c in zip(np.indices(shape), spacing, centre, strict=True)]


def parabola(matrix, shape=SHAPE, spacing=SPACING):
    """Half of p'Ap, whose differences are exact."""
    place = np.stack(grid_mm(shape, spacing), -1)
    return 0.5 * np.einsum("...i,ij,...j->...", place, np.array(matrix), place)


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
    once = smooth(image, 1.2, SPACING), laplacian(image, SPACING)
    monkeypatch.setenv("MILIARY_THREADS", threads)
    assert_array_equal(smooth(image, 1.2, SPACING), once[0])
    assert_array_equal(laplacian(image, SPACING), once[1])


def test_laplacian_of_a_parabola_is_the_trace():
    image = parabola([[3.0, 1.0, 0.0], [1.0, -2.0, 0.5], [0.0, 0.5, 4.0]]).astype(np.float32)
    inner = laplacian(image, SPACING)[1:-1, 1:-1, 1:-1]
    assert_allclose(inner, 3.0 - 2.0 + 4.0, atol=0.01)


def test_laplacian_of_one_bright_voxel_by_hand():
    image = np.zeros((3, 4, 5), np.float32)
    image[1, 2, 2] = 1.0
    result = laplacian(image, np.array([2.0, 1.0, 0.5]))
    assert_allclose(result[1, 2], [0, 4, -2 * (0.25 + 1 + 4), 4, 0], rtol=1e-6)
    assert_allclose(result[:, 2, 2], [0.25, -10.5, 0.25], rtol=1e-6)
    assert_allclose(result[1, :, 2], [0, 1, -10.5, 1], rtol=1e-6)
    assert result[0, 1, 2] == 0


def test_flat_lung_has_no_laplacian_anywhere():
    flat = np.full(SHAPE, -850, np.float32)
    assert np.abs(laplacian(flat, SPACING)).max() < ROUNDING_HU


def test_hessian_of_a_parabola_is_its_matrix_at_every_inner_voxel():
    matrix = np.array([[3.0, 1.0, 0.7], [1.0, -2.0, 0.5], [0.7, 0.5, 4.0]])
    inner = np.zeros(SHAPE, bool)
    inner[1:-1, 1:-1, 1:-1] = True
    found = hessian_at(parabola(matrix).astype(np.float32), np.flatnonzero(inner), SPACING)
    assert_allclose(found, np.broadcast_to(matrix, found.shape), atol=0.01)


def test_hessian_has_the_trace_of_the_laplacian_and_the_eigenvalues_in_closed_form(rng):
    image = smooth(rng.normal(-850, 200, SHAPE).astype(np.float32), 1.0, SPACING)
    inner = np.zeros(SHAPE, bool)
    inner[1:-1, 1:-1, 1:-1] = True
    index = np.flatnonzero(inner)
    found = hessian_at(image, index, SPACING)
    trace = np.einsum("nii->n", found)
    assert_allclose(trace, laplacian(image, SPACING).ravel()[index], atol=ROUNDING_HU)
    closed = eigenvalues_at(image, index, SPACING, scale=1.0).T
    # A double eigenvalue loses half of single precision's digits.
    assert_allclose(closed, np.linalg.eigvalsh(found), atol=0.1)


def test_twice_the_spacing_is_a_quarter_of_the_curvature(rng):
    image = rng.normal(-850, 200, SHAPE).astype(np.float32)
    index = np.array([np.ravel_multi_index((9, 11, 14), SHAPE)])
    assert_allclose(
        4 * hessian_at(image, index, 2 * SPACING), hessian_at(image, index, SPACING), rtol=1e-9
    )
    assert_allclose(4 * laplacian(image, 2 * SPACING), laplacian(image, SPACING), atol=ROUNDING_HU)


def test_inputs_stay_as_they_are(rng):
    image = rng.normal(-850, 200, SHAPE).astype(np.float32)
    before = image.copy()
    smooth(image, 0.8, SPACING)
    laplacian(image, SPACING)
    assert_array_equal(image, before)


@pytest.mark.parametrize("shape", [SHAPE, (70, 5, 90), (1, 40, 3)])
def test_blocks_of_bands_give_what_running_weights_give(rng, shape):
    image = rng.normal(-850, 200, shape).astype(np.float32)
    expected = ndimage.gaussian_filter(image, 1.1 / SPACING, mode="nearest", truncate=4.0)
    assert_allclose(smooth(image, 1.1, SPACING), expected, atol=ROUNDING_HU)
