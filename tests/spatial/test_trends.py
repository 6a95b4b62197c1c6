"""Trends of size with covariates: found, held at their level, and not made of lungs or clusters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from miliary.spatial.clustering import Placed
from miliary.spatial.marks import correlate_sizes
from miliary.spatial.trends import size_trends
from spatial_cases import FAST, cluster, describe, random_points


def placed_in(window, points):
    moved, strata, _ = window.locate(points, move_mm=0.0)
    return Placed(moved, strata, np.zeros(len(points), bool))


def trends_of(points, sizes, window, covariates, seed=3):
    return size_trends(
        sizes, covariates, placed_in(window, points), window, FAST, rng=np.random.default_rng(seed)
    )


def test_in_one_lung_it_is_spearmans_correlation(window, rng):
    points, strata = random_points(window, [60, 40], rng)
    sizes = rng.lognormal(0.6, 0.3, 100) + 0.01 * points[:, 0]
    tests, trends = trends_of(points, sizes, window, {"height": points[:, 0]})
    assert [(t.covariate, t.lung, t.n) for t in trends] == [
        ("height", "both", 100), ("height", "right", 60), ("height", "left", 40)
    ]  # fmt: skip
    for trend, stratum in zip(trends[1:], (0, 1), strict=True):
        own = strata == stratum
        expected = stats.spearmanr(sizes[own], points[own, 0]).statistic
        assert_allclose(trend.correlation, expected, rtol=1e-9)
        assert trend.low < trend.correlation < trend.high
    assert [(t.name, t.lung) for t in tests] == [("sizes with height: rank correlation", "both")]
    assert (tests[0].p, tests[0].statistic) == (trends[0].p, trends[0].correlation)


def test_what_the_mark_correlation_misses_is_found(window, rng):
    points, _ = random_points(window, [120, 80], rng)
    sizes = rng.lognormal(0.6, 0.25, 200) * 1.5 ** (1 - points[:, 0] / points[:, 0].max())
    placed = placed_in(window, points)
    near = correlate_sizes(sizes, placed, window, FAST, rng=np.random.default_rng(3))[0]
    far = trends_of(points, sizes, window, {"height": points[:, 0]})[1][0]
    assert near.p > 0.05
    assert far.p == 1 / (FAST.simulations + 1)
    assert far.high < 0


def test_neither_lungs_nor_clusters_make_a_trend(window, rng):
    points = cluster(window, rng, [12, 8], 4, 2.0)
    strata = placed_in(window, points).strata
    p = []
    for seed in range(100):
        sizes = rng.lognormal(0.6, 0.3, len(points)) * (1 + strata)
        p.append(trends_of(points, sizes, window, {"to the left": points[:, 2]}, seed)[1][0].p)
    # Three standard errors above 5 % for 100 patterns.
    assert (np.array(p) <= 0.05).mean() <= 0.115
    assert_allclose(np.mean(p), 0.5, atol=0.1)


def test_what_is_unknown_is_left_out(window, rng):
    points, strata = random_points(window, [50, 30], rng)
    sizes, height = rng.lognormal(0.6, 0.3, 80), points[:, 0].copy()
    sizes[:5] = np.nan
    height[strata == 1] = np.nan
    both, right, left = trends_of(points, sizes, window, {"height": height})[1]
    assert (both.n, right.n, left.n) == (45, 45, 0)
    assert (both.correlation, both.p) == (right.correlation, right.p)
    assert (left.correlation, left.low, left.high, left.p) == (None,) * 4


@pytest.mark.parametrize("equal", ["sizes", "heights"])
def test_what_is_all_the_same_has_no_trend(window, rng, equal):
    points, _ = random_points(window, [50, 30], rng)
    sizes = np.ones(80) if equal == "sizes" else rng.lognormal(0.6, 0.3, 80)
    height = np.ones(80) if equal == "heights" else points[:, 0]
    tests, trends = trends_of(points, sizes, window, {"height": height})
    assert all((t.correlation, t.p) == (None, None) for t in trends)
    assert tests[0].p is None


@pytest.mark.parametrize("n", [0, 1, 9])
def test_too_few_have_no_trend(window, rng, n):
    points, _ = random_points(window, [n, 0], rng)
    trends = trends_of(points, np.ones(n), window, {"height": points[:, 0]})[1]
    assert [(t.n, t.correlation, t.p) for t in trends] == [
        (n, None, None), (n, None, None), (0, None, None)
    ]  # fmt: skip


def test_a_description_has_a_trend_for_every_covariate(window, images, rng):
    points, _ = random_points(window, [60, 40], rng)
    found = describe(points, window, images, sizes=rng.lognormal(0.6, 0.3, 100))
    names = [(t.covariate, t.lung) for t in found.marks]
    lungs = ("both", "right", "left")
    assert names == [(c, lung) for c in (*images, "height", "depth") for lung in lungs]
    raw = {f"sizes with {t.covariate}: rank correlation": t.p for t in found.marks[::3]}
    for test in found.tests:
        assert test.p >= raw.get(test.name, 0.0)
