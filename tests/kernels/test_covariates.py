"""Covariate tests against R, a slow twin and exact laws."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_spatial as oracles
from miliary.kernels import covariates as kernel
from miliary.kernels.pairs import pair_differences

#: 1,000 repetitions at 5 %: three standard errors are 2 %.
TYPE_I_ATOL = 0.021


def test_statistics_match_raw_values(rng):
    window = rng.integers(0, 12, 300) * 0.7
    sample = rng.choice(window, 40)
    values, counts = np.unique(window, return_counts=True)
    binned = np.array([(sample == value).sum() for value in values])
    found = kernel.covariate_statistics(binned[None], values, counts.astype(float))
    expected = oracles.covariate_statistics(sample, window)
    assert_allclose([found.z1[0], found.z2[0], found.ks[0], found.auc[0]], expected, rtol=1e-9)


@pytest.mark.shared
def test_statistics_are_those_of_r(shared):
    folder = shared / "spatial-fixtures"
    image = np.genfromtxt(folder / "cov2d_image.csv", delimiter=",", names=True)
    at_points = np.genfromtxt(folder / "cov2d_ks_values.csv", delimiter=",", names=True)
    values, counts = np.unique(image["Z"], return_counts=True)
    sample = np.bincount(np.searchsorted(values, at_points["ZX"]), minlength=len(values))
    found = kernel.covariate_statistics(sample[None], values, counts.astype(float))
    # cdf.test takes F(z) - F_n(z-) too, which differs by the two pixels of 32,000 that share z.
    assert_allclose(found.ks[0], 0.068, atol=2.001 / 32_000)
    # Its U is F(z); ours is the middle of the step at z.
    assert_allclose(found.auc[0], at_points["U"].mean(), atol=1.001 / 32_000)
    # berman.test and auc interpolate the image between pixels by default.
    assert_allclose(found.z2[0], 2.49446, atol=1e-2)
    assert_allclose(found.auc[0], 0.541538, atol=1e-3)


def test_no_points_give_nan_and_a_flat_covariate_gives_zero():
    none = kernel.covariate_statistics(np.zeros((1, 3), int), np.arange(3.0), np.ones(3))
    assert np.isnan([none.z1[0], none.z2[0], none.ks[0], none.auc[0]]).all()
    flat = kernel.covariate_statistics(np.array([[7]]), np.array([2.0]), np.array([5.0]))
    assert (flat.z1[0], flat.z2[0], flat.ks[0], flat.auc[0]) == (0, 0, 0, 0.5)


def test_simulated_counts_keep_the_number_in_each_stratum(rng):
    weights = np.array([[1.0, 0, 3], [2, 2, 0], [0, 0, 0]])
    counts = kernel.simulate_counts(np.array([40, 7, 0]), weights, n_simulations=500, rng=rng)
    assert_array_equal(counts.sum(axis=2), np.tile([40, 7, 0], (500, 1)))
    assert (counts[:, 0, 1] == 0).all()
    # Binomial with n = 40 and p = 3/4: four standard errors of a mean over 500.
    assert_allclose(counts[:, 0, 2].mean(), 30, atol=4 * np.sqrt(7.5 / 500))


def test_points_are_dealt_to_bins_by_their_shares(rng):
    # The first bins meet within one cell of the table, the others fill many.
    share = np.concatenate([np.full(40, 1e-7), np.geomspace(1e-5, 1.0, 60)])
    share /= share.sum()
    counts = kernel._deal_points(500, share, 4000, rng)
    assert_array_equal(counts.sum(axis=1), np.full(4000, 500))
    error = np.sqrt(500 * share * (1 - share) / 4000)
    # Five standard errors, and for what is rare one point in four thousand samples.
    assert (np.abs(counts.mean(axis=0) - 500 * share) < 5 * error + 3 / 4000).all()
    some = 500 * share > 1
    spread = counts.var(axis=0)[some] / (500 * share * (1 - share))[some]
    assert_allclose(spread, 1, atol=5 * np.sqrt(2 / 4000) * 1.5)
    by_bins = kernel._draw_bins(500, share, 4000, rng)
    assert_allclose(by_bins.mean(axis=0)[some], counts.mean(axis=0)[some], rtol=0.2)


def test_berman_and_ks_hold_their_level(rng):
    weights = np.exp(-np.arange(60) / 20)[None]
    values = np.arange(60) * 0.5
    null = kernel.simulate_counts(np.array([80]), weights, n_simulations=1999, rng=rng)
    found = kernel.covariate_statistics(null[:, 0], values, weights[0])
    for statistic in (found.z1, found.z2, found.ks):
        p = np.array([kernel.monte_carlo_p(t, statistic[1000:]) for t in statistic[:1000]])
        assert_allclose((p <= 0.05).mean(), 0.05, atol=TYPE_I_ATOL)
    # The centred Z1 has the variance it claims.
    assert_allclose(found.z1.std(), 1, atol=0.06)


def test_monte_carlo_p_counts_ties_as_extreme():
    simulated = np.array([-2.0, -1.0, 0.0, 1.0])
    assert kernel.monte_carlo_p(1.0, simulated) == 4 / 5
    assert kernel.monte_carlo_p(9.0, simulated) == 1 / 5


def test_share_ratio_has_the_interval_of_clopper_and_pearson():
    ratio, low, high = kernel.share_ratio(10, 100, 0.2, alpha=0.05, design_effect=1.0)
    # 10 of 100: 4.900 % to 17.622 %, as in any table.
    assert_allclose([ratio, low, high], [0.5, 0.04900 / 0.2, 0.17622 / 0.2], rtol=1e-3)
    _, wider_low, wider_high = kernel.share_ratio(10, 100, 0.2, alpha=0.05, design_effect=3.0)
    assert wider_low < low < high < wider_high


def test_share_ratio_of_none_and_of_all():
    assert kernel.share_ratio(0, 20, 0.5, alpha=0.05, design_effect=1.0)[:2] == (0, 0)
    ratio, low, high = kernel.share_ratio(20, 20, 0.5, alpha=0.05, design_effect=1.0)
    assert (ratio, high) == (2, 2)
    assert 1.6 < low < 2


def near_pairs(points, reach):
    return pair_differences(points, max_mm=reach)[:2]


def test_design_effect_is_the_loop_over_pairs(rng):
    points = np.repeat(rng.uniform(0, 40, (10, 3)), 3, axis=0) + rng.normal(0, 1, (30, 3))
    places, weights = rng.uniform(0, 40, (80, 3)), rng.random(80)
    scores, there = points[:, 0] ** 2, places[:, 0] ** 2
    found = kernel.design_effect(
        scores, near_pairs(points, 6.0), there, near_pairs(places, 6.0), weights
    )
    expected = oracles.design_effect(scores, points, there, places, weights, 6.0)
    assert expected > 1.5
    assert_allclose(found, expected)


@pytest.mark.parametrize("slow", [False, True])
def test_design_effect_is_one_for_single_points_and_the_size_of_groups(rng, slow):
    places = rng.uniform(0, 60, (3000, 3))
    pairs, weights = near_pairs(places, 12.0), np.ones(3000)
    # A score that follows the place, or one that does not.
    there = places[:, 0] if slow else rng.random(3000)
    single, grouped = [], []
    for _ in range(40):
        points = rng.uniform(0, 60, (200, 3))
        centres = np.repeat(points[:40], 5, axis=0) + rng.normal(0, 1.0, (200, 3))
        one = points[:, 0] if slow else rng.random(200)
        alike = centres[:, 0] if slow else np.repeat(rng.random(40), 5)
        single.append(kernel.design_effect(one, near_pairs(points, 12.0), there, pairs, weights))
        grouped.append(
            kernel.design_effect(alike, near_pairs(centres, 12.0), there, pairs, weights)
        )
    # Never below 1, so a little above on average; groups of five alike points count as one.
    assert 1 <= np.mean(single) < 1.5
    assert_allclose(np.mean(grouped), 5, atol=1.0)


def test_design_effect_of_nothing_is_one():
    none, empty = np.empty(0), (np.empty(0, int), np.empty(0, int))
    assert kernel.design_effect(none, empty, np.ones(3), empty, np.ones(3)) == 1
    assert kernel.design_effect(np.arange(2.0), empty, none, empty, none) == 1
    assert kernel.design_effect(np.ones(2), empty, np.ones(3), empty, np.ones(3)) == 1


def test_auc_interval_matches_raw_values(rng):
    window = rng.integers(0, 30, 400) * 0.7
    sample, strata = rng.choice(window, 24), np.repeat([0, 1], [18, 6])
    values, weights = np.unique(window, return_counts=True)
    counts = np.array([[(sample[strata == s] == value).sum() for value in values] for s in (0, 1)])
    low, high = kernel.auc_interval(counts, weights.astype(float), alpha=0.05, design_effect=1.0)
    auc, variance = oracles.auc_spread(sample, strata, window)
    # Student's t of 23 degrees of freedom at 97.5 %, as in any table.
    half = 2.0687 * np.sqrt(variance / 24) / (auc * (1 - auc))
    odds, ends = np.log(auc / (1 - auc)), np.array([low, high])
    assert_allclose(np.log(ends / (1 - ends)), [odds - half, odds + half], rtol=1e-4)
    wider = kernel.auc_interval(counts, weights.astype(float), alpha=0.05, design_effect=2.0)
    assert wider[0] < low < high < wider[1]


@pytest.mark.parametrize("tilt", [0.0, 1.5])
@pytest.mark.parametrize("n", [(10, 0), (60, 15)])
def test_auc_interval_covers_the_truth(rng, tilt, n):
    bins = np.arange(50)
    window = np.exp(-bins / 20)
    window /= window.sum()
    truth = window * np.exp(tilt * bins / 50)
    truth /= truth.sum()
    auc = truth @ (np.cumsum(window) - window / 2)
    covered = 0
    for _ in range(1000):
        counts = np.stack([rng.multinomial(k, truth) for k in n])
        low, high = kernel.auc_interval(counts, window, alpha=0.05, design_effect=1.0)
        covered += low <= auc <= high
    assert_allclose(covered / 1000, 0.95, atol=TYPE_I_ATOL)


def test_auc_interval_of_few_and_of_equal_points():
    window = np.ones(10)
    for n in (0, 1):
        counts = np.zeros((1, 10), int)
        counts[0, 3] = n
        ends = kernel.auc_interval(counts, window, alpha=0.05, design_effect=1.0)
        assert np.isnan(ends).all()
    counts[0, 3] = 30
    low, high = kernel.auc_interval(counts, window, alpha=0.05, design_effect=1.0)
    assert 0.3 < low < 0.35 < high < 0.4


def test_overdispersion_is_one_for_single_points_and_the_size_of_groups(rng):
    places = rng.uniform(0, 60, (3000, 3))
    pairs = near_pairs(places, 12.0)
    single, grouped = [], []
    for _ in range(40):
        points = rng.uniform(0, 60, (200, 3))
        centres = np.repeat(points[:40], 5, axis=0) + rng.normal(0, 1.0, (200, 3))
        for chosen, into in ((points, single), (centres, grouped)):
            n_pairs = len(near_pairs(chosen, 12.0)[0])
            into.append(kernel.overdispersion(200, n_pairs, pairs, np.ones(3000)))
    assert 1 <= np.mean(single) < 1.3
    # Five to a group, and groups that come near each other by chance cancel on average.
    assert_allclose(np.mean(grouped), 5, atol=1.0)
    assert kernel.overdispersion(0, 0, pairs, np.ones(3000)) == 1


def test_holm_by_hand():
    adjusted = kernel.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.9]))
    assert_allclose(adjusted, [0.04, 0.09, np.nan, 0.09, 0.9])
    assert len(kernel.holm(np.empty(0))) == 0
