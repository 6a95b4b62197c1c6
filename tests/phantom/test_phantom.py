"""The phantom as a whole: truth against image, labels against each other, patterns by distance."""

from __future__ import annotations

from dataclasses import replace

import edt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage as ndi
from scipy import stats
from scipy.spatial import cKDTree

from miliary.phantom import PATTERNS, NoduleSpec, PhantomSpec, Tissue, make_phantom

SMALL = PhantomSpec.of(
    shape=(76, 120, 150),
    spacing_mm=(1.25, 0.9, 0.8),
    scale=0.31,
    pattern="none",
    n_nodules=80,
    noise_hu=0.0,
    psf_fwhm_mm=(1.5, 1.1, 1.1),
    incomplete_fissures=False,
    seed=3,
)


@pytest.fixture(scope="module")
def healthy():
    return make_phantom(SMALL)


@pytest.fixture(scope="module")
def patterns():
    return {p: make_phantom(SMALL.but(pattern=p)) for p in PATTERNS if p != "none"}


def distance_to(mask, phantom):
    spacing = tuple(phantom.volume.geometry.spacing_mm.tolist())
    return edt.edt(~mask, anisotropy=spacing, parallel=1)


def at_nodules(image, phantom):
    index = np.rint(phantom.volume.geometry.to_index(phantom.nodules.points_mm)).astype(int)
    return image[tuple(index.T)]


def test_same_seed_same_bits_and_another_seed_another_chest():
    spec = SMALL.but(pattern="random", noise_hu=20.0, shape=(40, 60, 70), scale=0.2)
    one, two, other = (make_phantom(spec.but(seed=seed)) for seed in (7, 7, 8))
    assert_array_equal(one.volume.hu, two.volume.hu)
    assert_array_equal(one.nodules.points_mm, two.nodules.points_mm)
    assert_array_equal(one.vessel_mask, two.vessel_mask)
    assert not np.array_equal(one.volume.hu, other.volume.hu)


def test_nodules_are_all_that_a_pattern_adds(healthy, patterns):
    sick = patterns["random"]
    assert_array_equal(sick.lung_labels, healthy.lung_labels)
    changed = np.abs(sick.volume.hu.astype(int) - healthy.volume.hu) > 2
    far = np.ones(changed.shape, bool)
    index = np.rint(sick.volume.geometry.to_index(sick.nodules.points_mm)).astype(int)
    far[tuple(index.T)] = False
    assert distance_to(~far, sick)[changed].max() < 4.5


def lone_nodules(healthy, sick):
    """Rows of nodules away from others, vessels and pleura; what each adds, and where."""
    geometry, points = sick.volume.geometry, sick.nodules.points_mm
    added = sick.volume.hu.astype(float) - healthy.volume.hu
    grid = np.stack(np.indices(added.shape), -1).reshape(-1, 3)
    grid_tree = cKDTree(grid * geometry.spacing_mm)
    alone = cKDTree(points).query(points, k=2)[0][:, 1] > 7.2
    wall = distance_to(healthy.vessel_mask | (healthy.lung_labels == 0), sick)
    for row in np.flatnonzero(alone & (at_nodules(wall, sick) > 2.5)):
        near = grid[grid_tree.query_ball_point(geometry.to_grid_mm(points[row])[0], 3.6)]
        yield row, near, added[tuple(near.T)]


def test_every_lone_nodule_has_its_integrated_intensity(healthy, patterns):
    sick, n = patterns["random"], 0
    for row, near, added in lone_nodules(healthy, sick):
        lung_hu = np.average(healthy.volume.hu[tuple(near.T)], weights=np.maximum(added, 1e-9))
        intensity = added.sum() * sick.volume.geometry.voxel_ml * 1000
        volume = np.pi / 6 * sick.nodules.diameter_mm[row] ** 3
        assert_allclose(intensity, volume * (sick.spec.nodules[0].nodule_hu - lung_hu), rtol=0.03)
        n += 1
    assert n >= 8


def test_every_lone_nodule_is_where_the_truth_says(healthy, patterns):
    sick = patterns["random"]
    for row, near, added in lone_nodules(healthy, sick):
        world = sick.volume.geometry.to_world(near)
        centroid = (world * added[:, None]).sum(axis=0) / added.sum()
        # Parenchyma that is denser on one side moves the centroid of what is added a little.
        assert_allclose(centroid, sick.nodules.points_mm[row], atol=0.12)


def test_labels_agree_with_each_other(healthy):
    lungs, lobes = healthy.lung_labels, healthy.lobe_labels
    assert_array_equal(lobes > 0, lungs > 0)
    assert set(np.unique(lobes[lungs == 1])) == {1, 2, 3}
    assert set(np.unique(lobes[lungs == 2])) == {4, 5}
    x = healthy.volume.geometry.to_world(np.argwhere(lungs > 0))[:, 0]
    assert x[lungs[lungs > 0] == 1].mean() < 0 < x[lungs[lungs > 0] == 2].mean()
    assert ndi.label(lungs > 0)[1] == 2
    assert healthy.fissure_mask[lungs == 0].sum() == 0
    assert healthy.vessel_mask[lungs == 0].sum() == 0


def test_lobes_part_at_fissures(healthy):
    lobes = healthy.lobe_labels.astype(int)
    edge = (lobes[1:] != lobes[:-1]) & (lobes[1:] > 0) & (lobes[:-1] > 0)
    edge &= healthy.lung_labels[1:] == healthy.lung_labels[:-1]
    assert distance_to(healthy.fissure_mask, healthy)[1:][edge].max() < 2.0


def test_tissues_have_their_attenuation(healthy):
    hu, inside = healthy.volume.hu, healthy.lung_labels > 0
    depth = edt.edt(inside, anisotropy=SMALL.scanner.spacing_mm, parallel=1)
    assert -900 < np.median(hu[depth > 3]) < -820
    air = healthy.airway_mask & (distance_to(~healthy.airway_mask, healthy) > 1.8)
    assert hu[air].max() < -900
    assert hu[0, 0, 0] == pytest.approx(-1000, abs=30)
    assert (hu > 150).mean() > 0.005


def test_fissures_are_faint_lines(healthy):
    hu, inside = healthy.volume.hu, healthy.lung_labels > 0
    depth = edt.edt(inside, anisotropy=SMALL.scanner.spacing_mm, parallel=1)
    plain = inside & (depth > 4) & (distance_to(healthy.vessel_mask, healthy) > 3)
    line = plain & healthy.fissure_mask
    beside = plain & (distance_to(healthy.fissure_mask, healthy) > 3)
    assert 50 < np.median(hu[line]) - np.median(hu[beside]) < 200


def test_incomplete_fissures_lack_parts(healthy):
    torn = make_phantom(SMALL.but(incomplete_fissures=True))
    part = torn.fissure_mask.sum() / healthy.fissure_mask.sum()
    assert 0.5 < part < 0.98
    assert not (torn.fissure_mask & ~healthy.fissure_mask).any()


def test_nodules_lie_in_the_lungs_and_have_the_sizes_asked_for(patterns):
    for name, phantom in patterns.items():
        side = np.where(at_nodules(phantom.lung_labels, phantom) == 1, "right", "left")
        inside = at_nodules(distance_to(phantom.lung_labels > 0, phantom), phantom) < 1.0
        assert inside.all(), name
        clear = at_nodules(phantom.lung_labels, phantom) > 0
        assert_array_equal(side[clear], phantom.nodules.lung[clear])
        assert len(phantom.nodules) == SMALL.nodules[0].n_nodules
    assert_allclose(patterns["random"].nodules.diameter_mm.mean(), 1.8, atol=0.07)
    assert patterns["metastases"].nodules.diameter_mm.min() >= 3.0
    assert patterns["metastases"].nodules.diameter_mm.max() <= 15.0


def test_random_nodules_are_as_far_from_the_pleura_as_the_lung_is(patterns):
    phantom = patterns["random"]
    inside = phantom.lung_labels > 0
    # Where no nodule's centre may be is no part of the lung that it is drawn from.
    free = inside & ~phantom.vessel_mask & ~phantom.airway_mask
    depth = edt.edt(inside, anisotropy=SMALL.scanner.spacing_mm, parallel=1)
    p = stats.ks_2samp(at_nodules(depth, phantom), depth[free]).pvalue
    assert p > 0.02


def test_no_centrilobular_nodule_is_near_pleura_or_fissure(patterns):
    phantom = patterns["centrilobular"]
    depth = edt.edt(phantom.lung_labels > 0, anisotropy=SMALL.scanner.spacing_mm, parallel=1)
    assert at_nodules(depth, phantom).min() > 4.4
    # To the label's voxels, which reach 0.75 mm from the fissure, and from voxel centres.
    assert at_nodules(distance_to(phantom.fissure_mask, phantom), phantom).min() > 3.6


def test_noise_has_the_standard_deviation_asked_for(healthy):
    noisy = make_phantom(SMALL.but(noise_hu=40.0))
    inside = ndi.binary_erosion(healthy.lung_labels > 0, iterations=3)
    noise = (noisy.volume.hu.astype(float) - healthy.volume.hu)[inside]
    # Near -1000 HU the noise is cut at -1024: parenchyma is far enough above.
    assert_allclose(noise.std(), 40.0, rtol=0.02)


def test_every_voxel_is_some_tissue_and_the_lungs_hold_what_lungs_hold(healthy):
    inside = healthy.lung_labels > 0
    known = {Tissue.LUNG, Tissue.ARTERY, Tissue.VEIN, Tissue.AIRWAY_LUMEN, Tissue.AIRWAY_WALL,
             Tissue.FISSURE, Tissue.SEPTUM}  # fmt: skip
    assert set(np.unique(healthy.tissue_labels[inside])) == {int(tissue) for tissue in known}
    assert not healthy.is_tissue(Tissue.LUNG, Tissue.ARTERY, Tissue.VEIN)[~inside].any()
    assert_array_equal(healthy.lung_labels, healthy.hemithorax_labels)


def test_every_nodule_has_its_label(patterns):
    for name, phantom in patterns.items():
        share = (at_nodules(phantom.tissue_labels, phantom) == Tissue.NODULE).mean()
        assert share > 0.95, name


def test_a_mixture_has_both_patterns_and_both_attenuations():
    wishes = (
        NoduleSpec(n_nodules=30, nodule_hu=30.0),
        NoduleSpec(pattern="centrilobular", n_nodules=20, nodule_hu=-300.0, edge_mm=0.8),
    )
    phantom = make_phantom(replace(SMALL, nodules=wishes))
    assert dict(zip(*np.unique(phantom.nodules.pattern, return_counts=True), strict=True)) == {
        "random": 30,
        "centrilobular": 20,
    }
    hu = at_nodules(phantom.volume.hu, phantom)
    sharp = phantom.nodules.pattern == "random"
    assert np.median(hu[sharp]) > np.median(hu[~sharp]) + 150


def test_ill_defined_edges_keep_the_intensity_and_lower_the_peak(healthy):
    sharp, soft = (
        make_phantom(SMALL.but(pattern="random", n_nodules=15, edge_mm=edge, seed=SMALL.seed))
        for edge in (0.0, 0.9)
    )
    added = [p.volume.hu.astype(float) - healthy.volume.hu for p in (sharp, soft)]
    assert_allclose(added[1].sum(), added[0].sum(), rtol=0.05)
    assert added[1].max() < 0.7 * added[0].max()


def test_ground_glass_is_denser_lung_with_its_label(healthy):
    phantom = make_phantom(SMALL.but(ground_glass_share=0.3))
    glass = phantom.is_tissue(Tissue.GROUND_GLASS)
    assert 0.1 < glass.sum() / (phantom.lung_labels > 0).sum() < 0.5
    added = phantom.volume.hu[glass].astype(float) - healthy.volume.hu[glass]
    assert_allclose(np.median(added), 250.0, atol=30)


def test_thickened_septa_are_seen_as_a_net(healthy):
    phantom = make_phantom(SMALL.but(septal_thickening_mm=1.2, septal_share=0.7))
    septum = phantom.is_tissue(Tissue.SEPTUM)
    assert septum.sum() > 3 * healthy.is_tissue(Tissue.SEPTUM).sum()
    added = phantom.volume.hu[septum].astype(float) - healthy.volume.hu[septum]
    assert np.median(added) > 150


@pytest.mark.parametrize("side", ["right", "left"])
def test_an_encased_lung_lies_in_its_rind(side):
    phantom = make_phantom(SMALL.but(encased_lung=side, rind_mm=4.0))
    number, other = (1, 2) if side == "right" else (2, 1)
    rind = phantom.is_tissue(Tissue.RIND)
    assert set(np.unique(phantom.hemithorax_labels[rind])) == {number}
    assert not phantom.lung_labels[rind].any()
    assert -10 < np.median(phantom.volume.hu[rind]) < 60
    litres = np.bincount(phantom.lung_labels.reshape(-1))
    assert 0 < litres[number] < 0.7 * litres[other]


def test_a_consolidated_lobe_is_no_aerated_lung_but_has_open_bronchi(healthy):
    phantom = make_phantom(SMALL.but(consolidated_lobe="RLL"))
    lobe = phantom.lobe_labels == 3
    assert not phantom.lung_labels[lobe & (distance_to(~lobe, phantom) > 1.5)].any()
    assert_array_equal(phantom.hemithorax_labels, healthy.lung_labels)
    airless = phantom.is_tissue(Tissue.CONSOLIDATION)
    assert airless.sum() > 0.6 * lobe.sum()
    assert -20 < np.median(phantom.volume.hu[airless]) < 60
    assert (phantom.airway_mask & lobe).sum() == (healthy.airway_mask & lobe).sum() > 0


def test_an_oblique_scan_shows_the_same_patient(patterns):
    straight = patterns["random"]
    turned = make_phantom(straight.spec.but(rotation_deg=(8.0, -5.0, 6.0)))
    axes = turned.volume.geometry.axes
    assert np.abs(axes - straight.volume.geometry.axes).max() > 0.05
    ml = [
        np.bincount(phantom.lung_labels.reshape(-1))[1:] * phantom.volume.geometry.voxel_ml
        for phantom in (straight, turned)
    ]
    assert_allclose(ml[1], ml[0], rtol=0.02)
    # A nodule's own voxel is bright in either grid: the world of both is the same patient's.
    hu = at_nodules(turned.volume.hu, turned)
    assert (hu > -650).mean() > 0.9
    centre = [
        phantom.volume.geometry.to_world(np.argwhere(phantom.lung_labels == 1)).mean(axis=0)
        for phantom in (straight, turned)
    ]
    assert_allclose(centre[1], centre[0], atol=0.5)


def test_a_flat_slice_profile_and_an_edge_enhancing_kernel_keep_the_mean(healthy):
    inside = ndi.binary_erosion(healthy.lung_labels > 0, iterations=3)
    for wishes in ({"slice_profile": "box"}, {"edge_enhancement": 0.6}):
        other = make_phantom(SMALL.but(**wishes))
        assert_array_equal(other.lung_labels, healthy.lung_labels)
        assert not np.array_equal(other.volume.hu, healthy.volume.hu)
        assert_allclose(other.volume.hu[inside].mean(), healthy.volume.hu[inside].mean(), atol=5)


def test_streaks_run_between_the_shoulders_only():
    spec = SMALL.but(shape=(60, 90, 130), spacing_mm=(1.7, 1.1, 1.1))
    plain, streaked = (make_phantom(spec.but(streaks_hu=s)).volume for s in (0.0, 80.0))
    added = np.abs(streaked.hu.astype(float) - plain.hu).mean(axis=(1, 2))
    assert added[-6:].mean() > 20
    assert added[: len(added) // 2].max() < 1.0


def test_healthy_phantom_has_no_nodules(healthy):
    assert len(healthy.nodules) == 0
    assert healthy.nodules.points_mm.shape == (0, 3)


def test_truth_has_the_columns_of_the_evaluation_tool(patterns):
    columns = patterns["random"].nodules.columns()
    assert list(columns) == ["x_mm", "y_mm", "z_mm", "diameter_mm", "lung", "pattern"]
    assert {len(column) for column in columns.values()} == {SMALL.nodules[0].n_nodules}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pattern": "diffuse"}, "pattern must be one of .*'diffuse'"),
        ({"lungs": "none"}, "lungs must be one of .*'none'"),
        ({"shape": (0, 3, 3)}, "shape must be three positive numbers"),
        ({"noise_hu": -1.0}, "noise_hu must not be negative, got -1.0"),
        ({"edge_enhancement": 2.0}, "edge_enhancement must be from 0.0 to 1.0, got 2.0"),
        ({"consolidated_lobe": "lingula"}, "consolidated_lobe must be one of .*'lingula'"),
        ({"diameter_mm": 0.0}, "diameter_mm must be positive, got 0.0"),
        ({"scale": 9.0}, "scale must be from 0.2 to 1.5, or 0 to fit, got 9.0"),
    ],
)
def test_wishes_that_cannot_be_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        SMALL.but(**change)


def test_too_many_nodules_for_the_lungs_is_an_error():
    spec = SMALL.but(pattern="centrilobular", shape=(20, 20, 20), scale=0.2, n_nodules=5)
    with pytest.raises(ValueError, match="room for 5 centrilobular nodules, found"):
        make_phantom(spec)
