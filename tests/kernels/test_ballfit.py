"""The fit of balls: its derivatives, its twin, and what it makes of balls whose size is known."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

import oracles_detect as oracles
from miliary.kernels import ballfit
from miliary.kernels.ballfit import FitModel, fit_balls
from miliary.kernels.balls import ball_patches, ball_profile, ball_share_and_slopes
from miliary.kernels.neighbourhood import ball_offsets

SPACING = np.array([1.0, 0.7, 0.7])
PSF = (0.47, 0.40, 0.40)
MODEL = FitModel(
    psf_sigma_mm=PSF,
    noise_hu=30.0,
    tissue_hu=oracles.TISSUE_HU,
    tissue_sd_hu=60.0,
    min_diameter_mm=0.6,
    max_diameter_mm=15.0,
    margin_mm=1.2,
    outlier_hu=30.0,
    n_steps=25,
)
#: A prior so wide that contrast is free, and one so narrow that it is fixed.
FREE_HU, FIXED_HU = 1e5, 1.0
#: Two quadratures, each good for about 1e-3 of the share, in terms of the diameter.
QUADRATURE_MM = 0.005


def fit(image, centres, model=MODEL, *, spacing=SPACING, start_mm=2.0, reach_mm=3.2, batch=192):
    start = np.full(len(centres), start_mm)
    return fit_balls(image, centres, start, spacing, model, reach_mm=reach_mm, batch=batch)


def scene(rng, diameter_mm, *, n_side=4, noise_hu=0.0, psf=PSF):
    shape, centres = oracles.lattice(n_side, 8.0, SPACING, rng)
    image = oracles.draw_balls(
        shape,
        SPACING,
        centres,
        np.full(len(centres), diameter_mm),
        psf,
        rng=rng,
        noise_hu=noise_hu,
    )
    return image, centres, centres + rng.uniform(-0.3, 0.3, centres.shape)


@pytest.mark.parametrize("psf", [(0.45, 0.45, 0.45), (0.8, 0.4, 0.4), (0.4, 0.7, 0.7)])
def test_slopes_match_finite_differences(rng, psf):
    offset, radius, step = rng.normal(0, 1.0, (3, 50, 3)), np.array([0.4, 1.0, 2.5]), 1e-4
    _, by_offset, by_radius = ball_share_and_slopes(offset, radius, psf)
    for axis in range(3):
        moved = step * np.eye(3)[axis]
        ahead, back = (ball_share_and_slopes(offset + d, radius, psf)[0] for d in (moved, -moved))
        assert_allclose(by_offset[..., axis], (ahead - back) / (2 * step), atol=1e-6)
    ahead, back = (ball_share_and_slopes(offset, radius + d, psf)[0] for d in (step, -step))
    assert_allclose(by_radius, (ahead - back) / (2 * step), atol=1e-6)


def test_share_is_the_profile_and_has_no_jump_at_the_centre(rng):
    offset, radius = rng.normal(0, 1.0, (2, 40, 3)), np.array([0.5, 1.5])
    offset[:, 0] = 0.0
    share, by_offset, _ = ball_share_and_slopes(offset, radius, (0.45, 0.45, 0.45))
    expected = ball_profile(np.linalg.norm(offset, axis=-1), 2 * radius[:, None], 0.45)
    assert_allclose(share, expected, atol=1e-6)
    assert_array_equal(by_offset[:, 0], 0)


@pytest.mark.parametrize("psf", [(0.9, 0.45, 0.45), (0.4, 0.6, 0.6)])
def test_share_with_a_longer_axis_is_that_of_the_forward_model(psf):
    shape = (9, 11, 11)
    patch = ball_patches(np.zeros((1, 3)), np.array([1.8]), psf, shape, tuple(SPACING))[0]
    offset = (np.stack(np.indices(shape), -1) - np.array(shape) // 2) * SPACING
    share, _, _ = ball_share_and_slopes(offset.reshape(1, -1, 3), np.array([0.9]), psf)
    assert_allclose(share.reshape(shape), patch, atol=3e-3)


def test_the_fit_matches_a_fit_with_numeric_derivatives(rng):
    sigma = 0.45
    centre = np.array([[8.3, 8.1, 9.2]])
    image = oracles.draw_balls((18, 24, 26), SPACING, centre, [2.2], (sigma,) * 3)
    image += rng.normal(0, 5.0, image.shape).astype(np.float32)
    # Without prior, outliers or margin the two minimise the same sum.
    plain = replace(
        MODEL,
        psf_sigma_mm=(sigma,) * 3,
        tissue_sd_hu=1e9,
        outlier_hu=1e9,
        margin_mm=50.0,
        n_steps=60,
    )
    found = fit(image, centre, plain, reach_mm=3.0)
    # The neighbourhood is a ball round the voxel nearest to the start.
    start = np.rint(centre[0] / SPACING) * SPACING
    slow = oracles.fit_one_ball(image, start, SPACING, sigma, 3.0)
    assert_allclose(found.centre_grid_mm[0], slow[:3], atol=1e-3)
    assert_allclose(found.diameter_mm[0], slow[3], atol=2e-3)
    assert_allclose(found.contrast_hu[0], slow[4], rtol=2e-3)
    assert_allclose(found.background_hu[0], slow[5], atol=0.1)


@pytest.mark.parametrize("psf", [PSF, (0.9, 0.4, 0.4), (0.4, 0.6, 0.6)])
@pytest.mark.parametrize("diameter_mm", [1.0, 2.0, 3.0])
def test_without_noise_balls_come_back_as_they_were(rng, psf, diameter_mm):
    image, centres, start = scene(rng, diameter_mm, n_side=2, psf=psf)
    found = fit(image, start, replace(MODEL, psf_sigma_mm=psf))
    assert found.converged.all()
    assert_allclose(found.diameter_mm, diameter_mm, atol=QUADRATURE_MM)
    assert_allclose(found.centre_grid_mm, centres, atol=QUADRATURE_MM)
    assert_allclose(found.contrast_hu, oracles.TISSUE_HU - oracles.LUNG_HU, rtol=0.01)
    assert_allclose(found.background_hu, oracles.LUNG_HU, atol=3)


@pytest.mark.parametrize("diameter_mm", [1.5, 2.0, 3.0])
def test_in_noise_the_diameter_is_unbiased_and_scatters_as_physics_says(rng, diameter_mm):
    image, _, start = scene(rng, diameter_mm, n_side=5, noise_hu=60.0)
    found = fit(image, start, replace(MODEL, noise_hu=60.0))
    error = found.diameter_mm - diameter_mm
    # Bounds by Fisher information (ARCHITECTURE.md): 0.05, 0.03 and 0.02 mm with the contrast
    # known; with it free 0.17, of which 0.14 is asked for, 0.08 and 0.04. This prior lies between.
    fixed, free = {1.5: (0.05, 0.14), 2.0: (0.03, 0.08), 3.0: (0.02, 0.04)}[diameter_mm]
    assert abs(error.mean()) < 0.02
    assert 0.7 * fixed < error.std() < 1.2 * free
    assert found.converged.mean() > 0.97


@pytest.mark.parametrize("diameter_mm", [1.2, 2.0, 2.6])
def test_standard_errors_are_honest_when_tissue_varies_as_the_prior_says(rng, diameter_mm):
    image, _, start = scene(rng, diameter_mm, n_side=6)
    share = (image - oracles.LUNG_HU) / (oracles.TISSUE_HU - oracles.LUNG_HU)
    cell = [(np.arange(n) * s / 8.0).astype(int) for n, s in zip(image.shape, SPACING, strict=True)]
    tissue = rng.normal(MODEL.tissue_hu, MODEL.tissue_sd_hu, (6, 6, 6))
    tissue = tissue[np.ix_(*(np.minimum(c, 5) for c in cell))]
    noise = rng.normal(0, 30.0, image.shape)
    image = (oracles.LUNG_HU + share * (tissue - oracles.LUNG_HU) + noise).astype(np.float32)
    found = fit(image, start)
    z = (found.diameter_mm - diameter_mm) / found.diameter_se_mm
    # 216 balls tell a standard deviation to 5 %.
    assert 0.85 < z.std() < 1.15
    assert abs(z.mean()) < 0.3
    assert 0.90 < (np.abs(z) < 1.96).mean() < 0.99


def test_contrast_is_traded_for_diameter_at_small_sizes_and_not_at_large_ones(rng):
    spread = {}
    for diameter_mm in (1.0, 3.0):
        image, _, start = scene(rng, diameter_mm, noise_hu=30.0)
        for prior_hu in (FREE_HU, FIXED_HU):
            found = fit(image, start, replace(MODEL, tissue_sd_hu=prior_hu))
            told = np.median(found.diameter_se_mm)
            error = found.diameter_mm - diameter_mm
            spread[diameter_mm, prior_hu] = 1.4826 * np.median(np.abs(error))
            # The error that the fit tells is the error it makes, with or without the prior.
            assert_allclose(spread[diameter_mm, prior_hu], told, rtol=0.4)
    assert spread[1.0, FREE_HU] > 4 * spread[1.0, FIXED_HU]
    assert spread[3.0, FREE_HU] < 3 * spread[3.0, FIXED_HU]
    # The prior of the settings lies between the two, near the known contrast.
    image, _, start = scene(rng, 1.0, noise_hu=30.0)
    error = fit(image, start).diameter_mm - 1.0
    assert spread[1.0, FIXED_HU] * 0.6 < error.std() < spread[1.0, FREE_HU] / 3


@pytest.mark.parametrize(("gap_mm", "bias_mm"), [(0.3, 0.15), (0.6, 0.06), (1.0, 0.06)])
def test_a_vessel_beside_a_ball_does_not_make_it_larger(rng, gap_mm, bias_mm):
    shape, diameter_mm, vessel_mm = (33, 47, 47), 2.0, 1.2
    _, y, x = (n * s for n, s in zip(np.indices(shape), SPACING, strict=True))
    errors, without = [], []
    model = replace(MODEL, noise_hu=40.0)
    for centre in 16.0 + rng.uniform(-0.5, 0.5, (12, 3)):
        ball = oracles.draw_balls(shape, SPACING, centre[None], [diameter_mm], PSF)
        away = np.hypot(y - centre[1], x - centre[2] - diameter_mm / 2 - gap_mm - vessel_mm)
        vessel = 440 * (1 + special.erf((vessel_mm - away) / (np.sqrt(2) * 0.4)))
        image = np.minimum(ball + vessel, oracles.TISSUE_HU) + rng.normal(0, 40.0, shape)
        image = image.astype(np.float32)
        errors.append(fit(image, centre[None], model).diameter_mm[0] - diameter_mm)
        plain = fit(image, centre[None], replace(model, outlier_hu=1e9))
        without.append(plain.diameter_mm[0] - diameter_mm)
    assert abs(np.median(errors)) < bias_mm
    assert max(errors) < 0.4
    # Were residuals not weighed, it would.
    if gap_mm < 0.5:
        assert np.median(without) > 2 * bias_mm


def test_a_ball_at_the_border_of_the_image_keeps_its_size(rng):
    # Centres 0.3 to 1.2 mm from a face: up to a third of the ball is not on the image.
    shape = (24, 30, 30)
    faces = np.array([[0.6, 10, 10], [10, 0.4, 10], [10, 10, 1.2], [22.4, 10, 10], [10, 20.0, 10]])
    image = oracles.draw_balls(shape, SPACING, faces, np.full(5, 2.0), PSF)
    found = fit(image, faces)
    assert_allclose(found.diameter_mm, 2.0, atol=QUADRATURE_MM)
    assert_allclose(found.centre_grid_mm, faces, atol=QUADRATURE_MM)
    whole = oracles.draw_balls(shape, SPACING, [[12, 10, 10]], [2.0], PSF)
    told = fit(whole, np.array([[12.0, 10.0, 10.0]])).diameter_se_mm
    assert (found.diameter_se_mm > told).all()


def test_a_start_outside_of_the_image_is_borne(rng):
    image, _, _ = scene(rng, 2.0, n_side=2)
    found = fit(image, np.array([[-4.0, 3.0, 3.0], [40.0, 40.0, 40.0]]))
    assert np.isfinite(found.diameter_mm).all()
    assert np.isfinite(found.diameter_se_mm).all()


def test_diameters_stay_within_their_limits(rng):
    image, _, start = scene(rng, 3.0, n_side=2)
    narrow = replace(MODEL, min_diameter_mm=1.0, max_diameter_mm=2.0)
    assert_allclose(fit(image, start, narrow).diameter_mm, 2.0)
    flat = np.full(image.shape, -850, np.float32)
    assert (fit(flat, start, narrow).diameter_mm >= 1.0).all()


def test_batches_and_order_do_not_show(rng):
    image, _, start = scene(rng, 2.0, n_side=3, noise_hu=30.0)
    once = fit(image, start)
    order = rng.permutation(len(start))
    parts = fit(image, start[order], batch=5)
    assert_allclose(parts.diameter_mm, once.diameter_mm[order], atol=1e-6)
    assert_allclose(parts.centre_grid_mm, once.centre_grid_mm[order], atol=1e-6)


def test_twice_the_lengths_are_twice_the_diameter_and_mirroring_changes_nothing(rng):
    image, centres, _ = scene(rng, 2.0, n_side=2, noise_hu=30.0)
    # The rim of the neighbourhood has a fixed width, so it is put out of reach.
    wide = replace(MODEL, margin_mm=50.0, n_steps=60)
    once = fit(image, centres, wide)
    doubled = replace(wide, psf_sigma_mm=tuple(2 * s for s in PSF), min_diameter_mm=1.2)
    twice = fit(image, 2 * centres, doubled, spacing=2 * SPACING, start_mm=4.0, reach_mm=6.4)
    assert_allclose(twice.diameter_mm, 2 * once.diameter_mm, atol=0.01)
    assert_allclose(twice.diameter_se_mm, 2 * once.diameter_se_mm, rtol=0.02)
    last = (np.array(image.shape) - 1) * SPACING
    mirrored = fit(
        np.ascontiguousarray(image[:, ::-1]), centres * [1, -1, 1] + [0, last[1], 0], wide
    )
    assert_allclose(mirrored.diameter_mm, once.diameter_mm, atol=0.005)


def test_no_places_are_no_balls_and_the_image_stays_as_it_is(rng):
    image, _, start = scene(rng, 2.0, n_side=2, noise_hu=30.0)
    before = image.copy()
    none = fit(image, start[:0])
    assert none.centre_grid_mm.shape == (0, 3)
    assert none.diameter_mm.shape == none.converged.shape == (0,)
    fit(image.astype(np.int16), start)
    assert_array_equal(image, before)


@pytest.mark.parametrize("noise_hu", [60.0, 100.0])
def test_noise_does_not_pull_the_background_down(rng, noise_hu):
    image, _, start = scene(rng, 2.0, n_side=5, noise_hu=noise_hu)
    found = fit(image, start, replace(MODEL, noise_hu=noise_hu))
    # With weights that fall on the bright side alone it was 22 HU at 100 HU of noise.
    assert abs(np.median(found.background_hu) - oracles.LUNG_HU) < 0.06 * noise_hu
    assert abs(np.median(found.diameter_mm) - 2.0) < 0.03


def test_a_wall_outside_of_the_lung_is_no_part_of_a_ball(rng):
    shape = (30, 40, 40)
    centres = np.array([[15.0, 14.0, 14.0]])
    ball = oracles.draw_balls(shape, SPACING, centres, [2.0], PSF)
    depth = np.arange(40) * SPACING[2] - (14.0 + 1.6)
    wall = oracles.LUNG_HU + 880 * special.ndtr(depth / PSF[2])
    image = np.maximum(ball, wall.astype(np.float32)) + rng.normal(0, 20.0, shape)
    image = image.astype(np.float32)
    inside = np.broadcast_to(depth < 0, shape)
    model = replace(MODEL, noise_hu=20.0)
    start = (centres, np.array([2.0]), SPACING, model)
    found = fit_balls(image, *start, reach_mm=3.2, batch=9, inside=inside)
    assert_allclose(found.diameter_mm, 2.0, atol=0.2)


def test_where_voxels_tell_nothing_the_error_is_huge_and_nothing_fails():
    # Flat lung, as bright as tissue would have to be: a ball without contrast has no radius.
    flat = np.full((19, 23, 29), 30.0, np.float32)
    told = fit(flat, np.array([[9.0, 8.0, 10.0]]), replace(MODEL, tissue_hu=30.0))
    assert np.isfinite(told.diameter_mm).all()
    assert np.isfinite(told.diameter_se_mm).all()
    assert (told.diameter_se_mm > 100).all()


def test_balls_of_many_voxels_are_fitted_fewer_at_a_time_with_the_same_result(rng, monkeypatch):
    image, _, start = scene(rng, 2.0, n_side=2, noise_hu=30.0)
    whole, sizes = fit(image, start), []
    first_guess = ballfit._first_guess

    def counted(values, *others):
        sizes.append(len(values))
        return first_guess(values, *others)

    monkeypatch.setattr(ballfit, "_first_guess", counted)
    monkeypatch.setattr(ballfit, "_AT_ONCE", 3 * len(ball_offsets(3.2, SPACING)) + 1)
    parts = fit(image, start)
    assert sum(sizes) == len(start) > 3
    assert max(sizes) == 3
    for field in fields(whole):
        assert_allclose(getattr(parts, field.name), getattr(whole, field.name), rtol=1e-9)
