"""Eigenvalues against LAPACK and against a Gaussian, whose Hessian is known."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import oracles_anatomy as oracles
from miliary.kernels.filters import smooth
from miliary.kernels.hessian import (
    eigenvalues_at,
    solve_symmetric,
    symmetric_eigenvalues,
)
from oracles_detect import hessian_at, interior_indices

SHAPE, SPACING = (19, 23, 29), np.array([1.25, 0.7, 0.8])
PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
#: Single precision: a few hundred HU to a part in 100,000.
ROUNDING_HU = 0.01


def eigenvalues(image, inside, sigma_mm, spacing):
    """Scale-normalised, at every voxel of a mask."""
    smoothed = smooth(image, sigma_mm, spacing)
    return eigenvalues_at(smoothed, np.flatnonzero(inside), spacing, scale=sigma_mm**2)


def matrices(entries):
    full = np.empty((entries.shape[1], 3, 3))
    for row, (a, b) in zip(entries, PAIRS, strict=True):
        full[:, a, b] = full[:, b, a] = row
    return full


def test_closed_form_matches_lapack(rng):
    entries = rng.normal(0, 100, (6, 500))
    expected = np.linalg.eigvalsh(matrices(entries)).T
    assert_allclose(symmetric_eigenvalues(entries), expected, atol=1e-6)
    single = symmetric_eigenvalues(entries.astype(np.float32))
    assert single.dtype == np.float32
    assert_allclose(single, expected, atol=1.0)


def test_equal_eigenvalues_are_found():
    entries = np.zeros((6, 3))
    entries[:3, 1], entries[:3, 2] = 7.0, [4.0, 4.0, -1.0]
    assert_allclose(symmetric_eigenvalues(entries).T, [[0, 0, 0], [7, 7, 7], [-1, 4, 4]], atol=1e-6)


def test_equations_are_solved_as_lapack_solves_them(rng):
    entries, vectors = rng.normal(0, 100, (6, 500)), rng.normal(0, 10, (3, 500))
    expected = np.linalg.solve(matrices(entries), vectors.T[..., None])[..., 0].T
    assert_allclose(solve_symmetric(entries, vectors), expected, rtol=1e-6)


def test_closed_form_matches_the_slow_hessian_of_an_image(rng):
    image = smooth(rng.normal(-850, 200, SHAPE).astype(np.float32), 1.0, SPACING)
    index = interior_indices(SHAPE)
    closed = eigenvalues_at(image, index, SPACING, scale=1.0).T
    # A double eigenvalue loses half of single precision's digits.
    assert_allclose(closed, np.linalg.eigvalsh(hessian_at(image, index, SPACING)), atol=0.1)


def test_a_gaussian_blob_has_the_curvature_of_a_wider_gaussian():
    width, sigma = 2.5, 1.5
    spacing = SPACING / 2
    grid = oracles.grid_mm((41, 61, 61), spacing)
    image = (500 * np.exp(-sum(g**2 for g in grid) / (2 * width**2))).astype(np.float32)
    centre = np.zeros(image.shape, bool)
    centre[20, 30, 30] = True
    variance = width**2 + sigma**2
    expected = -(sigma**2) * 500 * (width**2 / variance) ** 1.5 / variance
    found = eigenvalues(image, centre, sigma, spacing)
    assert_allclose(found[:, 0], expected, rtol=0.02)


def test_a_ridge_of_any_direction_has_two_equal_eigenvalues_and_none_along_it():
    grid = oracles.grid_mm((41, 61, 61), SPACING / 2)
    direction = np.array([0.6, 0.64, 0.48])
    along = sum(g * d for g, d in zip(grid, direction, strict=True))
    square = sum(g**2 for g in grid) - along**2
    image = (500 * np.exp(-square / (2 * 2.0**2))).astype(np.float32)
    centre = np.zeros(image.shape, bool)
    centre[20, 30, 30] = True
    low, middle, high = eigenvalues(image, centre, 1.5, SPACING / 2)
    expected = -(1.5**2) * 500 * 2.0**2 / (2.0**2 + 1.5**2) ** 2
    assert_allclose([low[0], middle[0]], expected, rtol=0.03)
    assert abs(high[0]) < 0.03 * abs(expected)


def test_results_come_in_the_order_of_the_mask_and_match_lapack_everywhere(rng):
    image = rng.normal(-800, 100, SHAPE).astype(np.float32)
    inside = rng.random(SHAPE) > 0.5
    found = eigenvalues(image, inside, 1.0, SPACING)
    whole = eigenvalues(image, np.ones(SHAPE, bool), 1.0, SPACING)
    assert_array_equal(found, whole.reshape(3, *SHAPE)[:, inside])
    assert (np.diff(found, axis=0) >= -ROUNDING_HU).all()


def test_mirroring_the_image_mirrors_the_eigenvalues(rng):
    image = rng.normal(-800, 100, SHAPE).astype(np.float32)
    every = np.ones(SHAPE, bool)
    found = eigenvalues(image, every, 1.0, SPACING)
    mirrored = eigenvalues(image[:, ::-1], every, 1.0, SPACING)
    assert_allclose(mirrored.reshape(3, *SHAPE)[:, :, ::-1], found.reshape(3, *SHAPE), atol=0.5)


def test_flat_lung_has_no_curvature():
    flat = np.full(SHAPE, -850, np.float32)
    found = eigenvalues(flat, np.ones(SHAPE, bool), 0.8, SPACING)
    assert np.abs(found).max() < ROUNDING_HU


def test_an_empty_mask_gives_no_values():
    image = np.zeros(SHAPE, np.float32)
    none = np.zeros(SHAPE, bool)
    assert eigenvalues(image, none, 1.0, SPACING).shape == (3, 0)
