"""Rind, consolidation, zones and walls: what lies in a hemithorax besides aerated lung."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_anatomy as oracles
from miliary.anatomy import LEFT, RIGHT
from miliary.config.lungs import LungSettings
from miliary.lungs import build_anatomy, segment_lungs, zones_by_anatomy
from miliary.lungs.walls import airway_walls
from miliary.volume import Volume

SETTINGS = LungSettings()
FAT_HU, BONE_HU = -90.0, 500.0
#: Fat round the pleura, and a shell of bone behind it, in mm.
FAT_MM, BONE_MM = 4.0, 5.0
#: Voxels of 2.5 mm: half a voxel of the surface is a tenth of a rind of 12 mm.
VOLUME_TOLERANCE, THICKNESS_TOLERANCE_MM = 0.1, 1.0


def draw(rind_mm=0.0, consolidated=False):
    """Draw a chest whose pleura lies in fat within a shell of bone; the left lung is ill."""
    volume, truth = oracles.draw_chest()
    hu = volume.hu.copy()
    grid = oracles.grid_mm(volume.geometry.shape, volume.geometry.spacing_mm)
    tissue = np.zeros(truth.shape, bool)
    for side, sign in ((RIGHT, -1), (LEFT, 1)):
        centre = (0, 0, sign * oracles.LUNG_X_MM)
        pleura, fat, bone = (
            oracles.ellipsoid(grid, centre, np.array(oracles.LUNG_AXES_MM) + more)
            for more in (0.0, FAT_MM, FAT_MM + BONE_MM)
        )
        windpipe = hu == oracles.AIR_HU
        hu[bone & ~fat & ~windpipe] = BONE_HU
        hu[fat & ~pleura & ~windpipe] = FAT_HU
        if side == LEFT:
            inner = oracles.ellipsoid(grid, centre, np.array(oracles.LUNG_AXES_MM) - rind_mm)
            tissue = pleura & ~inner & (truth == side)
            if consolidated:
                tissue |= (truth == side) & (grid[0] + 0.5 * grid[1] < -10)
    # The lungs last: the shells of one side reach into the other.
    hu[truth > 0] = oracles.LUNG_HU
    hu[tissue] = oracles.BODY_HU
    return Volume(hu, volume.geometry), truth, tissue


def anatomy_of(volume):
    masks = segment_lungs(volume, SETTINGS)
    return build_anatomy(volume, masks, np.zeros(masks.geometry.shape, bool), SETTINGS)


@pytest.mark.parametrize("rind_mm", [8.0, 14.0])
def test_a_rind_has_its_volume_and_thickness(rind_mm):
    volume, truth, tissue = draw(rind_mm=rind_mm)
    anatomy = anatomy_of(volume)
    left, right = anatomy.lung("left"), anatomy.lung("right")
    (excluded,) = [part for part in left.excluded if part.reason == "rind or effusion"]
    true_ml = np.count_nonzero(tissue) * volume.geometry.voxel_ml
    assert_allclose(excluded.ml, true_ml, rtol=VOLUME_TOLERANCE)
    assert_allclose(left.rind_mm, rind_mm, atol=THICKNESS_TOLERANCE_MM)
    (rind,) = anatomy.rinds
    assert (rind.side, len(rind.points_mm)) == ("left", len(rind.thickness_mm))
    assert_allclose(rind.thickness_mm.mean(), left.rind_mm)
    # Its points lie on the surface of the aerated lung.
    index = np.rint(anatomy.geometry.to_index(rind.points_mm)).astype(int)
    assert np.mean(anatomy.at(anatomy.pleura_mm, index) < 4.0) > 0.95
    assert oracles.dice(anatomy.hemithorax_labels == LEFT, (truth == LEFT)[anatomy.box]) > 0.95
    assert (right.rind_mm, right.excluded) == (None, ())
    assert_allclose(left.evaluable_share, left.evaluable_ml / left.hemithorax_ml)
    assert "ml of rind or effusion, the rind" in left.notes[-1]


def test_lungs_in_fat_and_bone_have_no_rind():
    anatomy = anatomy_of(draw()[0])
    assert [lung.rind_mm for lung in anatomy.lungs] == [None, None]
    assert all(lung.excluded == () for lung in anatomy.lungs)
    assert_array_equal(anatomy.hemithorax_labels, anatomy.lung_labels)


def test_a_consolidated_part_is_told_and_counted():
    volume, truth, tissue = draw(consolidated=True)
    anatomy = anatomy_of(volume)
    left = anatomy.lung("left")
    (excluded,) = left.excluded
    assert excluded.reason == "consolidation or collapse"
    true_ml = np.count_nonzero(tissue) * volume.geometry.voxel_ml
    assert_allclose(excluded.ml, true_ml, rtol=VOLUME_TOLERANCE)
    aerated = (truth == LEFT) & ~tissue
    assert oracles.dice(anatomy.lung_labels == LEFT, aerated[anatomy.box]) > 0.97
    assert anatomy.lung("right").excluded == ()


def test_zones_meet_at_the_carina_and_a_share_of_the_height_below():
    labels = np.zeros((50, 4, 6), np.uint8)
    labels[5:45, :, :2], labels[5:45, :, 4:] = RIGHT, LEFT
    zones, note = zones_by_anatomy(labels, 5.0, 30.0, SETTINGS)
    # A fifth of 200 mm is 40 mm: 8 slices.
    assert_array_equal(zones[:, 0, 0], [0] * 5 + [3] * 18 + [2] * 8 + [1] * 14 + [0] * 5)
    assert "40 mm below" in note
    thirds, note = zones_by_anatomy(labels, 5.0, None, SETTINGS)
    assert_array_equal(np.unique(thirds[5:18]), [0, 3])
    assert "carina was not seen" in note


def test_walls_are_the_dense_rim_of_the_air():
    spacing = np.array([1.25, 0.7, 0.8])
    grid = oracles.grid_mm((19, 33, 29), spacing)
    air = np.broadcast_to(np.hypot(grid[1], grid[2]) <= 3.0, (19, 33, 29))
    wall = np.broadcast_to(np.hypot(grid[1], grid[2]) <= 4.2, air.shape) & ~air
    hu = np.where(air, -1000.0, np.where(wall, 20.0, -850.0))
    assert_array_equal(airway_walls(hu, air, spacing, SETTINGS), wall)
    assert not airway_walls(hu, np.zeros_like(air), spacing, SETTINGS).any()
