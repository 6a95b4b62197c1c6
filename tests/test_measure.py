"""Size and place of nodules on a drawn anatomy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_detect as oracles
from miliary.config.measure import MeasureSettings
from miliary.findings import FWHM_PER_SIGMA, ImageQuality
from miliary.kernels.ballfit import BallFit
from miliary.kernels.blobs import DIAMETER_PER_SIGMA
from miliary.measure import ask_blur, fit_diameters, measure, place
from miliary.nodules import NODULE_COLUMNS, Candidates

SETTINGS = MeasureSettings()
PSF = (0.5, 0.45, 0.45)
NOISE_HU = 20.0
FWHM = tuple(FWHM_PER_SIGMA * sigma for sigma in PSF)
QUALITY = ImageQuality(noise_hu=NOISE_HU, psf_fwhm_mm=FWHM, psf_estimated=True)
SHAPE, SPACING = (32, 60, 84), np.array([1.25, 0.7, 0.8])
#: One in the right lung, one in the left, one nearer to the top.
CENTRES = np.array([[16.0, 20.0, 15.0], [16.0, 20.0, 50.0], [32.0, 12.0, 52.0]])
DIAMETERS = np.array([1.6, 2.6, 2.0])


def candidates_at(centres, *, sigma_mm=0.8, score=0.9, spacing=SPACING):
    n = len(centres)
    index = np.asarray(centres, float).reshape(-1, 3) / spacing
    return Candidates(index, np.full(n, sigma_mm), np.full(n, 100.0), np.full(n, score))


def drawn(rng, diameters=DIAMETERS, centres=CENTRES):
    return oracles.draw_balls(SHAPE, SPACING, centres, diameters, PSF, rng=rng, noise_hu=NOISE_HU)


def fitted(centres, diameter_mm=2.0):
    n = len(centres)
    size = np.full(n, diameter_mm)
    return BallFit(
        np.asarray(centres, float), size, size / 10, 400 * size, -400 * size, np.ones(n, bool)
    )


def test_nodules_have_their_sizes_and_places(rng):
    anatomy = oracles.box_anatomy(SHAPE, SPACING, lobes=True)
    start = candidates_at(CENTRES + rng.uniform(-0.3, 0.3, CENTRES.shape))
    nodules = measure(drawn(rng), anatomy, start, QUALITY, SETTINGS)
    assert tuple(nodules.columns()) == NODULE_COLUMNS
    assert (np.abs(nodules.diameter_mm - DIAMETERS) < 4 * nodules.diameter_se_mm).all()
    assert_allclose(nodules.diameter_mm, DIAMETERS, atol=0.15)
    # World points are (x, y, z) from the origin of the grid.
    assert_allclose(nodules.points_mm, CENTRES[:, ::-1] + [-10, 20, 30], atol=0.1)
    assert_allclose(nodules.contrast_hu, 880, rtol=0.15)
    assert_array_equal(nodules.lung, ["right", "left", "left"])
    assert_array_equal(nodules.lobe, ["RLL", "LLL", "LLL"])
    assert_array_equal(nodules.zone, ["middle", "middle", "upper"])
    assert_array_equal(nodules.micronodule, nodules.diameter_mm <= 2.0)
    assert_array_equal(nodules.score, 0.9)


@pytest.mark.parametrize("diameter_mm", [4.0, 6.0, 10.0])
def test_what_was_found_as_large_is_fitted_as_large(rng, diameter_mm):
    shape, centre = (48, 66, 62), np.array([[30.0, 23.0, 24.0]])
    image = oracles.draw_balls(
        shape, SPACING, centre, [diameter_mm], PSF, rng=rng, noise_hu=NOISE_HU
    )
    # As off its middle as the search on the coarser grid finds it.
    off = np.array([0.9, -0.6, 0.7])
    found = candidates_at(centre + off, sigma_mm=diameter_mm / DIAMETER_PER_SIGMA)
    inside = np.ones(shape, bool)
    fit = fit_diameters(image, inside, SPACING, found, QUALITY, SETTINGS)
    assert_allclose(fit.diameter_mm, diameter_mm, atol=0.1)
    assert_allclose(fit.centre_grid_mm, centre, atol=0.1)


def test_what_is_unknown_is_empty_or_nan(rng):
    anatomy = oracles.box_anatomy(SHAPE, SPACING)
    nodules = measure(drawn(rng), anatomy, candidates_at(CENTRES), QUALITY, SETTINGS)
    assert_array_equal(nodules.lobe, ["", "", ""])
    assert np.isnan(nodules.fissure_mm).all()
    assert_array_equal(nodules.pleura_mm, 4.0)
    assert_array_equal(nodules.vessel_mm, 9.0)
    known = replace(anatomy, fissure_mm=np.full(SHAPE, 7.0, np.float32))
    with_fissure = place(fitted(CENTRES), known, candidates_at(CENTRES), SETTINGS)
    assert_array_equal(with_fissure.fissure_mm, 7.0)


def test_a_distance_to_what_is_not_there_is_unknown():
    nothing = np.full(SHAPE, np.inf, np.float32)
    bare = replace(oracles.box_anatomy(SHAPE, SPACING), vessel_mm=nothing, fissure_mm=nothing)
    nodules = place(fitted(CENTRES), bare, candidates_at(CENTRES), SETTINGS)
    assert np.isnan(nodules.vessel_mm).all()
    assert np.isnan(nodules.fissure_mm).all()
    assert_array_equal(nodules.pleura_mm, 4.0)


def test_a_ball_whose_centre_left_the_lung_stays_with_the_lung_of_its_candidate():
    anatomy = oracles.box_anatomy(SHAPE, SPACING, lobes=True)
    wall = 42 * SPACING[2]
    # Out to the wall between the lungs, from the right and from the left, and off the image.
    centres = np.array([[16.0, 20.0, wall], [16.0, 20.0, wall], [16.0, 20.0, -3.0]])
    steps = np.array([-1.0, 1.0, 3.0 / SPACING[2] + 1.2])[:, None] * [0.0, 0.0, SPACING[2]]
    found = candidates_at(centres + steps)
    nodules = place(fitted(centres), anatomy, found, SETTINGS)
    assert_array_equal(nodules.lung, ["right", "left", "right"])
    assert_array_equal(nodules.lobe, ["RLL", "LLL", "RLL"])
    assert (nodules.zone == "middle").all()
    # The centre itself stays where it was fitted.
    assert_allclose(nodules.points_mm, centres[:, ::-1] + [-10, 20, 30])


def test_a_candidate_between_voxels_belongs_to_the_voxel_it_was_found_at():
    anatomy = oracles.box_anatomy(SHAPE, SPACING)
    # Found at the last voxel of the right lung, 41, and 0.6 of one towards the wall: nearest is 42.
    index = np.array([[12.0, 30.0, 41.6], [12.6, 30.4, 42.4], [0.4, 30.0, 20.0]])
    found = Candidates(index, np.ones(3), np.ones(3), np.ones(3))
    nodules = place(fitted(index * SPACING), anatomy, found, SETTINGS)
    assert_array_equal(nodules.lung, ["right", "left", "right"])


def test_a_centre_inside_the_other_lung_is_named_by_the_centre():
    anatomy = oracles.box_anatomy(SHAPE, SPACING)
    found = Candidates(np.array([[12.0, 30.0, 41.0]]), np.ones(1), np.ones(1), np.ones(1))
    nodules = place(fitted([[15.0, 21.0, 44 * SPACING[2]]]), anatomy, found, SETTINGS)
    assert_array_equal(nodules.lung, ["left"])


@pytest.mark.parametrize("diameter_mm", [2.0, 5.0, 9.0])
def test_sizes_of_every_class_are_found_from_the_same_first_guess(rng, diameter_mm):
    centre = np.array([[20.0, 21.0, 30.0]])
    image = drawn(rng, np.array([diameter_mm]), centre)
    found = fit_diameters(
        image, np.ones(image.shape, bool), SPACING, candidates_at(centre), QUALITY, SETTINGS
    )
    assert_allclose(found.diameter_mm, diameter_mm, rtol=0.03)
    assert_allclose(found.centre_grid_mm, centre, atol=0.15)


def test_a_large_ball_among_small_ones_changes_only_its_own_row(rng):
    centres = np.array([[12.0, 20.0, 12.0], [20.0, 21.0, 40.0], [30.0, 20.0, 12.0]])
    image = drawn(rng, np.array([1.8, 8.0, 2.2]), centres)
    small = fit_diameters(
        image,
        np.ones(image.shape, bool),
        SPACING,
        candidates_at(centres[[0, 2]]),
        QUALITY,
        SETTINGS,
    )
    every = fit_diameters(
        image, np.ones(image.shape, bool), SPACING, candidates_at(centres), QUALITY, SETTINGS
    )
    assert_allclose(every.diameter_mm[[0, 2]], small.diameter_mm, atol=2e-3)
    assert_allclose(every.diameter_mm[1], 8.0, rtol=0.03)


def test_a_softer_scan_is_undone_by_its_point_spread(rng):
    soft = (0.9, 0.7, 0.7)
    image = oracles.draw_balls(SHAPE, SPACING, CENTRES, DIAMETERS, soft)
    quality = replace(QUALITY, psf_fwhm_mm=tuple(FWHM_PER_SIGMA * s for s in soft), noise_hu=5.0)
    found = fit_diameters(
        image, np.ones(image.shape, bool), SPACING, candidates_at(CENTRES), quality, SETTINGS
    )
    assert_allclose(found.diameter_mm, DIAMETERS, atol=0.02)


def test_the_limit_of_micronodules_is_a_setting(rng):
    anatomy = oracles.box_anatomy(SHAPE, SPACING)
    at_limit = fitted(CENTRES, 3.0)
    wider = replace(SETTINGS, micronodule_mm=3.0)
    assert place(at_limit, anatomy, candidates_at(CENTRES), wider).micronodule.all()
    assert not place(at_limit, anatomy, candidates_at(CENTRES), SETTINGS).micronodule.any()


def test_integers_serve_as_well_and_the_image_stays_as_it_is(rng):
    image = np.rint(drawn(rng))
    before = image.copy()
    found = fit_diameters(
        image, np.ones(image.shape, bool), SPACING, candidates_at(CENTRES), QUALITY, SETTINGS
    )
    assert_array_equal(image, before)
    whole = image.astype(np.int16)
    again = fit_diameters(
        whole, np.ones(whole.shape, bool), SPACING, candidates_at(CENTRES), QUALITY, SETTINGS
    )
    assert_array_equal(again.diameter_mm, found.diameter_mm)


def test_no_candidates_are_no_nodules(rng):
    none = candidates_at(np.empty((0, 3)))
    anatomy = oracles.box_anatomy(SHAPE, SPACING)
    assert len(measure(drawn(rng), anatomy, none, QUALITY, SETTINGS)) == 0
    image = drawn(rng)
    fit = fit_diameters(image, np.ones(image.shape, bool), SPACING, none, QUALITY, SETTINGS)
    assert fit.diameter_mm.shape == (0,)
    assert len(place(fit, anatomy, none, SETTINGS)) == 0


def lattice_scan(rng, n_side=3):
    """Balls of 1.5 to 2.8 mm on a lattice, and candidates near them."""
    shape, centres = oracles.lattice(n_side, 8.0, SPACING, rng)
    diameters = rng.uniform(1.5, 2.8, len(centres))
    image = oracles.draw_balls(shape, SPACING, centres, diameters, PSF, rng=rng, noise_hu=NOISE_HU)
    return image, candidates_at(centres + rng.uniform(-0.3, 0.3, centres.shape))


def blur_of(image, found, quality=QUALITY, settings=SETTINGS):
    inside = np.ones(image.shape, bool)
    return ask_blur(image, inside, SPACING, found, quality, settings)


@pytest.mark.parametrize("wrong", [0.85, 1.15])
def test_nodules_put_a_wrong_point_spread_right(rng, wrong):
    image, found = lattice_scan(rng)
    quality = replace(QUALITY, psf_fwhm_mm=tuple(wrong * width for width in FWHM))
    asked = blur_of(image, found, quality)
    # Each tells it within 6 %: three standard errors of the median of 27.
    assert_allclose(asked.psf_sigma_mm, PSF, rtol=0.04)
    assert asked.psf_fwhm_mm == quality.psf_fwhm_mm


def test_what_edges_told_of_the_blur_is_where_nodules_begin(rng):
    image, found = lattice_scan(rng)
    steep = replace(QUALITY, psf_fwhm_mm=tuple(1.1 * w for w in FWHM), nodule_blur=1 / 1.1)
    assert_allclose(blur_of(image, found, steep).nodule_blur, 1 / 1.1, rtol=0.04)
    few = found.take(np.arange(SETTINGS.blur_least - 1))
    assert blur_of(image, few, steep) == steep


def test_what_is_no_ball_or_disagrees_is_not_believed(rng):
    image, found = lattice_scan(rng)
    assert blur_of(image, found, settings=replace(SETTINGS, blur_agree=1e-3)) == QUALITY
    assert blur_of(image, found, settings=replace(SETTINGS, blur_largest_mm=1.0)) == QUALITY
    # In noise alone the narrowest blur always fits best: that is none.
    noise = rng.normal(-850, NOISE_HU, image.shape).astype(np.float32)
    assert blur_of(noise, found) == QUALITY
