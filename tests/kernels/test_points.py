"""Summary functions against spatstat's values and slow twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_spatial as oracles
from miliary.kernels import points as kernel
from miliary.kernels.mask import set_covariance
from miliary.kernels.pairs import nearest_distances, pair_differences

FIXTURES = Path(__file__).parents[1] / "fixtures" / "spatial"
ELSEWHERE = Path(__file__).parents[3] / "shared" / "spatial-fixtures"
#: Sums over some 1e5 pairs in another order.
K_RTOL = 1e-12
#: Differences of prefix sums cancel.
G_PAIR_ATOL = 1e-9
#: Products of at most 121 factors.
G_ATOL = 1e-14


def read(name):
    """Read a table of R: two patterns lie beside the tests, two more in ../shared."""
    here = FIXTURES / name
    path = here if here.exists() else ELSEWHERE / name
    return np.genfromtxt(path, delimiter=",", names=True)


def censored(distances, border, **steps):
    groups = np.zeros(len(distances), int)
    seen, lost = kernel.censored_counts(distances, border, groups, n_groups=1, **steps)
    return seen[0], lost[0]


@pytest.fixture(
    params=[
        "thomas",
        "hardcore",
        pytest.param("csr", marks=pytest.mark.shared),
        pytest.param("gradient", marks=pytest.mark.shared),
    ]
)
def pattern(request):
    """A pattern of spatstat in a box, and the weights of its pairs by way of a voxel mask."""
    name = request.param
    if name in ("csr", "gradient"):
        request.getfixturevalue("shared")
    table, box = read(f"{name}_points.csv"), read(f"{name}_box.csv")
    points = np.stack([table[axis] for axis in "xyz"], axis=1)
    corner = np.array([box[f"{axis}0"] for axis in "xyz"])
    size = np.array([box[f"{axis}1"] for axis in "xyz"]) - corner
    shape = np.array([19, 23, 29])
    covariance = set_covariance(np.ones(shape, bool), size / shape, max_lag_mm=40.0, capacity=1)
    _, _, lags, distances = pair_differences(points, max_mm=40.0)
    # spatstat divides by n², not n (n - 1).
    weights = size.prod() ** 2 / len(points) ** 2 / covariance.at(lags)
    border = np.minimum(points - corner, corner + size - points).min(axis=1)
    return name, points, distances, weights, border, size


def test_k_is_spatstats_translation_corrected_k(pattern):
    name, _, distances, weights, _, _ = pattern
    truth = read(f"{name}_K3est.csv")
    k = kernel.k_function(distances, weights, truth["r"])
    assert_allclose(k, truth["trans"], rtol=K_RTOL)


def test_g_is_spatstats_pair_correlation(pattern):
    name, _, distances, weights, _, _ = pattern
    for file, corrected in (("default", True), ("delta1.5_nobias", False)):
        truth = read(f"{name}_pcf3est_{file}.csv")
        width = truth["delta"][0] if "delta" in truth.dtype.names else 1.5
        g = kernel.pair_correlation(
            distances, weights, truth["r"], bandwidth_mm=width, corrected=corrected
        )
        assert_allclose(g, truth["trans"], atol=G_PAIR_ATOL)


def test_nearest_neighbour_distributions_are_spatstats(pattern):
    name, points, _, _, border, size = pattern
    truth = read(f"{name}_G3est.csv")
    radii = truth["r"]
    nearest = nearest_distances(points, points, same=True)
    seen, lost = censored(nearest, border, step_mm=radii[1], n_steps=len(radii) - 1)
    eroded = np.prod(np.clip(size - 2 * radii[:, None], 0, None), axis=1)
    assert_allclose(kernel.kaplan_meier(seen, lost), truth["km"], atol=G_ATOL)
    assert_allclose(kernel.reduced_sample(nearest, border, radii), truth["rs"], atol=G_ATOL)
    known = np.isfinite(truth["han"])
    hanisch = kernel.hanisch(seen, eroded)
    assert_allclose(hanisch[known], truth["han"][known], atol=G_ATOL)


def test_pair_correlation_matches_the_sum_over_pairs(rng):
    distances, weights = rng.uniform(0, 20, 300), rng.uniform(1, 2, 300)
    radii = np.array([0.0, 1.0, 2.5, 8.0, 17.0])
    for corrected in (True, False):
        found = kernel.pair_correlation(
            distances, weights, radii, bandwidth_mm=2.5, corrected=corrected
        )
        expected = [oracles.pair_correlation(distances, weights, r, 2.5, corrected) for r in radii]
        assert_allclose(found, expected, rtol=1e-9)


def test_the_matrix_gives_the_pair_correlation_of_binned_distances(rng):
    edges = np.arange(0, 20.05, 0.1)
    centres = (edges[:-1] + edges[1:]) / 2
    weights = rng.uniform(0, 3, len(centres))
    radii = np.array([1.0, 4.0, 9.5])
    matrix = kernel.pair_correlation_matrix(edges, radii, bandwidth_mm=3.0)
    exact = kernel.pair_correlation(centres, weights, radii, bandwidth_mm=3.0, corrected=True)
    assert_allclose(weights @ matrix, exact, rtol=1e-9)


def test_kaplan_meier_matches_the_definition(rng):
    distances, border = rng.uniform(0, 12, 80), rng.uniform(0, 15, 80)
    distances[3] = np.inf
    radii = 0.5 * np.arange(21)
    counts = censored(distances, border, step_mm=0.5, n_steps=20)
    expected = oracles.kaplan_meier(distances, border, radii)
    assert_allclose(kernel.kaplan_meier(*counts), expected, atol=G_ATOL)


def test_without_censoring_kaplan_meier_is_the_empirical_distribution(rng):
    distances = rng.uniform(0, 8, 50)
    counts = censored(distances, np.full(50, 99.0), step_mm=1.0, n_steps=10)
    share = [(distances <= r).mean() for r in range(11)]
    assert_allclose(kernel.kaplan_meier(*counts), share, atol=G_ATOL)


def test_distances_of_nothing_give_level_functions():
    none = np.empty(0)
    counts = censored(none, none, step_mm=1.0, n_steps=3)
    assert_array_equal(kernel.kaplan_meier(*counts), np.zeros(4))
    assert np.isnan(kernel.hanisch(counts[0], np.ones(4))).all()
    assert np.isnan(kernel.reduced_sample(none, none, np.arange(3.0))).all()


def test_l_of_a_ball_is_its_radius():
    radii = np.array([0.0, 1.0, 7.5])
    assert_allclose(kernel.l_function(4 / 3 * np.pi * radii**3), radii)


def test_j_is_given_only_where_f_is_not_near_one():
    j = kernel.j_function(np.array([0.2, 0.5, 1.0]), np.array([0.2, 0.75, 0.99]), max_f=0.95)
    assert_allclose(j, [1.0, 2.0, np.nan])


def test_groups_are_counted_apart(rng):
    distances, border = rng.uniform(0, 12, 80), rng.uniform(0, 15, 80)
    groups = rng.integers(0, 3, 80)
    seen, lost = kernel.censored_counts(
        distances, border, groups, n_groups=4, step_mm=0.5, n_steps=20
    )
    for group in range(4):
        here = groups == group
        alone = censored(distances[here], border[here], step_mm=0.5, n_steps=20)
        assert_array_equal(seen[group], alone[0])
        assert_array_equal(lost[group], alone[1])
