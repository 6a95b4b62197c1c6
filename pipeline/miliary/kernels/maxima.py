"""Local maxima of an image at chosen voxels, without touching the others."""

from __future__ import annotations

from itertools import product

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray

#: Half of the 26 neighbours, those that share a side first; the others lie across.
_AHEAD = sorted(
    (step for step in product((0, 1, -1), repeat=3) if step > (0, 0, 0)),
    key=lambda step: sum(map(abs, step)),
)

#: Cells of neighbours along the longest axis, so that their number stays below 2 to the 63rd.
_MOST_CELLS = 2**20
#: Where all points are one and none may be near, a cell still has some width.
_LEAST_MM = 1e-9


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
    values = np.asarray(priority)
    one, two = _near_pairs(np.asarray(points_mm, float).reshape(-1, 3), min_separation_mm)
    first = (values[one] > values[two]) | ((values[one] == values[two]) & (one < two))
    better, worse = np.where(first, one, two), np.where(first, two, one)
    kept = np.ones(len(values), bool)
    while len(better):
        # Whoever has no better neighbour left stays, and all its neighbours go.
        beaten = np.zeros(len(values), bool)
        beaten[worse] = True
        stays = ~beaten[better]
        kept[worse[stays]] = False
        left = kept[better] & kept[worse]
        better, worse = better[left], worse[left]
    return kept


def _near_pairs(points: FloatArray, reach: float) -> IntArray:
    """Pairs (2, M) of points no farther apart, each once.

    Points are sorted by cells as wide as the reach, one after the other along x: neighbours are
    then in the own row of three cells and in four more, each a part of the list. With few
    neighbours a point that takes two thirds of the time of a tree.
    """
    if len(points) < 2:
        return np.empty((2, 0), np.intp)
    spread = points - points.min(axis=0)
    # No more cells than can be counted.
    cells = (spread // max(reach, spread.max() / _MOST_CELLS, _LEAST_MM)).astype(np.int64)
    _, rows, columns = (cells.max(axis=0) + 2).tolist()
    key = (cells[:, 0] * rows + cells[:, 1]) * columns + cells[:, 2]
    order = np.argsort(key, kind="stable")
    key, spread = key[order], spread[order]
    found = []
    for step in (0, columns, (rows - 1) * columns, rows * columns, (rows + 1) * columns):
        # Of its own row a point looks at those after it alone.
        first = np.searchsorted(key, key + (step - 1)) if step else np.arange(1, len(key) + 1)
        n = np.searchsorted(key, key + (step + 1), side="right") - first
        one = np.repeat(np.arange(len(key)), n)
        two = np.arange(len(one)) - np.repeat(np.cumsum(n) - n - first, n)
        found.append(np.stack([one, two]))
    one, two = np.concatenate(found, axis=1)
    near = ((spread[one] - spread[two]) ** 2).sum(axis=1) <= reach**2
    pairs: IntArray = np.stack([order[one[near]], order[two[near]]])
    return pairs
