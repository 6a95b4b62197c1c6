"""Blurred shapes are what a Gaussian makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate

import oracles_drawing
import oracles_phantom
from miliary.phantom.discs import FAINT, blurred_disc, disc_table
from miliary.phantom.drawing import blurred_sheet, draw_tubes, edge_share
from miliary.phantom.tubes import Tubes

SHAPE, SPACING_MM = (19, 23, 29), (1.25, 0.7, 0.8)
PSF_MM = (0.65, 0.45, 0.45)


def tube(start, end, radius):
    return Tubes(np.array([start], float), np.array([end], float), np.array([radius], float))


def drawn(tubes, psf_mm=PSF_MM, shape=SHAPE):
    image = np.zeros(shape, np.float32)
    draw_tubes(image, tubes, SPACING_MM, psf_mm)
    return image


@pytest.mark.parametrize("radius", [0.5, 1.0, 3.0])
def test_blurred_disc_matches_the_sum_over_small_squares(radius):
    distances = np.array([0.0, 0.7, 1.5, 3.2])
    fast = blurred_disc(distances, np.full(4, radius), disc_table())
    slow = [oracles_phantom.blurred_disc(d, radius) for d in distances]
    assert_allclose(fast, slow, atol=2e-3)


def test_wide_disc_has_a_straight_edge():
    share = blurred_disc(np.array([29.0, 30.0, 31.0, 60.0]), np.full(4, 30.0), disc_table())
    # The table's widest disc stands in for wider ones: its edge is bent by 0.015.
    assert_allclose(share, [0.84, 0.5, 0.16, 0.0], atol=0.02)


def test_edge_is_half_at_the_surface_and_as_wide_as_the_spread():
    share = edge_share(np.array([-0.5, 0.0, 0.5], np.float32), 0.5)
    assert_allclose(share, [0.1587, 0.5, 0.8413], atol=1e-4)


@pytest.mark.parametrize("thickness", [0.1, 0.6, 4.0])
def test_sheet_is_the_sum_of_its_layers(thickness):
    distance = np.array([-2.3, -0.4, 0.0, 0.9, 3.0], np.float32)

    def layer(place, d):
        return np.exp(-0.5 * ((d - place) / 0.45) ** 2) / (0.45 * np.sqrt(2 * np.pi))

    slow = [integrate.quad(layer, -thickness / 2, thickness / 2, (d,))[0] for d in distance]
    assert_allclose(blurred_sheet(distance, thickness, 0.45), slow, atol=1e-6)


def test_sheet_of_no_thickness_is_not_seen():
    assert not blurred_sheet(np.linspace(-1, 1, 5), 0.0, 0.45).any()


@pytest.mark.parametrize("radius", [0.3, 0.6, 1.5])
def test_cross_section_of_a_tube_is_that_of_its_disc(radius):
    # Along z through the whole image, with an isotropic spread in the plane: nothing is cut.
    image = drawn(tube((-5, 8.1, 11.3), (30, 8.1, 11.3), radius))
    area = image.sum(axis=(1, 2)) * SPACING_MM[1] * SPACING_MM[2]
    assert_allclose(area, np.pi * radius**2, rtol=0.02)


@pytest.mark.parametrize("way", [(0, 0, 1), (0, 1, -1), (1, 1, 1.2)])
@pytest.mark.parametrize(
    ("radius", "psf_mm"), [(0.3, PSF_MM), (0.6, PSF_MM), (0.3, (2.1, 0.4, 0.5))]
)
def test_thin_tube_matches_the_sum_over_its_pieces(rng, way, radius, psf_mm):
    centre, unit = np.array([11.3, 8.1, 11.2]), np.array(way) / np.linalg.norm(way)
    start, end = centre - 8 * unit, centre + 8 * unit
    image = drawn(tube(start, end, radius), psf_mm)
    index = np.rint(centre / SPACING_MM).astype(int) + rng.integers(-2, 3, (25, 3))
    slow = oracles_drawing.blurred_tube(index * SPACING_MM, start, end, radius, psf_mm)
    fast = image[tuple(index.T)]
    # The second moments are matched, the fourth are not.
    assert_allclose(fast, slow, atol=0.025 * slow.max() + FAINT)


def test_thick_tube_has_edges_as_wide_as_the_spread_across_them():
    radius = 4.0
    image = drawn(tube((11.25, 7.7, -20), (11.25, 7.7, 50), radius), (1.2, 0.4, 0.4))
    up = np.arange(SHAPE[0]) * SPACING_MM[0] - 11.25
    aside = np.arange(SHAPE[1]) * SPACING_MM[1] - 7.7
    # The blur beside the edge shifts it where it is bent.
    top, side = radius - 0.4**2 / (2 * radius), radius - 1.2**2 / (2 * radius)
    assert_allclose(image[:, 11, 14], edge_share(top - np.abs(up), 1.2), atol=0.02)
    assert_allclose(image[9, :, 14], edge_share(side - np.abs(aside), 0.4), atol=0.02)


@pytest.mark.parametrize("way", [(0, 0, 1), (1, 1, 1.2)])
def test_thick_tube_matches_the_sum_over_its_pieces(rng, way):
    centre, unit = np.array([11.3, 8.1, 11.2]), np.array(way) / np.linalg.norm(way)
    start, end, radius = centre - 8 * unit, centre + 8 * unit, 1.6
    image = drawn(tube(start, end, radius))
    index = np.rint(centre / SPACING_MM).astype(int) + rng.integers(-3, 4, (25, 3))
    slow = oracles_drawing.blurred_tube(index * SPACING_MM, start, end, radius, PSF_MM, 0.12)
    assert_allclose(image[tuple(index.T)], slow, atol=0.025)


def test_oblique_tube_has_its_volume():
    start, end = np.array([8.0, 9.0, 9.0]), np.array([40.0, 33.0, 38.0])
    image = drawn(tube(start, end, 1.2), shape=(40, 60, 60))
    length = np.linalg.norm(end - start)
    expected = np.pi * 1.2**2 * length + 4 / 3 * np.pi * 1.2**3
    # The ends are balls only nearly.
    assert_allclose(image.sum() * np.prod(SPACING_MM), expected, rtol=0.03)


def test_pieces_of_a_tube_are_the_tube():
    start, end = np.array([2.0, 3.0, 3.0]), np.array([20.0, 13.0, 19.0])
    corners = np.linspace(start, end, 8)
    pieces = Tubes(corners[:-1], corners[1:], np.full(7, 0.5))
    # Single precision; a column of the table changes a share by 0.4 % at most.
    assert_allclose(drawn(pieces), drawn(tube(start, end, 0.5)), atol=2e-3)


def test_slabs_are_parts_of_the_whole(rng):
    start = rng.uniform(0, 20, (40, 3))
    tubes = Tubes(start, start + rng.normal(0, 3, (40, 3)), rng.uniform(0.2, 3.0, 40))
    lift = np.array([8 * SPACING_MM[0], 0, 0])
    moved = Tubes(tubes.start_mm - lift, tubes.end_mm - lift, tubes.radius_mm)
    assert_allclose(drawn(moved, shape=(11, 23, 29)), drawn(tubes)[8:], atol=5e-3)


def test_tube_of_no_length_is_a_ball_of_light():
    image = drawn(tube((11.25, 7.7, 11.2), (11.25, 7.7, 11.2), 0.5))
    assert image.argmax() == np.ravel_multi_index((9, 11, 14), SHAPE)
    assert_allclose(image, image[:19][::-1], atol=1e-6)


def test_tubes_outside_are_not_drawn_and_the_largest_share_stays():
    image = np.full(SHAPE, 0.9, np.float32)
    draw_tubes(image, tube((90, 90, 90), (99, 99, 99), 2.0), SPACING_MM, PSF_MM)
    draw_tubes(image, tube((3, 3, 3), (9, 9, 9), 0.3), SPACING_MM, PSF_MM)
    none = Tubes(np.empty((0, 3)), np.empty((0, 3)), np.empty(0))
    draw_tubes(image, none, SPACING_MM, PSF_MM)
    assert_array_equal(image, np.full(SHAPE, 0.9, np.float32))


def test_image_must_be_contiguous():
    with pytest.raises(ValueError, match="the image must be contiguous, got strides"):
        draw_tubes(
            np.zeros(SHAPE, np.float32)[:, ::2], tube((0, 0, 0), (9, 9, 9), 1), SPACING_MM, PSF_MM
        )
