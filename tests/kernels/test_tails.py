"""The tail beyond a window: drawn exponentials, and what has no tail."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.kernels.tails import continue_tail

WIDTH = 2.5
#: Nothing is known of the fall before.
OPEN = {"fall": 1.0, "spread": 100.0}


@pytest.mark.parametrize("fall", [0.5, 1.0, 2.0])
def test_an_exponential_goes_on_as_it_fell(rng, fall):
    told, errors, truth = [], [], []
    for _ in range(60):
        drawn = rng.exponential(1 / fall, 400)
        inside = drawn[drawn < WIDTH]
        beyond, error = continue_tail(inside, np.ones(len(inside)), WIDTH, **OPEN)
        told.append(beyond)
        errors.append(error)
        truth.append(np.count_nonzero(drawn >= WIDTH))
    # Three standard errors of a mean of 60.
    assert_allclose(np.mean(told), np.mean(truth), atol=3 * np.std(told) / np.sqrt(60) + 1.0)
    assert_allclose(np.std(told), np.mean(errors), rtol=0.35)


def test_few_values_go_on_as_is_usual_and_many_as_they_say(rng):
    usual = 0.9
    for n, spread, told_by in ((400, 1e-3, usual), (20_000, 0.5, 2.0)):
        drawn = rng.exponential(1 / 2.0, n)
        inside = drawn[drawn < WIDTH]
        beyond, error = continue_tail(
            inside, np.ones(len(inside)), WIDTH, fall=usual, spread=spread
        )
        assert_allclose(beyond, len(inside) / np.expm1(told_by * WIDTH), rtol=0.07)
        assert error > beyond / np.sqrt(len(inside))


def test_falls_that_differ_as_they_are_told_to_are_told_honestly(rng):
    told = []
    for _ in range(400):
        fall = 0.9 * np.exp(rng.normal(0.0, 0.2))
        drawn = rng.exponential(1 / fall, 60)
        inside = drawn[drawn < WIDTH]
        beyond, error = continue_tail(inside, np.ones(len(inside)), WIDTH, fall=0.9, spread=0.2)
        told.append((len(drawn) - len(inside) - beyond, np.hypot(error, np.sqrt(beyond))))
    off, error = np.array(told).T
    # The usual fall is in the middle; the mean of 400, at three standard errors of it.
    assert abs(off.mean()) < 3 * off.std() / 20 + 0.3
    assert 0.8 < (off / error).std() < 1.2


def test_half_the_weight_is_half_the_number(rng):
    inside = rng.exponential(1.0, 300)
    inside = inside[inside < WIDTH]
    whole, _ = continue_tail(inside, np.ones(len(inside)), WIDTH, **OPEN)
    half, _ = continue_tail(inside, np.full(len(inside), 0.5), WIDTH, **OPEN)
    assert_allclose(half, whole / 2, rtol=1e-4)


def test_nothing_in_the_window_is_nothing_beyond():
    assert continue_tail(np.empty(0), np.empty(0), WIDTH, **OPEN) == (0.0, 0.0)


@pytest.mark.parametrize("at", [(2.0, WIDTH), (0.0, 1e-6)], ids=["rises", "all at the far end"])
def test_whatever_lies_in_the_window_stays_finite(rng, at):
    beyond, error = continue_tail(rng.uniform(*at, 50), np.ones(50), WIDTH, **OPEN)
    assert np.isfinite([beyond, error]).all()


@pytest.mark.parametrize("name", ["width", "fall", "spread"])
def test_width_fall_and_spread_are_positive(name):
    wishes = {"width": WIDTH, **OPEN, name: 0}
    with pytest.raises(ValueError, match=f"{name} must be positive, got 0"):
        continue_tail(np.ones(3), np.ones(3), **wishes)
