"""Which nodules were found, at which score, and tables of shares with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.spatial import KDTree

REACH_MM = 1.5


@dataclass(frozen=True, eq=False)
class Graded:
    """Candidates held against the nodules of a scene.

    Parameters
    ----------
    score : (N,) float
        Score of the candidate that found each nodule; -1 where none did.
    row : (N,) int
        Which candidate that is; -1 where none did.
    false_score : (M,) float
        Scores of the candidates that found nothing.
    false_row : (M,) int
        Which candidates these are.
    litres : float
        Lung that was searched.
    """

    score: np.ndarray
    row: np.ndarray
    false_score: np.ndarray
    false_row: np.ndarray
    litres: float

    def threshold(self, false_per_litre: float) -> float:
        """Score that must be exceeded for so many false positives a litre."""
        allowed = int(false_per_litre * self.litres)
        ordered = np.sort(self.false_score)[::-1]
        return float(ordered[allowed]) if allowed < len(ordered) else 0.0


def grade(points_mm: np.ndarray, score: np.ndarray, truth_mm: np.ndarray, litres: float) -> Graded:
    """Match candidates to nodules, the likeliest candidate first, each to the nearest one left."""
    found, row = np.full(len(truth_mm), -1.0), np.full(len(truth_mm), -1)
    false = []
    near = KDTree(truth_mm).query_ball_point(points_mm, REACH_MM) if len(truth_mm) else None
    for k in np.argsort(-score, kind="stable"):
        left = [t for t in near[k] if row[t] < 0] if near is not None else []
        if left:
            best = min(left, key=lambda t: np.linalg.norm(truth_mm[t] - points_mm[k]))
            found[best], row[best] = score[k], k
        else:
            false.append(k)
    chosen = np.array(false, int)
    return Graded(found, row, score[chosen], chosen, litres)


def share(hits: int, n: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    if n == 0:
        return "   -             "
    interval = stats.binomtest(int(hits), int(n)).proportion_ci(method="wilson")
    return f"{hits / n:.3f} ({interval.low:.2f}-{interval.high:.2f})"


def rate(n: int, litres: float) -> str:
    """A number a litre with its 95 % interval (Poisson, exact)."""
    low = stats.chi2.ppf(0.025, 2 * n) / 2 if n else 0.0
    high = stats.chi2.ppf(0.975, 2 * n + 2) / 2
    return f"{n / litres:.1f} ({low / litres:.1f}-{high / litres:.1f})"


def mean(values: np.ndarray) -> str:
    """A mean with its 95 % interval."""
    if len(values) < 2:
        return "   -            "
    reach = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.3f} (+-{reach:.3f})"
