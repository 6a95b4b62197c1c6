"""Distances within many patterns of as many points each, by products of matrices.

In the order of one axis, what can be near to a few points that follow each other is a range of the
others; a range a little wider serves all patterns. So some points of every pattern are held against
their range at a time: that wastes nine in ten of the distances, and takes half the time of trees,
of which listing a pair takes 50 ns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from miliary.arrays import FloatArray, IntArray

#: Points that are held against a range together: fewer waste less, and take more calls.
_BLOCK = 32
#: Nearest neighbours are looked for among pairs so near that a point has about so many of them.
_NEIGHBOURS = 12.0
#: Part of a bin by which rounding may miss its edge.
_EDGE = 1e-6
#: Distances of points without a near neighbour that are taken at once.
_AT_ONCE = 2**18


class _Sweep:
    """Patterns in the order of one axis, ready for products that are squares of distances.

    Parameters
    ----------
    points_mm : (G, N, 3) float
        Positions, N of each of G patterns.
    """

    def __init__(self, points_mm: FloatArray) -> None:
        n_patterns, n = points_mm.shape[:2]
        # That along which they reach farthest, as the first pattern tells.
        self.axis = int(np.ptp(points_mm[0], axis=0).argmax())
        # In their middle: what cancels in |a|² + |b|² - 2 ab then stays below 1e-10 mm².
        self.origin_mm = points_mm[0].mean(axis=0)
        order = np.argsort(points_mm[..., self.axis], axis=1)
        #: Rows of all points together, in the new order.
        self.rows = (order + np.arange(n_patterns)[:, None] * n).ravel()
        # Each point with a 1 and its square; what it is multiplied by: -2 times it, its square, 1.
        self.left, self.right = np.ones((2, n_patterns, 5, n))
        squares = np.zeros((n_patterns, n))
        for number, column in enumerate(points_mm.reshape(-1, 3).T):
            ordered = column.take(self.rows).reshape(n_patterns, n)
            ordered -= self.origin_mm[number]
            self.left[:, number] = ordered
            np.multiply(ordered, -2.0, out=self.right[:, number])
            ordered *= ordered
            squares += ordered
        self.left[:, 4] = self.right[:, 3] = squares
        self.along = self.left[:, self.axis]

    def n_below(self, along_mm: FloatArray) -> IntArray:
        """Count the points (B,) no farther along the axis than places (B, 1 or G): the most."""
        inside: IntArray = np.count_nonzero(self.along <= along_mm[..., None], axis=2).max(axis=1)
        return inside

    def n_above(self, along_mm: FloatArray) -> IntArray:
        """Count the points (B,) at least as far along the axis as places (B, 1 or G): the most."""
        inside: IntArray = np.count_nonzero(self.along >= along_mm[..., None], axis=2).max(axis=1)
        return inside


def pair_counts(
    points_mm: FloatArray, *, n_bins: int, bin_mm: float
) -> tuple[IntArray, FloatArray]:
    """Count the pairs of each pattern by distance, and find nearest neighbours on the way.

    Parameters
    ----------
    points_mm : (G, N, 3) float
        Positions, N of each of G patterns.
    n_bins : int
        How many bins.
    bin_mm : float
        Width of a bin.

    Returns
    -------
    histogram : (G, n_bins) int
        Unordered pairs with distances in `[k, k + 1) * bin_mm`.
    nearest_mm : (G, N) float
        Distance to the nearest other point; infinite where there is none.
    """
    n_patterns, n = points_mm.shape[:2]
    nearest = np.full((n_patterns, n), np.inf)
    if points_mm.size == 0 or n < 2:
        return np.zeros((n_patterns, n_bins), np.intp), nearest
    sweep = _Sweep(points_mm)
    parts = zip(*_near_pairs(sweep, n_bins * bin_mm), strict=True)
    pattern, first, second, distance = (np.concatenate(part) for part in parts)
    np.sqrt(np.maximum(distance, 0.0, out=distance), out=distance)
    bins = (distance * (1.0 / bin_mm) + _EDGE).astype(np.intp)
    np.minimum(bins, n_bins, out=bins)
    bins += pattern * (n_bins + 1)
    counts = np.bincount(bins, minlength=n_patterns * (n_bins + 1)).reshape(n_patterns, -1)
    ordered = _nearest(sweep, first, second, distance, n_bins * bin_mm)
    nearest.ravel()[sweep.rows] = ordered.ravel()
    return counts[:, :n_bins], nearest


def _near_pairs(
    sweep: _Sweep, longest_mm: float
) -> Iterator[tuple[IntArray, IntArray, IntArray, FloatArray]]:
    """List pairs nearer than a distance: pattern, first and second point, squared distance."""
    n = sweep.along.shape[1]
    # A point is no pair with itself, and of two points one comes first.
    later = ~np.tri(_BLOCK, dtype=bool)
    starts = np.arange(0, n, _BLOCK)
    stops = np.minimum(starts + _BLOCK, n)
    ends = sweep.n_below(sweep.along[:, stops - 1].T + longest_mm)
    for start, stop, end in zip(starts.tolist(), stops.tolist(), ends.tolist(), strict=True):
        squares = np.swapaxes(sweep.left[..., start:stop], 1, 2) @ sweep.right[..., start:end]
        is_near = squares < longest_mm * longest_mm
        is_near[..., : stop - start] &= later[: stop - start, : stop - start]
        near = np.flatnonzero(is_near)
        found = squares.ravel().take(near)
        # Division by hand: unravel_index takes four times as long.
        row = near // (end - start)
        near -= row * (end - start)
        pattern = row // (stop - start)
        row -= pattern * (stop - start)
        row += start + pattern * n
        near += start + pattern * n
        yield pattern, row, near, found


def _nearest(
    sweep: _Sweep, first: IntArray, second: IntArray, distance_mm: FloatArray, longest_mm: float
) -> FloatArray:
    """Find the distance (G, N) to the nearest other point from the list of all near pairs."""
    n_patterns, n = sweep.along.shape
    nearest = np.full(n_patterns * n, np.inf)
    # Neighbours of a point grow with the third power of the distance.
    share = _NEIGHBOURS * len(nearest) / max(2 * len(first), 1)
    close = np.flatnonzero(distance_mm <= longest_mm * min(share ** (1 / 3), 1.0))
    distance = distance_mm.take(close)
    np.minimum.at(nearest, first.take(close), distance)
    np.minimum.at(nearest, second.take(close), distance)
    by_pattern = nearest.reshape(n_patterns, n)
    for pattern in np.flatnonzero(np.isinf(by_pattern).any(axis=1)):
        lonely = np.flatnonzero(np.isinf(by_pattern[pattern]))
        for rows in np.array_split(lonely, 1 + len(lonely) * n // _AT_ONCE):
            squares = sweep.left[pattern][:, rows].T @ sweep.right[pattern]
            squares[np.arange(len(rows)), rows] = np.inf
            by_pattern[pattern, rows] = np.sqrt(np.maximum(squares.min(axis=1), 0.0))
    return by_pattern


def nearest_within(
    places_mm: FloatArray, limits_mm: FloatArray, points_mm: FloatArray
) -> FloatArray:
    """Measure how far places are from the nearest point of each pattern, as far as a limit.

    Parameters
    ----------
    places_mm : (M, 3) float
        Places, the same for all patterns.
    limits_mm : (M,) float
        How far is looked at each: where limits are short, few points are.
    points_mm : (G, N, 3) float
        Points, N of each of G patterns.

    Returns
    -------
    (G, M) float
        Distances in mm; above the limit, infinite even, where no point lies within it.
    """
    n_patterns, n = points_mm.shape[:2]
    nearest = np.full((n_patterns, len(places_mm)), np.inf)
    if points_mm.size == 0 or len(places_mm) == 0:
        return nearest
    sweep = _Sweep(points_mm)
    places = places_mm - sweep.origin_mm
    left = np.column_stack([places, np.ones(len(places)), (places * places).sum(axis=1)])
    blocks = _alike(places[:, sweep.axis], limits_mm)
    along = [places[rows, sweep.axis] for rows in blocks]
    farthest = np.array([limits_mm[rows].max() for rows in blocks])
    firsts = n - sweep.n_above((np.array([part.min() for part in along]) - farthest)[:, None])
    lasts = sweep.n_below((np.array([part.max() for part in along]) + farthest)[:, None])
    for rows, first, last in zip(blocks, firsts.tolist(), lasts.tolist(), strict=True):
        if first < last:
            nearest[:, rows] = (left[rows] @ sweep.right[..., first:last]).min(axis=2)
    np.maximum(nearest, 0.0, out=nearest)
    np.sqrt(nearest, out=nearest)
    return nearest


def _alike(along_mm: FloatArray, limits_mm: FloatArray) -> list[IntArray]:
    """Put together places that look as far and lie at the same height."""
    by_limit = np.array_split(np.argsort(limits_mm), max(1, len(limits_mm) // (8 * _BLOCK)))
    blocks: list[IntArray] = []
    for rows in by_limit:
        ordered = rows[np.argsort(along_mm[rows])]
        blocks += np.array_split(ordered, max(1, len(ordered) // _BLOCK))
    return [block for block in blocks if len(block)]
