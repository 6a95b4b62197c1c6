"""Blobs: balls are found where they are, vessels are not, and curvature is a Gaussian's."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_detect as oracles
from miliary.kernels import blobs as blobs_module
from miliary.kernels.blobs import find_blobs
from miliary.kernels.filters import smooth
from miliary.kernels.maxima import local_maxima

SPACING = np.array([1.0, 0.7, 0.75])
PSF = (0.5, 0.45, 0.45)
SIGMAS = (0.6, 0.85, 1.2)
LIMITS = {"min_laplacian_hu": 30.0, "min_curvature_hu": 10.0, "merge_mm": 0.9}


def find(image, inside=None, spacing=SPACING, sigmas=SIGMAS, **limits):
    inside = np.ones(image.shape, bool) if inside is None else inside
    return find_blobs(image, inside, spacing, sigmas, **{**LIMITS, **limits})


def balls(rng, diameter_mm=2.0, n_side=3, noise_hu=0.0):
    shape, centres = oracles.lattice(n_side, 9.0, SPACING, rng)
    diameters = np.full(len(centres), diameter_mm)
    image = oracles.draw_balls(shape, SPACING, centres, diameters, PSF, rng=rng, noise_hu=noise_hu)
    return image, centres


def nearest_mm(points, others):
    return np.linalg.norm(points[:, None] - others[None], axis=-1).min(axis=1)


@pytest.mark.parametrize("diameter_mm", [1.2, 2.0, 3.0])
def test_every_ball_is_one_blob_at_its_place_and_nothing_else_is(rng, diameter_mm):
    image, centres = balls(rng, diameter_mm)
    blobs = find(image)
    assert len(blobs) == len(centres)
    # A parabola through three voxels of a blurred ball: a fifth of a voxel.
    assert nearest_mm(centres, blobs.index_zyx * SPACING).max() < 0.2


def test_larger_balls_answer_at_larger_scales(rng):
    scale = [np.median(find(balls(rng, d)[0]).sigma_mm) for d in (1.0, 2.0, 4.0)]
    assert scale[0] < scale[2]
    assert scale == sorted(scale)


def test_in_noise_balls_are_among_the_blobs(rng):
    image, centres = balls(rng, 2.0, n_side=4, noise_hu=40.0)
    blobs = find(image, min_laplacian_hu=150.0, min_curvature_hu=50.0)
    found = nearest_mm(centres, blobs.index_zyx * SPACING) < 0.6
    wrong = nearest_mm(blobs.index_zyx * SPACING, centres) > 1.5
    assert found.all()
    assert wrong.mean() < 0.2


def test_a_vessel_is_no_blob_but_a_ball_that_leans_on_it_is():
    shape = (40, 50, 50)
    _, y, x = (n * s for n, s in zip(np.indices(shape), SPACING, strict=True))
    vessel = np.where((y - 17) ** 2 + (x - 17) ** 2 < 1.2**2, 30, -850).astype(np.float32)
    vessel = smooth(vessel, 0.4, SPACING)
    # The ends of the image cut the vessel off, so they are not looked at.
    inside = np.zeros(shape, bool)
    inside[5:-5, 5:-5, 5:-5] = True
    assert len(find(vessel, inside)) == 0
    centre = np.array([[20.0, 17.0, 17.0 + 1.2 + 1.0]])
    share = (oracles.draw_balls(shape, SPACING, centre, [2.0], PSF) + 850) / 880
    blobs = find(np.maximum(vessel, -850 + 880 * share).astype(np.float32), inside)
    assert nearest_mm(centre, blobs.index_zyx * SPACING).max() < 0.8


def test_curvatures_are_those_of_a_gaussian():
    spacing, widths, sigma = SPACING / 2, np.array([2.0, 1.5, 1.2]), 1.0
    shape = (41, 61, 61)
    grid = [(n - k // 2) * s for n, s, k in zip(np.indices(shape), spacing, shape, strict=True)]
    image = 500 * np.exp(-sum((g / w) ** 2 for g, w in zip(grid, widths, strict=True)) / 2)
    blobs = find(image.astype(np.float32), spacing=spacing, sigmas=(sigma,))
    variance = widths**2 + sigma**2
    peak = 500 * np.prod(widths) / np.sqrt(variance.prod())
    assert_array_equal(blobs.voxel_zyx, [[20, 30, 30]])
    assert_allclose(blobs.index_zyx, [[20, 30, 30]], atol=1e-3)
    assert_allclose(blobs.curvatures_hu[0], peak * sigma**2 / variance, rtol=0.02)
    assert_allclose(blobs.laplacians_hu[0], (peak * sigma**2 / variance).sum(), rtol=0.02)


def test_columns_agree_with_each_other_and_with_the_dense_laplacian(rng):
    image, _ = balls(rng, 2.0, noise_hu=60.0)
    blobs = find(image)
    assert (np.diff(blobs.curvatures_hu, axis=1) >= 0).all()
    assert (blobs.curvatures_hu[:, 0] > LIMITS["min_curvature_hu"]).all()
    assert np.isin(blobs.sigma_mm, SIGMAS).all()
    assert np.abs(blobs.index_zyx - blobs.voxel_zyx).max() < 0.6 + 1e-9
    # The trace of the Hessian is the Laplacian.
    own = blobs.laplacians_hu[np.arange(len(blobs)), np.searchsorted(SIGMAS, blobs.sigma_mm)]
    assert_allclose(blobs.curvatures_hu.sum(axis=1), own, atol=0.05)
    assert (own > LIMITS["min_laplacian_hu"]).all()
    dense = -(0.85**2) * oracles.laplacian(smooth(image, 0.85, SPACING), SPACING)
    assert_allclose(
        blobs.laplacians_hu[:, 1], dense[tuple(blobs.voxel_zyx.T)], rtol=1e-4, atol=0.01
    )


def test_tiles_do_not_show(rng, monkeypatch):
    image, _ = balls(rng, 2.0, noise_hu=60.0)
    inside = rng.random(image.shape) < 0.9
    whole = find(image, inside)
    monkeypatch.setattr(blobs_module, "_TILE", (5, 7, 11))
    parts = find(image, inside)
    assert len(whole) > 100
    assert_array_equal(parts.voxel_zyx, whole.voxel_zyx)
    assert_array_equal(parts.sigma_mm, whole.sigma_mm)
    # A tile is told from its first voxel on, and rounds accordingly.
    assert_allclose(parts.index_zyx, whole.index_zyx, atol=1e-3)
    assert_allclose(parts.curvatures_hu, whole.curvatures_hu, atol=0.01)
    assert_allclose(parts.laplacians_hu, whole.laplacians_hu, atol=0.01)


def test_blobs_are_all_maxima_of_the_smallest_eigenvalue(rng):
    image, _ = balls(rng, 2.0, noise_hu=60.0)
    smoothed = smooth(image, 0.85, SPACING)
    index = oracles.interior_indices(image.shape)
    smallest = np.zeros(image.shape)
    eigenvalues = np.linalg.eigvalsh(oracles.hessian_at(smoothed, index, SPACING))
    smallest.ravel()[index] = -eigenvalues[:, 2] * 0.85**2
    high = -(0.85**2) * oracles.laplacian(smoothed, SPACING).ravel()[index]
    wanted = (smallest.ravel()[index] > 10) & (high > 30)
    smallest.ravel()[index[~wanted]] = 0
    expected = index[wanted & local_maxima(smallest, index)]
    found = find(image, sigmas=(0.85,), merge_mm=0.0)
    assert_array_equal(np.ravel_multi_index(tuple(found.voxel_zyx.T), image.shape), expected)


def test_a_negative_curvature_is_refused():
    with pytest.raises(ValueError, match=r"must be 0 or more, got -1\.0"):
        find(np.zeros((9, 9, 9), np.float32), min_curvature_hu=-1.0)


def test_no_two_blobs_are_nearer_than_the_merging_distance(rng):
    image, _ = balls(rng, 2.0, noise_hu=60.0)
    places = find(image, merge_mm=2.5).index_zyx * SPACING
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    assert apart[~np.eye(len(places), dtype=bool)].min() > 2.5


def test_blobs_are_looked_for_inside_the_mask_only(rng):
    image, centres = balls(rng)
    inside = np.zeros(image.shape, bool)
    # Midway between the first and the second layer of balls.
    inside[:, :, :12] = True
    blobs = find(image, inside)
    assert inside[tuple(blobs.voxel_zyx.T)].all()
    assert len(blobs) == (centres[:, 2] < 9.0).sum() == 9


def test_mirroring_mirrors_the_blobs(rng):
    image, _ = balls(rng, 2.0, noise_hu=40.0)
    blobs, mirrored = find(image), find(np.ascontiguousarray(image[:, ::-1]))
    back = mirrored.index_zyx * [1, -1, 1] + [0, image.shape[1] - 1, 0]
    assert len(mirrored) == len(blobs)
    assert nearest_mm(blobs.index_zyx, back).max() < 0.01


def test_twice_the_lengths_are_the_same_blobs(rng):
    image, _ = balls(rng, 2.0, noise_hu=40.0)
    blobs = find(image)
    twice = find(image, spacing=2 * SPACING, sigmas=tuple(2 * s for s in SIGMAS), merge_mm=1.8)
    assert_array_equal(twice.voxel_zyx, blobs.voxel_zyx)
    assert_array_equal(twice.sigma_mm, 2 * blobs.sigma_mm)
    assert_allclose(twice.curvatures_hu, blobs.curvatures_hu, rtol=1e-4, atol=0.01)


def test_nothing_found_is_a_table_of_length_0():
    blobs = find(np.full((19, 23, 29), -850, np.float32))
    assert len(blobs) == 0
    shapes = [getattr(blobs, name).shape for name in blobs.__dataclass_fields__]
    assert shapes == [(0, 3), (0, 3), (0,), (0, 3), (0, 3)]


def test_the_order_in_memory_does_not_show(rng):
    image, centres = balls(rng)
    inside = rng.random(image.shape) > 0.1
    plain = find(image, inside)
    turned = find(np.asfortranarray(image), np.asfortranarray(inside))
    assert len(plain) >= len(centres) // 2
    for field in fields(plain):
        assert_array_equal(getattr(turned, field.name), getattr(plain, field.name))
