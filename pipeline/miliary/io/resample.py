"""Laying slices that were scanned unevenly or tilted onto an even, upright grid.

Linear interpolation between the two slices on either side, and within a slice where the gantry
was tilted. What was scanned at its place is kept as it is.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from miliary.arrays import FloatArray, IntArray

#: A shift by less than this part of a pixel is none: headers round positions.
_NEGLIGIBLE = 0.02

#: What lies outside the slices that were scanned.
_OUTSIDE_HU = -1024


@dataclass(frozen=True, eq=False)
class Resampling:
    """How new slices are made of the scanned ones.

    Parameters
    ----------
    below : (K,) int
        The scanned slice at or below each new one.
    weight : (K,) float
        Part that the scanned slice above it has; 0 where the one below is taken as it is.
    shift_px : (n, 2) float
        Rows and columns by which each scanned slice is moved on the new grid; not negative.
    rows, columns : int
        Size of the new slices.
    """

    below: IntArray
    weight: FloatArray
    shift_px: FloatArray
    rows: int
    columns: int

    @property
    def n_slices(self) -> int:
        """Slices of the new grid."""
        return len(self.below)

    @property
    def n_interpolated(self) -> int:
        """New slices that lie between scanned ones."""
        return int((self.weight > 0).sum())


def plan_resampling(
    z_mm: FloatArray,
    places_mm: FloatArray,
    lean: FloatArray,
    pixel_mm: tuple[float, float],
    size: tuple[int, int],
    *,
    keep_mm: float,
) -> tuple[Resampling, FloatArray]:
    """Plan how to lay slices on new places.

    Parameters
    ----------
    z_mm : (n,) float
        Where the slices lie along their normal, increasing.
    places_mm : (K,) float
        Where new slices are wanted; evenly spaced.
    lean : (2,) float
        How far the slices move down and across for each mm along the normal.
    pixel_mm : (2,) float
        Distance between rows, and between columns.
    size : (2,) int
        Rows and columns of the slices.
    keep_mm : float
        A slice no farther than this from a place is taken as it is.

    Returns
    -------
    Resampling
        The plan.
    (2,) float
        Where the first row and column of the new grid lie against those of slices at z = 0, in mm.
    """
    below = np.clip(np.searchsorted(z_mm, places_mm, side="right") - 1, 0, len(z_mm) - 2)
    weight = np.clip((places_mm - z_mm[below]) / np.diff(z_mm)[below], 0.0, 1.0)
    weight[np.abs(places_mm - z_mm[below]) <= keep_mm] = 0.0
    at_upper = np.abs(places_mm - z_mm[below + 1]) <= keep_mm
    below[at_upper] += 1
    weight[at_upper] = 0.0
    moved_mm = z_mm[:, None] * lean
    corner_mm: FloatArray = moved_mm.min(axis=0)
    shift_px = (moved_mm - corner_mm) / pixel_mm
    extra = np.ceil(shift_px.max(axis=0) - _NEGLIGIBLE).astype(int)
    rows, columns = size[0] + int(extra[0]), size[1] + int(extra[1])
    return Resampling(below, weight, shift_px, rows, columns), corner_mm


def resample(stack: IntArray, plan: Resampling, out: IntArray, *, threads: int) -> None:
    """Make the new slices.

    Parameters
    ----------
    stack : (n, rows, columns) int16
        Scanned slices.
    plan : Resampling
        How.
    out : (K, rows, columns) int16
        Is filled.
    threads : int
        Parts made side by side.
    """

    def fill(places: IntArray) -> None:
        moved: dict[int, FloatArray] = {}
        for place in places:
            low, weight = int(plan.below[place]), np.float32(plan.weight[place])
            moved = {k: v for k, v in moved.items() if k >= low}
            for index in (low, low + 1) if weight else (low,):
                if index not in moved:
                    moved[index] = _moved(stack[index], plan.shift_px[index], plan)
            mixed = moved[low]
            if weight:
                mixed = (1 - weight) * mixed + weight * moved[low + 1]
            # Where a part of it was not scanned, nothing is known of the whole.
            out[place] = np.rint(np.nan_to_num(mixed, nan=_OUTSIDE_HU))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, np.array_split(np.arange(plan.n_slices), threads)))


def _moved(plane: IntArray, shift_px: FloatArray, plan: Resampling) -> FloatArray:
    """Move a slice by a part of a pixel and more: a blend of two neighbours along each axis.

    What was not scanned is NaN.
    """
    moved = np.full((plan.rows, plan.columns), np.nan, np.float32)
    whole = np.floor(shift_px + _NEGLIGIBLE).astype(int)
    part = np.where(shift_px - whole < _NEGLIGIBLE, 0.0, shift_px - whole).astype(np.float32)
    rows, columns = plane.shape
    moved[whole[0] : whole[0] + rows, whole[1] : whole[1] + columns] = plane
    for axis in (0, 1):
        if part[axis]:
            before = np.full_like(moved, np.nan)
            later, earlier = [slice(None)] * 2, [slice(None)] * 2
            later[axis], earlier[axis] = slice(1, None), slice(None, -1)
            before[tuple(later)] = moved[tuple(earlier)]
            moved = (1 - part[axis]) * moved + part[axis] * before
    return moved
