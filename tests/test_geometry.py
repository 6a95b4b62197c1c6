"""Indices, world points and grid points, and back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.geometry import Geometry

SHAPE, SPACING, ORIGIN = (19, 23, 29), (1.25, 0.7, 0.8), (-10.0, 20.0, 30.0)


def tilted():
    """A grid turned by an odd angle about an odd axis."""
    turn, _ = np.linalg.qr([[2.0, 1.0, 0.3], [0.1, 1.5, -0.4], [0.7, -0.2, 1.1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * SPACING
    affine[:3, 3] = ORIGIN
    return Geometry(SHAPE, affine)


def test_an_aligned_grid_by_hand():
    geometry = Geometry.aligned(SHAPE, SPACING, ORIGIN)
    assert_allclose(geometry.to_world([[2, 10, 5]]), [[-10 + 5 * 0.8, 20 + 7, 30 + 2.5]])
    assert_allclose(geometry.spacing_mm, SPACING)
    # The z axis of the array is the world's z, the third coordinate.
    assert_array_equal(geometry.axes, [[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    assert_allclose(geometry.voxel_ml, 0.0007)


@pytest.mark.parametrize("geometry", [Geometry.aligned(SHAPE, SPACING, ORIGIN), tilted()])
def test_there_and_back(rng, geometry):
    index = rng.uniform(-5, 30, (40, 3))
    world = geometry.to_world(index)
    assert_allclose(geometry.to_index(world), index, atol=1e-10)
    assert_allclose(geometry.to_grid_mm(world), index * SPACING, atol=1e-10)
    # Distances on the grid are those of the world.
    between = np.linalg.norm(np.diff(world, axis=0), axis=1)
    assert_allclose(np.linalg.norm(np.diff(index * SPACING, axis=0), axis=1), between)


@pytest.mark.parametrize("geometry", [Geometry.aligned(SHAPE, SPACING, ORIGIN), tilted()])
def test_a_crop_leaves_world_points_where_they_are(rng, geometry):
    part = geometry.crop((slice(2, 9), slice(0, 23), slice(11, 20)))
    assert part.shape == (7, 23, 9)
    index = rng.uniform(0, 7, (10, 3))
    assert_allclose(
        part.to_world(index), geometry.to_world(index + np.array([2, 0, 11])), atol=1e-10
    )
    assert_allclose(part.spacing_mm, geometry.spacing_mm)


def test_moving_the_origin_moves_the_points_and_nothing_else():
    here, there = (Geometry.aligned(SHAPE, SPACING, o) for o in (ORIGIN, (0.0, 0.0, 0.0)))
    index = np.array([[3.0, 4.0, 5.0]])
    assert_allclose(here.to_world(index) - there.to_world(index), [ORIGIN])
    assert_allclose(here.to_grid_mm(here.to_world(index)), there.to_grid_mm(there.to_world(index)))


def test_no_points_are_no_points():
    geometry = Geometry.aligned(SHAPE, SPACING)
    for convert in (geometry.to_world, geometry.to_index, geometry.to_grid_mm):
        assert convert(np.empty((0, 3))).shape == (0, 3)


def test_one_point_may_come_without_a_row():
    assert Geometry.aligned(SHAPE, SPACING).to_world(np.zeros(3)).shape == (1, 3)


def test_a_sheared_grid_and_one_without_extent_are_refused():
    sheared = Geometry.aligned(SHAPE, SPACING).affine.copy()
    sheared[0, 1] = 0.1
    with pytest.raises(ValueError, match=r"orthogonal, got cosines up to 0\.1.*; resample"):
        Geometry(SHAPE, sheared)
    with pytest.raises(ValueError, match=r"must have a length, got \[0\.  *0\.7"):
        Geometry.aligned(SHAPE, (0.0, 0.7, 0.8))
    with pytest.raises(ValueError, match=r"must have a length, got \[ *nan"):
        Geometry.aligned(SHAPE, (np.nan, 0.7, 0.8))


def test_a_shear_within_rounding_of_headers_is_borne():
    nearly = Geometry.aligned(SHAPE, SPACING).affine.copy()
    nearly[0, 1] = 0.0005
    assert Geometry(SHAPE, nearly).shape == SHAPE
