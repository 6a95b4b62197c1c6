"""How points lie in a window: the null model, the tests, the answers to odd questions."""

from __future__ import annotations

from dataclasses import replace

import edt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.config.spatial import SpatialSettings
from miliary.findings import Distribution
from miliary.spatial import PRIMARY, Window, describe_distribution, sample_null
from miliary.spatial.curves import combined_test, summary_functions
from miliary.spatial.simulate import count_patterns

SPACING = np.array([1.25, 0.7, 0.8])
FAST = SpatialSettings(
    simulations=99,
    empty_space_simulations=39,
    covariate_simulations=199,
    max_radius_mm=10.0,
    lattice_points=300,
    directions=200,
    reference_points=3000,
)
#: Three standard errors above 5 % for 100 patterns.
TYPE_I_MOST = 0.115


def two_lungs():
    """Two ragged ellipsoids of unequal size with a hole through one of them."""
    z, y, x = np.indices((44, 64, 96))
    right = ((z - 22) / 20) ** 2 + ((y - 32) / 28) ** 2 + ((x - 26) / 22) ** 2 < 1
    left = ((z - 22) / 18) ** 2 + ((y - 32) / 24) ** 2 + ((x - 74) / 17) ** 2 < 1
    left &= (y - 30) ** 2 + (x - 70) ** 2 > 9
    return (right + 2 * left).astype(np.uint8)


@pytest.fixture(scope="module")
def window():
    return Window(two_lungs(), SPACING)


@pytest.fixture(scope="module")
def images(window):
    inside = window.labels > 0
    pleura = edt.edt(inside, anisotropy=tuple(SPACING)).astype(np.float32)
    vessel = np.full(inside.shape, np.nan, np.float32)
    y, x = np.indices(inside.shape[1:])
    vessel[:] = np.hypot((y - 30) * 0.7, (x - 70) * 0.8) - 2.4
    return {"pleura": pleura, "vessel": vessel}


@pytest.fixture(scope="module")
def zones(window):
    z = np.indices(window.labels.shape)[0]
    return np.where(window.labels > 0, 3 - np.minimum(z // 15, 2), 0).astype(np.uint8)


def describe(points, window, images, zones, settings=FAST, seed=1, **changes) -> Distribution:
    return describe_distribution(
        points,
        window,
        distances_mm=images,
        zone_labels=zones,
        settings=replace(settings, **changes),
        rng=np.random.default_rng(seed),
    )


def random_points(window, n, rng, min_separation_mm=2.0):
    return sample_null(window, np.array(n), min_separation_mm=min_separation_mm, rng=rng)


# The window


def test_strata_have_the_volume_of_their_voxels(window):
    counts = np.bincount(two_lungs().ravel())[1:]
    assert [stratum.label for stratum in window.strata] == [1, 2]
    assert_allclose([s.volume_mm3 for s in window.strata], counts * SPACING.prod())
    assert_allclose(window.volume_mm3, counts.sum() * SPACING.prod())


def test_random_points_lie_in_their_stratum_and_are_uniform(window, rng):
    points, strata = window.sample(np.array([3000, 2000]), rng)
    assert_array_equal(window.at(window.labels, points), strata + 1)
    assert_array_equal(np.bincount(strata), [3000, 2000])
    for number, stratum in enumerate(window.strata):
        mean = stratum.places(np.arange(len(stratum.index))).mean(axis=0)
        error = points[strata == number].std(axis=0) / np.sqrt((strata == number).sum())
        assert (np.abs(points[strata == number].mean(axis=0) - mean) < 4 * error).all()


def test_random_points_follow_the_sensitivity(rng):
    labels = np.ones((10, 19, 23), np.uint8)
    sensitivity = np.zeros(labels.shape, np.float32)
    sensitivity[:5], sensitivity[5:] = 0.2, 0.6
    window = Window(labels, SPACING, sensitivity)
    points, _ = window.sample(np.array([4000]), rng)
    upper = (points[:, 0] / SPACING[0] > 4.5).mean()
    assert_allclose(upper, 0.75, atol=4 * np.sqrt(0.75 * 0.25 / 4000))


def test_simulated_points_keep_the_separation_of_the_detector(window, rng):
    points, strata = random_points(window, [300, 200], rng, min_separation_mm=3.0)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(500, 1)]
    assert gaps.min() >= 3.0
    assert_array_equal(np.bincount(strata), [300, 200])
    assert_array_equal(window.at(window.labels, points), strata + 1)
    crowded, _ = random_points(window, [300, 200], rng, min_separation_mm=0.0)
    gaps = np.linalg.norm(crowded[:, None] - crowded[None], axis=2)[np.triu_indices(500, 1)]
    assert gaps.min() < 3.0


def test_a_full_window_ends_the_search_for_room(rng):
    window = Window(np.ones((2, 2, 2), np.uint8), SPACING)
    points, _ = random_points(window, [9], rng, min_separation_mm=5.0)
    assert len(points) == 9


def test_points_just_outside_move_to_the_nearest_voxel():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[:, :, 4:] = 1
    window = Window(labels, SPACING)
    points = np.array([[5.0, 2.8, 4 * 0.8], [5.0, 2.8, 2.0], [5.0, 2.8, 0.4], [99.0, 0, 0]])
    placed, strata, moved = window.locate(points, move_mm=1.5)
    assert_array_equal(strata, [0, 0, -1, -1])
    assert_array_equal(moved, [False, True, False, False])
    assert_allclose(placed[1], [5.0, 2.8, 3.2])
    assert_allclose(points[1], [5.0, 2.8, 2.0])


def test_the_lattice_is_even_and_inside(window):
    places, strata, weights = window.lattice(500)
    assert 350 < len(places) < 700
    assert_array_equal(window.at(window.labels, places), strata + 1)
    volumes = np.array([s.volume_mm3 for s in window.strata])
    assert_allclose(np.bincount(strata) / len(places), volumes / volumes.sum(), atol=0.05)
    assert (weights == 1).all()


@pytest.mark.parametrize(
    ("labels", "spacing", "sensitivity", "message"),
    [
        (np.ones((3, 3), np.uint8), SPACING, None, "three axes"),
        (np.ones((3, 3, 3), int), SPACING, None, "uint8"),
        (np.ones((3, 3, 3), np.uint8), [1.0, 0.0, 1.0], None, "above 0"),
        (np.ones((3, 3, 3), np.uint8), SPACING, np.ones((2, 3, 3)), "shape of labels"),
        (np.ones((3, 3, 3), np.uint8), SPACING, -np.ones((3, 3, 3)), "not below 0"),
    ],
)
def test_windows_that_make_no_sense_are_refused(labels, spacing, sensitivity, message):
    with pytest.raises(ValueError, match=message):
        Window(labels, spacing, sensitivity)


# The null model and its tests


def functions_of(points, strata, window, rng, **changes):
    settings = replace(FAST, **changes)
    counts = count_patterns(points, strata, window, settings, rng=rng)
    return summary_functions(counts, np.arange(len(window.strata)), window, settings)


def test_k_g_and_f_of_randomness_are_those_of_theory(window, rng):
    n = np.array([150, 20])
    points, strata = random_points(window, n, rng, 0.0)
    found = functions_of(points, strata, window, rng, min_separation_mm=0.0, simulations=199)
    ball = 4 / 3 * np.pi * found.r_mm**3
    # Unequal densities in the lungs do not bias K: the weights carry them.
    mean = found.values["K"][1:].mean(axis=0)
    error = found.values["K"][1:].std(axis=0) / np.sqrt(199)
    assert (np.abs(mean - ball) < 4 * error + 0.02 * ball).all()
    # Each point is its lung's, so G and F mix the lungs' densities.
    density = n / [s.volume_mm3 for s in window.strata]
    g = (n / n.sum()) @ (1 - np.exp(-density[:, None] * ball))
    near = found.r_mm < 5
    assert_allclose(found.values["G"][1:].mean(axis=0)[near], g[near], atol=0.03)


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


@pytest.mark.parametrize("case", ["plain", "sensitivity", "unequal"])
def test_the_primary_test_holds_its_level(case, rng):
    labels = two_lungs()[::2, ::2, ::2]
    sensitivity = None
    if case == "sensitivity":
        sensitivity = np.linspace(0.1, 1, labels.shape[0])[:, None, None] + np.zeros(
            labels.shape, np.float32
        )
    window = Window(labels, 2 * SPACING, sensitivity)
    n = [60, 5] if case == "unequal" else [35, 20]
    settings = replace(FAST, simulations=39, empty_space_simulations=0, lag_voxel_mm=0.0)
    p = []
    for _ in range(100):
        points, strata = random_points(window, n, rng)
        counts = count_patterns(points, strata, window, settings, rng=rng)
        functions = summary_functions(counts, np.arange(2), window, settings)
        p.append(combined_test(functions, alpha=0.05)[0].p)
    assert (np.array(p) <= 0.05).mean() <= TYPE_I_MOST
    assert_allclose(np.mean(p), 0.5, atol=0.1)


def cluster(window, rng, n_parents, n_children, sigma_mm):
    parents, _ = random_points(window, n_parents, rng, 0.0)
    points = np.repeat(parents, n_children, axis=0)
    points = points + rng.normal(0, sigma_mm, points.shape)
    return points[window.at(window.labels, points) > 0]


def test_clusters_are_found_and_random_points_are_not(window, images, zones, rng):
    grouped = describe(cluster(window, rng, [12, 8], 5, 2.5), window, images, zones)
    assert grouped.csr_p == 1 / (FAST.simulations + 1)
    assert grouped.clustered is True
    assert grouped.clark_evans < 0.8
    assert any("more close pairs" in note for note in grouped.notes)
    points, _ = random_points(window, [60, 40], np.random.default_rng(5))
    plain = describe(points, window, images, zones)
    assert plain.csr_p > 0.05
    assert plain.clustered is False
    assert_allclose(plain.clark_evans, 1, atol=0.12)


def test_points_that_keep_apart_are_not_random_and_not_clustered(window, images, zones, rng):
    points, _ = random_points(window, [100, 60], rng, min_separation_mm=5.5)
    found = describe(points, window, images, zones)
    assert found.csr_p <= 0.05
    assert found.clustered is False
    assert found.clark_evans > 1.1
    # The same rule in the null model explains it.
    explained = describe(points, window, images, zones, min_separation_mm=5.5)
    assert explained.csr_p > 0.05


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
