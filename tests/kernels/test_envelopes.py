"""Extreme rank lengths against GET and a slow twin."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_spatial as oracles
from miliary.kernels import envelopes as kernel

FIXTURES = Path(__file__).parents[1] / "fixtures" / "spatial"
ALTERNATIVES = ("two-sided", "greater", "less")


@pytest.fixture(scope="module")
def curves():
    return np.loadtxt(FIXTURES / "get_curves.csv", delimiter=",")


def get_result(kind, alternative):
    with (FIXTURES / "get_results.csv").open() as file:
        for row in csv.DictReader(file):
            if (row["type"], row["alternative"]) == (kind, alternative.replace("-", ".")):
                return row
    raise KeyError(kind)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_p_is_that_of_get(curves, alternative):
    test = kernel.envelope_test(curves, alternative=alternative, alpha=0.05)
    assert test.p == float(get_result("erl", alternative)["p"])


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_rank_interval_is_that_of_get(curves, alternative):
    low, high = kernel.rank_interval(kernel.pointwise_ranks(curves, alternative=alternative))
    truth = get_result("rank", alternative)
    assert (low, high) == (float(truth["plo"]), float(truth["phi"]))


def test_measure_and_envelope_are_those_of_get(curves):
    test = kernel.envelope_test(curves, alternative="two-sided", alpha=0.05)
    truth = np.genfromtxt(FIXTURES / "get_envelopes.csv", delimiter=",", names=True)
    assert_array_equal(test.measure, np.loadtxt(FIXTURES / "get_erl_measure.csv"))
    assert_array_equal(test.low, truth["erl_lo"])
    assert_array_equal(test.high, truth["erl_hi"])


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_measure_matches_lists_compared_one_by_one(rng, alternative):
    # Few values make many ties, within and between curves.
    curves = rng.integers(0, 4, (25, 5)).astype(float)
    ranks = kernel.pointwise_ranks(curves, alternative=alternative)
    assert_allclose(
        kernel.extreme_rank_lengths(ranks), oracles.extreme_rank_lengths(curves, alternative)
    )


def test_a_curve_outside_all_others_has_the_smallest_p():
    curves = np.arange(20.0)[:, None] + np.zeros(4)
    p = {a: kernel.envelope_test(curves[::-1], alternative=a, alpha=0.05).p for a in ALTERNATIVES}
    # Two-sided, the curve at the other end is as extreme.
    assert p == {"two-sided": 0.1, "greater": 0.05, "less": 1.0}


def test_equal_curves_have_p_one():
    test = kernel.envelope_test(np.ones((20, 3)), alternative="two-sided", alpha=0.05)
    assert test.p == 1
    assert_array_equal(test.low, test.high)


def test_a_curve_leaves_the_envelope_when_and_only_when_p_is_small(rng):
    curves = rng.normal(size=(100, 12)).cumsum(axis=1)
    for row in range(100):
        order = np.r_[row, np.delete(np.arange(100), row)]
        test = kernel.envelope_test(curves[order], alternative="two-sided", alpha=0.05)
        leaves = bool(((curves[row] < test.low) | (curves[row] > test.high)).any())
        assert leaves == (test.p <= 0.05)


def test_order_of_arguments_does_not_matter(rng, curves):
    shuffled = curves[:, rng.permutation(curves.shape[1])]
    first = kernel.envelope_test(curves, alternative="two-sided", alpha=0.05)
    second = kernel.envelope_test(shuffled, alternative="two-sided", alpha=0.05)
    assert_array_equal(first.measure, second.measure)


@pytest.mark.parametrize("bad", [np.full((20, 3), np.nan), np.ones((20, 0))])
def test_undefined_curves_are_refused(bad):
    with pytest.raises(ValueError, match="must be finite"):
        kernel.envelope_test(bad, alternative="two-sided", alpha=0.05)


def test_unknown_alternative_is_refused():
    with pytest.raises(ValueError, match="got 'both'"):
        kernel.pointwise_ranks(np.ones((3, 3)), alternative="both")
