"""True numbers behind counts: means, spreads, and intervals that cover."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.kernels.thinned import Doubts, draw_numbers, middle_and_interval

NONE = Doubts(
    false_sd=0.0, false_shared=0.0, found_shared=0.0, shift=0.0, shift_sd=0.0, model_sd=0.0
)


def draw(n, false, share, rng, doubts=NONE, sd=0.0):
    logit = np.log(share) - np.log1p(-np.asarray(share, float))
    return draw_numbers(
        np.array([n], float), np.array([false], float), logit, np.full(2, sd),
        doubts=doubts, draws=20_000, rng=rng,
    )[:, 0]  # fmt: skip


def test_all_found_and_none_false_is_the_count(rng):
    numbers = draw((40, 120), (0, 0), (0.999, 0.999), rng)
    assert_allclose(numbers.mean(axis=0), (40.5, 120.5), rtol=0.005)


def test_what_is_missed_and_what_is_false_is_counted(rng):
    numbers = draw((84, 84), (24, 0), (0.6, 0.6), rng)
    # 60 true of 100; 84 of 140; half of one is added, and half of what it stands for is missed.
    assert_allclose(numbers.mean(axis=0), (100, 140), rtol=0.02)
    # Binomial: the number missed is spread by the root of n (1 - p) / p2; and Poisson on top.
    spread = np.sqrt(84 * 0.4) / 0.6
    assert_allclose(numbers[:, 1].std(), spread, rtol=0.03)
    assert numbers[:, 0].std() > spread * np.sqrt(60 / 84)


def test_scans_that_miss_the_same_agree_better(rng):
    alike = Doubts(0.0, 0.0, 0.8, 0.0, 0.0, 0.0)
    spreads = [
        np.log(numbers[:, 1] / numbers[:, 0]).std()
        for numbers in (draw((90, 90), (0, 0), (0.6, 0.6), rng, doubts) for doubts in (NONE, alike))
    ]
    assert_allclose(spreads[1], spreads[0] * np.sqrt(0.2), rtol=0.05)


def test_false_ones_at_the_same_places_cancel(rng):
    spreads = [
        (numbers[:, 1] - numbers[:, 0]).std()
        for shared in (0.0, 0.75)
        for numbers in [
            draw((60, 60), (16, 16), (0.999, 0.999), rng, replace(NONE, false_shared=shared))
        ]
    ]
    # Poisson: the difference of two counts of 16 is spread by sqrt(32), of which a quarter is left.
    assert_allclose(spreads, [np.sqrt(32), np.sqrt(8)], rtol=0.05)


def test_a_patient_with_more_false_ones_has_them_in_both_scans(rng):
    doubts = replace(NONE, false_sd=0.5)
    numbers = draw((300, 300), (100, 100), (0.999, 0.999), rng, doubts)
    assert np.corrcoef(numbers.T)[0, 1] > 0.9


def test_nothing_found_stays_finite(rng):
    numbers = draw((0, 0), (3, 3), (0.5, 0.5), rng)
    assert np.isfinite(numbers).all()
    assert numbers.min() > 0


def test_the_interval_holds_what_it_should():
    draws = np.arange(1001.0)[:, None]
    assert_allclose(np.ravel(middle_and_interval(draws, 0.9)), (500, 50, 950))
    with pytest.raises(ValueError, match="above 0 and below 1, got 95"):
        middle_and_interval(draws, 95)
