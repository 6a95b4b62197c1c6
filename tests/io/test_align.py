"""Lungs laid over each other."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from miliary.config.compare import CompareSettings
from miliary.geometry import Geometry
from miliary.io.align import LungMasks, align_lungs

SHAPE, SPACING = (60, 64, 58), (2.0, 1.5, 1.6)
#: Half a voxel of the grid that lungs are aligned on.
CLOSE_MM = 1.5


def draw(matrix):
    """A lung-like body with a few tubes, as it is after moving it by a matrix (world LPS)."""
    geometry = Geometry.aligned(SHAPE, SPACING, (-50.0, -40.0, -60.0))
    index = np.argwhere(np.ones(SHAPE, bool)).astype(float)
    world = geometry.to_world(index)
    x, y, z = ((world - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T).T
    # Not symmetric: a dent on one side, a flat base.
    body = (x / 30) ** 2 + (y / 36) ** 2 + (z / 48) ** 2 < 1
    body &= ((x + 30) / 14) ** 2 + (y / 20) ** 2 + ((z + 5) / 25) ** 2 > 1
    body &= z > -35
    tubes = np.zeros(len(x), bool)
    for k in range(9):
        a, b = 7.0 * (k % 3) - 7, 9.0 * (k // 3) - 9
        tubes |= (x - a - 0.2 * z) ** 2 + (y - b + 0.15 * z) ** 2 < 2.2**2
    shape = (body.reshape(SHAPE), (tubes & body).reshape(SHAPE))
    return LungMasks(*shape, geometry)


def test_a_breath_and_a_turn_are_found():
    matrix = np.eye(4)
    turn = np.deg2rad(4.0)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[2, 2] = 0.93
    matrix[:3, 3] = (4.0, -3.0, 6.0)
    found = align_lungs(draw(np.eye(4)), draw(matrix), CompareSettings())
    probes = np.array([[0.0, 0, 0], [10, 15, 20], [5, -15, -25], [-8, 10, 30]])
    wanted = probes @ matrix[:3, :3].T + matrix[:3, 3]
    assert_allclose(found(probes), wanted, atol=CLOSE_MM)
    assert found.dice > 0.95 > found.dice_before
    assert found.surface_mm < CLOSE_MM
    assert found.error_mm < CLOSE_MM
    assert found.model == "affine"


def test_the_same_lung_stays_where_it_is():
    one = draw(np.eye(4))
    found = align_lungs(one, one, CompareSettings())
    assert_allclose(found(np.eye(3) * 20), np.eye(3) * 20, atol=0.2)
    assert found.error_mm < 0.2
