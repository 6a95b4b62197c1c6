"""Local maxima of an image at chosen voxels, without touching the others."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import BoolArray, FloatArray, IntArray

#: Half of the 26 neighbours, those that share a side first; the others lie across.
_AHEAD = sorted(
    (step for step in product((0, 1, -1), repeat=3) if step > (0, 0, 0)),
    key=lambda step: sum(map(abs, step)),
)


def local_maxima(image: FloatArray, flat_index: IntArray) -> BoolArray:
    """Tell which of some voxels are greater than all their 26 neighbours.

    Of equal neighbours the one with the larger index counts as the greater.

    Parameters
    ----------
    image : (Z, Y, X) float
        Image, contiguous.
    flat_index : (N,) int
        Voxels, none of them on the border of the image.

    Returns
    -------
    (N,) bool
        True at maxima.
    """
    values, index = image.reshape(-1), np.asarray(flat_index)
    _, height, width = image.shape
    ahead = np.array([(dz * height + dy) * width + dx for dz, dy, dx in _AHEAD])[:, None]
    centre, alive = values.take(index), np.arange(len(index))
    # Few voxels of a smooth image are maxima along all three axes, so the last pass touches few.
    for steps in (*np.split(ahead[:3], 3), ahead[3:]):
        kept = (centre > values.take(index + steps)).all(axis=0)
        kept &= (centre >= values.take(index - steps)).all(axis=0)
        index, centre, alive = index[kept], centre[kept], alive[kept]
    result = np.zeros(len(flat_index), bool)
    result[alive] = True
    return result


def suppress_neighbours(
    points_mm: FloatArray, priority: FloatArray, min_separation_mm: float
) -> BoolArray:
    """Keep the best of points that are too close to be told apart.

    From the highest priority downwards, a point is kept unless one already kept lies nearer
    than the separation.

    Parameters
    ----------
    points_mm : (N, 3) float
        Points in mm.
    priority : (N,) float
        The higher, the rather kept; of equals the earlier.
    min_separation_mm : float
        Closest distance of two kept points.

    Returns
    -------
    (N,) bool
        Which ones are kept.
    """
    order = np.argsort(-np.asarray(priority), kind="stable")
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    pairs = (
        KDTree(points_mm).query_pairs(min_separation_mm, output_type="ndarray")
        if len(points_mm) > 1
        else np.empty((0, 2), np.intp)
    )
    better = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    worse = pairs.sum(axis=1) - better
    kept = np.ones(len(order), bool)
    while len(better):
        # Whoever has no better neighbour left stays, and all its neighbours go.
        beaten = np.zeros(len(order), bool)
        beaten[worse] = True
        stays = ~beaten[better]
        kept[worse[stays]] = False
        left = kept[better] & kept[worse]
        better, worse = better[left], worse[left]
    return kept
