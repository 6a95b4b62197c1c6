"""One part of a window: a lung, with what is computed of its shape once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from miliary.arrays import AnyArray, BoolArray, Box, FloatArray, IntArray
from miliary.kernels.distance_image import DistanceImage
from miliary.kernels.mask import LagTable, border_distance, coarse_counts, set_covariance

#: By how much a coarse voxel may be larger than asked for: two of 0.8 mm stand for 1.5 mm.
_ABOUT = 1.1

#: Voxels that are binned together: their values stay in the cache.
_AT_ONCE = 2**17

#: Labels that are counted one by one.
_FEW = 16


@dataclass(frozen=True, eq=False)
class Stratum:
    """One lung of a window.

    Parameters
    ----------
    label : int
        Its label in the window.
    box : tuple of three slices
        Where it lies in the window's grid.
    inside : (z, y, x) bool
        Its voxels in the box.
    spacing_mm : (3,) float
        Voxel size.
    index : (M,) int32
        Its voxels, as flat indices into the box.
    sensitivity : (M,) float32 or uint8, or None
        Chance of finding a nodule in each, up to a factor, or where it stands in `chances`.
    chances : (C,) float32 or None
        What the numbers of `sensitivity` stand for, where they are no chances themselves.
    """

    label: int
    box: Box
    inside: BoolArray
    spacing_mm: FloatArray
    index: IntArray
    sensitivity: AnyArray | None
    chances: FloatArray | None = None
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def start(self) -> IntArray:
        """First index of the box along each axis."""
        return np.array([bounds.start for bounds in self.box])

    @cached_property
    def volume_mm3(self) -> float:
        """Volume of the stratum."""
        return float(len(self.index) * np.prod(self.spacing_mm))

    @cached_property
    def visible_mm3(self) -> float:
        """Volume weighted by sensitivity."""
        voxel_mm3 = float(np.prod(self.spacing_mm))
        if self.sensitivity is None:
            return self.volume_mm3
        if self.chances is None:
            return float(self.sensitivity.sum(dtype=float)) * voxel_mm3
        return float(self._n_of_chances @ self.chances.astype(float)) * voxel_mm3

    @cached_property
    def highest(self) -> float:
        """Highest sensitivity of its voxels; 1 where there is none."""
        if self.sensitivity is None:
            return 1.0
        if self.chances is None:
            return float(self.sensitivity.max())
        return float(self.chances[self._n_of_chances > 0].max())

    @cached_property
    def _n_of_chances(self) -> IntArray:
        """How many voxels have each of the chances."""
        if self.sensitivity is None or self.chances is None:
            return np.empty(0, np.intp)
        return self.count(self.sensitivity, lambda seen: seen, len(self.chances))

    def count(
        self, values: AnyArray, bin_of: Callable[[AnyArray], IntArray], n_bins: int
    ) -> IntArray:
        """Count the voxels by bins of a value that each of them has.

        Parameters
        ----------
        values : (M,) array
            A value of each voxel, as `of` gives it.
        bin_of : callable
            Tells the bins of some values, 0 to `n_bins - 1`.
        n_bins : int
            How many bins there are.

        Returns
        -------
        (n_bins,) int
            Voxels.
        """
        if values.dtype == np.uint8 and (highest := int(values.max(initial=0))) < _FEW:
            # Labels: each is compared with all, in a tenth of the time of `bincount`.
            labels = np.arange(highest + 1, dtype=np.uint8)
            of_label = [np.count_nonzero(values == label) for label in labels]
            counts = np.zeros(n_bins, np.intp)
            np.add.at(counts, bin_of(labels), of_label)
            return counts
        total = np.zeros(n_bins, np.intp)
        for part in self._parts():
            total += np.bincount(bin_of(values[part]), minlength=n_bins)
        return total

    def weigh(
        self, values: AnyArray, bin_of: Callable[[AnyArray], IntArray], n_bins: int
    ) -> FloatArray:
        """Sum the chances of the voxels by bins of a value that each of them has.

        Parameters
        ----------
        values : (M,) array
            A value of each voxel, as `of` gives it.
        bin_of : callable
            Tells the bins of some values, 0 to `n_bins - 1`.
        n_bins : int
            How many bins there are.

        Returns
        -------
        (n_bins,) float64
            Sums; numbers of voxels where the chance is the same everywhere.
        """
        seen, chances = self.sensitivity, self.chances
        if seen is None:
            return self.count(values, bin_of, n_bins).astype(float)
        if chances is None or n_bins * len(chances) > _AT_ONCE:
            total = np.zeros(n_bins)
            for part in self._parts():
                total += np.bincount(bin_of(values[part]), self._chance(seen[part]), n_bins)
            return total
        sums: FloatArray = self._joint(values, bin_of, n_bins, seen) @ chances.astype(float)
        return sums

    def count_and_weigh(
        self, values: AnyArray, bin_of: Callable[[AnyArray], IntArray], n_bins: int
    ) -> tuple[IntArray, FloatArray]:
        """Do what `count` and `weigh` do, in one go where that is possible.

        Parameters
        ----------
        values : (M,) array
            A value of each voxel, as `of` gives it.
        bin_of : callable
            Tells the bins of some values, 0 to `n_bins - 1`.
        n_bins : int
            How many bins there are.

        Returns
        -------
        voxels : (n_bins,) int
            As of `count`.
        sums : (n_bins,) float64
            As of `weigh`.
        """
        if self.sensitivity is None:
            voxels = self.count(values, bin_of, n_bins)
            return voxels, voxels.astype(float)
        if self.chances is None:
            return self.count(values, bin_of, n_bins), self.weigh(values, bin_of, n_bins)
        joint = self._joint(values, bin_of, n_bins, self.sensitivity)
        return joint.sum(axis=1), joint @ self.chances.astype(float)

    def _joint(
        self,
        values: AnyArray,
        bin_of: Callable[[AnyArray], IntArray],
        n_bins: int,
        seen: AnyArray,
    ) -> IntArray:
        """Count how often each chance comes in each bin: half the time of summing chances."""
        n_chances = 0 if self.chances is None else len(self.chances)
        joint = np.zeros(n_bins * n_chances, np.intp)
        for part in self._parts():
            cells = bin_of(values[part]) * np.int32(n_chances)
            cells += seen[part]
            joint += np.bincount(cells, minlength=len(joint))
        return joint.reshape(n_bins, n_chances)

    def _parts(self) -> Iterator[slice]:
        """Parts of the voxels: bins of six million at once would be 50 MB."""
        n = len(self.index)
        return (slice(first, min(first + _AT_ONCE, n)) for first in range(0, n, _AT_ONCE))

    @cached_property
    def rows(self) -> tuple[BoolArray, FloatArray]:
        """Which rows along x hold voxels, (z, y), and the sum of the chances in each of these."""
        n_voxels = np.stack([np.count_nonzero(part, axis=1) for part in self.inside])
        used: BoolArray = n_voxels > 0
        in_rows = n_voxels[used]
        if self.sensitivity is None:
            return used, in_rows.astype(float)
        sums = np.empty(len(in_rows))
        first = end = 0
        for n_rows in np.count_nonzero(used, axis=1).tolist():
            here = in_rows[first : first + n_rows]
            if n_rows:
                starts = np.cumsum(here) - here
                seen = self._chance(self.sensitivity[end : end + int(here.sum())])
                np.add.reduceat(seen, starts, dtype=float, out=sums[first : first + n_rows])
            first, end = first + n_rows, end + int(here.sum())
        return used, sums

    def of(self, image: AnyArray | DistanceImage) -> AnyArray:
        """Read an image of the window's grid at the voxels of the stratum.

        Parameters
        ----------
        image : (z, y, x) array
            Any image of the window's grid.

        Returns
        -------
        (M,) array
            Values in the order of `index`.
        """
        values: AnyArray = image[self.box][self.inside]
        return values

    def covariance(self, *, max_lag_mm: float, voxel_mm: float) -> LagTable:
        """Give the set covariance, computed once.

        Parameters
        ----------
        max_lag_mm : float
            Longest lag.
        voxel_mm : float
            Take it on voxels of about this size; 0 for the window's own, which is exact.

        Returns
        -------
        LagTable
            The covariance.
        """
        key = ("covariance", max_lag_mm, voxel_mm)
        if key not in self._made:
            factors = self.factors(voxel_mm)
            self._made[key] = set_covariance(
                self._coarse(factors),
                self.spacing_mm * factors,
                max_lag_mm=max_lag_mm,
                capacity=int(np.prod(factors)),
            )
        table: LagTable = self._made[key]
        return table

    def mean_covariance(
        self, distances_mm: FloatArray, *, step_mm: float, voxel_mm: float, n_directions: int
    ) -> FloatArray:
        """Give the set covariance averaged over directions, computed once.

        Parameters
        ----------
        distances_mm : (B,) float
            Distances, increasing.
        step_mm : float
            Computed at multiples of this, between them by linear interpolation.
        voxel_mm : float
            As for `covariance`.
        n_directions : int
            Directions of the average.

        Returns
        -------
        (B,) float
            In mm³.
        """
        longest = round(float(distances_mm[-1]), 9)
        key = ("mean", longest, len(distances_mm), step_mm, voxel_mm, n_directions)
        if key not in self._made:
            knots = np.arange(0.0, longest + step_mm, step_mm)
            table = self.covariance(max_lag_mm=longest, voxel_mm=voxel_mm)
            mean = table.isotropic(knots, n_directions=n_directions)
            self._made[key] = np.interp(distances_mm, knots, mean)
        averaged: FloatArray = self._made[key]
        return averaged

    def depth(self, *, voxel_mm: float, hole_mm: float) -> FloatArray:
        """Give how deep coarse voxels lie in the stratum, narrow holes closed; computed once.

        Parameters
        ----------
        voxel_mm : float
            Take distances on voxels of about this size; they are off by up to one of these.
        hole_mm : float
            Holes no wider than twice this do not count as border.

        Returns
        -------
        (Z, Y, X) float32
            Distance to the border, by blocks of `factors(voxel_mm)` voxels of the box.
        """
        key = ("border", voxel_mm, hole_mm)
        if key not in self._made:
            factors = self.factors(voxel_mm)
            mostly = self._coarse(factors) >= np.prod(factors) / 2
            size = self.spacing_mm * factors
            self._made[key] = border_distance(mostly, size, hole_mm=hole_mm)
        depth: FloatArray = self._made[key]
        return depth

    def _coarse(self, factors: tuple[int, ...]) -> IntArray:
        """Count its voxels in blocks, once."""
        key = ("coarse", factors)
        if key not in self._made:
            self._made[key] = coarse_counts(self.inside, factors)
        counts: IntArray = self._made[key]
        return counts

    def places(self, chosen: IntArray) -> FloatArray:
        """Give the centres of some of the voxels.

        Parameters
        ----------
        chosen : (K,) int
            Positions in `index`.

        Returns
        -------
        (K, 3) float
            Grid points.
        """
        zyx = np.unravel_index(self.index.take(chosen), self.inside.shape)
        places = np.empty((len(chosen), 3))
        for axis, column in enumerate(zyx):
            places[:, axis] = (column + self.start[axis]) * self.spacing_mm[axis]
        return places

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw random points, uniform or as the sensitivity has it.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        (n, 3) float
            Grid points.
        """
        places = self.places(self._draw(n, rng))
        within = rng.random(places.shape)
        within -= 0.5
        within *= self.spacing_mm
        places += within
        return places

    def _chance(self, seen: AnyArray) -> FloatArray:
        """Give the chances that numbers of `sensitivity` stand for."""
        return seen if self.chances is None else self.chances.take(seen)

    def _draw(self, n: int, rng: np.random.Generator) -> IntArray:
        """Draw voxels; by rejection where sensitivity differs, which needs no table of sums."""
        if self.sensitivity is None or not self.visible_mm3 > 0:
            return rng.integers(len(self.index), size=n)
        share = self.visible_mm3 / self.volume_mm3 / self.highest
        drawn = np.empty(0, np.intp)
        while len(drawn) < n:
            more = rng.integers(len(self.index), size=int(1.2 * (n - len(drawn)) / share) + 8)
            seen = self._chance(self.sensitivity.take(more))
            kept = rng.random(len(more)) * self.highest < seen
            drawn = np.concatenate([drawn, more[kept]])
        return drawn[:n]

    def factors(self, voxel_mm: float) -> tuple[int, ...]:
        """Give how many voxels make one of about a size, along each axis.

        Parameters
        ----------
        voxel_mm : float
            The size; 0 for the voxels themselves.

        Returns
        -------
        tuple of int
            At least 1.
        """
        return tuple(max(int(_ABOUT * voxel_mm / size), 1) for size in self.spacing_mm)
