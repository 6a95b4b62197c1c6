"""The null model and the tests against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.spatial import Window
from miliary.spatial.curves import combined_test, summary_functions
from miliary.spatial.simulate import count_pattern, count_patterns
from spatial_cases import FAST, SPACING, cluster, describe, random_points, two_lungs

#: Three standard errors above 5 % for 100 patterns.
TYPE_I_MOST = 0.115


def functions_of(points, strata, window, rng, settings, min_separation_mm):
    counts = count_patterns(
        points, strata, window, settings, min_separation_mm=min_separation_mm, rng=rng
    )
    return summary_functions(
        counts,
        np.arange(len(window.strata)),
        window,
        settings,
        min_separation_mm=min_separation_mm,
    )


def test_k_g_and_f_of_randomness_are_those_of_theory(window, rng):
    n = np.array([150, 20])
    points, strata = random_points(window, n, rng, 0.0)
    found = functions_of(points, strata, window, rng, replace(FAST, simulations=199), 0.0)
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
        functions = functions_of(points, strata, window, rng, settings, 2.0)
        p.append(combined_test(functions, alpha=0.05)[0].p)
    assert (np.array(p) <= 0.05).mean() <= TYPE_I_MOST
    assert_allclose(np.mean(p), 0.5, atol=0.1)


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


def test_counts_are_the_same_on_any_number_of_threads(window, rng, monkeypatch):
    points, strata = random_points(window, [60, 40], rng)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("MILIARY_THREADS", threads)
        found.append(
            count_patterns(
                points,
                strata,
                window,
                FAST,
                min_separation_mm=2.0,
                rng=np.random.default_rng(4),
            )
        )
    for name in ("pairs", "seen", "lost", "nearest_mm", "empty_seen", "empty_lost"):
        assert_array_equal(getattr(found[0], name), getattr(found[1], name))


def test_one_pattern_alone_counts_as_the_first_of_many(window, rng):
    points, strata = random_points(window, [30, 20], rng)
    many = count_patterns(points, strata, window, FAST, min_separation_mm=2.0, rng=rng)
    one = count_pattern(points, strata, window, FAST)
    for name in ("pairs", "seen", "lost", "nearest_mm", "empty_seen", "empty_lost"):
        assert_array_equal(getattr(one, name), getattr(many, name)[:1])
