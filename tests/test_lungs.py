"""Lungs, sides and airways on drawn chests; what the anatomy says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import oracles_anatomy as oracles
from miliary.anatomy import LEFT, RIGHT
from miliary.config.lungs import LungSettings
from miliary.errors import AnatomyError
from miliary.geometry import Geometry
from miliary.lungs import build_anatomy, segment_lungs, thirds_of_height
from miliary.volume import Volume

SETTINGS = LungSettings()
#: The issue asks for 0.985 on phantoms; on voxels of 2.5 mm the drawn surface itself is coarse.
DICE = 0.985
#: Half the size and the voxels: 1.25 x 0.85 x 0.9 mm.
SMALL = {"spacing_mm": (1.25, 0.85, 0.9), "size": 0.5}


def on_volume(masks, volume, image=None):
    """Put an image of the crop back into the volume."""
    whole = np.zeros(volume.geometry.shape, np.uint8)
    whole[masks.box] = masks.lung_labels if image is None else image
    return whole


def check_sides(volume, truth, least=DICE):
    masks = segment_lungs(volume, SETTINGS)
    labels = on_volume(masks, volume)
    for side in (RIGHT, LEFT):
        assert oracles.dice(labels == side, truth == side) >= least
    assert_array_equal(masks.geometry.to_world([[0, 0, 0]]), _start(masks, volume))
    return masks


def _start(masks, volume):
    return volume.geometry.to_world([[bounds.start for bounds in masks.box]])


def anatomy_of(volume, settings=SETTINGS):
    masks = segment_lungs(volume, settings)
    return build_anatomy(volume, masks, np.zeros(masks.geometry.shape, bool), settings)


def test_two_lungs_and_the_windpipe_between_them_are_found():
    volume, truth = oracles.draw_chest()
    before = volume.hu.copy()
    masks = check_sides(volume, truth)
    airway = on_volume(masks, volume, masks.airway_mask) > 0
    windpipe = (volume.hu == oracles.AIR_HU) & (truth == 0) & (np.abs(_x(volume)) < 60)
    above = np.zeros(airway.shape, bool)
    above[masks.box] = True
    assert oracles.dice(airway, windpipe & above & _behind_middle(volume)) > 0.9
    assert masks.cut == ()
    assert_array_equal(volume.hu, before)


def _x(volume):
    return oracles.grid_mm(volume.geometry.shape, volume.geometry.spacing_mm)[2]


def _behind_middle(volume):
    y = oracles.grid_mm(volume.geometry.shape, volume.geometry.spacing_mm)[1]
    return (y > 0) & (y < 60)


def test_a_small_chest_on_fine_voxels_is_drawn_as_well():
    check_sides(*oracles.draw_chest(**SMALL))


def test_joined_lungs_are_parted():
    volume, truth = oracles.draw_chest(joined=True)
    masks = check_sides(volume, truth)
    contact = ndimage.binary_dilation(masks.lung_labels == RIGHT) & (masks.lung_labels == LEFT)
    # The bridge is 12 mm across: some 30 voxels of contact, not a wall of them.
    assert np.count_nonzero(contact) < 60


def test_bowel_gas_under_the_diaphragm_stays_out():
    volume, truth = oracles.draw_chest(gas=True)
    masks = check_sides(volume, truth)
    z = oracles.grid_mm(volume.geometry.shape, volume.geometry.spacing_mm)[0]
    below = np.broadcast_to(z < -85, truth.shape)
    assert not (on_volume(masks, volume)[below] > 0).any()


def test_noise_of_100_hu_moves_little(rng):
    volume, truth = oracles.draw_chest()
    check_sides(oracles.add_noise(volume, 100.0, rng), truth, least=0.98)


def test_much_mixed_air_round_the_body_is_still_outside(rng):
    volume, truth = oracles.draw_chest()
    # A blanket of thin air over half of what lies outside, as clothes and tables are.
    outside = (volume.hu == oracles.AIR_HU) & (np.abs(_x(volume)) > 90)
    hu = volume.hu.copy()
    hu[outside & (rng.random(hu.shape) < 0.3)] = -600.0
    check_sides(Volume(hu, volume.geometry), truth)


def test_mirroring_the_patient_swaps_the_sides():
    volume, _ = oracles.draw_chest(scale={"right": 0.8})
    mirrored = Volume(np.ascontiguousarray(volume.hu[:, :, ::-1]), volume.geometry)
    one, two = anatomy_of(volume), anatomy_of(mirrored)
    # Block means start at the other end of an even number of voxels: nothing else changes.
    assert_allclose(one.lung("right").volume_ml, two.lung("left").volume_ml, rtol=0.01)
    assert_allclose(one.lung("left").volume_ml, two.lung("right").volume_ml, rtol=0.01)


@pytest.mark.parametrize(("side", "missing"), [("right", "left"), ("left", "right")])
def test_a_single_lung_keeps_its_side_and_the_other_is_said_missing(side, missing):
    volume, _ = oracles.draw_chest(sides=(side,))
    anatomy = anatomy_of(volume)
    assert [lung.side for lung in anatomy.lungs] == [side]
    assert anatomy.lung(missing) is None
    # The drawn body is soft tissue throughout: what lies in the lung's place cannot be told.
    assert anatomy.notes[0].startswith(f"No aerated {missing} lung was found.")
    assert "Zones meet at the carina" in anatomy.notes[1]


def test_a_small_lung_is_noted_and_a_tiny_one_not_judged():
    volume, _ = oracles.draw_chest(scale={"right": 0.75})
    right = anatomy_of(volume).lung("right")
    assert "shrunken, collapsed in part, encased or displaced" in right.notes[0]
    assert right.evaluable_ml > 0.9 * right.volume_ml
    volume, _ = oracles.draw_chest(scale={"right": 0.55})
    anatomy = anatomy_of(volume)
    right, left = anatomy.lungs
    assert right.evaluable_ml == 0.0
    # Besides what it holds no air in: the body drawn here is soft tissue throughout.
    millilitres = {excluded.reason: excluded.ml for excluded in right.excluded}
    assert_allclose(millilitres["collapsed or encased"], right.volume_ml)
    assert not (anatomy.evaluable_labels == RIGHT).any()
    assert left.notes == left.excluded == ()


def test_lungs_that_the_scan_cuts_are_said_and_still_judged():
    volume, truth = oracles.draw_chest(airways=False)
    part = (slice(0, 40), slice(None), slice(None))
    cut = Volume(
        volume.hu[part], volume.geometry.crop((slice(0, 40), slice(0, 116), slice(0, 182)))
    )
    masks = check_sides(cut, truth[part])
    assert masks.cut == (("right", "upper"), ("left", "upper"))
    anatomy = anatomy_of(cut)
    assert anatomy.lung("left").notes == (
        "The left lung is cut off by the upper edge of the scan.",
    )
    assert anatomy.lung("left").evaluable_ml > 0
    # The last slice is no pleura: the distance goes on along it.
    middle = anatomy.pleura_mm[-1][anatomy.lung_labels[-1] == LEFT].max()
    assert middle > 30.0


def test_a_lung_that_the_field_of_view_opens_is_not_taken_for_outside_air(rng):
    volume, truth = oracles.draw_chest(airways=False)
    opened = (slice(None), slice(None), slice(34, None))
    hu, truth = volume.hu[opened].copy(), truth[opened].copy()
    # Beyond the circle of reconstruction nothing was scanned.
    hu[:, :, :3], truth[:, :, :3] = -1024, 0
    check = Volume(hu, Geometry.aligned(hu.shape, (2.5, 1.7, 1.8)))
    check_sides(oracles.add_noise(check, 20.0, rng), truth, least=0.96)


def test_small_nodules_at_the_pleura_and_inside_stay_in_the_lung(rng):
    volume, truth = oracles.draw_chest(**SMALL)
    spacing = volume.geometry.spacing_mm
    # Centres a voxel or two inside the surface, so that the nodules reach it.
    depth = ndimage.distance_transform_edt(truth > 0, spacing)
    places = np.argwhere((depth > 1.3) & (depth < 2.5) & (np.abs(_x(volume)) > 25))
    chosen = places[rng.choice(len(places), 400, replace=False)]
    marks = np.zeros(truth.shape, bool)
    marks[tuple(chosen.T)] = True
    hu = volume.hu.copy()
    hu[ndimage.distance_transform_edt(~marks, spacing) <= 1.1] = 40.0
    studded = Volume(hu, volume.geometry)
    with_nodules = on_volume(segment_lungs(studded, SETTINGS), studded)
    without = on_volume(segment_lungs(volume, SETTINGS), volume)
    assert_allclose((with_nodules > 0).sum(), (without > 0).sum(), rtol=0.01)
    assert (with_nodules[tuple(chosen.T)] > 0).mean() > 0.97


def test_what_is_no_chest_is_refused_with_a_sentence():
    geometry = Geometry.aligned((19, 23, 29), (1.25, 0.7, 0.8))
    with pytest.raises(AnatomyError, match="must show a body"):
        segment_lungs(Volume(np.full(geometry.shape, -1000, np.int16), geometry), SETTINGS)
    with pytest.raises(AnatomyError, match=r"aerated lung of 15 ml at least, got 0\.0 ml"):
        segment_lungs(Volume(np.full(geometry.shape, 40, np.int16), geometry), SETTINGS)


def test_where_the_coarse_grid_is_far_off_the_boundary_is_the_same(monkeypatch):
    volume, _ = oracles.draw_chest()
    usual = segment_lungs(volume, SETTINGS).lung_labels
    # What has to wait is nothing then, and both lungs are drawn a second time.
    monkeypatch.setattr("miliary.lungs.refine._UNSURE_HU", 1e-3)
    assert_array_equal(segment_lungs(volume, SETTINGS).lung_labels, usual)


def test_the_anatomy_holds_distances_zones_and_the_window():
    volume, _ = oracles.draw_chest(airways=False)
    masks = segment_lungs(volume, SETTINGS)
    vessel = np.zeros(masks.geometry.shape, bool)
    middle = [int(c) for c in ndimage.center_of_mass(masks.lung_labels == LEFT)]
    vessel[middle[0], middle[1]] = masks.lung_labels[middle[0], middle[1]] == LEFT
    anatomy = build_anatomy(volume, masks, vessel, SETTINGS)
    inside = anatomy.inside_lung
    assert (anatomy.pleura_mm[inside] > 0).all()
    assert (anatomy.pleura_mm[~inside] == 0).all()
    deepest = min(oracles.LUNG_AXES_MM)
    assert_allclose(anatomy.pleura_mm[anatomy.lung_labels == LEFT].max(), deepest, atol=1.5)
    assert_array_equal(anatomy.vessel_mm == 0, vessel)
    assert_array_equal(anatomy.hemithorax_labels, anatomy.lung_labels)
    assert not anatomy.airless_labels.any()
    assert anatomy.rinds == ()
    peripheral = inside & (anatomy.pleura_mm <= SETTINGS.peripheral_mm)
    assert_array_equal(anatomy.depth_labels == 1, peripheral)
    assert_array_equal(anatomy.depth_labels == 2, inside & ~peripheral)
    assert not anatomy.evaluable_labels[vessel].any()
    assert_array_equal(anatomy.zone_labels > 0, inside)
    left = anatomy.lung("left")
    lost = np.count_nonzero(vessel) * anatomy.geometry.voxel_ml
    assert_allclose(left.volume_ml - left.evaluable_ml, lost, rtol=1e-6)
    assert (anatomy.fissure_mask, anatomy.lobe_labels) == (None, None)


def test_a_mass_is_excluded_and_is_no_vessel():
    volume, truth = oracles.draw_chest()
    grid = oracles.grid_mm(volume.geometry.shape, volume.geometry.spacing_mm)
    mass = oracles.ellipsoid(grid, (0, 0, oracles.LUNG_X_MM), (16, 16, 16))
    hu = volume.hu.copy()
    hu[mass] = 40.0
    sick = Volume(hu, volume.geometry)
    masks = check_sides(sick, truth)
    anatomy = build_anatomy(sick, masks, mass[masks.box], SETTINGS)
    (excluded,) = anatomy.lung("left").excluded
    assert excluded.reason == "mass or consolidation"
    assert_allclose(excluded.ml, 4 / 3 * np.pi * 1.6**3, rtol=0.15)
    assert np.count_nonzero(anatomy.vessel_mask) < 0.15 * np.count_nonzero(mass)
    assert anatomy.lung("right").excluded == ()


def test_zones_are_thirds_of_each_lungs_own_height():
    labels = np.zeros((20, 3, 4), np.uint8)
    labels[2:11, :, :2], labels[5:20, :, 2:] = RIGHT, LEFT
    zones = thirds_of_height(labels)
    assert_array_equal(zones[:, 0, 0], [0] * 2 + [3] * 3 + [2] * 3 + [1] * 3 + [0] * 9)
    assert_array_equal(zones[:, 0, 3], [0] * 5 + [3] * 5 + [2] * 5 + [1] * 5)


def test_settings_reach_the_verdict():
    volume, _ = oracles.draw_chest(scale={"right": 0.75})
    strict = replace(SETTINGS, min_ratio=0.5)
    assert anatomy_of(volume, strict).lung("right").evaluable_ml == 0.0


@pytest.mark.shared
def test_a_real_scan_opened_by_its_field_of_view_keeps_its_volumes(shared):
    folder = shared / "ct" / "rider-0117-lower"
    if not folder.is_dir():
        pytest.skip("needs ../shared/ct/rider-0117-lower")
    pydicom = pytest.importorskip("pydicom")
    slices = [pydicom.dcmread(path) for path in folder.rglob("*.dcm")]
    slices.sort(key=lambda item: float(item.ImagePositionPatient[2]))
    hu = np.stack([item.pixel_array * item.RescaleSlope + item.RescaleIntercept for item in slices])
    hu = np.clip(hu, -1024, 3071).astype(np.int16)
    volume = Volume(hu, Geometry.aligned(hu.shape, (0.8, *map(float, slices[0].PixelSpacing))))
    anatomy = anatomy_of(volume)
    # Found so and looked at on 2026-11-21; the field of view opens the right lung.
    assert_allclose([lung.volume_ml for lung in anatomy.lungs], [750, 1220], rtol=0.02)
