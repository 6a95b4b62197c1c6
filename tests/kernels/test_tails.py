"""The tail beyond a window: drawn exponentials, and what has no tail."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.kernels.tails import continue_tail

WIDTH = 2.5


@pytest.mark.parametrize("fall", [0.5, 1.0, 2.0])
def test_an_exponential_goes_on_as_it_fell(rng, fall):
    told, errors, truth = [], [], []
    for _ in range(60):
        drawn = rng.exponential(1 / fall, 400)
        inside = drawn[drawn < WIDTH]
        beyond, error = continue_tail(inside, np.ones(len(inside)), WIDTH)
        told.append(beyond)
        errors.append(error)
        truth.append(np.count_nonzero(drawn >= WIDTH))
    # Three standard errors of a mean of 60.
    assert_allclose(np.mean(told), np.mean(truth), atol=3 * np.std(told) / np.sqrt(60) + 1.0)
    assert_allclose(np.std(told), np.mean(errors), rtol=0.35)


def test_half_the_weight_is_half_the_number(rng):
    inside = rng.exponential(1.0, 300)
    inside = inside[inside < WIDTH]
    whole, _ = continue_tail(inside, np.ones(len(inside)), WIDTH)
    half, _ = continue_tail(inside, np.full(len(inside), 0.5), WIDTH)
    assert_allclose(half, whole / 2)


def test_nothing_in_the_window_is_nothing_beyond():
    assert continue_tail(np.empty(0), np.empty(0), WIDTH) == (0.0, 0.0)


def test_a_tail_that_rises_stays_finite(rng):
    beyond, error = continue_tail(rng.uniform(2.0, WIDTH, 50), np.ones(50), WIDTH)
    assert np.isfinite([beyond, error]).all()


def test_the_window_has_a_width():
    with pytest.raises(ValueError, match="width must be positive, got 0"):
        continue_tail(np.ones(3), np.ones(3), 0)
