"""The point spread is as wide as was asked, for points, lines and edges."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.balls import render_balls
from miliary.phantom.drawing import draw_tubes, edge_share
from miliary.phantom.point_spread import PointSpread
from miliary.phantom.spec import ScannerSpec
from miliary.phantom.tubes import Tubes
from oracles_drawing import width_at_half_maximum

#: Finer than any scan, to see the width itself.
FINE_MM = (0.13, 0.1, 0.12)
SHAPE = (33, 81, 75)
MIDDLE = np.array(SHAPE) // 2
FWHM_MM = (1.3, 0.9, 1.1)
ENHANCEMENTS = (0.0, 0.3, 1.0)

#: Lines are narrower and points wider than their mean, which is what was asked for.
WIDTH_TOLERANCE = {0.0: 0.01, 0.3: 0.022, 1.0: 0.042}

PROFILES = ("gaussian", "box")

#: What is drawn instead of points and lines, and the factor from variance to squared FWHM.
RADIUS_MM, SQUARED_FWHM = 0.1, 8 * np.log(2)


def spread_of(enhancement, profile="gaussian"):
    wishes = {"psf_fwhm_mm": FWHM_MM, "edge_enhancement": enhancement}
    return PointSpread.of(ScannerSpec(slice_profile=profile, **wishes))


def seen(spread, draw):
    """What a phantom does: the mean over sub-slices, then the sharpening."""
    parts = zip(spread.slice_offsets_mm, spread.slice_weights, strict=True)
    return spread.sharpened(sum(w * draw(dz) for dz, w in parts), FINE_MM)


def line(spread, axis):
    """A thin tube through the middle, along an axis."""
    centre, way = MIDDLE * FINE_MM, 60.0 * np.eye(3)[axis]

    def draw(offset_mm):
        image = np.zeros(SHAPE, np.float32)
        start = centre - way - [offset_mm, 0, 0]
        draw_tubes(
            image,
            Tubes(start[None], (start + 2 * way)[None], np.array([RADIUS_MM])),
            FINE_MM,
            spread.sigma_mm,
        )
        return image

    return seen(spread, draw)


def profile_through_middle(image, axis):
    return image[tuple(slice(None) if a == axis else MIDDLE[a] for a in range(3))]


@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
@pytest.mark.parametrize("profile", PROFILES)
def test_point_is_as_wide_as_asked(enhancement, profile):
    spread = spread_of(enhancement, profile)

    def draw(offset_mm):
        centre = MIDDLE * FINE_MM - [offset_mm, 0, 0]
        return render_balls(
            SHAPE, FINE_MM, centre[None], np.array([2 * RADIUS_MM]), spread.sigma_mm
        )

    image = seen(spread, draw)
    # A ball has a variance of a fifth of its squared radius, a disc of a quarter.
    for axis, asked in enumerate(np.sqrt(np.square(FWHM_MM) + SQUARED_FWHM * RADIUS_MM**2 / 5)):
        width = width_at_half_maximum(profile_through_middle(image, axis), FINE_MM[axis])
        assert_allclose(width, asked, rtol=0.012 if axis == 0 else WIDTH_TOLERANCE[enhancement])


@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("along", "across"), [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)])
def test_thin_tube_is_as_wide_as_asked(enhancement, profile, along, across):
    image = line(spread_of(enhancement, profile), along)
    width = width_at_half_maximum(profile_through_middle(image, across), FINE_MM[across])
    asked = np.sqrt(FWHM_MM[across] ** 2 + SQUARED_FWHM * RADIUS_MM**2 / 4)
    tolerance = 0.012 if across == 0 else WIDTH_TOLERANCE[enhancement]
    assert_allclose(width, asked, rtol=tolerance)


@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_edge_is_as_wide_as_asked(enhancement, profile, axis):
    spread = spread_of(enhancement, profile)
    depth_mm = (np.indices(SHAPE)[axis] - MIDDLE[axis] - 0.5) * FINE_MM[axis]

    def draw(offset_mm):
        return edge_share(depth_mm + offset_mm * (axis == 0), spread.sigma_mm[axis])

    steps = np.diff(profile_through_middle(seen(spread, draw), axis))
    width = width_at_half_maximum(steps, FINE_MM[axis])
    assert_allclose(width, FWHM_MM[axis], rtol=0.012 if axis == 0 else WIDTH_TOLERANCE[enhancement])


@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
def test_sharpening_keeps_the_sum_and_overshoots_at_edges(enhancement):
    spread = spread_of(enhancement)
    image = line(spread, 0)
    plain = line(spread_of(0.0), 0)
    assert_allclose(image.sum(), plain.sum(), rtol=0.02)
    depth_mm = (np.indices(SHAPE)[2] - MIDDLE[2]) * FINE_MM[2]
    edge = spread.sharpened(edge_share(depth_mm, spread.sigma_mm[2]), FINE_MM)[16, 40]
    expected = {0.0: 0.0, 0.3: 0.053, 1.0: 0.207}[enhancement]
    assert_allclose([edge.max() - 1, -edge.min()], expected, atol=0.003)


def test_planes_are_sharpened_each_for_itself(rng):
    spread = spread_of(0.3)
    hu = rng.normal(-800, 50, (5, 20, 31)).astype(np.float32)
    kept = hu.copy()
    whole = spread.sharpened(hu, (1.25, 0.7, 0.8))
    assert_array_equal(whole[2:4], spread.sharpened(hu[2:4], (1.25, 0.7, 0.8)))
    assert_array_equal(hu, kept)
    assert whole.dtype == np.float32


def test_no_enhancement_changes_nothing():
    hu = np.full((2, 3, 4), -850, np.float32)
    assert_array_equal(spread_of(0.0).sharpened(hu, FINE_MM), hu)
    assert_allclose(spread_of(1.0).sharpened(hu, FINE_MM), hu, rtol=1e-5)


def test_box_is_flat_and_steeper_than_a_gaussian():
    z = np.linspace(-2, 2, 401)
    profiles = {}
    for name in PROFILES:
        spread = spread_of(0.0, name)
        parts = zip(spread.slice_offsets_mm, spread.slice_weights, strict=True)
        profile = sum(w * np.exp(-0.5 * ((z - d) / spread.sigma_mm[0]) ** 2) for d, w in parts)
        profiles[name] = profile / profile.max()
        # The tails beyond 2 mm are missing.
        spread_mm = np.sqrt((profile * z**2).sum() / profile.sum())
        assert_allclose(spread.slice_sigma_mm, spread_mm, rtol=5e-3)
    flat = np.abs(z) < 0.25 * FWHM_MM[0]
    assert profiles["box"][flat].min() > 0.95
    assert profiles["gaussian"][flat].min() < 0.86
    assert profiles["box"][np.abs(z) > 0.8 * FWHM_MM[0]].max() < 0.02


def test_gaussian_profile_needs_one_slice():
    spread = spread_of(0.3)
    assert_array_equal(spread.slice_offsets_mm, [0.0])
    assert_array_equal(spread.slice_weights, [1.0])
