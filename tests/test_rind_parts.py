"""The inside of the ribs and the bodies of soft tissue, on drawn slabs of a chest."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.anatomy import LEFT, RIGHT
from miliary.config.lungs import LungSettings
from miliary.lungs.bodies import choose_bodies
from miliary.lungs.coarse import Coarse, CoarseLungs
from miliary.lungs.ribs import Ribs, find_ribs, mirrored

SETTINGS = LungSettings()
SHAPE, SPACING = (23, 91, 113), np.array([2.0, 1.5, 1.6])
WHOLE = tuple(slice(0, n) for n in SHAPE)
MIDDLE_X = 56.0
RIBS_MM = 60.0
FAT_HU, TISSUE_HU = -90.0, 45.0
#: Two voxels, as the direction of a voxel is told to 2 degrees.
WAY_MM = 3.0


def grid_mm():
    """Ways from the middle of the slab along z, y and x."""
    return np.meshgrid(
        *((np.arange(n) - n // 2) * step for n, step in zip(SHAPE, SPACING, strict=True)),
        indexing="ij",
    )


def around(middle_mm, radius_mm):
    """A cylinder along z."""
    _, y, x = grid_mm()
    return np.hypot(y, x - middle_mm) < radius_mm


def ring(radius_mm):
    """A wall of bone 4 mm thick round the middle."""
    return around(0.0, radius_mm + 4.0) & ~around(0.0, radius_mm)


def lungs():
    """Two lungs, the left one at larger x, in a slab of a chest."""
    sides = {RIGHT: around(-25.0, 15.0), LEFT: around(25.0, 15.0)}
    nothing = np.zeros(SHAPE, bool)
    return CoarseLungs(
        Coarse(np.zeros(SHAPE, np.float32), (1, 1, 1), SPACING), sides, nothing, nothing, MIDDLE_X
    )


def test_the_inside_of_a_ring_of_bone_is_as_far_as_it_is():
    found, layer = lungs(), np.zeros(SHAPE, bool)
    ribs = find_ribs(found, LEFT, WHOLE, ring(RIBS_MM), layer)
    _, y, x = grid_mm()
    # Ways are those from the middle of the lung and its mirror image of the other: along x.
    row = np.abs(y) < 1.0
    outward = row & (x > 30) & (x < RIBS_MM)
    assert_allclose(ribs.depth_mm[outward], RIBS_MM - x[outward], atol=WAY_MM)
    assert (ribs.depth_mm[ring(RIBS_MM + 4.0)] < 0).all()


def test_gaps_between_ribs_and_beside_them_are_bridged():
    found, layer, bone = lungs(), np.zeros(SHAPE, bool), ring(RIBS_MM)
    whole = find_ribs(found, LEFT, WHOLE, bone, layer)
    bone[5:15] = False
    _, y, x = grid_mm()
    bone &= ~((x > 0) & (np.abs(y) < 8.0))
    gaps = find_ribs(found, LEFT, WHOLE, bone, layer)
    assert_allclose(gaps.depth_mm, whole.depth_mm, atol=WAY_MM)


def test_a_shoulder_blade_behind_a_gap_does_not_count():
    found, layer, bone = lungs(), np.zeros(SHAPE, bool), ring(RIBS_MM)
    whole = find_ribs(found, LEFT, WHOLE, bone, layer)
    _, _, x = grid_mm()
    bone[5:15] = (ring(RIBS_MM + 20.0) & (x > 0))[5:15]
    blade = find_ribs(found, LEFT, WHOLE, bone, layer)
    assert_allclose(blade.depth_mm, whole.depth_mm, atol=WAY_MM)


def test_without_bone_there_is_no_inside():
    nothing = np.zeros(SHAPE, bool)
    ribs = find_ribs(lungs(), LEFT, WHOLE, nothing, nothing)
    assert np.isinf(ribs.depth_mm).all()
    assert not ribs.costal.any()


@pytest.mark.parametrize("side", [RIGHT, LEFT])
def test_costal_is_the_own_side_in_front_and_beside_not_the_spine(side):
    nothing = np.zeros(SHAPE, bool)
    ribs = find_ribs(lungs(), side, WHOLE, ring(RIBS_MM), nothing)
    outward = 1 if side == LEFT else -1
    middle = [n // 2 for n in SHAPE]
    at = {"own": (0, 20), "other": (0, -20), "spine": (30, 0)}
    costal = {
        name: ribs.costal[middle[0], middle[1] + dy, middle[2] + outward * dx]
        for name, (dy, dx) in at.items()
    }
    assert costal == {"own": True, "other": False, "spine": False}


def test_a_mirror_image_of_a_mirror_image_is_the_mask(rng):
    mask = rng.random((3, 5, 9)) < 0.5
    once = mirrored(mask, 4.0)
    assert_array_equal(once, mask[:, :, ::-1])
    assert_array_equal(mirrored(once, 4.0), mask)


def test_what_is_mirrored_out_of_the_image_is_lost():
    mask = np.ones((1, 1, 9), bool)
    assert mirrored(mask, 6.0)[0, 0].tolist() == [False] * 4 + [True] * 5


def chosen_of(tissue, layer, away_mm, thick_mm):
    """What is chosen of some tissue in fat, well inside the ribs."""
    hu = np.where(tissue, TISSUE_HU, FAT_HU).astype(np.float32)
    ribs = Ribs(np.full(SHAPE, 5.0, np.float32), np.ones(SHAPE, bool))
    return choose_bodies(hu, tissue, layer, away_mm, thick_mm, ribs, SPACING, SETTINGS)


def test_a_layer_is_rind_and_an_organ_that_touches_it_is_not():
    lung_mm, thick_mm = 30.0, 8.0
    _, y, x = grid_mm()
    away_mm = np.maximum(np.hypot(y, x) - lung_mm, 0.0).astype(np.float32)
    sheet = (away_mm > 0) & (away_mm < thick_mm)
    # As the heart: far deeper than the layer, which leans on it over a narrow waist.
    organ = np.hypot(y, x - 62.0) < 25.0
    chosen = chosen_of(sheet | organ, sheet, away_mm, thick_mm)
    assert np.mean(chosen[sheet & ~organ]) > 0.9
    assert np.mean(chosen[organ & ~sheet]) < 0.1


def test_a_flat_sheet_that_hangs_together_with_rind_is_rind_too():
    lung_mm, thick_mm = 24.0, 8.0
    _, y, x = grid_mm()
    away_mm = np.maximum(np.hypot(y, x) - lung_mm, 0.0).astype(np.float32)
    sheet = (away_mm > 0) & (away_mm < thick_mm)
    # A recess: pleura on pleura, beyond what any ray from the lung tells of.
    recess = (np.abs(y) < thick_mm / 2) & (x > lung_mm) & (x < lung_mm + 28.0)
    chosen = chosen_of(sheet | recess, sheet, away_mm, thick_mm)
    assert np.mean(chosen[recess]) > 0.8


def test_no_tissue_is_no_rind():
    nothing = np.zeros(SHAPE, bool)
    assert not chosen_of(nothing, nothing, np.zeros(SHAPE, np.float32), 8.0).any()
