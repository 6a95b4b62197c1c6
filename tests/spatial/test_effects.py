"""Effects with their intervals: preferences, zones, lobes; the map; sizes and their places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_spatial as oracles
from miliary.spatial import Window
from miliary.spatial.clustering import Clusters, Placed
from miliary.spatial.involvement import compare_sides
from miliary.spatial.marks import MARKS, correlate_sizes
from miliary.spatial.regions import map_density
from spatial_cases import FAST, SPACING, cluster, describe, random_points


def placed_in(window, points):
    moved, strata, _ = window.locate(points, move_mm=0.0)
    return Placed(moved, strata, np.zeros(len(points), bool))


# Preferences


def test_every_covariate_has_a_preference_in_every_lung(window, images, rng):
    points, _ = random_points(window, [60, 40], rng)
    found = describe(points, window, images)
    names = {(p.covariate, p.lung) for p in found.preferences}
    lungs = ("both", "right", "left")
    places = ("pleura", "vessel", "height", "depth")
    assert names == {(c, lung) for c in places for lung in lungs} | {("side", "both")}
    assert all(p.low < p.auc < p.high for p in found.preferences)


def test_points_at_the_base_at_the_back_and_on_the_right_are_said_so(window, images, rng):
    points, _ = random_points(window, [900, 300], rng, 0.0)
    middle = np.array(window.labels.shape) * SPACING / 2
    chosen = points[(points[:, 0] < middle[0]) & (points[:, 1] > middle[1])]
    found = describe(chosen, window, images, min_separation_mm=0.0)
    by_name = {p.covariate: p for p in found.preferences if p.lung == "both"}
    assert by_name["height"].high < 0.5 < by_name["depth"].low
    # Evenly in each lung, three times as many in the right one.
    sides = describe(points[::6], window, {}, min_separation_mm=0.0).preferences
    assert next(p for p in sides if p.covariate == "side").low > 0.5


def test_the_auc_of_the_side_follows_from_its_shares(window, rng):
    points, _ = random_points(window, [70, 30], rng)
    tests, (side,) = compare_sides(placed_in(window, points), window, FAST, clusters=None, rng=rng)
    share = window.strata[0].volume_mm3 / window.volume_mm3
    assert_allclose(tests[0].statistic, 0.7 / share)
    assert_allclose(side.auc, 0.5 + (0.7 - share) / 2)
    assert 0 < side.low < side.auc < side.high < 1


def test_a_cluster_counts_less_for_a_side(window, rng):
    points = cluster(window, rng, [14, 2], 8, 1.5)
    placed = placed_in(window, points)
    single, grouped = (
        compare_sides(placed, window, FAST, clusters=clusters, rng=np.random.default_rng(1))
        for clusters in (None, Clusters.of(placed, window, replace(FAST, cluster_reach_mm=5.0)))
    )
    assert grouped[0][0].p > single[0][0].p
    assert grouped[1][0].low < single[1][0].low


# Zones and lobes


def test_zones_have_intervals_that_clusters_widen(window, images, zones, rng):
    points, _ = random_points(window, [60, 40], rng)
    plain = describe(points, window, images, zones)
    groups = describe(cluster(window, rng, [12, 8], 5, 2.5), window, images, zones)
    assert (plain.clustered, groups.clustered) == (False, True)
    for found in (plain, groups):
        for zone in found.zones:
            assert zone.low <= zone.per_l <= zone.high
            assert zone.ratio_low <= zone.ratio <= zone.ratio_high

    def width(found):
        zone = found.zones[1]
        return (zone.high - zone.low) / zone.per_l * np.sqrt(zone.n)

    assert width(groups) > 1.3 * width(plain)


def test_lobes_are_held_against_their_own_lung(window, images, rng):
    lobes = np.where(window.labels == 1, 1, 0).astype(np.uint8)
    lobes[:20] = np.where(window.labels[:20] == 1, 3, 0)
    lobes[window.labels == 2] = 5
    points, _ = random_points(window, [60, 40], rng)
    found = describe(points, window, images, lobes=lobes).lobes
    table = {row.zone: row for row in found}
    assert [(row.zone, row.lung) for row in found] == [
        ("RUL", "right"), ("RML", "right"), ("RLL", "right"), ("LUL", "left"), ("LLL", "left")
    ]  # fmt: skip
    assert table["RUL"].n + table["RLL"].n == 60
    assert table["LLL"].n == 40
    assert_allclose(table["LLL"].ratio, 1)
    assert (table["RML"].per_l, table["RML"].ratio, table["RML"].low) == (None, None, None)
    volume = (lobes == 1).sum() / (window.labels == 1).sum()
    assert_allclose(table["RUL"].ratio, table["RUL"].n / 60 / volume)


def test_lobes_of_one_lung_and_of_none(window, images, rng):
    right = Window(np.where(window.labels == 1, 1, 0).astype(np.uint8), SPACING)
    points, _ = random_points(right, [60], rng)
    found = describe(points, right, images, lobes=right.labels)
    assert [row.zone for row in found.lobes] == ["RUL", "RML", "RLL"]
    assert describe(points, right, images).lobes == ()


# The map of density


def test_the_map_is_the_sum_over_points_and_room(window, rng):
    points, _ = random_points(window, [30, 20], rng)
    settings = replace(FAST, density_sigma_mm=9.0, density_voxel_mm=4.0)
    found = map_density(placed_in(window, points), window, settings)
    assert_allclose(found.voxel_mm, [3.75, 3.5, 4.0])
    assert_allclose(found.first_mm, [1.25, 1.4, 1.6])
    # The right lung alone, by whole coarse voxels, against the double loop.
    counts, room = np.zeros((2, *found.per_ml.shape))
    for voxel in np.argwhere(window.labels == 1):
        room[tuple(voxel // [3, 5, 5])] += SPACING.prod()
    for point in points[:30]:
        counts[tuple(np.rint(point / SPACING).astype(int) // [3, 5, 5])] += 1
    value, error = oracles.intensity(counts, room, 9.0 / found.voxel_mm, 4.0)
    left = np.zeros(room.shape)
    for voxel in np.argwhere(window.labels == 2):
        left[tuple(voxel // [3, 5, 5])] += 1
    alone = (room > 0) & (left == 0)
    assert_allclose(found.per_ml[alone], 1000 * value[alone], rtol=1e-4)
    assert_allclose(found.error_per_ml[alone], 1000 * error[alone], rtol=1e-4)
    assert np.isnan(found.per_ml[(room == 0) & (left == 0)]).all()


def test_the_map_of_randomness_is_level(window, rng):
    points, _ = random_points(window, [6000, 4500], rng, 0.0)
    found = map_density(placed_in(window, points), window, replace(FAST, density_sigma_mm=12.0))
    truth = [n / s.volume_mm3 * 1000 for n, s in zip((6000, 4500), window.strata, strict=True)]
    x = found.per_ml.shape[2] // 2
    for half, density in zip((found.per_ml[..., : x - 1], found.per_ml[..., x + 2 :]), truth,
                             strict=True):  # fmt: skip
        known = half[np.isfinite(half)]
        assert_allclose(known, density, rtol=0.2)


# Sizes


def sizes_test(points, sizes, window, seed=3):
    return correlate_sizes(
        sizes, placed_in(window, points), window, FAST, rng=np.random.default_rng(seed)
    )


def test_the_mark_correlation_is_that_of_the_pairs(window, rng):
    points, strata = random_points(window, [25, 15], rng)
    sizes = rng.lognormal(0.6, 0.3, 40)
    _, curve = sizes_test(points, sizes, window)
    mean = np.array([sizes[strata == s].mean() for s in (0, 1)])
    width = 0.26 * (window.volume_mm3 / 40) ** (1 / 3)
    marks = sizes / mean[strata]
    expected = [
        oracles.mark_correlation(points, strata, marks, r, width, 10.0, 0.1) for r in curve.r_mm
    ]
    known = curve.r_mm <= 10 - width
    assert_allclose(curve.observed[known], np.array(expected)[known], rtol=1e-9)
    assert np.isnan(curve.observed[~known]).all()
    assert_allclose(curve.expected[known & np.isfinite(curve.expected)], 1, atol=0.1)


def test_sizes_that_follow_place_are_found_and_others_not(window, rng):
    points, strata = random_points(window, [120, 80], rng)
    place = np.where(points[:, 0] % 20 < 10, 1.0, 2.0)
    alike, curve = sizes_test(points, place, window)
    assert (alike.name, alike.lung) == (MARKS, "both")
    assert alike.p == 1 / (FAST.simulations + 1)
    assert alike.statistic > 0.05
    assert curve.function == "kmm"
    # A difference between the lungs is no dependence within them.
    lungs, _ = sizes_test(points, 1.0 + 2 * strata, window)
    assert lungs.p == 1


def test_dealt_sizes_hold_the_level(window, rng):
    points = cluster(window, rng, [12, 8], 4, 2.0)
    p = [
        sizes_test(points, rng.lognormal(0.6, 0.3, len(points)), window, seed)[0].p
        for seed in range(100)
    ]
    # Three standard errors above 5 % for 100 patterns.
    assert (np.array(p) <= 0.05).mean() <= 0.115
    assert_allclose(np.mean(p), 0.5, atol=0.1)


def test_a_description_tests_sizes_when_it_is_given_them(window, images, rng):
    points, _ = random_points(window, [60, 40], rng)
    outside = np.concatenate([points, [[-50.0, 0, 0]]])
    sizes = np.append(rng.lognormal(0.6, 0.3, 100), 9.0)
    sizes[3] = np.nan
    plain = describe(outside, window, images)
    sized = describe(outside, window, images, sizes=sizes)
    names = [test.name for test in sized.tests]
    trends = [f"sizes with {name}: rank correlation" for name in (*images, "height", "depth")]
    assert names == [*(test.name for test in plain.tests), MARKS, *trends]
    assert plain.marks == ()
    assert sized.curves[-1].function == "kmm"
    assert sized.csr_p == plain.csr_p


@pytest.mark.parametrize("n", [0, 1, 9])
def test_too_few_sizes_are_not_tested(window, rng, n):
    points, _ = random_points(window, [n, 0], rng)
    test, curve = sizes_test(points, np.ones(n), window)
    assert (test.p, test.statistic) == (None, None)
    assert np.isnan(curve.observed).all()


def test_points_too_far_apart_have_no_mark_correlation(window):
    points = np.stack([s.places(np.array([0])) for s in window.strata])[:, 0]
    settings = replace(FAST, min_nodules=2)
    test, _ = correlate_sizes(
        np.ones(2), placed_in(window, points), window, settings, rng=np.random.default_rng(1)
    )
    assert test.p is None


def test_sizes_that_make_no_sense_are_refused(window, rng):
    points, _ = random_points(window, [20, 0], rng)
    with pytest.raises(ValueError, match=r"one a point \(20\), got 19"):
        sizes_test(points, np.ones(19), window)
    with pytest.raises(ValueError, match=r"above 0, got -1"):
        sizes_test(points, -np.ones(20), window)


# Odd questions


@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one_have_no_intervals_but_defined_answers(window, images, zones, rng, n):
    points, _ = random_points(window, [n, 0], rng)
    found = describe(points, window, images, zones, lobes=zones, sizes=np.ones(n))
    for effect in found.preferences:
        assert effect.n == (n if effect.lung != "left" else 0)
        assert (effect.auc is None) == (effect.n == 0)
        assert effect.covariate == "side" or effect.low is None
    assert found.zones[0].low == 0 if found.zones[0].n == 0 else found.zones[0].low > 0
    assert found.zones[0].high > 0
    assert_array_equal(np.nan_to_num(found.density.per_ml) >= 0, True)
    assert np.nansum(found.density.per_ml) > 0 or n == 0


def test_all_points_in_one_place_have_effects(window, images, zones):
    centre = window.strata[0].places(np.array([len(window.strata[0].index) // 2]))
    found = describe(np.repeat(centre, 40, axis=0), window, images, zones, sizes=np.ones(40))
    assert all(p.low < p.high for p in found.preferences if p.low is not None)
    assert next(t for t in found.tests if t.name == MARKS).p == 1


@pytest.mark.parametrize("n", [0, 1, 40])
def test_two_voxels_have_a_map(n):
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[2, 3, 3:5] = 1
    images = {"pleura": np.ones(labels.shape, np.float32)}
    points = np.tile([2.5, 2.1, 2.4], (n, 1))
    found = describe(points, Window(labels, SPACING), images, labels, sizes=np.ones(n))
    per_ml = found.density.per_ml[np.isfinite(found.density.per_ml)]
    assert_allclose(per_ml, n / (2 * SPACING.prod()) * 1000, rtol=1e-5)


def test_an_empty_window_has_no_map():
    window = Window(np.zeros((5, 6, 7), np.uint8), SPACING)
    found = describe(np.empty((0, 3)), window, {})
    assert found.density is None
    assert found.preferences == ()
