"""Logistic regression against a general optimiser, simulated trials, and separated data."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize

from miliary.kernels.logistic import LogisticFit, fit_logistic, predict_logistic, predict_mixture

#: BFGS stops at gradients of 1e-5; the coefficients follow to some 1e-5.
OPTIMISER_TOLERANCE = 2e-4

#: Share of 300 nominal 95 % intervals that hold the truth: three standard errors either side.
COVERAGE = (0.91, 0.99)


def trials(rng, n, coefficients):
    design = np.column_stack([np.ones(n), rng.normal(size=(n, len(coefficients) - 1))])
    chance = 1 / (1 + np.exp(-design @ coefficients))
    return design, rng.random(n) < chance


def penalised_loss(coefficients, design, success, penalty):
    logit = design @ coefficients
    return np.logaddexp(0, logit).sum() - logit[success].sum() + penalty @ coefficients**2 / 2


@pytest.mark.parametrize("ridge", [0.01, 0.5, 20.0])
def test_fit_matches_a_general_optimiser(rng, ridge):
    design, success = trials(rng, 150, np.array([0.5, -1.2, 0.3, 2.0]))
    penalty = np.array([ridge / 100, ridge / 100, ridge, ridge])
    slow = optimize.minimize(penalised_loss, np.zeros(4), (design, success, penalty))
    fit = fit_logistic(design, success, ridge=ridge, n_free=2)
    assert_allclose(fit.coefficients, slow.x, atol=OPTIMISER_TOLERANCE)
    assert_allclose(fit.covariance, fit.covariance.T)


def test_covariance_is_the_inverse_curvature_of_the_loss(rng):
    design, success = trials(rng, 80, np.array([0.2, 1.0]))
    ridge, step = 0.5, 1e-4
    fit = fit_logistic(design, success, ridge=ridge, n_free=1)
    penalty = np.array([ridge / 100, ridge])

    def loss(a, b):
        moved = fit.coefficients + step * np.array([a, b])
        return penalised_loss(moved, design, success, penalty)

    middle = loss(0, 0)
    curved = [(loss(*d) - 2 * middle + loss(*-np.array(d))) / step**2 for d in ((1, 0), (0, 1))]
    mixed = (loss(1, 1) - loss(1, -1) - loss(-1, 1) + loss(-1, -1)) / (4 * step**2)
    curvature = np.array([[curved[0], mixed], [mixed, curved[1]]])
    # Second differences of a loss near 50 at a step of 1e-4 hold six digits less than a float.
    assert_allclose(fit.covariance, np.linalg.inv(curvature), rtol=1e-3)


def test_a_share_without_covariates_is_the_share():
    fit = fit_logistic(np.ones((40, 1)), np.arange(40) < 30, ridge=1e-6, n_free=1)
    value, low, high = predict_logistic(fit, np.ones((1, 1)))
    assert_allclose(value, 0.75, atol=1e-6)
    # The delta method in the log odds, by hand: sqrt(1 / (40 * 0.75 * 0.25)) = 0.365.
    assert_allclose([low[0], high[0]], [0.595, 0.860], atol=0.001)


@pytest.mark.parametrize("outcome", [True, False])
def test_trials_that_all_end_alike_stay_finite(outcome):
    design = np.column_stack([np.ones(90), np.tile([-0.5, 0.0, 0.4], 30), np.tile([0, 1], 45)])
    fit = fit_logistic(design, np.full(90, outcome), ridge=0.5, n_free=2)
    value, low, high = predict_logistic(fit, design)
    assert np.isfinite(fit.coefficients).all()
    assert ((low <= value) & (value <= high)).all()
    assert (value > 0.95).all() if outcome else (value < 0.05).all()


def test_separated_trials_stay_finite_and_in_order():
    x = np.linspace(-1, 1, 50)
    fit = fit_logistic(np.column_stack([np.ones(50), x]), x > 0, ridge=0.5, n_free=2)
    value = predict_logistic(fit, np.array([[1, -1.0], [1, 0.0], [1, 1.0]]))[0]
    assert np.isfinite(fit.covariance).all()
    assert value[0] < 0.01 < 0.3 < value[1] < 0.7 < 0.99 < value[2]


def test_nothing_tried_is_even_odds_and_no_knowledge():
    fit = fit_logistic(np.empty((0, 2)), np.empty(0, bool), ridge=0.5, n_free=1)
    value, low, high = predict_logistic(fit, np.ones((1, 2)))
    assert_allclose(value, 0.5)
    assert low[0] < 1e-6
    assert high[0] > 1 - 1e-6


def test_intervals_hold_the_truth_about_as_often_as_they_say(rng):
    truth = np.array([0.8, 1.5])
    at = np.array([[1.0, 0.5]])
    chance = 1 / (1 + np.exp(-at @ truth))
    held = []
    for _ in range(300):
        design, success = trials(rng, 100, truth)
        fit = fit_logistic(design, success, ridge=0.01, n_free=2)
        _, low, high = predict_logistic(fit, at)
        held.append(low[0] <= chance[0] <= high[0])
    assert COVERAGE[0] <= np.mean(held) <= COVERAGE[1]


def test_extreme_log_odds_do_not_overflow():
    fit = LogisticFit(np.array([1.0]), np.array([[1e4]]))
    value, low, high = predict_logistic(fit, np.array([[900.0], [-900.0]]))
    assert_allclose(value, [1, 0], atol=1e-12)
    assert_allclose([low, high], [[0, 0], [1, 1]], atol=1e-12)


def test_a_mixture_of_one_group_is_that_group(rng):
    design, success = trials(rng, 120, np.array([0.5, 1.0, -0.7]))
    fit = fit_logistic(design, success, ridge=0.5, n_free=2)
    at = rng.normal(size=(7, 3))
    alone = predict_logistic(fit, at)
    mixed = predict_mixture(fit, np.stack([at, at + 1.0]), np.array([1.0, 0.0]))
    assert_allclose(mixed, alone, rtol=1e-9)


def test_a_mixture_averages_probabilities_and_not_log_odds():
    fit = LogisticFit(np.array([4.0, 0.0]), np.zeros((2, 2)))
    groups = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    value, low, high = predict_mixture(fit, groups, np.array([0.5, 0.5]))
    # Half of 0.982 and half of 0.5; the mean log odds of 2 would be 0.881.
    assert_allclose([value[0], low[0], high[0]], (0.982 + 0.5) / 2, atol=1e-3)


def test_interval_of_a_mixture_is_that_of_drawn_coefficients(rng):
    design, success = trials(rng, 400, np.array([0.6, 0.8, -0.5]))
    fit = fit_logistic(design, success, ridge=0.1, n_free=2)
    groups, weights = rng.normal(size=(3, 4, 3)), np.array([0.2, 0.5, 0.3])
    drawn = rng.multivariate_normal(fit.coefficients, fit.covariance, 20_000)
    chance = np.einsum("k,kmd->md", weights, 1 / (1 + np.exp(-groups @ drawn.T)))
    _, low, high = predict_mixture(fit, groups, weights)
    # The delta method is good to first order: a hundredth at an error of a twentieth.
    assert_allclose(np.stack([low, high]), np.quantile(chance, [0.025, 0.975], axis=1), atol=0.015)


def test_certainty_stays_finite():
    fit = LogisticFit(np.array([1.0]), np.array([[1.0]]))
    value, low, high = predict_mixture(fit, np.full((1, 1, 1), 900.0), np.ones(1))
    assert np.isfinite([value, low, high]).all()
    assert_allclose([value[0], low[0], high[0]], 1.0, atol=1e-9)
