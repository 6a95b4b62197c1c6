"""Pairs of points and nearest neighbours: the counts from which summary functions follow."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import FloatArray, IntArray

#: From so many points on, distances are taken block by block as matrix products: listing pairs
#: costs as much at 5,000 points, 2.3 times as much at 20,000 (benchmarks/spatial.py times).
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
    if sizes.max(initial=0) < _MANY:
        return _by_list(points_mm, strata, sizes, n_bins, bin_mm)
    histogram = np.zeros((n_strata, n_bins), np.int64)
    nearest = np.full(len(points_mm), np.inf)
    for stratum in np.flatnonzero(sizes >= 2):
        members = np.flatnonzero(strata == stratum)
        counts = _by_blocks(points_mm[members], n_bins, bin_mm)
        histogram[stratum], nearest[members] = counts
    return histogram, nearest


def _by_list(
    points_mm: FloatArray, strata: IntArray, sizes: IntArray, n_bins: int, bin_mm: float
) -> tuple[IntArray, FloatArray]:
    """Count pairs from the list of all near ones, of all strata by one tree."""
    if len(points_mm) < 2:
        return np.zeros((len(sizes), n_bins), np.int64), np.full(len(points_mm), np.inf)
    # Strata are moved so far apart that none of their points are near.
    apart = np.array(points_mm, float)
    size = 2.0 * (float(points_mm.max()) - float(points_mm.min()))
    apart[:, 0] += strata * (size + n_bins * bin_mm + 1.0)
    tree = KDTree(apart, leafsize=32, compact_nodes=False, balanced_tree=False)
    first, second = np.ascontiguousarray(tree.query_pairs(n_bins * bin_mm, output_type="ndarray").T)
    distance = _distances(points_mm, first, second)
    bins = (distance * (1.0 / bin_mm)).astype(np.intp)
    np.minimum(bins, n_bins, out=bins)
    bins += (strata * (n_bins + 1)).take(first)
    counts = np.bincount(bins, minlength=len(sizes) * (n_bins + 1)).reshape(len(sizes), -1)
    nearest = np.full(len(points_mm), np.inf)
    np.minimum.at(nearest, first, distance)
    np.minimum.at(nearest, second, distance)
    lonely = np.flatnonzero(np.isinf(nearest) & (sizes >= 2)[strata])
    if len(lonely):
        neighbour = np.asarray(tree.query(apart[lonely], k=2)[1], np.intp)[:, 1]
        nearest[lonely] = _distances(points_mm, lonely, neighbour)
    return counts[:, :n_bins], nearest


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


def _distances(points_mm: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
    """Measure pairs axis by axis: ten times faster than gathering rows of three."""
    squares = np.zeros(len(first))
    for column in np.ascontiguousarray(points_mm.T):
        step = column.take(first)
        step -= column.take(second)
        step *= step
        squares += step
    return np.sqrt(squares, out=squares)


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


def nearest_in_groups(
    from_mm: FloatArray, from_groups: IntArray, to_mm: FloatArray, to_groups: IntArray
) -> FloatArray:
    """Measure the distance from each place to the nearest point of its group, by one tree.

    Parameters
    ----------
    from_mm : (M, 3) float
        Places.
    from_groups : (M,) int
        Their groups, from 0 on.
    to_mm : (N, 3) float
        Points.
    to_groups : (N,) int
        Their groups.

    Returns
    -------
    (M,) float
        Distances; infinite where the group has no point.
    """
    if len(to_mm) == 0 or len(from_mm) == 0:
        return np.full(len(from_mm), np.inf)
    # Groups are moved so far apart that whatever is nearer than this is of the same one.
    low, high = (min(from_mm.min(), to_mm.min()), max(from_mm.max(), to_mm.max()))
    longest = np.sqrt(3.0) * float(high - low) + 1.0
    places, points = np.array(from_mm, float), np.array(to_mm, float)
    places[:, 0] += 3.0 * longest * from_groups
    points[:, 0] += 3.0 * longest * to_groups
    tree = KDTree(points, compact_nodes=False, balanced_tree=False)
    distance = np.asarray(tree.query(places)[0], float)
    distance[distance > longest] = np.inf
    return distance
