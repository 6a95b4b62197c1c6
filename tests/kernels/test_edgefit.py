"""Widths of edges, against planes whose blur is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_quality as oracles
from miliary.kernels.edgefit import fit_edges, spread_across

SHAPE, SPACING = (19, 23, 29), np.array([1.25, 0.7, 0.8])
MIDDLE = np.array([[9.0, 11.0, 14.0]])
LENGTHS = {"smoothing_mm": 1.0, "reach_mm": 2.2, "width_mm": 1.8}
PSF_MM = (0.6, 0.42, 0.42)
#: The model is exact on a plane: only the step at which a fit rests is left.
EXACT = 2e-3


def unit(*direction):
    return np.array(direction) / np.linalg.norm(direction)


NORMALS = [
    unit(0.2, 1.0, 0.3),
    unit(0.1, -0.3, 1.0),
    unit(0.7, 0.7, -0.2),
    unit(-1.0, 0.35, 0.2),
    unit(0.4, -0.8, -0.7),
]


@pytest.mark.parametrize("normal", NORMALS)
def test_a_blurred_plane_is_recovered_exactly(normal):
    image, sigma = oracles.plane(SHAPE, SPACING, normal, PSF_MM)
    fit = fit_edges(image, MIDDLE, SPACING, **LENGTHS)
    assert fit.usable.all()
    assert_allclose(fit.sigma_mm, sigma, rtol=EXACT)
    assert_allclose(fit.normal, normal[None], atol=EXACT)
    assert_allclose([fit.low_hu[0], fit.high_hu[0]], [-850, 40], atol=1.0)
    assert fit.residual_hu[0] < 1.0


@pytest.mark.parametrize("offset", [-1.0, -0.5, 0.6, 1.0])
def test_the_place_may_lie_beside_the_edge(offset):
    image, sigma = oracles.plane(SHAPE, SPACING, NORMALS[2], PSF_MM)
    beside = MIDDLE + offset * NORMALS[2] / SPACING
    fit = fit_edges(image, beside, SPACING, **LENGTHS)
    assert fit.usable.all()
    assert_allclose(fit.sigma_mm, sigma, rtol=EXACT)


def test_many_noisy_edges_have_the_width_of_a_library_fit_in_the_median(rng):
    image, sigma = oracles.plane(SHAPE, SPACING, NORMALS[4], PSF_MM)
    index = np.argwhere(np.ones(SHAPE))
    away = (index - MIDDLE) * SPACING @ NORMALS[4]
    near = (np.abs(away) < 2.2) & (np.linalg.norm((index - MIDDLE) * SPACING, axis=1) < 2.8)
    ours, theirs = [], []
    for _ in range(60):
        noisy = image + rng.normal(0, 60, SHAPE)
        ours.append(fit_edges(noisy, MIDDLE, SPACING, **LENGTHS).sigma_mm[0])
        theirs.append(oracles.edge_width(noisy[tuple(index[near].T)], away[near]))
    # A single edge scatters by about 10 % at 60 HU; of 60 the median by less than 2 %.
    assert_allclose(np.median(ours), sigma, rtol=0.05)
    assert_allclose(np.median(ours), np.median(theirs), rtol=0.05)
    assert np.std(ours) < 1.5 * np.std(theirs)


def test_a_tilt_out_of_the_only_slice_does_not_change_the_width(rng):
    spacing = np.array([2.5, 0.7, 0.8])
    image, sigma = oracles.plane(SHAPE, spacing, unit(0.0, 1.0, 0.4), PSF_MM)
    noisy = [image + rng.normal(0, 30, SHAPE) for _ in range(40)]
    fits = [fit_edges(one, MIDDLE, spacing, **LENGTHS) for one in noisy]
    assert all(fit.usable[0] for fit in fits)
    # A slice has 20 voxels: the width scatters by 8 %, its median by 1.5 %.
    assert_allclose(np.median([fit.sigma_mm[0] for fit in fits]), sigma, rtol=0.04)


def test_twice_the_voxel_gives_twice_the_width():
    image, _ = oracles.plane(SHAPE, SPACING, NORMALS[0], PSF_MM)
    once = fit_edges(image, MIDDLE, SPACING, **LENGTHS)
    lengths = {name: 2 * value for name, value in LENGTHS.items()}
    twice = fit_edges(image, MIDDLE, 2 * SPACING, **lengths)
    assert_allclose(twice.sigma_mm, 2 * once.sigma_mm, rtol=1e-6)
    assert_allclose(twice.normal, once.normal, rtol=1e-6)


def test_flipped_axes_flip_the_normal_only(rng):
    image, _ = oracles.plane(SHAPE, SPACING, NORMALS[3], PSF_MM)
    image += rng.normal(0, 20, SHAPE)
    fit = fit_edges(image, MIDDLE, SPACING, **LENGTHS)
    flipped = fit_edges(image[::-1, :, ::-1], MIDDLE, SPACING, **LENGTHS)
    assert_allclose(flipped.sigma_mm, fit.sigma_mm, rtol=1e-4)
    assert_allclose(flipped.normal, fit.normal * (-1, 1, -1), atol=1e-3)


def test_neighbourhoods_that_leave_the_image_are_not_usable():
    image, _ = oracles.plane(SHAPE, SPACING, NORMALS[0], PSF_MM)
    corner = np.array([[1.0, 11.0, 14.0]])
    assert not fit_edges(image, corner, SPACING, **LENGTHS).usable.any()


def test_a_flat_image_has_no_contrast():
    fit = fit_edges(np.full(SHAPE, -850, np.int16), MIDDLE, SPACING, **LENGTHS)
    assert_allclose(fit.high_hu - fit.low_hu, 0, atol=1e-6)


def test_no_places_give_no_edges():
    fit = fit_edges(np.zeros(SHAPE, np.float32), np.zeros((0, 3)), SPACING, **LENGTHS)
    assert fit.sigma_mm.shape == (0,)
    assert fit.normal.shape == (0, 3)


def test_lengths_must_be_positive():
    with pytest.raises(ValueError, match=r"must be positive, got 1\.0, 2\.2 and 0\.0"):
        fit_edges(np.zeros(SHAPE), MIDDLE, SPACING, **{**LENGTHS, "width_mm": 0.0})


def test_widths_part_into_those_along_z_and_in_plane(rng):
    normal_z = rng.uniform(0, 1, 400)
    sigma = np.sqrt(0.9**2 * normal_z**2 + 0.4**2 * (1 - normal_z**2))
    assert_allclose(spread_across(sigma, normal_z, quantile=0.5), (0.9, 0.4), rtol=1e-3)


def test_a_fifth_of_widened_edges_hardly_counts(rng):
    normal_z = rng.uniform(0, 1, 1000)
    sigma = np.sqrt(0.6**2 * normal_z**2 + 0.4**2 * (1 - normal_z**2))
    sigma *= rng.normal(1, 0.08, 1000)
    sigma[::5] *= 3
    # The median moves up by a quarter of a standard deviation, 2 %, and scatters by 1 %.
    assert_allclose(spread_across(sigma, normal_z, quantile=0.5), (0.6, 0.4), rtol=0.05)


def test_the_quantile_orders_the_answers(rng):
    sigma, normal_z = rng.lognormal(0, 0.2, 500), rng.uniform(0, 1, 500)
    answers = [spread_across(sigma, normal_z, quantile=q) for q in (0.2, 0.5, 0.8)]
    assert_array_equal(np.argsort(answers, axis=0), [[0, 0], [1, 1], [2, 2]])
    below = sigma**2 < normal_z**2 * answers[0][0] ** 2 + (1 - normal_z**2) * answers[0][1] ** 2
    assert below.mean() == pytest.approx(0.2, abs=0.02)


def test_without_edges_the_spread_is_unknown():
    assert np.isnan(spread_across(np.zeros(0), np.zeros(0), quantile=0.5)).all()


def test_a_quantile_is_a_share():
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.0"):
        spread_across(np.ones(3), np.zeros(3), quantile=1.0)
