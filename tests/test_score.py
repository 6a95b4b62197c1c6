"""Agreement of found and true nodules."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_phantom
from miliary.score import match, score


def clouds(rng, n=60, m=50):
    truth = rng.uniform(0, 30, (m, 3))
    found = np.concatenate(
        [truth[:40] + rng.normal(0, 0.6, (40, 3)), rng.uniform(0, 30, (n - 40, 3))]
    )
    return found, truth


def test_a_small_case_by_hand():
    truth = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [20.0, 0.0, 0.0]])
    found = np.array([[0.5, 0.0, 0.0], [10.0, 1.0, 0.0], [50.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    result = score(
        found,
        np.array([2.0, 1.5, 3.0, 1.0]),
        truth,
        np.array([1.8, 1.7, 2.4]),
        reach_mm=1.5,
        lung_litres=4.0,
    )
    assert_array_equal(result.matches, [[0, 0], [1, 1]])
    assert_array_equal(result.missed, [2])
    assert_array_equal(result.false, [2, 3])
    assert result.sensitivity == 2 / 3
    assert result.false_per_litre == 0.5
    assert result.place_mm == 0.75
    assert_allclose(result.size_bias_mm, 0.0, atol=1e-9)
    assert_allclose(result.size_sd_mm, 0.2)
    assert [(b.low_mm, b.high_mm, b.n, b.found) for b in result.by_size] == [
        (1.6, 1.8, 2, 2),
        (2.2, 2.4, 1, 0),
    ]
    assert [b.sensitivity for b in result.by_size] == [1.0, 0.0]


def test_matches_are_those_of_trying_all_pairs(rng):
    found, truth = clouds(rng)
    fast, slow = match(found, truth, reach_mm=2.5), oracles_phantom.match(found, truth, 2.5)
    assert_array_equal(fast, slow)
    assert len(fast) > 30


def test_matches_are_those_of_the_evaluation_tool(rng, shared):
    spec = importlib.util.spec_from_file_location("tool", shared / "eval" / "score_case.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    found, truth = clouds(rng)
    assert_array_equal(match(found, truth, reach_mm=1.5), tool.match(found, truth, 1.5))


def test_two_found_at_one_nodule_are_one_match_and_one_false_positive():
    result = score(
        np.array([[0.2, 0, 0], [0, 0.3, 0]]),
        np.full(2, 2.0),
        np.zeros((1, 3)),
        np.full(1, 2.0),
        reach_mm=1.5,
        lung_litres=1.0,
    )
    assert_array_equal(result.matches, [[0, 0]])
    assert_array_equal(result.false, [1])


@pytest.mark.parametrize(("n", "m"), [(0, 0), (3, 0), (0, 3)])
def test_nothing_found_or_nothing_true(n, m):
    result = score(
        np.ones((n, 3)), np.ones(n), np.ones((m, 3)), np.ones(m), reach_mm=1.0, lung_litres=2.0
    )
    assert result.matches.shape == (0, 2)
    assert (len(result.false), len(result.missed)) == (n, m)
    assert result.sensitivity == (0.0 if m else None)
    assert result.false_per_litre == n / 2
    assert result.place_mm is result.size_bias_mm is result.size_sd_mm is None


def test_unknown_lung_volume_gives_no_rate():
    result = score(
        np.ones((1, 3)), np.ones(1), np.ones((1, 3)), np.ones(1), reach_mm=1.0, lung_litres=None
    )
    assert result.false_per_litre is None


def test_bad_input_is_named():
    point, one = np.zeros((1, 3)), np.ones(1)
    with pytest.raises(ValueError, match="reach_mm must be positive, got 0"):
        score(point, one, point, one, reach_mm=0.0, lung_litres=1.0)
    with pytest.raises(ValueError, match="1 and 2 found"):
        score(point, np.ones(2), point, one, reach_mm=1.0, lung_litres=1.0)
    with pytest.raises(ValueError, match="lung_litres must be positive or None, got 0"):
        score(point, one, point, one, reach_mm=1.0, lung_litres=0.0)
