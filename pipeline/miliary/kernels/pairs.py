"""Pairs of points and nearest neighbours: the counts from which summary functions follow."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import FloatArray, IntArray
from miliary.kernels.sweeps import pair_counts

#: From so many points on, blocks are cut along all axes, so that fewer distances are wasted.
_MANY = 5000
#: Points in such a block: 48 to 192 take the same time within a third, 96 the least.
_BLOCK = 96
#: Where more points than this are as near along one axis, a tree is faster (at 5,000 in a lung).
_CROWDED = 32


def pair_differences(
    points_mm: FloatArray, *, max_mm: float
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """List the pairs of points no farther apart than a distance.

    Parameters
    ----------
    points_mm : (N, 3) float
        Positions.
    max_mm : float
        Largest distance.

    Returns
    -------
    first, second : (P,) int
        Each unordered pair once.
    lags_mm : (P, 3) float
        First minus second.
    distances_mm : (P,) float
        Their lengths.
    """
    points_mm = np.asarray(points_mm, float).reshape(-1, 3)
    if len(points_mm) < 2:
        none = np.empty(0, np.intp)
        return none, none, np.empty((0, 3)), np.empty(0)
    pairs = KDTree(points_mm).query_pairs(max_mm, output_type="ndarray")
    first, second = np.ascontiguousarray(pairs.T)
    lags = points_mm[first] - points_mm[second]
    return first, second, lags, np.sqrt(np.einsum("ij,ij->i", lags, lags))


def close_pairs(points_mm: FloatArray, max_mm: float) -> tuple[IntArray, IntArray]:
    """List the few pairs of points that lie no farther apart than a distance that is short.

    In the order of the first axis, pairs that near on it are few enough to be measured each: a
    third of the time of a tree.

    Parameters
    ----------
    points_mm : (N, 3) float
        Positions.
    max_mm : float
        Largest distance.

    Returns
    -------
    first, second : (P,) int
        Each unordered pair once.
    """
    order = np.argsort(points_mm[:, 0])
    columns = np.ascontiguousarray(points_mm.T).take(order, axis=1)
    rows = np.arange(len(order))
    n_after = np.searchsorted(columns[0], columns[0] + max_mm, side="right") - rows - 1
    total = int(n_after.sum())
    if total > _CROWDED * len(order):
        pairs = KDTree(points_mm).query_pairs(max_mm, output_type="ndarray")
        return pairs[:, 0], pairs[:, 1]
    first = np.repeat(rows, n_after)
    second = first + 1 + np.arange(total) - np.repeat(np.cumsum(n_after) - n_after, n_after)
    squares = np.zeros(total)
    for column in columns:
        step = column.take(second)
        step -= column.take(first)
        step *= step
        squares += step
    near = np.flatnonzero(squares <= max_mm * max_mm)
    return order[first[near]], order[second[near]]


def pair_histogram(
    points_mm: FloatArray, strata: IntArray, *, n_strata: int, max_mm: float, bin_mm: float
) -> tuple[IntArray, FloatArray]:
    """Count pairs within strata by distance, and find nearest neighbours on the way.

    Parameters
    ----------
    points_mm : (N, 3) float
        Positions.
    strata : (N,) int
        0 to `n_strata - 1`; pairs of two strata are not counted.
    n_strata : int
        How many strata there are.
    max_mm : float
        Largest distance, a whole number of bins.
    bin_mm : float
        Width of a bin.

    Returns
    -------
    histogram : (n_strata, B) int
        Unordered pairs with distances in `[k, k + 1) * bin_mm`.
    nearest_mm : (N,) float
        Distance to the nearest other point of the same stratum; infinite where there is none.
    """
    n_bins = int(np.rint(max_mm / bin_mm))
    sizes = np.bincount(strata, minlength=n_strata)
    starts = np.cumsum(sizes) - sizes
    order = np.argsort(strata, kind="stable")
    histogram = np.zeros((n_strata, n_bins), np.intp)
    nearest = np.full(len(points_mm), np.inf)
    # Strata of as many points are counted together.
    for size in np.unique(sizes[sizes >= 2]).tolist():
        alike = np.flatnonzero(sizes == size)
        members = order[starts[alike, None] + np.arange(size)]
        if size < _MANY:
            points = points_mm.take(members.ravel(), axis=0).reshape(*members.shape, 3)
            counts = pair_counts(points, n_bins=n_bins, bin_mm=bin_mm)
            histogram[alike], nearest[members] = counts
            continue
        for stratum, rows in zip(alike.tolist(), members, strict=True):
            histogram[stratum], nearest[rows] = _by_blocks(points_mm[rows], n_bins, bin_mm)
    return histogram, nearest


def _by_blocks(points_mm: FloatArray, n_bins: int, bin_mm: float) -> tuple[IntArray, FloatArray]:
    """Count pairs block against block: matrix products waste distances, but waste them fast."""
    blocks = _split(points_mm)
    # Centred, so that what cancels in |a|² + |b|² - 2 ab stays below 1e-10 mm².
    points = points_mm[np.concatenate(blocks)] - points_mm.mean(axis=0)
    ends = np.cumsum([len(block) for block in blocks])
    starts = ends - [len(block) for block in blocks]
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    squares, one = (points * points).sum(axis=1), np.ones(len(points))
    left = np.column_stack([points, one, squares])
    right = np.column_stack([-2.0 * points, squares, one])
    counts = np.zeros(n_bins, np.int64)
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        gap = np.maximum(low[row] - high[row + 1 :], low[row + 1 :] - high[row])
        near = np.maximum(gap, 0.0)
        close = row + 1 + np.flatnonzero((near * near).sum(axis=1) < (n_bins * bin_mm) ** 2)
        others = [np.arange(starts[block], ends[block]) for block in close]
        if others:
            product = left[start:end] @ right[np.concatenate(others)].T
            counts += _binned_squares(product, n_bins, bin_mm)
        own = left[start:end] @ right[start:end].T
        counts += _binned_squares(own[np.triu_indices(end - start, 1)], n_bins, bin_mm)
    return counts, nearest_distances(points_mm, points_mm, same=True)


def _split(points_mm: FloatArray) -> list[IntArray]:
    """Halve points along their longest side until blocks are small."""
    blocks: list[IntArray] = []
    waiting: list[IntArray] = [np.arange(len(points_mm))]
    while waiting:
        members = waiting.pop()
        if len(members) <= _BLOCK:
            blocks.append(members)
            continue
        points = points_mm[members]
        half = len(members) // 2
        order = np.argpartition(points[:, int(np.ptp(points, axis=0).argmax())], half)
        waiting += [members[order[:half]], members[order[half:]]]
    return blocks


def _binned_squares(squares: FloatArray, n_bins: int, bin_mm: float) -> IntArray:
    distance = squares[squares < (n_bins * bin_mm) ** 2]
    np.maximum(distance, 0.0, out=distance)
    np.sqrt(distance, out=distance)
    distance *= 1.0 / bin_mm
    return np.bincount(distance.astype(np.intp), minlength=n_bins + 1)[:n_bins]


def nearest_distances(from_mm: FloatArray, to_mm: FloatArray, *, same: bool) -> FloatArray:
    """Measure the distance from each place to the nearest point.

    Parameters
    ----------
    from_mm : (M, 3) float
        Places.
    to_mm : (N, 3) float
        Points.
    same : bool
        The places are the points themselves, and none is its own neighbour.

    Returns
    -------
    (M,) float
        Distances; infinite where there is no (other) point.
    """
    if len(to_mm) <= int(same) or len(from_mm) == 0:
        return np.full(len(from_mm), np.inf)
    distance = np.asarray(KDTree(to_mm).query(from_mm, k=[2 if same else 1])[0], float)
    return distance[:, 0]
