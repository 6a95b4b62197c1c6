"""Sheets: their middle, the way they face, and who supports whom."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.kernels.hessian import symmetric_eigenvalues
from miliary.kernels.plates import (
    bright_curvature,
    coplanar_support,
    first_eigenvectors,
    sheet_points,
    sheet_steps,
)
from oracles_detect import laplacian

SHAPE, SPACING = (29, 31, 33), np.array([1.25, 0.7, 0.8])
WIDTH_MM = 1.3


def sheet(normal, shift_mm=0.0, spacing=SPACING):
    """A Gaussian sheet through the middle of the image, and each voxel's offset from it."""
    unit = np.array(normal) / np.linalg.norm(normal)
    place = (np.indices(SHAPE).reshape(3, -1).T - np.array(SHAPE) // 2) * spacing
    offset = (place @ unit - shift_mm).reshape(SHAPE)
    image = 100 * np.exp(-(offset**2) / (2 * WIDTH_MM**2))
    return image.astype(np.float32), unit, offset


def inner_voxels(near):
    """Voxels a little away from the border."""
    near[[0, -1]] = near[:, [0, -1]] = near[..., [0, -1]] = False
    return np.flatnonzero(near)


@pytest.mark.parametrize("normal", [(1, 0, 0), (0, 1, 0), (1, -1, 0), (1, 2, 3)])
def test_middle_and_normal_of_a_sheet_are_found_whichever_way_it_faces(normal):
    image, unit, offset = sheet(normal, shift_mm=0.3)
    flat = inner_voxels(np.abs(offset) < 0.6)
    strength, second, normals, way = sheet_points(
        image, flat, SPACING, width_mm=WIDTH_MM, scale=1.0
    )
    assert (np.abs(normals @ unit) > 0.99).all()
    found = way * (normals @ unit)
    # Differences over voxels of 1.25 mm are not derivatives.
    assert_allclose(found, -offset.ravel()[flat], atol=0.12)
    assert (second < 0.2 * strength).all()


def test_the_strength_on_top_does_not_depend_on_the_step():
    strengths = []
    for normal in ((1, 0, 0), (0, 1, 0)):
        image, _, offset = sheet(normal, spacing=SPACING)
        flat = inner_voxels(np.abs(offset) < 1e-6)
        strengths.append(sheet_points(image, flat, SPACING, width_mm=WIDTH_MM, scale=1.0)[0])
    for strength in strengths:
        assert_allclose(strength, 100 / WIDTH_MM**2, rtol=1e-3)


def test_dark_sheets_have_no_strength():
    image, _, offset = sheet((1, 0, 0))
    flat = inner_voxels(np.abs(offset) < 0.1)
    strength = sheet_points(-image, flat, SPACING, width_mm=WIDTH_MM, scale=1.0)[0]
    assert (strength < 0.05 * 100 / WIDTH_MM**2).all()


def test_steps_are_the_voxels_where_these_are_small():
    assert_allclose(sheet_steps(SPACING / 100, WIDTH_MM), SPACING / 100, rtol=1e-4)
    assert (sheet_steps(SPACING, WIDTH_MM) < SPACING).all()


def test_eigenvectors_are_those_of_a_general_solver(rng):
    entries = rng.normal(size=(6, 500))
    aa, bb, cc, ab, ac, bc = entries
    matrices = np.array([[aa, ab, ac], [ab, bb, bc], [ac, bc, cc]]).transpose(2, 0, 1)
    truth = np.linalg.eigh(matrices)[1][:, :, 0]
    found = first_eigenvectors(entries, symmetric_eigenvalues(entries)).T
    assert_allclose(np.abs((found * truth).sum(axis=1)), 1, atol=1e-6)


def test_bright_curvature_is_minus_the_laplacian(rng):
    image = rng.normal(size=SHAPE).astype(np.float32)
    flat = inner_voxels(rng.random(SHAPE) < 0.1)
    wide = 1e4
    found = bright_curvature(image, flat, SPACING, width_mm=wide)
    assert_allclose(found, -laplacian(image, SPACING).ravel()[flat], rtol=1e-3, atol=1e-3)


def test_points_of_a_sheet_support_each_other_and_scattered_ones_do_not(rng):
    plane = rng.uniform(0, 60, (4000, 3))
    plane[:, 0] = 30
    facing = np.tile([1.0, 0, 0], (len(plane), 1))
    cloud = rng.uniform(0, 60, (4000, 3))
    ways = rng.normal(size=cloud.shape)
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    together = coplanar_support(
        np.concatenate([plane, cloud]),
        np.concatenate([facing, ways]),
        reach_mm=5.0,
        cell_mm=3.0,
    )
    # Points a cell of 3 mm, if all of them were spread along the normal under the Gaussian.
    whole = 4000 / 60**2 * 3.0**3 / (np.sqrt(2 * np.pi) * 5.0)
    middle = (np.abs(plane[:, 1:] - 30) < 15).all(axis=1)
    assert_allclose(np.median(together[:4000][middle]), whole, rtol=0.15)
    assert abs(np.median(together[4000:])) < 0.15 * whole


def test_sheets_at_right_angles_take_support_from_each_other(rng):
    points = rng.uniform(0, 20, (3000, 3))
    points[:, 0] = 10
    across = np.tile([0.0, 1.0, 0.0], (len(points), 1))
    along = np.tile([1.0, 0.0, 0.0], (len(points), 1))
    mixed = np.where(np.arange(3000)[:, None] % 3 == 0, along, across)
    support = coplanar_support(points, mixed, reach_mm=4.0, cell_mm=2.0)
    # One third faces one way, two thirds another: 1/3 - 2/3 / 2 and 2/3 - 1/3 / 2 of a whole.
    assert_allclose(support[::3].mean() / support[1::3].mean(), 0, atol=0.03)
    assert (support[1::3] > 0).all()


def test_no_points_have_no_support():
    none = np.zeros((0, 3))
    assert coplanar_support(none, none, reach_mm=4.0, cell_mm=2.0).shape == (0,)
