"""Calibration: where balls are put, what they add, which are found, and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import KDTree

import oracles_pattern
from miliary.calibrate import (
    REGIONS,
    describe_calibration,
    inject,
    label_regions,
    match_found,
    neighbourhoods,
    place_balls,
    sensitivity_at,
    sensitivity_map,
    smoothed_for_calibration,
)
from miliary.config.calibrate import CalibrateSettings
from miliary.findings import Calibration, ImageQuality
from miliary.nodules import Candidates

SPACING_MM = np.array(oracles_pattern.SPACING_MM)
SETTINGS = CalibrateSettings()
LUNG_HU = -850.0

#: The regions' shares of the lung in the tests of the fit.
SHARES = np.array([0.2, 0.3, 0.5])

#: Three standard errors of a share from 400 of 1,200 trials in a region.
FIT_TOLERANCE = 0.075


@pytest.fixture(scope="module")
def anatomy():
    return oracles_pattern.two_boxes()


@pytest.fixture(scope="module")
def regions(anatomy):
    return label_regions(anatomy, SETTINGS)


def dark(regions):
    return np.full(regions.shape, LUNG_HU, np.float32)


def at(image, centres_mm):
    return image[tuple(np.rint(centres_mm / SPACING_MM).astype(int).T)]


def few(**changes):
    return replace(SETTINGS, **{"n_nodules": 30, "separation_mm": 4.0, **changes})


def place(regions, settings, rng, taken=None, smoothed=None):
    taken = np.empty((0, 3)) if taken is None else taken
    smoothed = dark(regions) if smoothed is None else smoothed
    return place_balls(smoothed, regions, SPACING_MM, taken, settings, rng=rng)


def test_regions_follow_the_distances_and_the_pleura_comes_first(anatomy, regions):
    inside = anatomy.evaluable_labels > 0
    assert_array_equal(regions == 0, ~inside)
    assert_array_equal(regions == REGIONS["subpleural"], inside & (anatomy.pleura_mm < 3.0))
    deep = inside & (anatomy.pleura_mm >= 3.0)
    assert_array_equal(regions == REGIONS["perivascular"], deep & (anatomy.vessel_mm < 2.0))
    assert all((regions == label).any() for label in REGIONS.values())


def test_balls_keep_apart_and_away_from_known_nodules(regions, rng):
    settings = few()
    taken = np.argwhere(regions > 0)[rng.integers(0, np.count_nonzero(regions), 12)] * SPACING_MM
    centres, _, _ = place(regions, settings, rng, taken)
    assert len(centres) > 8
    assert KDTree(centres).query(centres, 2)[0][:, 1].min() >= settings.separation_mm
    assert KDTree(taken).query(centres)[0].min() >= settings.separation_mm


def test_balls_lie_in_the_region_they_are_said_to(regions, rng):
    centres, _, region = place(regions, few(), rng)
    assert_array_equal(at(regions, centres), region)
    assert set(region) == set(REGIONS.values())
    assert np.bincount(region).max() <= 10


def test_every_diameter_is_as_frequent_as_the_others(regions, rng):
    _, diameters, _ = place(regions, few(), rng)
    times = np.unique_counts(diameters)
    assert set(times.values) == set(SETTINGS.diameters_mm)
    assert times.counts.max() - times.counts.min() <= 1


def test_balls_stay_out_of_bright_tissue_but_for_the_pleura(regions, rng):
    smoothed = dark(regions)
    smoothed[:, :25] = -300.0
    centres, _, region = place(regions, few(), rng, smoothed=smoothed)
    deep = region != REGIONS["subpleural"]
    assert deep.any()
    assert (at(smoothed, centres[deep]) == LUNG_HU).all()
    # The wall's blur makes nodules hard to see there: leaving it out would flatter the scan.
    assert (at(smoothed, centres[~deep]) == -300.0).any()


def test_the_same_seed_gives_the_same_places(regions):
    first, again = (place(regions, few(), np.random.default_rng(4)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert_array_equal(one, other)


def test_fewer_balls_where_there_is_no_room(regions, rng):
    centres, diameters, region = place(regions, few(n_nodules=400, separation_mm=9.0), rng)
    assert 0 < len(centres) < 60
    assert len(centres) == len(diameters) == len(region)


@pytest.mark.parametrize("case", ["no lung", "all taken"])
def test_no_room_is_no_balls(regions, rng, case):
    taken = np.argwhere(regions > 0) * SPACING_MM if case == "all taken" else None
    lung = np.zeros_like(regions) if case == "no lung" else regions
    centres, diameters, region = place(lung, few(), rng, taken)
    assert centres.shape == (0, 3)
    assert len(diameters) == len(region) == 0


def test_injected_balls_add_the_integral_of_their_contrast(regions, rng):
    settings = few(separation_mm=7.0)
    centres, diameters, _ = place(regions, settings, rng)
    # A ball at the edge of the image would be cut off.
    size = np.array(regions.shape) * SPACING_MM
    inner = ((centres > 4) & (centres < size - 5)).all(axis=1)
    hu = dark(regions).astype(np.int16)
    quality = ImageQuality(20.0, (1.3, 1.1, 1.1), psf_estimated=True)
    trial = inject(
        hu, dark(regions), SPACING_MM, centres[inner], diameters[inner], quality, 30.0, settings
    )
    assert inner.sum() > 3
    assert_array_equal(hu, LUNG_HU)
    added = (trial - hu).sum(dtype=float) * np.prod(SPACING_MM)
    volume_mm3 = np.pi / 6 * (diameters[inner] ** 3).sum()
    # `render_balls` keeps volumes within a hundredth.
    assert_allclose(added, volume_mm3 * (30.0 - LUNG_HU), rtol=0.02)


def test_neighbourhoods_hold_the_reach_and_end_soon_after(regions):
    centres = np.array([[18.2, 15.0, 25.1], [0.3, 0.2, 53.0]])
    near = neighbourhoods(regions.shape, SPACING_MM, centres, 3.0)
    grid = np.stack(np.indices(regions.shape), -1).reshape(-1, 3) * SPACING_MM
    off = np.abs(grid[:, None] - centres)
    assert near.ravel()[(off <= 3.0 - SPACING_MM / 2).all(-1).any(-1)].all()
    assert not near.ravel()[(off > 3.0 + 1.5 * SPACING_MM).any(-1).all(-1)].any()
    assert not neighbourhoods(regions.shape, SPACING_MM, np.empty((0, 3)), 3.0).any()


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


def made_curve(diameter_mm, region):
    """Sensitivity that the trials are drawn from."""
    level = np.array([np.nan, -0.5, -1.5, 0.7])[region]
    return 1 / (1 + np.exp(-(0.8 + level + 5.0 * np.log(diameter_mm / 2))))


def made_trials(rng, n=1200):
    diameters = rng.permutation(np.resize(np.array(SETTINGS.diameters_mm), n))
    region = np.resize(np.array(list(REGIONS.values())), n)
    return rng.random(n) < made_curve(diameters, region), diameters, region


def made_calibration(rng, n=1200):
    found, diameters, region = made_trials(rng, n)
    measured = np.where(found, diameters + 0.1 + rng.normal(0, 0.2, n), np.nan)
    return describe_calibration(found, diameters, region, measured, SHARES, SETTINGS)


def test_a_made_sensitivity_curve_is_recovered(rng):
    calibration = made_calibration(rng)
    for row in calibration.sensitivity:
        if row.region != "all":
            truth = made_curve(row.diameter_mm, REGIONS[row.region])
            assert_allclose(row.value, truth, atol=FIT_TOLERANCE)
            assert row.low < row.value < row.high


def test_sensitivity_of_all_the_lung_is_the_mean_over_its_volume(rng):
    calibration = made_calibration(rng)
    for diameter in SETTINGS.diameters_mm:
        parts = [sensitivity_at(calibration, region, diameter) for region in REGIONS]
        assert_allclose(sensitivity_at(calibration, "all", diameter), SHARES @ parts)


def test_intervals_of_the_sensitivity_hold_the_truth(rng):
    held = []
    for _ in range(40):
        rows = made_calibration(rng, 300).sensitivity
        held += [
            row.low <= made_curve(row.diameter_mm, REGIONS[row.region]) <= row.high
            for row in rows
            if row.region != "all"
        ]
    # 600 intervals, 15 to a trial and not independent; the ridge costs a little.
    assert np.mean(held) > 0.88


def test_bias_and_spread_of_sizes_are_those_put_in(rng):
    calibration = made_calibration(rng, 3000)
    assert [d for d, _ in calibration.size_bias_mm] == list(SETTINGS.diameters_mm)
    # Three standard errors of a median of 80 with a deviation of 0.2.
    assert_allclose([value for _, value in calibration.size_bias_mm], 0.1, atol=0.08)
    assert_allclose([value for _, value in calibration.size_sd_mm], 0.2, rtol=0.45)


def test_sizes_that_were_hardly_found_have_no_error(rng):
    found, diameters, region = made_trials(rng)
    found &= diameters > 2.2
    measured = np.where(found, diameters, np.nan)
    calibration = describe_calibration(found, diameters, region, measured, SHARES, SETTINGS)
    assert [d for d, _ in calibration.size_bias_mm] == [2.5, 3.0]


@pytest.mark.parametrize("outcome", [True, False])
def test_all_or_none_found_stays_within_0_and_1(rng, outcome):
    _, diameters, region = made_trials(rng, 90)
    measured = np.where(outcome, diameters, np.nan)
    calibration = describe_calibration(
        np.full(90, outcome), diameters, region, measured, SHARES, SETTINGS
    )
    values = [v for row in calibration.sensitivity for v in (row.low, row.value, row.high)]
    assert np.isfinite(values).all()
    assert min(values) >= 0
    assert max(values) <= 1
    assert calibration.injected == 90


def test_without_balls_nothing_is_known(regions):
    empty = np.empty(0)
    calibration = describe_calibration(
        empty.astype(bool), empty, empty.astype(int), empty, SHARES, SETTINGS
    )
    assert calibration == Calibration((), (), (), 0)
    assert sensitivity_at(calibration, "all", 2.0) is None
    assert sensitivity_map(regions, calibration, 2.0) is None


def test_sensitivity_is_read_between_diameters_and_held_beyond_them(rng):
    calibration = made_calibration(rng)
    two, more = (sensitivity_at(calibration, "interior", d) for d in (2.0, 2.5))
    assert_allclose(sensitivity_at(calibration, "interior", 2.25), (two + more) / 2)
    largest = sensitivity_at(calibration, "interior", 3.0)
    assert_allclose(sensitivity_at(calibration, "interior", 9.0), largest)


def test_sensitivity_map_gives_every_region_its_own(regions, rng):
    calibration = made_calibration(rng)
    spread = sensitivity_map(regions, calibration, 2.0)
    assert spread.dtype == np.float32
    assert (spread[regions == 0] == 0).all()
    for name, label in REGIONS.items():
        want = sensitivity_at(calibration, name, 2.0)
        assert_allclose(spread[regions == label], want, rtol=1e-6)


def test_smoothing_takes_noise_and_leaves_the_level(rng):
    hu = rng.normal(LUNG_HU, 40, (19, 23, 29)).astype(np.float32)
    smoothed = smoothed_for_calibration(hu, SPACING_MM, SETTINGS)
    assert smoothed.std() < 20
    assert_allclose(smoothed.mean(), LUNG_HU, atol=3)
