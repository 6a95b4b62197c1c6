"""Logistic regression of a few numbers on many trials, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from miliary.arrays import AnyArray, FloatArray

#: Newton's method on a concave function of a few numbers: it needs 5 to 8 steps.
_STEPS = 30
_CLOSE = 1e-9

#: Two-sided 95 % of a normal distribution.
_Z95 = 1.959964


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """What trials tell of the odds.

    Parameters
    ----------
    coefficients : (F,) float
        Effects on the log odds.
    covariance : (F, F) float
        Of the coefficients.
    """

    coefficients: FloatArray
    covariance: FloatArray


def fit_logistic(
    design: FloatArray, success: AnyArray, *, ridge: float, n_free: int
) -> LogisticFit:
    """Fit the odds of success by penalised maximum likelihood.

    Parameters
    ----------
    design : (N, F) float
        One row a trial.
    success : (N,) bool
        Its outcome.
    ridge : float
        Penalty on the square of the coefficients but the free ones.
    n_free : int
        The first so many coefficients are held by a hundredth of the penalty only: enough to
        keep them finite when all trials end alike.

    Returns
    -------
    LogisticFit
        Coefficients and covariance.
    """
    x, y = np.asarray(design, float), np.asarray(success, float)
    penalty = np.full(x.shape[1], ridge)
    penalty[:n_free] = ridge / 100
    coefficients = np.zeros(x.shape[1])
    information = np.diag(penalty)
    for _ in range(_STEPS):
        p = special.expit(x @ coefficients)
        information = (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(information, x.T @ (y - p) - penalty * coefficients)
        # Far from the top a full step may overshoot.
        coefficients = coefficients + step * min(1.0, 4.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < _CLOSE:
            break
    return LogisticFit(coefficients, np.linalg.inv(information))


def predict_logistic(
    fit: LogisticFit, design: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Probability of success with its 95 % interval.

    Parameters
    ----------
    fit : LogisticFit
        From `fit_logistic`.
    design : (M, F) float
        Rows to predict.

    Returns
    -------
    value, low, high : (M,) float64
        Probabilities; the interval is symmetric in the log odds.
    """
    x = np.asarray(design, float)
    logit = x @ fit.coefficients
    error = np.sqrt(np.einsum("mi,ij,mj->m", x, fit.covariance, x))
    reach = _Z95 * error
    return special.expit(logit), special.expit(logit - reach), special.expit(logit + reach)


def predict_mixture(
    fit: LogisticFit, designs: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Probability of success in a mixture of groups, with its 95 % interval.

    The probabilities are averaged, not the log odds: these would tell too much of a group that
    nearly always succeeds.

    Parameters
    ----------
    fit : LogisticFit
        From `fit_logistic`.
    designs : (K, M, F) float
        Rows to predict, group by group.
    weights : (K,) float
        Shares of the groups, adding up to 1.

    Returns
    -------
    value, low, high : (M,) float64
        Probabilities; the interval is the delta method's, symmetric in the log odds.
    """
    x = np.asarray(designs, float)
    p = special.expit(x @ fit.coefficients)
    # Certainty has no log odds.
    value = np.clip(np.tensordot(weights, p, 1), 1e-12, 1 - 1e-12)
    gradient = np.einsum("k,km,kmf->mf", weights, p * (1 - p), x)
    error = np.sqrt(np.einsum("mi,ij,mj->m", gradient, fit.covariance, gradient))
    logit = np.log(value) - np.log1p(-value)
    reach = _Z95 * error / (value * (1 - value))
    return value, special.expit(logit - reach), special.expit(logit + reach)
