"""Which shape of the prior most sheets of a lung speak for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from miliary.arrays import BoolArray, FloatArray
from miliary.config.fissures import FissureSettings
from miliary.fissures.shape import Placed
from miliary.fissures.surface import Evidence, Surface
from miliary.kernels.heights import bilinear_matrix

#: Shapes refined, of all that were drawn; and evidence looked at while they are drawn.
_N_STARTS = 12
_N_EVIDENCE = 4000
#: Reaches while a shape is refined, as parts of the first.
_NARROWING = (1.0, 0.7, 0.5)
#: Weight of one standard deviation of a mode, as a share of all evidence.
_PRIOR_SHARE = 0.004


def fit_shape(placed: Placed, evidence: Evidence, settings: FissureSettings) -> Surface:
    """Find the shape of the prior that most evidence speaks for.

    Many shapes are drawn, the same ones every time; the best are refined, and the best of these
    is taken.

    Parameters
    ----------
    placed : Placed
        The prior in this lung.
    evidence : Evidence
        Sheets of this lung.
    settings : FissureSettings
        Limits.

    Returns
    -------
    Surface
        The mean surface where there is no evidence.
    """
    least = np.cos(np.deg2rad(settings.max_turn_deg))
    evidence = evidence.take(placed.mean.agreement(evidence) > least)
    if len(evidence) == 0:
        return placed.mean
    thinned = evidence.take(_every(len(evidence), _N_EVIDENCE))
    system = _System.of(placed, thinned)
    n_modes = len(placed.modes_mm)
    draws = _draws(settings.n_shapes, n_modes)
    scores = system.scores(draws, settings.start_reach_mm)
    best = np.zeros(n_modes)
    best_score = -np.inf
    for start in draws[np.argsort(scores)[::-1][:_N_STARTS]]:
        coefficients = start
        for part in _NARROWING:
            coefficients = system.refine(coefficients, part * settings.start_reach_mm)
        score = system.scores(coefficients[None], _NARROWING[-1] * settings.start_reach_mm)[0]
        if score > best_score:
            best, best_score = coefficients, score
    return placed.surface(best)


def _every(n: int, most: int) -> BoolArray:
    """Mark about `most` of n items, evenly."""
    chosen = np.zeros(n, bool)
    chosen[:: max(1, -(-n // most))] = True
    return chosen


def _draws(n: int, n_modes: int) -> FloatArray:
    """Standard normal numbers that fill their space evenly; the same ones every time."""
    draws: FloatArray = special.ndtri(_halton(n, n_modes))
    draws[0] = 0.0
    return draws


def _halton(n: int, n_axes: int) -> FloatArray:
    """Points of Halton's sequence but its first: of SciPy's, which takes 0.3 s to import."""
    primes = [k for k in range(2, n_axes**2 + 3) if all(k % j for j in range(2, k))][:n_axes]
    points = np.zeros((n, n_axes))
    for column, base in zip(points.T, primes, strict=True):
        rest, place = np.arange(1, n + 1), 1.0 / base
        while rest.any():
            column += rest % base * place
            rest, place = rest // base, place / base
    return points


@dataclass(frozen=True, eq=False)
class _System:
    """Distances of evidence from a shape, linear in the shape's coefficients.

    `rest` is the distance from the mean, `slopes` how each mode changes it.
    """

    rest: FloatArray
    slopes: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, placed: Placed, evidence: Evidence) -> _System:
        mean = placed.mean
        nodes = mean.nodes(evidence.points_mm)
        sample = bilinear_matrix(nodes, mean.heights_mm.shape)
        cosines = sample @ mean.cosines().ravel()
        modes = placed.modes_mm.reshape(len(placed.modes_mm), -1)
        return cls(
            mean.offsets_mm(evidence.points_mm).astype(np.float32),
            (cosines[:, None] * (sample @ modes.T)).astype(np.float32),
            evidence.weights.astype(np.float32),
        )

    def scores(self, coefficients: FloatArray, reach_mm: float) -> FloatArray:
        """Evidence near each of (M, K) shapes, less what the shapes cost."""
        # In place: of thousands of shapes each further image of numbers costs as much as the sums.
        near = self.slopes @ coefficients.T.astype(np.float32)
        near -= self.rest[:, None]
        near /= np.float32(reach_mm)
        np.square(near, out=near)
        np.subtract(1, near, out=near)
        np.maximum(near, 0, out=near)
        cost = _PRIOR_SHARE * self.weights.sum() * (coefficients**2).sum(axis=1)
        scores: FloatArray = self.weights @ near - cost / 2
        return scores

    def refine(self, coefficients: FloatArray, reach_mm: float, n_steps: int = 6) -> FloatArray:
        """Reweighted least squares: evidence beyond the reach does not count."""
        ridge = _PRIOR_SHARE * self.weights.sum() * reach_mm**2 * np.eye(len(coefficients)) / 2
        for _ in range(n_steps):
            away = (self.rest - self.slopes @ coefficients) / reach_mm
            weights = self.weights * np.maximum(1 - away**2, 0)
            weighted = self.slopes * weights[:, None]
            coefficients = np.linalg.solve(weighted.T @ self.slopes + ridge, weighted.T @ self.rest)
        return coefficients
