"""Layers on a surface, measured along rays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.kernels.layers import cross_layer, outward_normals

SHAPE, SPACING = (19, 23, 61), np.array([1.25, 0.7, 0.8])
LIMITS = {
    "spacing_mm": SPACING,
    "reach_mm": 30.0,
    "air_hu": -400.0,
    "soft_hu": -10.0,
    "max_rise_mm": 2.6,
    "beyond_mm": 4.0,
}
#: Rays are sampled every 0.75 mm, and edges lie between voxels of 0.8 mm.
TOLERANCE_MM = 0.5


def scene(layer_mm, *, fat_mm=4.0, bone_mm=30.0):
    """Lung up to x = 8 mm, then a layer, fat, and tissue; bone from `bone_mm` on."""
    x = np.broadcast_to(np.arange(SHAPE[2]) * SPACING[2], SHAPE)
    hu = np.select(
        [x < 8.0, x < 8.0 + layer_mm, x < 8.0 + layer_mm + fat_mm], [-850.0, 40.0, -90.0], 40.0
    )
    lung = x < 8.0
    index = np.argwhere(lung & (x >= 8.0 - SPACING[2]))
    normals = outward_normals(lung, index, sigma_mm=1.5, spacing_mm=SPACING)
    return cross_layer(hu.astype(np.float32), x >= bone_mm, index, normals, **LIMITS), normals


def test_normals_of_a_plane_lead_out_of_it():
    _, normals = scene(5.0)
    assert_allclose(normals, np.broadcast_to([0.0, 0.0, 1.0], normals.shape), atol=1e-6)


@pytest.mark.parametrize("layer_mm", [4.0, 8.0, 16.0])
def test_a_layer_has_its_thickness(layer_mm):
    rays, _ = scene(layer_mm)
    assert_allclose(rays.thickness_mm, layer_mm, atol=TOLERANCE_MM)
    assert not rays.is_open.any()


def test_bone_ends_a_layer_and_is_seen_behind_it():
    rays, _ = scene(40.0, bone_mm=20.0)
    assert_allclose(rays.thickness_mm, 12.0, atol=2 * TOLERANCE_MM)
    assert rays.faces_bone.all()
    assert not scene(8.0, bone_mm=30.0)[0].faces_bone.any()


def test_fat_on_the_lung_is_no_layer_and_tissue_without_end_is_open():
    rays, _ = scene(0.0)
    assert not rays.thickness_mm.any()
    assert not rays.is_open.any()
    rays, _ = scene(100.0, bone_mm=100.0)
    assert rays.is_open.all()
    assert not rays.thickness_mm.any()
