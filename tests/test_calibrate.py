"""Calibration: where balls are put, what they add, which are found, and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from scipy.spatial import KDTree

import oracles_pattern
from miliary.anatomy import ZONES
from miliary.calibrate import (
    REGIONS,
    Trials,
    correct_sizes,
    cut_trial,
    describe_calibration,
    expect_false,
    inject,
    label_regions,
    match_found,
    place_balls,
    sensitivity_at,
    sensitivity_map,
    stratum_volumes,
)
from miliary.config.calibrate import CalibrateSettings
from miliary.findings import Calibration, ImageQuality
from miliary.nodules import Candidates, Nodules

SPACING_MM = np.array(oracles_pattern.SPACING_MM)
SETTINGS = CalibrateSettings()
LUNG_HU = -850.0

#: The regions' shares of the lung in the tests of the fit.
SHARES = np.array([0.2, 0.1, 0.2, 0.5])
#: The same in three zones of one size.
VOLUMES = np.outer(SHARES, np.full(3, 1 / 3))

#: Three standard errors of a share from 600 of 2,400 trials in a region.
FIT_TOLERANCE = 0.075


@pytest.fixture(scope="module")
def anatomy():
    """Two boxes of lung with a level fissure through both."""
    boxes = oracles_pattern.two_boxes()
    height = np.arange(boxes.geometry.shape[0])[:, None, None] * SPACING_MM[0]
    far = np.abs(height - 18.0).astype(np.float32)
    return replace(boxes, fissure_mm=np.broadcast_to(far, boxes.geometry.shape))


@pytest.fixture(scope="module")
def regions(anatomy):
    return label_regions(anatomy, SETTINGS)


def dark(regions):
    return np.full(regions.shape, LUNG_HU, np.float32)


def at(image, centres_mm):
    return image[tuple(np.rint(centres_mm / SPACING_MM).astype(int).T)]


def few(**changes):
    return replace(SETTINGS, **{"n_nodules": 32, **changes})


def place(regions, settings, rng, taken=None, hu=None):
    taken = np.empty((0, 3)) if taken is None else taken
    hu = dark(regions) if hu is None else hu
    return place_balls(hu, regions, SPACING_MM, taken, settings, rng=rng)


def test_regions_follow_the_distances_the_pleura_first_then_the_fissures(anatomy, regions):
    inside = anatomy.evaluable_labels > 0
    assert_array_equal(regions == 0, ~inside)
    assert_array_equal(regions == REGIONS["subpleural"], inside & (anatomy.pleura_mm < 3.0))
    deep = inside & (anatomy.pleura_mm >= 3.0)
    fissural = deep & (anatomy.fissure_mm < 2.0)
    assert_array_equal(regions == REGIONS["fissural"], fissural)
    assert_array_equal(
        regions == REGIONS["perivascular"], deep & ~fissural & (anatomy.vessel_mm < 2.0)
    )
    assert all((regions == label).any() for label in REGIONS.values())


def test_without_fissures_no_region_is_theirs(anatomy):
    regions = label_regions(replace(anatomy, fissure_mm=None), SETTINGS)
    assert set(np.unique(regions)) == {0, 1, 3, 4}


def test_balls_keep_away_from_known_nodules(regions, rng):
    taken = np.argwhere(regions > 0)[rng.integers(0, np.count_nonzero(regions), 12)] * SPACING_MM
    centres, _, _ = place(regions, few(), rng, taken)
    assert len(centres) > 8
    assert KDTree(taken).query(centres)[0].min() >= SETTINGS.separation_mm


def test_as_many_balls_lie_in_each_region_as_in_the_others(regions, rng):
    centres, _, region = place(regions, few(), rng)
    assert_array_equal(at(regions, centres), region)
    assert_array_equal(np.bincount(region)[1:], 8)


def test_every_diameter_is_as_frequent_as_the_others(regions, rng):
    _, diameters, _ = place(regions, few(), rng)
    times = np.unique_counts(diameters)
    assert set(times.values) == set(SETTINGS.diameters_mm)
    assert times.counts.max() - times.counts.min() <= 1


def test_balls_stay_out_of_bright_tissue_but_for_the_pleura(regions, rng):
    hu = dark(regions)
    hu[:, :25] = -300.0
    centres, _, region = place(regions, few(), rng, hu=hu)
    deep = region != REGIONS["subpleural"]
    assert deep.any()
    assert (at(hu, centres[deep]) == LUNG_HU).all()
    # The wall's blur makes nodules hard to see there: leaving it out would flatter the scan.
    assert (at(hu, centres[~deep]) == -300.0).any()


def test_centres_lie_in_the_lung_and_not_on_the_pleura(regions, rng):
    centres, _, region = place(regions, few(n_nodules=400), rng)
    under = centres[region == REGIONS["subpleural"]]
    for axis in range(3):
        for way in (-1, 1):
            assert (at(regions, under + 0.39 * way * np.eye(3)[axis]) > 0).all()
    # Balls are under the pleura all the same.
    shallow, _, _ = place(regions, few(n_nodules=400, depth_mm=2.0), rng)
    assert len(under) > len(shallow) / 5


def test_the_same_seed_gives_the_same_places(regions):
    first, again = (place(regions, few(), np.random.default_rng(4)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("case", ["no lung", "all taken"])
def test_no_room_is_no_balls(regions, rng, case):
    taken = np.argwhere(regions > 0) * SPACING_MM if case == "all taken" else None
    lung = np.zeros_like(regions) if case == "no lung" else regions
    centres, diameters, region = place(lung, few(), rng, taken)
    assert centres.shape == (0, 3)
    assert len(diameters) == len(region) == 0


QUALITY = ImageQuality(20.0, (1.3, 1.1, 1.1), psf_estimated=True)


def test_patches_show_the_scan_round_each_place(regions, rng):
    hu = rng.normal(LUNG_HU, 30, regions.shape).astype(np.float32)
    centres, _, _ = place(regions, few(), rng, hu=hu)
    trial = cut_trial(hu, regions > 0, SPACING_MM, centres, few(patch_mm=5.0))
    assert_array_equal(at(trial.hu, trial.centres_grid_mm), at(hu, centres))
    # A voxel beside the middle, too.
    beside = np.array([0.0, SPACING_MM[1], 0.0])
    assert_array_equal(at(trial.hu, trial.centres_grid_mm + beside), at(hu, centres + beside))
    assert at(trial.near, trial.centres_grid_mm).all()
    # Patches must not touch: what is bright in one would go on in the next.
    size = len(trial.hu) // len(centres)
    assert not trial.inside_lung[::size].any()
    assert not trial.inside_lung[size - 1 :: size].any()
    assert trial.near.mean() < 0.6


def test_injected_balls_add_the_integral_of_their_contrast(regions, rng):
    settings = few(patch_mm=6.0)
    centres, diameters, _ = place(regions, settings, rng)
    # A ball at the edge of the image would be cut off.
    size = np.array(regions.shape) * SPACING_MM
    inner = ((centres > 4) & (centres < size - 5)).all(axis=1)
    hu = dark(regions).astype(np.int16)
    trial = cut_trial(hu, regions > 0, SPACING_MM, centres[inner], settings)
    tissue = rng.normal(30.0, 60.0, inner.sum())
    filled = inject(trial, SPACING_MM, diameters[inner], QUALITY, tissue, settings)
    assert inner.sum() > 3
    assert_array_equal(hu, LUNG_HU)
    added = (filled - trial.hu).reshape(inner.sum(), -1).sum(axis=1, dtype=float)
    contrast = np.pi / 6 * diameters[inner] ** 3 * (tissue - LUNG_HU)
    # `render_balls` keeps volumes within a hundredth; patches end some sigmas off.
    assert_allclose(added * np.prod(SPACING_MM), contrast, rtol=0.03)


def candidates_at(points_mm):
    points_mm = np.asarray(points_mm, float).reshape(-1, 3)
    number = np.full(len(points_mm), 0.9)
    return Candidates(points_mm / SPACING_MM, number, number, number)


def test_found_means_a_candidate_within_reach():
    centres = np.array([[10.0, 10, 10], [10, 20, 10], [10, 30, 10]])
    candidates = candidates_at([[10, 31.4, 10], [11.6, 20, 10], [10, 9.2, 10.5]])
    found, which = match_found(centres, candidates, SPACING_MM, 1.5)
    assert_array_equal(found, [True, False, True])
    assert_array_equal(which[found], [2, 0])


def test_nothing_found_and_nothing_put_in():
    centres = np.array([[10.0, 10, 10]])
    assert_array_equal(match_found(centres, candidates_at([]), SPACING_MM, 1.5)[0], [False])
    found, which = match_found(np.empty((0, 3)), candidates_at(centres), SPACING_MM, 1.5)
    assert len(found) == len(which) == 0


def made_curve(diameter_mm, region, zone=2):
    """Sensitivity that the trials are drawn from."""
    level = np.array([np.nan, -0.5, 0.2, -1.5, 0.7])[region]
    level = level + np.array([np.nan, 0.6, 0.0, -0.6])[zone]
    return 1 / (1 + np.exp(-(0.8 + level + 5.0 * np.log(diameter_mm / 2))))


def made_trials(rng, n=2400, *, bias_mm=0.1, se_mm=0.1):
    diameters = rng.permutation(np.resize(np.array(SETTINGS.diameters_mm), n))
    region = np.resize(np.array(list(REGIONS.values())), n)
    zone = rng.integers(1, 4, n)
    chance = rng.random(n)
    found = chance < made_curve(diameters, region, zone)
    measured = np.where(found, diameters + bias_mm + rng.normal(0, 0.2, n), np.nan)
    score = np.where(found, 0.95, 0.5)
    return Trials(diameters, region, zone, score, found, measured, np.full(n, se_mm))


def made_calibration(rng, n=2400, **errors):
    return describe_calibration(made_trials(rng, n, **errors), VOLUMES, SETTINGS)


def test_a_made_sensitivity_curve_is_recovered(rng):
    calibration = made_calibration(rng)
    for row in calibration.sensitivity:
        if row.region in REGIONS:
            parts = [made_curve(row.diameter_mm, REGIONS[row.region], zone) for zone in (1, 2, 3)]
            assert_allclose(row.value, np.mean(parts), atol=FIT_TOLERANCE)
            assert row.low < row.value < row.high


def test_a_steep_rise_is_followed(rng):
    trials = made_trials(rng, 2400)
    rise = 1 / (1 + np.exp(-14.0 * np.log(trials.diameter_mm / 1.4)))
    # Beyond the rise some places stay hopeless: no one logistic curve has this shape.
    chance = 0.93 * rise
    trials = replace(trials, found=rng.random(len(trials)) < chance)
    calibration = describe_calibration(trials, VOLUMES, SETTINGS)
    for diameter in SETTINGS.diameters_mm:
        true = 0.93 / (1 + np.exp(-14.0 * np.log(diameter / 1.4)))
        # Two standard errors of a share from 343 trials.
        assert_allclose(sensitivity_at(calibration, "all", diameter), true, atol=0.055)


def test_zones_are_told_apart(rng):
    calibration = made_calibration(rng)
    for name, zone in ZONES.items():
        parts = [made_curve(2.0, region, zone) for region in REGIONS.values()]
        assert_allclose(sensitivity_at(calibration, name, 2.0), SHARES @ parts, atol=FIT_TOLERANCE)


def test_sensitivity_of_all_the_lung_is_the_mean_over_its_volume(rng):
    calibration = made_calibration(rng)
    for diameter in SETTINGS.diameters_mm:
        parts = [sensitivity_at(calibration, region, diameter) for region in REGIONS]
        assert_allclose(sensitivity_at(calibration, "all", diameter), SHARES @ parts)


def test_what_is_not_there_has_no_row(rng):
    trials = made_trials(rng)
    volumes = VOLUMES.copy()
    volumes[REGIONS["fissural"] - 1] = 0
    calibration = describe_calibration(trials, volumes, SETTINGS)
    assert sensitivity_at(calibration, "fissural", 2.0) is None
    assert sensitivity_at(calibration, "interior", 2.0) is not None


def test_intervals_of_the_sensitivity_hold_the_truth(rng):
    held = []
    for _ in range(40):
        rows = made_calibration(rng, 400).sensitivity
        held += [
            row.low
            <= np.mean([made_curve(row.diameter_mm, REGIONS[row.region], z) for z in (1, 2, 3)])
            <= row.high
            for row in rows
            if row.region in REGIONS
        ]
    # 800 intervals, 20 to a trial and not independent; the ridge costs a little.
    assert np.mean(held) > 0.88


def test_bias_and_spread_of_sizes_are_those_put_in(rng):
    calibration = made_calibration(rng, 3000)
    assert [d for d, _ in calibration.size_bias_mm] == list(SETTINGS.diameters_mm)
    # Three standard errors of a median of 80 with a deviation of 0.2.
    assert_allclose([value for _, value in calibration.size_bias_mm], 0.1, atol=0.08)
    assert_allclose([value for _, value in calibration.size_sd_mm], 0.2, rtol=0.45)
    # Standard errors of 0.1 were told where 0.2 was true.
    assert_allclose([value for _, value in calibration.se_factors], 2.0, rtol=0.35)


def test_standard_errors_hold_two_thirds_of_new_errors(rng):
    inside = []
    for _ in range(12):
        trials = made_trials(rng, 300, bias_mm=0.05)
        # Errors with tails, larger for larger balls, and a fit that knows neither.
        error = 0.04 * trials.diameter_mm * rng.standard_t(2.5, len(trials))
        measured = np.where(trials.found, trials.diameter_mm + error, np.nan)
        trials = replace(trials, measured_mm=measured, se_mm=np.full(len(trials), 0.05))
        calibration = describe_calibration(trials, VOLUMES, SETTINGS)
        true = rng.uniform(1.5, 3.0, 400)
        new = 0.04 * true * rng.standard_t(2.5, len(true))
        factor = np.interp(true, *np.array(calibration.se_factors).T)
        inside.append((np.abs(new) <= 0.05 * factor).mean())
    # Three standard errors over twelve scans, each with some 200 balls found.
    assert_allclose(np.mean(inside), 0.683, atol=0.035)


def test_errors_of_size_count_by_the_volume_of_their_region(rng):
    trials = made_trials(rng, 3000, bias_mm=0.0)
    wide = trials.region == REGIONS["subpleural"]
    trials = replace(trials, measured_mm=trials.measured_mm + 3.0 * wide)
    alone = np.zeros_like(VOLUMES)
    alone[REGIONS["interior"] - 1] = 1 / 3
    bias = dict(describe_calibration(trials, alone, SETTINGS).size_bias_mm)
    assert_allclose(list(bias.values()), 0.0, atol=0.12)


def test_sizes_that_were_hardly_found_have_no_error(rng):
    trials = made_trials(rng)
    trials = replace(trials, found=trials.found & (trials.diameter_mm > 2.2))
    calibration = describe_calibration(trials, VOLUMES, SETTINGS)
    assert [d for d, _ in calibration.size_bias_mm] == [2.5, 3.0]


@pytest.mark.parametrize("outcome", [True, False])
def test_all_or_none_found_stays_within_0_and_1(rng, outcome):
    trials = replace(made_trials(rng, 90), found=np.full(90, outcome))
    trials = replace(trials, measured_mm=trials.diameter_mm + 0.01)
    calibration = describe_calibration(trials, VOLUMES, SETTINGS)
    values = [v for row in calibration.sensitivity for v in (row.low, row.value, row.high)]
    assert np.isfinite(values).all()
    assert min(values) >= 0
    assert max(values) <= 1
    assert calibration.injected == 90


def test_without_balls_nothing_is_known(anatomy, regions, rng):
    empty = made_trials(rng, 0)
    calibration = describe_calibration(empty, VOLUMES, SETTINGS)
    assert calibration == Calibration((), (), (), 0)
    assert sensitivity_at(calibration, "all", 2.0) is None
    assert sensitivity_map(regions, anatomy.zone_labels, calibration, 2.0) is None


def test_sensitivity_is_read_between_diameters_and_held_beyond_them(rng):
    calibration = made_calibration(rng)
    two, more = (sensitivity_at(calibration, "interior", d) for d in (2.0, 2.5))
    assert_allclose(sensitivity_at(calibration, "interior", 2.25), (two + more) / 2)
    largest = sensitivity_at(calibration, "interior", 3.0)
    assert_allclose(sensitivity_at(calibration, "interior", 9.0), largest)


def test_sensitivity_map_gives_every_region_and_zone_its_own(anatomy, regions, rng):
    calibration = made_calibration(rng)
    zones = anatomy.zone_labels
    places, chances = sensitivity_map(regions, zones, calibration, 2.0)
    assert places.dtype == np.uint8
    spread = chances[places]
    assert spread.dtype == np.float32
    assert (spread[regions == 0] == 0).all()
    for name, label in REGIONS.items():
        for zone in (1, 2, 3):
            here = spread[(regions == label) & (zones == zone)]
            want = made_curve(2.0, label, zone)
            assert_allclose(here, want, atol=1.5 * FIT_TOLERANCE, err_msg=f"{name} {zone}")


def test_volumes_of_regions_and_zones_add_up(anatomy, regions):
    volumes = stratum_volumes(regions, anatomy.zone_labels)
    assert_allclose(volumes.sum(), 1.0)
    share = (regions == REGIONS["interior"]).sum() / (regions > 0).sum()
    assert_allclose(volumes[REGIONS["interior"] - 1].sum(), share)


def nodules_of(diameters_mm):
    n = len(diameters_mm)
    number, word = np.full(n, 1.0), np.full(n, "right")
    return Nodules(
        np.zeros((n, 3)), np.asarray(diameters_mm, float), np.full(n, 0.1), number, number, word,
        word, word, number, number, number, np.asarray(diameters_mm) <= 2.0,
    )  # fmt: skip


def test_bias_is_taken_out_and_standard_errors_made_true():
    calibration = Calibration(
        (), ((1.0, 0.2), (2.0, 0.1), (3.0, -0.1)), (), 9, se_factors=((1.0, 3.0), (3.0, 1.0))
    )
    better = correct_sizes(nodules_of([0.8, 1.2, 2.1, 2.9, 8.0]), calibration, 2.0)
    # Beyond 1 and 3 mm both are those of the nearest.
    assert_allclose(better.diameter_mm, [0.6, 1.0, 2.0, 3.0, 8.1])
    assert_allclose(better.diameter_se_mm, [0.3, 0.3, 0.2, 0.1, 0.1])
    assert_array_equal(better.micronodule, [True, True, True, False, False])


def test_sizes_of_a_scan_not_calibrated_stay():
    nodules = nodules_of([0.8, 2.9])
    same = correct_sizes(nodules, Calibration((), (), (), 0), 2.0)
    assert_array_equal(same.diameter_mm, nodules.diameter_mm)
    assert_array_equal(same.diameter_se_mm, nodules.diameter_se_mm)


def tail_scores(rng, n, fall=0.9):
    """Scores whose log odds fall off exponentially from -4 on, 0.8 being the operating point."""
    return special.expit(-4.0 + rng.exponential(1 / fall, n))


def test_false_positives_are_told_from_the_tail_whatever_the_nodules(rng):
    # Balls score as nodules do: nine of ten are accepted, the others score just below.
    ball = np.where(rng.random(600) < 0.9, 0.99, rng.uniform(0.2, 0.8, 600))
    trials = replace(made_trials(rng, 600), score=ball, found=ball >= 0.8)
    told = []
    for n_nodules in (0, 1000):
        false = tail_scores(rng, 6000)
        truth = np.count_nonzero(false >= 0.8) / 2.0
        nodules = rng.choice(ball, n_nodules)
        expected, error = expect_false(np.concatenate([false, nodules]), trials, 2.0, 0.8, SETTINGS)
        told.append(error)
        assert_allclose(expected, truth, atol=3 * error)
    assert max(told) < 0.5 * truth


def test_a_few_candidates_do_not_tell_of_a_tail_that_no_scan_has(rng):
    # More just below the operating point than farther off: alone they would go on without end.
    below = special.expit(rng.uniform(0.4, 1.3, 30))
    expected, error = expect_false(below, made_trials(rng), 1.0, 0.8, SETTINGS)
    usual = 30 / np.expm1(SETTINGS.tail_fall * SETTINGS.tail_logits)
    assert usual < expected < 4 * usual
    assert error < expected
    alone = replace(SETTINGS, tail_spread=10.0)
    assert expect_false(below, made_trials(rng), 1.0, 0.8, alone)[0] > 5 * expected
    assert expect_false(np.array([0.9]), made_trials(rng), 1.0, 0.8, SETTINGS) == (None, None)
