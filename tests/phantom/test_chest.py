"""The chest: human volumes, fissures where lobes part, distances that are distances."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import cKDTree

from miliary.phantom.chest import fissure_present, make_chest

SHAPE, SPACING_MM = (76, 128, 150), (1.25, 0.9, 0.8)
SCALE = 0.3


@pytest.fixture(scope="module")
def chest():
    return make_chest(SHAPE, SPACING_MM, SCALE, np.random.default_rng(5))


def inside_mm(chest):
    return np.argwhere(chest.depth_mm > 0) * chest.step_mm


def test_adult_lungs_hold_four_to_five_litres_and_lobes_have_human_shares(chest):
    lobes = chest.lobes_at(inside_mm(chest))
    litres = len(lobes) * chest.step_mm**3 / 1e6 / SCALE**3
    assert 4.0 < litres < 5.2
    share = np.bincount(lobes, minlength=6) / len(lobes)
    assert share[0] == 0
    assert share[1:4].sum() > share[4:].sum()
    assert 0.05 < share[2] < 0.15
    assert (share[[1, 3, 4, 5]] > 0.15).all()


def test_depth_rises_by_a_millimetre_a_millimetre_at_the_pleura(chest):
    slope = np.linalg.norm(np.gradient(chest.depth_mm, chest.step_mm), axis=0)
    surface = np.abs(chest.depth_mm) < 1.5
    assert 0.6 < np.median(slope[surface]) < 1.2


def test_chest_zero_is_at_its_origin_and_scale_stretches(chest):
    assert_allclose(chest.to_grid(np.zeros(3)), chest.origin_mm)
    assert_allclose(chest.to_grid(np.array([10.0, 0, 0]))[0] - chest.origin_mm[0], 3.0)


def test_distance_to_fissures_is_that_to_points_on_them(rng, chest):
    y, x = (rng.uniform(-150, 150, 300_000) for _ in range(2))
    heights = tuple(fissure.height(y, x) for fissure in chest.fissures)
    parts = []
    for number, height in enumerate(heights):
        here = fissure_present(heights, number, height, x)
        parts.append(np.stack([height, y, x], 1)[here])
    points = inside_mm(chest)[::97]
    z, _, x_points = ((points - chest.origin_mm) / SCALE).T
    measured = chest.fissure_offset_mm(points)
    slow = cKDTree(chest.to_grid(np.concatenate(parts))).query(points)[0]
    # Across the midline or round the end of a fissure the plain distance is the shorter one.
    near = (measured < 6.0) & (np.abs(x_points) > 25.0) & np.isfinite(z)
    assert near.sum() > 100
    assert np.median(np.abs(measured - slow)[near]) < 0.1
    assert np.quantile(np.abs(measured - slow)[near], 0.95) < 0.6


def test_same_seed_gives_the_same_chest(chest):
    again = make_chest(SHAPE, SPACING_MM, SCALE, np.random.default_rng(5))
    for name in ("depth_mm", "body_hu", "texture_hu", "gap"):
        assert_array_equal(getattr(again, name), getattr(chest, name))


def test_lungs_have_no_islands(chest):
    points = inside_mm(chest)
    right = (points[:, 2] - chest.origin_mm[2]) / SCALE < 3.0
    for part in (points[right], points[~right]):
        pairs = cKDTree(part).query_pairs(1.01 * chest.step_mm, output_type="ndarray")
        group = np.arange(len(part))
        for _ in range(400):
            lower = group.copy()
            np.minimum.at(lower, pairs[:, 0], group[pairs[:, 1]])
            np.minimum.at(lower, pairs[:, 1], group[pairs[:, 0]])
            if np.array_equal(lower, group):
                break
            group = lower
        assert (group == 0).all()
