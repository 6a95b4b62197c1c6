"""Squares of distances to the voxels beyond a surface, by shifts, where these are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.kernels.slabs import over_slabs, slab_of

#: The square of the longest distance: the sum of two such still has a place in 16 bits.
MOST = np.uint16(2**15 - 1)
#: Voxels of slices that are worked on at a time: they stay in the cache with what they are
#: compared with.
_PLANE_VOXELS = 2**18
#: After so many steps each it is asked whether farther ones can be of use.
_LOOK = 8


@dataclass(frozen=True, eq=False)
class Costs:
    """What steps along an axis add to the square of a distance.

    Parameters
    ----------
    unit_mm2 : float
        Squares are whole multiples of this.
    along : tuple of three (K + 1,) uint16
        Squares of 0, 1, 2, ... steps along z, y and x, as far as distances are told.
    """

    unit_mm2: float
    along: tuple[AnyArray, ...]

    @classmethod
    def of(cls, spacing_mm: Sequence[float], reach_mm: float) -> Costs:
        """Choose the unit, and list the squares.

        Parameters
        ----------
        spacing_mm : (3,) float
            Voxel size along z, y and x.
        reach_mm : float
            Distances are told up to here.

        Returns
        -------
        Costs
            They leave distances true to 1/30,000 of the reach at the reach.
        """
        unit_mm2 = reach_mm**2 / float(MOST)
        steps = (np.arange(int(reach_mm / step) + 1) * step for step in spacing_mm)
        rounded = (np.rint(lengths**2 / unit_mm2).astype(np.uint16) for lengths in steps)
        return cls(unit_mm2, tuple(rounded))

    def table_mm(self) -> FloatArray:
        """Give the distances that squares stand for.

        Returns
        -------
        (32768,) float32
            Distances.
        """
        distances: FloatArray = np.sqrt(np.arange(int(MOST) + 1) * self.unit_mm2)
        return distances.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Extents:
    """Which part of each slice is wanted, as a box.

    Parameters
    ----------
    first, end : (2, Z) int
        Rows and columns from the first one to the one before the end; none where these are the
        wrong way round.
    """

    first: IntArray
    end: IntArray

    @classmethod
    def of(cls, wanted: BoolArray, margin: tuple[int, ...]) -> Extents:
        """Hold a mask and some voxels round it.

        Parameters
        ----------
        wanted : (Z, Y, X) bool
            The mask.
        margin : (3,) int
            How many voxels along z, y and x, as far as the image goes.

        Returns
        -------
        Extents
            A box a slice.
        """
        first, end = np.empty((2, 2, len(wanted)), np.intp)
        for axis, n in enumerate(wanted.shape[1:]):
            lines: BoolArray = np.logical_or.reduce(wanted, axis=2 - axis)
            some: BoolArray = np.logical_or.reduce(lines, axis=1)
            first[axis] = np.where(some, lines.argmax(axis=1), n)
            end[axis] = np.where(some, n - lines[:, ::-1].argmax(axis=1), 0)
        return cls(first, end)._grown(margin, wanted.shape)

    def coarser(self, factors: tuple[int, ...], shape: tuple[int, ...]) -> Extents:
        """Give the blocks that the wanted voxels lie in, and those next to them.

        Parameters
        ----------
        factors : (3,) int
            Voxels in a block along z, y and x.
        shape : (3,) int
            Shape of the grid of blocks.

        Returns
        -------
        Extents
            On that grid.
        """
        starts = np.arange(0, self.first.shape[1], factors[0])
        sides = np.array(factors[1:])[:, None]
        first = np.minimum.reduceat(self.first, starts, axis=1) // sides
        end = -(-np.maximum.reduceat(self.end, starts, axis=1) // sides)
        return Extents(first, end)._grown((1, 1, 1), shape)

    def only(self, mask: BoolArray) -> BoolArray:
        """Leave out what of a mask is not wanted.

        Parameters
        ----------
        mask : (Z, Y, X) bool
            The mask.

        Returns
        -------
        (Z, Y, X) bool
            A copy, empty outside of the boxes.
        """
        rest = np.zeros(mask.shape, bool)
        for z in range(len(mask)):
            part = (z, *self.within(z, z + 1))
            rest[part] = mask[part]
        return rest

    def _grown(self, margin: tuple[int, ...], shape: tuple[int, ...]) -> Extents:
        size, sides = 2 * margin[0] + 1, np.array(margin[1:])[:, None]
        first = ndimage.minimum_filter1d(self.first, size, axis=1, mode="nearest") - sides
        end = ndimage.maximum_filter1d(self.end, size, axis=1, mode="nearest") + sides
        return Extents(np.maximum(first, 0), np.minimum(end, np.array(shape[1:])[:, None]))

    def within(self, start: int, stop: int) -> tuple[slice, slice]:
        """Give the rows and columns that hold what is wanted of some slices.

        Parameters
        ----------
        start, stop : int
            The first slice, which may lie before the image, and the one after the last, which
            may lie behind it.

        Returns
        -------
        rows, columns : slice
            The part.
        """
        some = slice(max(start, 0), stop)
        first = self.first[:, some].min(axis=1).tolist()
        end = self.end[:, some].max(axis=1).tolist()
        rows, columns = (slice(a, max(a, b)) for a, b in zip(first, end, strict=True))
        return rows, columns


@dataclass(frozen=True, eq=False)
class Squares:
    """Squares of distances of voxels to voxels beyond a surface.

    Parameters
    ----------
    in_plane : (Z + 2 z, Y, X) uint16
        To those of the same slice, with as many slices before and after as there are steps
        along z.
    costs : Costs
        What steps add.
    extents : Extents
        Where they are wanted.
    """

    in_plane: AnyArray
    costs: Costs
    extents: Extents

    @classmethod
    def of(cls, inside: BoolArray, costs: Costs, extents: Extents) -> Squares:
        """Look within the slices.

        Parameters
        ----------
        inside : (Z, Y, X) bool
            This side of the surface.
        costs : Costs
            What steps add.
        extents : Extents
            Where distances are wanted, and what is looked at.

        Returns
        -------
        Squares
            0 beyond the surface.
        """
        deep, (n_z, *_) = len(costs.along[0]) - 1, inside.shape
        in_plane = np.empty((n_z + 2 * deep, *inside.shape[1:]), np.uint16)
        in_plane[:deep], in_plane[deep + n_z :] = MOST, MOST

        def work(start: int, stop: int) -> None:
            into = in_plane[deep + start : deep + stop]
            np.multiply(inside[start:stop].view(np.uint8), MOST, out=into)
            # Slices are near to those whose voxels they tell of.
            rows, columns = extents.within(start - deep, stop + deep)
            part = inside[start:stop, rows, columns]
            if part.size:
                into[:, rows, columns] = _in_plane(part, costs)

        over_slabs(work, n_z, slab_of(inside.shape, _PLANE_VOXELS))
        return cls(in_plane, costs, extents)

    def section(self, start: int, stop: int) -> tuple[tuple[slice, slice, slice], AnyArray]:
        """Look across slices.

        Parameters
        ----------
        start, stop : int
            The first slice and the one after the last.

        Returns
        -------
        part : (3,) slice
            What is wanted of these slices, as a box.
        squares : (z, y, x) uint16
            Squares there, the highest number where the surface is beyond reach.
        """
        rows, columns = self.extents.within(start, stop)
        costs = self.costs.along[0]
        some = self.in_plane[start : stop + 2 * (len(costs) - 1), rows, columns]
        # Copied, so that all of it can be shifted as one row of numbers.
        squares = _nearest(some.ravel(), costs, some[0].size)
        return (slice(start, stop), rows, columns), squares.reshape(stop - start, *some.shape[1:])


def _in_plane(inside: BoolArray, costs: Costs) -> AnyArray:
    """Squares of distances to the other voxels of the same slice.

    Between rows and slices lie voxels that are no surface, so that all of a slab can be shifted
    as one row of numbers.
    """
    high, wide = (len(squares) - 1 for squares in costs.along[1:])
    n_z, n_y, n_x = inside.shape
    columns = n_x + wide
    steps = _steps_along_rows(inside, wide)
    # One more step is as good as none.
    table = np.append(costs.along[2], MOST)
    framed = np.empty((n_z, n_y + 2 * high, columns), np.uint16)
    framed[:, :high], framed[:, high + n_y :] = MOST, MOST
    for into, some in zip(framed, steps, strict=True):
        table.take(some, out=into[high : high + n_y], mode="clip")
    near = _nearest(framed.reshape(n_z, -1), costs.along[1], columns)
    return near.reshape(n_z, n_y, columns)[..., :n_x]


def _steps_along_rows(inside: BoolArray, reach: int) -> AnyArray:
    """Count the steps to the nearest other voxel of the row, no more than one beyond the reach.

    Returns
    -------
    (Z, Y, X + reach) unsigned int
        What stands beyond the ends of rows means nothing.
    """
    n_z, n_y, n_x = inside.shape
    kind = np.min_scalar_type(2 * reach + 1).type
    flat = np.full(n_z * n_y * (n_x + reach) + 2 * reach, kind(reach + 1))
    rows = flat[reach : len(flat) - reach].reshape(n_z, n_y, n_x + reach)
    np.multiply(inside.view(np.uint8), kind(reach + 1), out=rows[..., :n_x])
    # Of 1, 2, 4, ... any number is a sum.
    done = 0
    while done < reach:
        shift = min(done + 1, reach - done)
        pair = np.minimum(flat[: -2 * shift], flat[2 * shift :])
        pair += kind(shift)
        np.minimum(flat[shift:-shift], pair, out=flat[shift:-shift])
        done += shift
    return rows


def _nearest(squares: AnyArray, costs: AnyArray, step: int) -> AnyArray:
    """Least square over shifts along the last axis, each with what it adds.

    The first and the last items, as many as the farthest shift, are only read.
    """
    size = squares.shape[-1]
    reach = (len(costs) - 1) * step
    nearest = squares[..., reach : size - reach].copy()
    pair = np.empty_like(nearest)
    for k, cost in enumerate(costs[1:], start=1):
        low, high = reach - k * step, reach + k * step
        np.minimum(squares[..., low : size - high], squares[..., high : size - low], out=pair)
        pair += cost
        np.minimum(nearest, pair, out=nearest)
        # What is no nearer than this step is long costs nothing more.
        if k % _LOOK == 0 and k < len(costs) - 1 and cost >= nearest.max(initial=0):
            break
    return nearest
