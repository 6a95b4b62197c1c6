"""Components of a mask by its runs: rows of voxels, not an image of labels, are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from miliary.arrays import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Runs:
    """Stretches of voxels along x, each as long as it can be, in the order of memory.

    Parameters
    ----------
    first, last : (N,) int
        First and last voxel of each, as indices into the flattened mask.
    shape : (3,) int
        Shape of the mask.
    """

    first: IntArray
    last: IntArray
    shape: tuple[int, ...]

    @classmethod
    def of(cls, mask: BoolArray) -> Runs:
        """Find the runs of a mask.

        Parameters
        ----------
        mask : (Z, Y, X) bool
            The object; most of its rows may be empty or full.

        Returns
        -------
        Runs
            None of an empty mask.
        """
        if mask.size == 0:
            return cls(np.empty(0, np.intp), np.empty(0, np.intp), mask.shape)
        width = mask.shape[2] + 1
        first, last = [], []
        # Slice by slice: where runs begin and end is an image of its own, but stays in the cache.
        change = np.zeros((mask.shape[1], width), bool)
        for z, section in enumerate(mask):
            change[:, :1], change[:, -1:] = section[:, :1], section[:, -1:]
            np.not_equal(section[:, 1:], section[:, :-1], out=change[:, 1:-1])
            ends = np.flatnonzero(change)
            # Rows of changes are longer by one than those of the mask.
            ends -= ends // width - z * section.size
            first.append(ends[::2])
            last.append(ends[1::2])
        return cls(_joined(first), _joined(last, past=1), mask.shape)

    @property
    def lengths(self) -> IntArray:
        """Voxels of each."""
        n: IntArray = self.last - self.first + 1
        return n

    def places(self) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Tell where the runs lie.

        Returns
        -------
        z, y, first, last : (N,) int
            Slice and row of each, and x of its first and its last voxel.
        """
        row, x = np.divmod(self.first, self.shape[2])
        z, y = np.divmod(row, self.shape[1])
        return z, y, x, x + self.last - self.first

    def take(self, chosen: BoolArray) -> Runs:
        """Give some of them.

        Parameters
        ----------
        chosen : (N,) bool
            Which.

        Returns
        -------
        Runs
            In the same order.
        """
        return Runs(self.first[chosen], self.last[chosen], self.shape)

    def voxels(self) -> IntArray:
        """Give all their voxels.

        Returns
        -------
        (M,) int
            Indices into the flattened mask, run after run.
        """
        lengths = self.lengths
        voxels = np.repeat(self.first - (np.cumsum(lengths) - lengths), lengths)
        voxels += np.arange(len(voxels))
        return voxels

    def label(self, connectivity: int) -> tuple[IntArray, int]:
        """Say to which component of the mask each run belongs.

        Parameters
        ----------
        connectivity : int
            6 joins voxels that have a face in common, 26 those with an edge or a corner too.

        Returns
        -------
        labels : (N,) int
            From 0 on.
        n_labels : int
            How many components there are.
        """
        n = len(self.first)
        if n == 0:
            return np.zeros(0, np.intp), 0
        z, y, first, last = self.places()
        # With an empty column and row between, what is next to a run lies at a fixed distance.
        width, height = self.shape[2] + 2, self.shape[1] + 2
        start = (z * height + y) * width
        first, last = first + start, last + start
        section, aside = height * width, int(connectivity == 26)
        steps = [width, section]
        if aside:
            steps += [section - width, section + width]
        low = [np.searchsorted(last, first + step - aside) for step in steps]
        high = [np.searchsorted(first, last + step + aside, side="right") for step in steps]
        graph = _graph(n, np.array(low), np.array(high))
        n_labels, labels = connected_components(graph, directed=False)
        return np.asarray(labels), int(n_labels)


def _joined(parts: Sequence[IntArray], past: int = 0) -> IntArray:
    """Put indices of all slices together, those past an end at it."""
    whole = np.concatenate([np.empty(0, np.intp), *parts])
    whole -= past
    return whole


def _graph(n: int, low: IntArray, high: IntArray) -> Any:
    """Graph of n runs, each with an edge to those of each of some intervals (steps, n)."""
    counts = np.maximum(high - low, 0)
    total = counts.sum(axis=0)
    bounds = np.concatenate([[0], np.cumsum(total)])
    neighbours = np.empty(bounds[-1], np.int32)
    begin = bounds[:-1].copy()
    for first, count in zip(low, counts, strict=True):
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        neighbours[np.repeat(begin, count) + within] = np.repeat(first, count) + within
        begin += count
    ones = np.ones(len(neighbours))
    return csr_array((ones, neighbours, bounds.astype(np.int32)), shape=(n, n))
