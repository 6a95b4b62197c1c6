"""The chest: human volumes, fissures where lobes part, rind and collapse as asked for."""

from __future__ import annotations

import cc3d
import edt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import KDTree

from miliary.phantom.body import paint_body
from miliary.phantom.chest import Plan, make_chest
from miliary.phantom.fissures import fissure_present
from miliary.phantom.shapes import Build
from miliary.phantom.spec import PhantomSpec
from miliary.phantom.truth import Tissue

SPEC = PhantomSpec.of(shape=(76, 128, 150), spacing_mm=(1.25, 0.9, 0.8), scale=0.3)
#: Large enough for a rind of 12 mm to leave a lung.
WIDE = PhantomSpec.of(shape=(100, 90, 120), spacing_mm=(3.0, 3.0, 3.1), scale=1.0)


def chest_of(spec, seed=5):
    return make_chest(spec, Plan.draw(np.random.default_rng(seed)))


@pytest.fixture(scope="module")
def chest():
    return chest_of(SPEC)


@pytest.fixture(scope="module")
def wide():
    return chest_of(WIDE)


def inside_mm(chest):
    return np.argwhere(chest.depth_mm > 0) * chest.step_mm


def litres(mask, chest):
    return mask.sum() * chest.step_mm**3 / 1e6


def test_adult_lungs_hold_four_to_five_litres_and_lobes_have_human_shares(wide):
    lobes = wide.lobes_at(inside_mm(wide))
    assert 4.0 < litres(wide.depth_mm > 0, wide) < 5.2
    share = np.bincount(lobes, minlength=6) / len(lobes)
    assert share[0] == 0
    assert share[1:4].sum() > share[4:].sum()
    assert 0.05 < share[2] < 0.15
    assert (share[[1, 3, 4, 5]] > 0.15).all()


def test_depth_rises_by_a_millimetre_a_millimetre_at_the_pleura(chest):
    slope = np.linalg.norm(np.gradient(chest.depth_mm, chest.step_mm), axis=0)
    surface = np.abs(chest.depth_mm) < 1.5
    assert 0.85 < np.median(slope[surface]) < 1.15


def test_true_depth_is_true_at_all_depths(wide):
    inside = wide.depth_mm > 0
    slow = edt.edt(inside, anisotropy=(wide.step_mm,) * 3, parallel=1)
    off = (slow - wide.true_depth_mm)[inside & (slow > 4)]
    assert_allclose(np.median(off), 0.5 * wide.step_mm, atol=0.1)
    assert np.abs(off).max() < 2 * wide.step_mm


def test_distance_to_fissures_is_that_to_points_on_them(rng, wide):
    plan = Plan.draw(np.random.default_rng(5))
    y, x = (rng.uniform(-150, 150, 300_000) for _ in range(2))
    heights = [fissure.height(y, x) for fissure in plan.fissures]
    parts = []
    for number, height in enumerate(heights):
        above = tuple(height - other for other in heights)
        here = fissure_present(above, number, x < wide.midline)
        parts.append(np.stack([height, y, x], 1)[here])
    points = inside_mm(wide)[::977]
    x_points = wide.frame.to_chest(points)[:, 2]
    measured = wide.fissure_offset_mm(points)
    slow = KDTree(wide.to_grid(np.concatenate(parts))).query(points)[0]
    # Across the midline or round the end of a fissure the plain distance is the shorter one.
    near = (measured < 8.0) & (np.abs(x_points) > 25.0)
    assert near.sum() > 100
    assert np.median(np.abs(measured - slow)[near]) < 0.15
    assert np.quantile(np.abs(measured - slow)[near], 0.95) < 0.7


def test_same_plan_gives_the_same_chest_and_another_another(chest):
    again, other = chest_of(SPEC), chest_of(SPEC, seed=6)
    for name in ("depth_mm", "body_hu", "body_labels", "texture_hu", "missing"):
        assert_array_equal(getattr(again, name), getattr(chest, name))
    assert not np.array_equal(other.fissure_mm[0], chest.fissure_mm[0])
    assert not np.array_equal(other.texture_hu, chest.texture_hu)


@pytest.mark.parametrize("encased", ["none", "left"])
def test_lungs_have_no_islands(encased):
    chest = chest_of(WIDE.but(encased_lung=encased))
    right = chest.is_right(np.argwhere(np.ones(chest.depth_mm.shape)) * chest.step_mm)
    for side in (right, ~right):
        lung = (chest.depth_mm > 0) & side.reshape(chest.depth_mm.shape)
        assert cc3d.connected_components(lung, connectivity=6).max() == 1


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_encased_lung_is_shrunken_by_its_rind_and_the_other_is_not(wide, side):
    sick = chest_of(WIDE.but(encased_lung=side, rind_mm=12.0, volume_loss=0.3))
    points = np.argwhere(np.ones(wide.depth_mm.shape)) * wide.step_mm
    volumes = {}
    for name, chest in (("before", wide), ("after", sick)):
        own = chest.is_right(points).reshape(chest.depth_mm.shape) == (side == "right")
        volumes[name] = [litres((chest.depth_mm > 0) & half, chest) for half in (own, ~own)]
        cavity = litres((chest.pleural_mm > 0) & own, chest)
    assert 0.15 < volumes["after"][0] / volumes["before"][0] < 0.6
    assert volumes["after"][1] > 0.8 * volumes["before"][1]
    assert volumes["after"][0] < 0.8 * cavity
    # The rind: as thick on average as was asked for, measured from the lung's surface.
    shell = edt.edt(sick.pleural_mm > 0, anisotropy=(sick.step_mm,) * 3, parallel=1)
    surface = (np.abs(sick.depth_mm) < 0.8) & (sick.pleural_mm > 4)
    assert_allclose((shell[surface] - 0.5 * sick.step_mm).mean(), 12.0, atol=1.5)


def test_a_consolidated_lobe_is_that_lobe():
    chest = chest_of(WIDE.but(consolidated_lobe="LLL"))
    points = inside_mm(chest)
    inside = chest.sample(chest.consolidation_mm, points) > 0
    sure = np.abs(chest.sample(chest.consolidation_mm, points)) > 2
    assert_array_equal(inside[sure], (chest.lobes_at(points) == 5)[sure])


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_ground_glass_fills_its_share(share):
    chest = chest_of(SPEC.but(ground_glass_share=share))
    assert_allclose((chest.ground_glass > 0.5).mean(), share, atol=0.02)
    plain = chest_of(SPEC)
    added = chest.texture_hu - plain.texture_hu
    assert_allclose(added[chest.ground_glass == 1], SPEC.disease.ground_glass_hu, atol=0.1)
    assert_allclose(added[chest.ground_glass == 0], 0.0, atol=0.1)


def test_breathed_out_lungs_are_smaller_and_denser(wide):
    out = chest_of(WIDE.but(breath=0.8))
    ratio = litres(out.depth_mm > 0, out) / litres(wide.depth_mm > 0, wide)
    assert 0.7 < ratio < 0.8
    gas = (out.texture_hu.mean() + 1000) / (wide.texture_hu.mean() + 1000)
    assert_allclose(gas, 1 / 0.8, rtol=0.05)


def test_the_body_has_every_tissue_and_bowel_gas_lies_under_the_left_diaphragm():
    z, y, x = (
        np.arange(low, high, 4.0, np.float32)
        for low, high in ((-20, 300), (-140, 160), (-260, 260))
    )
    axes = z[:, None, None], y[None, :, None], x[None, None, :]
    hu, labels = paint_body(*axes, Build(), np.random.default_rng(1), table=True, arms=True)
    outside = {Tissue.AIR, Tissue.FAT, Tissue.MUSCLE, Tissue.BONE, Tissue.MARROW, Tissue.TABLE}
    inside = {Tissue.MEDIASTINUM, Tissue.HEART, Tissue.ABDOMEN, Tissue.BOWEL_GAS, Tissue.SKIN}
    assert set(np.unique(labels)) == {int(tissue) for tissue in outside | inside}
    gas = np.argwhere(labels == Tissue.BOWEL_GAS)
    assert x[gas[:, 2]].min() > 15
    assert z[gas[:, 0]].max() < 60
    assert np.median(hu[labels == Tissue.BOWEL_GAS]) < -800
    assert np.median(hu[labels == Tissue.BONE]) > 250
    bare = paint_body(*axes, Build(), np.random.default_rng(1), table=False, arms=False)[1]
    assert Tissue.TABLE not in bare
    assert (bare == Tissue.BONE).sum() < (labels == Tissue.BONE).sum()
