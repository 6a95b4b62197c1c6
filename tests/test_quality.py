"""Noise and point spread of drawn scans and phantoms, against what they were made with."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import oracles_quality as oracles
from miliary.anatomy import Anatomy
from miliary.config.quality import QualitySettings
from miliary.findings import FWHM_PER_SIGMA
from miliary.geometry import Geometry
from miliary.kernels.distances import depth_inside, distance_to
from miliary.phantom import PhantomSpec, make_phantom
from miliary.quality import estimate_noise, estimate_psf, estimate_quality

SETTINGS = QualitySettings()
SHAPE, SPACING, FINER = (44, 84, 78), (1.25, 0.7, 0.8), (3, 3, 3)
#: What the estimates are asked to keep on any scan.
TOLERANCE = 0.15


def anatomy_of(lung, spacing_mm, vessel=None):
    """An anatomy from masks: one lung, vessels where told."""
    vessel = np.zeros(lung.shape, bool) if vessel is None else vessel
    labels = lung.astype(np.uint8)
    box = tuple(slice(0, n) for n in lung.shape)
    return Anatomy(
        box=box,
        geometry=Geometry.aligned(lung.shape, spacing_mm),
        lung_labels=labels,
        evaluable_labels=np.where(vessel, np.uint8(0), labels),
        zone_labels=labels,
        vessel_mask=vessel,
        airway_mask=np.zeros(lung.shape, bool),
        pleura_mm=depth_inside(labels, np.array(spacing_mm)),
        vessel_mm=distance_to(vessel, np.array(spacing_mm)),
        lungs=(),
    )


@cache
def drawn(psf_fwhm_mm, radii_mm=(22.0, 25.0, 27.0)):
    """An ellipsoid of lung in soft tissue, blurred on a finer grid, and its anatomy."""
    fine = oracles.ellipsoid(SHAPE, SPACING, radii_mm, FINER)
    sigma = np.array(psf_fwhm_mm) / FWHM_PER_SIGMA
    hu = oracles.blurred(fine, -850.0, 40.0, sigma, SPACING, FINER)
    hu.flags.writeable = False
    return hu, anatomy_of(fine[1::3, 1::3, 1::3], SPACING)


def coloured(rng, shape, sigma_voxels):
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma_voxels)
    return noise / noise.std()


@pytest.mark.parametrize(
    ("psf_fwhm_mm", "noise_hu"),
    [((0.95, 0.95, 0.95), 10), ((2.0, 1.1, 1.1), 60), ((1.2, 1.8, 1.8), 30)],
)
def test_the_point_spread_is_found_along_z_and_in_plane(rng, psf_fwhm_mm, noise_hu):
    hu, anatomy = drawn(psf_fwhm_mm)
    hu = hu + noise_hu * rng.standard_normal(SHAPE)
    found = estimate_psf(hu.astype(np.float32), anatomy, SETTINGS).fwhm_mm
    # Nothing but noise widens these edges; half the tolerance is left for anatomy.
    assert_allclose(found, psf_fwhm_mm, rtol=TOLERANCE / 2)


def test_a_kernel_that_enhances_edges_is_not_taken_for_a_sharper_one(rng):
    hu, anatomy = drawn((1.0, 0.9, 0.9))
    hu = hu + 10 * rng.standard_normal(SHAPE)
    plain = estimate_psf(hu.astype(np.float32), anatomy, SETTINGS)
    assert plain.steepness == 1.0
    sigma = 0.9 / FWHM_PER_SIGMA * np.sqrt(8) / np.array(SPACING[1:])
    halo = ndimage.gaussian_filter(hu, (0, *sigma))
    enhanced = estimate_psf((1.3 * hu - 0.3 * halo).astype(np.float32), anatomy, SETTINGS)
    # At this enhancement the width falls by 6 %; edges alone read 15 % less.
    assert_allclose(enhanced.fwhm_mm, (1.0, 0.85, 0.85), rtol=TOLERANCE / 2)
    assert 0.8 < enhanced.steepness < 0.97


@pytest.mark.parametrize("sigma_voxels", [0.0, (0.4, 0.7, 0.6)])
@pytest.mark.parametrize("noise_hu", [10.0, 30.0, 60.0])
def test_noise_is_found_in_spite_of_texture(rng, noise_hu, sigma_voxels):
    hu, anatomy = drawn((1.2, 1.0, 1.0))
    texture = 30.0 * coloured(rng, SHAPE, 1.4 / np.array(SPACING))
    hu = hu + anatomy.inside_lung * texture + noise_hu * coloured(rng, SHAPE, sigma_voxels)
    assert_allclose(estimate_noise(hu, anatomy, SETTINGS), noise_hu, rtol=TOLERANCE)


def test_noise_of_a_lung_without_any_tissue_holds_its_texture(rng):
    lung = np.ones(SHAPE, bool)
    hu = rng.normal(-850, 30, SHAPE).astype(np.float32)
    found = estimate_noise(hu, anatomy_of(lung, SPACING), SETTINGS)
    assert_allclose(found, 30.0, rtol=TOLERANCE)


def test_lung_may_be_less_noisy_than_the_tissue_around_it(rng):
    hu, anatomy = drawn((1.2, 1.0, 1.0))
    sd = np.where(anatomy.inside_lung, 20.0, 40.0)
    hu = hu + sd * rng.standard_normal(SHAPE)
    assert_allclose(estimate_noise(hu, anatomy, SETTINGS), 20.0, rtol=TOLERANCE)


@pytest.fixture(scope="module", params=[(10.0, 0.25, 1.5), (30.0, 0.35, 1.0), (60.0, 0.7, 1.1)])
def phantom(request):
    """A chest with ribs, vessels, texture and nodules; soft to sharp kernel."""
    noise_hu, peak_per_mm, width_mm = request.param
    return make_phantom(
        PhantomSpec.of(
            shape=(90, 170, 190),
            spacing_mm=(1.0, 0.7, 0.8),
            noise_hu=noise_hu,
            noise_peak_per_mm=peak_per_mm,
            psf_fwhm_mm=(width_mm,) * 3,
            seed=11,
        )
    )


def test_a_phantom_tells_what_it_was_made_with(phantom):
    spec = phantom.spec
    anatomy = anatomy_of(phantom.lung_labels > 0, spec.scanner.spacing_mm, phantom.vessel_mask)
    before = phantom.volume.hu.copy()
    quality = estimate_quality(phantom.volume.hu, anatomy, SETTINGS)
    assert quality.psf_estimated
    assert_allclose(quality.psf_fwhm_mm, spec.scanner.psf_fwhm_mm, rtol=TOLERANCE)
    assert_allclose(quality.noise_hu, spec.scanner.noise_hu, rtol=TOLERANCE)
    assert_array_equal(phantom.volume.hu, before)
    as_float = estimate_quality(phantom.volume.hu.astype(np.float32), anatomy, SETTINGS)
    assert as_float == quality


def test_too_few_edges_leave_the_default():
    hu, anatomy = drawn((1.2, 1.0, 1.0))
    strict = replace(SETTINGS, min_edges=5000)
    quality = estimate_quality(hu, anatomy, strict)
    assert not quality.psf_estimated
    assert quality.psf_fwhm_mm == SETTINGS.default_psf_fwhm_mm


def test_weak_edges_do_not_count():
    hu, anatomy = drawn((1.2, 1.0, 1.0))
    assert estimate_psf(0.6 * hu, anatomy, SETTINGS) is None
    assert estimate_psf(0.8 * hu, anatomy, SETTINGS) is not None


def test_without_edges_along_z_the_default_ratio_stands_in(rng):
    # A cylinder that both ends of the scan cut off has no surface along z.
    hu, anatomy = drawn((1.1, 1.4, 1.4), (1e6, 25.0, 27.0))
    z, y, x = estimate_psf(hu + rng.normal(0, 10, SHAPE), anatomy, SETTINGS).fwhm_mm
    assert_allclose((y, x), 1.4, rtol=TOLERANCE / 2)
    default = SETTINGS.default_psf_fwhm_mm
    assert z / y == pytest.approx(default[0] / default[1])


def test_a_scan_without_lung_has_neither():
    nothing = anatomy_of(np.zeros((19, 23, 29), bool), SPACING)
    quality = estimate_quality(np.full((19, 23, 29), -1000, np.int16), nothing, SETTINGS)
    assert not quality.psf_estimated
    assert np.isnan(quality.noise_hu)


def test_the_image_must_lie_on_the_grid_of_the_anatomy():
    nothing = anatomy_of(np.zeros((19, 23, 29), bool), SPACING)
    with pytest.raises(ValueError, match=r"shape \(19, 23, 29\), got \(19, 23, 28\)"):
        estimate_quality(np.zeros((19, 23, 28), np.int16), nothing, SETTINGS)


@pytest.mark.parametrize("name", ["fine_quantile", "tissue_quantile", "edge_share"])
def test_shares_are_between_0_and_1(name):
    with pytest.raises(ValueError, match=f"{name} must be between 0 and 1, got 1.5"):
        QualitySettings(**{name: 1.5})


def test_a_default_point_spread_is_positive():
    with pytest.raises(ValueError, match="three positive lengths"):
        QualitySettings(default_psf_fwhm_mm=(1.0, 0.0, 1.0))
