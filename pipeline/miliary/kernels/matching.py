"""Points of one scan found again in another, with the chance that each match is wrong."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import FloatArray, IntArray


def local_density(points_mm: FloatArray, at_mm: FloatArray, *, neighbours: int) -> FloatArray:
    """Estimate the density of points round places.

    Parameters
    ----------
    points_mm : (N, 3) float
        Points.
    at_mm : (M, 3) float
        Places.
    neighbours : int
        The ball round a place reaches to its neighbour of this rank, the nearest left out: that
        one may be the match itself.

    Returns
    -------
    (M,) float
        Points a mm3; 0 where there are not so many.
    """
    if len(points_mm) < neighbours + 1 or not len(at_mm):
        return np.zeros(len(at_mm))
    reach = np.asarray(KDTree(points_mm).query(at_mm, k=[neighbours + 1])[0])[:, 0]
    density: FloatArray = neighbours / (4 / 3 * np.pi * np.maximum(reach, 1e-6) ** 3)
    return density


def match_points(
    earlier_mm: FloatArray,
    later_mm: FloatArray,
    *,
    error_mm: float,
    found: float,
    neighbours: int,
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Pair points that are each other's nearest, and tell how likely each pair is wrong.

    A point's true counterpart lies about it normally, if it was found at all; others lie there as
    densely as around. By Bayes' theorem the nearest is wrong with the chance that is returned.

    Parameters
    ----------
    earlier_mm, later_mm : (N, 3), (M, 3) float
        Points, those of the earlier scan moved to the later.
    error_mm : float
        Standard deviation of the alignment along each axis.
    found : float
        Probability that a point of the one scan was found in the other.
    neighbours : int
        As `local_density` takes them.

    Returns
    -------
    row_earlier, row_later : (K,) int
        Pairs.
    distance_mm : (K,) float
        Between them.
    wrong : (K,) float
        Chance that the pair is none.

    Raises
    ------
    ValueError
        For an error that is not above 0.
    """
    if not error_mm > 0:
        raise ValueError(f"error_mm must be above 0, got {error_mm}")
    if not len(earlier_mm) or not len(later_mm):
        none = np.empty(0, int)
        return none, none, np.empty(0), np.empty(0)
    distance, there = map(np.asarray, KDTree(later_mm).query(earlier_mm))
    back = np.asarray(KDTree(earlier_mm).query(later_mm)[1])
    mutual = back[there] == np.arange(len(earlier_mm))
    rows, there, distance = np.flatnonzero(mutual), there[mutual], distance[mutual]
    others = local_density(later_mm, earlier_mm[rows], neighbours=neighbours)
    density = np.exp(-(distance**2) / (2 * error_mm**2)) / (2 * np.pi * error_mm**2) ** 1.5
    # Too few to tell a density: one more in the reach of the error would be a wrong one.
    others = np.maximum(others, 1e-9)
    wrong: FloatArray = others / (others + found * density)
    return rows, there, distance, wrong
