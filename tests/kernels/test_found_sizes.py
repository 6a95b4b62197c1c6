"""Populations behind what was found: small ones are missed, and that is taken out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.kernels.found_sizes import log_likelihood, log_normal_populations, most_likely

GRID = np.arange(0.5, 5.0, 0.05)
MEDIANS = np.geomspace(1.0, 3.0, 56)
SPREADS = np.array([0.05, 0.1, 0.15, 0.25])
POPULATIONS = log_normal_populations(GRID, MEDIANS, SPREADS)
ERROR_MM = 0.12
#: Half of what lies between two medians of the grid.
HALF_STEP_MM = 0.02


def found_share(d):
    return 1 / (1 + np.exp(-7 * np.log(d / 2.0)))


def scan(rng, n, median=1.9, spread=0.1):
    d = median * np.exp(spread * rng.standard_normal(n))
    found = rng.random(n) < found_share(d)
    return d, d[found] + ERROR_MM * rng.standard_normal(found.sum())


def fit(measured, found=found_share, stray=0.02):
    error = np.full(len(GRID), ERROR_MM)
    likely = log_likelihood(measured, found(GRID), error, POPULATIONS, stray=stray)
    return likely, *most_likely(likely, POPULATIONS)


def test_populations_have_their_medians_and_sum_to_one():
    assert_allclose(POPULATIONS.share.sum(axis=-1), 1)
    share = POPULATIONS.share[20, 1]
    assert_allclose(GRID[np.searchsorted(share.cumsum(), 0.5)], MEDIANS[20], atol=0.05)


def test_what_was_found_is_larger_than_what_is_there(rng):
    d, measured = scan(rng, 4000)
    _, share, median, error = fit(measured)
    assert np.median(measured) > 1.95
    assert_allclose(median, 1.9, atol=max(3 * error, HALF_STEP_MM))
    assert error < 0.02
    # The part that the scan finds of all that is there, although no small one was seen.
    assert_allclose(share @ found_share(GRID), len(measured) / len(d), atol=0.02)


def test_errors_of_the_median_are_what_they_say(rng):
    told = np.array([fit(scan(rng, 150)[1])[2:] for _ in range(150)])
    # Three standard errors of a spread of 150 values are 0.17 of it.
    assert_allclose(np.std((told[:, 0] - 1.9) / told[:, 1]), 1, atol=0.2)


def test_the_likelihood_is_that_of_the_formula(rng):
    """Nodule by nodule, population by population, in plain loops."""
    measured = np.array([1.65, 2.0, 2.0, 3.4])
    likely, *_ = fit(measured, stray=0.1)
    for m, s in ((3, 0), (30, 2), (55, 3)):
        share = POPULATIONS.share[m, s]
        total = 0.0
        for size in measured:
            normal = np.exp(-0.5 * ((size - GRID) / ERROR_MM) ** 2) / (
                ERROR_MM * np.sqrt(2 * np.pi)
            )
            density = (share * found_share(GRID) * normal).sum() / (share @ found_share(GRID))
            total += np.log(0.9 * density + 0.1 / (GRID[-1] - GRID[0]))
        assert likely[m, s] == pytest.approx(total)


def test_some_sizes_may_be_anything(rng):
    _, measured = scan(rng, 300)
    odd = np.concatenate([measured, np.full(8, 4.5)])
    assert_allclose(fit(odd)[2], fit(measured)[2], atol=0.02)


def test_two_scans_of_one_population_add_up(rng):
    good, poor = scan(rng, 200)[1], scan(rng, 200)[1]
    both = fit(good)[0] + fit(poor)[0]
    together = fit(np.concatenate([good, poor]))
    assert_allclose(both, together[0])
    assert most_likely(both, POPULATIONS)[2] < fit(good)[3]


def test_nothing_found_says_nothing():
    likely, _, median, error = fit(np.empty(0))
    assert_allclose(likely, 0)
    assert 1 < median < 3
    assert error > 0.4
