"""How points lie: shares, zones, completeness, odd questions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.config.spatial import SpatialSettings
from miliary.spatial import PRIMARY, Window
from spatial_cases import FAST, SPACING, describe, random_points, two_lungs


def test_nothing_depends_on_where_the_grid_lies(window, images, zones):
    points, _ = random_points(window, [60, 40], np.random.default_rng(3))
    shift = np.array([2, 3, 4])

    def padded(image):
        return np.pad(image, [(k, 0) for k in shift])

    plain = describe(points, window, images, zones)
    moved = describe(
        points + shift * SPACING,
        Window(padded(window.labels), SPACING),
        {name: padded(image) for name, image in images.items()},
        padded(zones),
    )
    assert plain.csr_p == moved.csr_p
    assert_allclose(plain.clark_evans, moved.clark_evans)
    assert plain.shares == moved.shares
    assert plain.zones == moved.zones


def test_results_follow_from_the_seed_alone(window, images, zones):
    points, _ = random_points(window, [60, 40], np.random.default_rng(3))
    first, second = (describe(points, window, images, zones, seed=7) for _ in range(2))
    other = describe(points, window, images, zones, seed=8)
    assert first.tests == second.tests
    assert first.tests != other.tests
    # The observed side has nothing random in it.
    for mine, theirs in zip(first.curves, other.curves, strict=True):
        assert_array_equal(mine.observed, theirs.observed)


def test_order_of_points_does_not_matter(window, images, zones, rng):
    points, _ = random_points(window, [60, 40], rng)
    first = describe(points, window, images, zones)
    second = describe(rng.permutation(points), window, images, zones)
    assert first.csr_p == second.csr_p
    assert_allclose(first.clark_evans, second.clark_evans)


def test_pleural_points_raise_the_share_in_the_shell(window, images, zones, rng):
    depth = images["pleura"]
    shell = np.argwhere((window.labels > 0) & (depth < 2.4))
    points = rng.permutation(shell)[:80] * SPACING
    found = describe(points, window, images, zones)
    share = found.share("pleura")
    assert (share.within_mm, share.observed) == (2.5, 1.0)
    right = (window.at(window.labels, points) == 1).mean()
    near = [(depth[window.labels == label] < 2.5).mean() for label in (1, 2)]
    assert_allclose(share.expected, right * near[0] + (1 - right) * near[1], rtol=1e-6)
    assert share.low > 1
    assert share.p <= 0.01
    assert share.auc < 0.3
    test = next(t for t in found.tests if t.name == "pleura: Berman Z2" and t.lung == "both")
    assert test.statistic < -5
    assert test.p < 0.2  # 199 samples, Holm over 25 tests
    curve = next(c for c in found.curves if c.function == "pleura" and c.lung == "both")
    assert curve.observed[curve.r_mm == 2.5] == 1 > curve.high[curve.r_mm == 2.5]


def test_expected_shares_weigh_the_lungs_by_their_nodules(window, images, zones, rng):
    points, _ = random_points(window, [90, 10], rng)
    near = [(images["vessel"][window.labels == label] < 10).mean() for label in (1, 2)]
    share = describe(points, window, images, zones).share("vessel", 10.0)
    assert_allclose(share.expected, 0.9 * near[0] + 0.1 * near[1], rtol=1e-6)


def test_points_moved_out_of_a_vessel_do_not_count_for_vessels(window, images, zones, rng):
    points, _ = random_points(window, [60, 40], rng)
    axis = np.stack([np.linspace(12, 40, 6), np.full(6, 30 * 0.7), np.full(6, 71 * 0.8)], axis=1)
    alone = describe(points, window, images, zones)
    both = describe(np.concatenate([points, axis]), window, images, zones)
    assert both.n == alone.n + 6
    assert any("6 of 106 nodules" in note for note in both.notes)
    assert both.share("vessel").observed == alone.share("vessel").observed
    assert both.share("pleura").observed != alone.share("pleura").observed


def test_zones_count_points_and_litres(window, images, zones, rng):
    points, strata = random_points(window, [60, 40], rng)
    found = describe(points, window, images, zones)
    table = {(zone.zone, zone.lung): zone for zone in found.zones}
    at = window.at(zones, points)
    assert len(table) == 9
    for (name, lung), zone in table.items():
        label = {"upper": 1, "middle": 2, "lower": 3}[name]
        side = {"both": (1, 2), "right": (1,), "left": (2,)}[lung]
        inside = np.isin(window.labels, side)
        litres = (inside & (zones == label)).sum() * SPACING.prod() / 1e6
        n = ((at == label) & np.isin(strata + 1, side)).sum()
        whole = np.isin(strata + 1, side).sum() / (inside.sum() * SPACING.prod() / 1e6)
        assert zone.n == n
        assert_allclose([zone.per_l, zone.ratio], [n / litres, n / litres / whole])


def test_zone_ratios_are_corrected_by_the_sensitivity(images, zones, rng):
    labels = two_lungs()
    sensitivity = np.where(zones == 1, 0.25, 1.0).astype(np.float32)
    window = Window(labels, SPACING, sensitivity)
    points, _ = random_points(window, [1500, 1000], rng, 0.0)
    quick = {"simulations": 19, "empty_space_simulations": 0, "min_separation_mm": 0.0}
    found = describe(points, window, images, zones, **quick)
    ratios = [zone.ratio for zone in found.zones if zone.lung == "both"]
    assert_allclose(ratios, 1, atol=0.2)
    assert min(zone.per_l for zone in found.zones) < 0.5 * max(z.per_l for z in found.zones)


# What a distribution holds


def test_tests_and_curves_are_complete(window, images, zones, rng):
    points, _ = random_points(window, [60, 40], rng)
    found = describe(points, window, images, zones)
    assert found.n == 100
    assert found.tests[0].name == PRIMARY
    assert found.tests[0].p == found.csr_p
    names = {(curve.function, curve.lung) for curve in found.curves}
    functions = {"K", "L", "g", "G", "F", "J", "pleura", "vessel"}
    assert names == {(f, lung) for f in functions for lung in ("both", "right", "left")}
    assert {test.lung for test in found.tests} == {"both", "right", "left"}
    assert all(0 < test.p <= 1 for test in found.tests)
    assert [s.within_mm for s in found.shares] == [2.5, 5.0, 10.0] * 2
    for curve in found.curves:
        known = np.isfinite(curve.expected)
        assert known.sum() >= 3
        assert (curve.low[known] <= curve.expected[known] + 1e-9).all()
        assert (curve.expected[known] <= curve.high[known] + 1e-9).all()


def test_one_lung_alone_makes_no_tests_of_the_other(window, images, zones, rng):
    right = Window(np.where(window.labels == 1, 1, 0).astype(np.uint8), SPACING)
    points, _ = random_points(right, [60], rng)
    found = describe(points, right, images, zones)
    assert {test.lung for test in found.tests} == {"both", "right"}
    assert not [test for test in found.tests if "side" in test.name]
    # The right lung is all there is.
    k = {curve.lung: curve for curve in found.curves if curve.function == "K"}
    assert_array_equal(k["both"].observed, k["right"].observed)


def test_an_unknown_distance_is_left_out_and_a_partly_known_one_is_not(window, images, zones, rng):
    points, _ = random_points(window, [60, 40], rng)
    nowhere = np.full(window.labels.shape, np.nan, np.float32)
    half = np.where(window.labels == 1, images["pleura"], np.inf).astype(np.float32)
    found = describe(points, window, {"fissure": nowhere, "pleura": half}, zones)
    assert found.share("fissure") is None
    right = describe(points, window, {"pleura": images["pleura"]}, zones)
    inside = images["pleura"][window.labels == 1]
    assert_allclose(found.share("pleura").expected, (inside < 2.5).mean(), rtol=1e-6)
    assert right.share("pleura").expected != found.share("pleura").expected


# Odd questions


@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_few_points_give_none_and_a_reason(window, images, zones, rng, n):
    points, _ = random_points(window, [n, 0], rng)
    found = describe(points, window, images, zones)
    assert found.n == n
    assert (found.csr_p, found.clustered) == (None, None)
    assert all(test.p is None for test in found.tests)
    assert any(f"there are {n}." in note for note in found.notes)
    assert (found.clark_evans is None) == (n < 2)
    share = found.share("pleura")
    assert share.expected > 0
    assert (share.observed is None) == (n == 0)
    assert len(found.curves) == 24


def test_all_points_in_one_place(window, images, zones):
    centre = window.strata[0].places(np.array([len(window.strata[0].index) // 2]))
    found = describe(np.repeat(centre, 40, axis=0), window, images, zones)
    assert found.csr_p == 1 / (FAST.simulations + 1)
    assert found.clustered is True
    assert found.clark_evans == 0


@pytest.mark.parametrize("n", [0, 1, 40])
def test_a_window_of_two_voxels(n):
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[2, 3, 3:5] = 1
    images = {"pleura": np.ones(labels.shape, np.float32)}
    found = describe(np.tile([2.5, 2.1, 2.4], (n, 1)), Window(labels, SPACING), images, labels)
    assert found.n == n
    assert found.csr_p is None
    assert found.notes


def test_an_empty_window_holds_nothing(images):
    labels = np.zeros((5, 6, 7), np.uint8)
    images = {"pleura": np.ones(labels.shape, np.float32)}
    found = describe(np.ones((12, 3)), Window(labels, SPACING), images, labels)
    assert (found.n, found.csr_p, found.shares) == (0, None, ())
    assert any("12 of 12 nodules" in note for note in found.notes)


def test_bad_input_is_refused(window, images, zones):
    with pytest.raises(ValueError, match="must be finite, got 3"):
        describe(np.full((1, 3), np.nan), window, images, zones)
    with pytest.raises(ValueError, match="image of pleura must have the shape"):
        describe(np.empty((0, 3)), window, {"pleura": images["pleura"][1:]}, zones)
    with pytest.raises(ValueError, match="zone_labels must have the shape"):
        describe(np.empty((0, 3)), window, images, zones[1:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bin_mm": 0.0}, "above 0 and rise"),
        ({"radius_step_mm": 0.25}, "whole number"),
        ({"simulations": 5}, "at least 19"),
        ({"empty_space_simulations": 5000}, "0 to simulations"),
        ({"density_sigma_mm": 0.0}, "must be above 0, got 0.0 and 5"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SpatialSettings(), **changes)


def test_inputs_are_left_as_they_are(window, images, zones, rng):
    points, _ = random_points(window, [60, 40], rng)
    kept = points.copy(), window.labels.copy(), images["pleura"].copy()
    describe(points, window, images, zones)
    assert_array_equal(points, kept[0])
    assert_array_equal(window.labels, kept[1])
    assert_array_equal(images["pleura"], kept[2])
