"""Distances of all voxels of a large image to a surface: exact near it, smooth farther away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, LabelArray
from miliary.kernels.distance_image import DistanceImage, in_steps
from miliary.kernels.distances import to_other_voxels, to_surface
from miliary.kernels.regions import label_boxes
from miliary.kernels.slabs import over_slabs, slab_of

#: Distances between centres are exact up to here.
_EXACT_MM = 6.0
#: The square of that in steps of 0.001 mm2, which leave distances true to 0.001 mm: the sum of two
#: such still has a place in 16 bits.
_MOST = np.uint16(2**15 - 1)
#: Voxels worked on at a time, in slices alone and across them: the first stay in the cache with
#: what they are compared with; of fewer slices the coarser grid would be read twice.
_PLANE_VOXELS, _DEEP_VOXELS = 2**17, 2**19
#: Beyond, a grid half as fine is looked at, along axes whose blocks are no longer than this.
_BLOCK_MM = 2.0
#: A block counts as beyond the surface when any of its voxels is, and distances to its middle are
#: too short on average: by 0.14 blocks inside lungs, 0.05 outside of vessels, alike at 6 and 30 mm
#: (two patients and a phantom). This taken back, the error has a standard deviation of 0.2 blocks.
_BLOCK_SHARE = 0.1
#: How far round an object's box distances are told too: fitted balls may have their centre outside
#: of their lung, the largest by a quarter of 15 mm.
_MARGIN_MM = 5.0

_Join = Callable[..., AnyArray]


def depth_field(labels: LabelArray, spacing_mm: FloatArray) -> DistanceImage:
    """Distance of every labelled voxel's centre to the surface of its own label.

    That of `depth_inside` up to 5 mm, to 0.01 mm; farther in it is true to about a voxel, for a
    third of the time. So it is for voxels of CT; of voxels of several millimetres distances are off
    by half a one.

    Parameters
    ----------
    labels : (Z, Y, X) uint8
        0 is background. Two labels that touch have a surface between them.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) DistanceImage
        Distance in mm, 0 on the background, infinite where there is no surface.
    """
    field = np.zeros(labels.shape, np.uint16)
    for label, box in label_boxes(labels).items():
        # The nearest voxel of another kind lies in the box or next to it.
        wider = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        _draw(labels[wider] == label, spacing_mm, np.maximum, field[wider])
    return DistanceImage(field)


def distance_field(mask: BoolArray, spacing_mm: FloatArray) -> DistanceImage:
    """Distance of every voxel's centre to the surface of a mask.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        The object.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) DistanceImage
        Distance in mm as true as that of `depth_field`, 0 inside the mask, infinite everywhere
        when the mask is empty.
    """
    field = DistanceImage.unknown(mask.shape)
    _draw(~mask, spacing_mm, np.minimum, field.steps)
    return field


def distance_beside(mask: BoolArray, labels: LabelArray, spacing_mm: FloatArray) -> DistanceImage:
    """Distance of the voxels round some objects to the surface of a mask in the same place.

    Each object's box and 5 mm round it are looked at alone, which saves what lies between: two
    lungs fill half of the box round both. Where no part of the mask lies in an object's box, the
    whole mask is looked at.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        What distances are to, such as vessels.
    labels : (Z, Y, X) uint8
        The objects, such as lungs; 0 is background.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) DistanceImage
        In the box of each object the distance in mm to what of the mask lies in the same box, or
        to the whole mask where nothing does, as true as that of `depth_field`; the least where
        boxes overlap, 0 inside the mask. Infinite elsewhere, and everywhere when the mask is
        empty.
    """
    nearest = DistanceImage.unknown(labels.shape).steps
    margin = np.ceil(_MARGIN_MM / np.asarray(spacing_mm, float)).astype(int).tolist()
    for tight in label_boxes(labels).values():
        box = tuple(
            slice(max(s.start - n, 0), s.stop + n) for s, n in zip(tight, margin, strict=True)
        )
        if mask[box].any():
            _draw(~mask[box], spacing_mm, np.minimum, nearest[box])
        else:
            found = distance_field(mask, spacing_mm).steps[box]
            np.minimum(nearest[box], found, out=nearest[box])
    return DistanceImage(nearest)


def _draw(inside: BoolArray, spacing_mm: FloatArray, join: _Join, into: AnyArray) -> None:
    """Join the distances of the voxels of a mask to its surface to what an image holds."""
    if not inside.size:
        return
    n_z, n_y, n_x = inside.shape
    steps = _Steps.of(spacing_mm)
    squares = _near_in_plane(inside, steps)
    far = _Far.of(inside, spacing_mm)
    # What a square stands for is looked up: as quick as a root, and all else is free. In steps,
    # as the far ones: half of the memory to be written to.
    table = np.sqrt(np.arange(_MOST + 1) * steps.unit_mm2).astype(np.float32)
    to_surface(table[None], spacing_mm)
    table = in_steps(table)

    def work(start: int, stop: int) -> None:
        some = squares[start : stop + 2 * len(steps.costs[0])].ravel()
        near = _nearest(some, steps.costs[0], squares[0].size)
        near = near.reshape(stop - start, n_y, -1)[..., :n_x]
        part = table.take(near, mode="clip")
        beyond = near == _MOST
        if beyond.any():
            section = np.maximum(far.section(start, stop), table[-1], dtype=np.float32)
            np.copyto(part, section, where=beyond, casting="unsafe")
        join(into[start:stop], part, out=into[start:stop])

    over_slabs(work, n_z, slab_of(inside.shape, _DEEP_VOXELS))


@dataclass(frozen=True, eq=False)
class _Steps:
    """What steps along an axis add to the square of a distance.

    Parameters
    ----------
    unit_mm2 : float
        Squares are whole multiples of this.
    costs : tuple of three lists of uint16
        Squares of 1, 2, 3, ... steps along z, y and x, as far as distances are exact.
    """

    unit_mm2: float
    costs: tuple[list[np.uint16], ...]

    @classmethod
    def of(cls, spacing_mm: FloatArray) -> _Steps:
        unit_mm2 = _EXACT_MM**2 / float(_MOST)
        costs = []
        for step in np.asarray(spacing_mm, float):
            lengths = np.arange(1, int(_EXACT_MM / step) + 1) * step
            costs.append([np.uint16(round(length**2 / unit_mm2)) for length in lengths])
        return cls(unit_mm2, tuple(costs))


def _near_in_plane(inside: BoolArray, steps: _Steps) -> AnyArray:
    """Squares of distances to the other voxels of the same slice, as far as these are exact.

    Between rows and slices lie voxels that are no surface, so that all of a slab can be shifted
    as one row of numbers.

    Returns
    -------
    (Z + 2 z, Y, X + x) uint16
        With as many slices before and after, and columns after, as there are steps along z and x.
    """
    deep, high, wide = (len(costs) for costs in steps.costs)
    n_z, n_y, n_x = inside.shape
    rows, columns = n_y + 2 * high, n_x + wide
    squares = np.empty((n_z + 2 * deep, n_y, columns), np.uint16)
    squares[:deep], squares[deep + n_z :] = _MOST, _MOST

    def work(start: int, stop: int) -> None:
        flat = np.full((stop - start) * rows * columns + 2 * wide, _MOST)
        framed = flat[wide : len(flat) - wide].reshape(-1, rows, columns)
        own = framed[:, high : high + n_y, :n_x]
        np.multiply(inside[start:stop].view(np.uint8), _MOST, out=own)
        along_x = _nearest(flat, steps.costs[2], 1).reshape(len(framed), -1)
        near = _nearest(along_x, steps.costs[1], columns)
        squares[deep + start : deep + stop] = near.reshape(-1, n_y, columns)

    over_slabs(work, n_z, slab_of(inside.shape, _PLANE_VOXELS))
    return squares


def _nearest(squares: AnyArray, costs: list[np.uint16], step: int) -> AnyArray:
    """Least square over shifts along the last axis, each with what it adds.

    The first and the last items, as many as the farthest shift, are only read.
    """
    size = squares.shape[-1]
    reach = len(costs) * step
    nearest = squares[..., reach : size - reach].copy()
    pair = np.empty_like(nearest)
    for k, cost in enumerate(costs, start=1):
        low, high = reach - k * step, reach + k * step
        np.minimum(squares[..., low : size - high], squares[..., high : size - low], out=pair)
        pair += cost
        np.minimum(nearest, pair, out=nearest)
    return nearest


@dataclass(frozen=True, eq=False)
class _Far:
    """Distances on a coarser grid, read between its points.

    Parameters
    ----------
    distance : (z, y, x) float32
        Distances of the middles of blocks to the surface, in steps.
    factors : tuple of three int
        1 or 2: voxels in a block along z, y and x.
    shape : tuple of three int
        Shape of the fine grid.
    """

    distance: FloatArray
    factors: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, inside: BoolArray, spacing_mm: FloatArray) -> _Far:
        spacing = np.asarray(spacing_mm, float)
        factors = tuple(2 if 2 * step <= _BLOCK_MM else 1 for step in spacing)
        blocks = inside
        for axis, factor in enumerate(factors):
            if factor == 2:
                blocks = _whole_pairs(blocks, axis)
        distance = to_other_voxels(blocks, spacing * factors)
        distance += np.float32(_BLOCK_SHARE * float(np.prod(spacing * factors)) ** (1 / 3))
        # Half a step more, as steps are cut off in the end.
        return cls(in_steps(distance) + np.float32(0.5), factors, inside.shape)

    def section(self, start: int, stop: int) -> FloatArray:
        """Give some slices of the fine grid."""
        factor = self.factors[0]
        low = max(start // factor - 1, 0)
        part = self.distance[low : (stop - 1) // factor + 2]
        # Columns first, as long as there are few: rows are shifted in half of the time.
        for axis in (2, 0, 1):
            if self.factors[axis] == 2:
                part = _twice_as_fine(part, axis)
        first = start - factor * low
        return part[first : first + stop - start, : self.shape[1], : self.shape[2]]


def _whole_pairs(mask: BoolArray, axis: int) -> BoolArray:
    """Whether both of each pair of voxels along an axis belong to a mask; a last one is alone."""
    front = (slice(None),) * axis
    pairs: BoolArray = mask[(*front, slice(0, None, 2))].copy()
    second = mask[(*front, slice(1, None, 2))]
    pairs[(*front, slice(0, second.shape[axis]))] &= second
    return pairs


def _twice_as_fine(image: FloatArray, axis: int) -> FloatArray:
    """Read an image at a quarter of a voxel before and behind each voxel, linearly."""
    front = (slice(None),) * axis
    shape = list(image.shape)
    shape[axis] *= 2
    fine = np.empty(shape, np.float32)
    most, least = np.float32(0.75) * image, np.float32(0.25) * image
    first, rest, last = (*front, slice(1)), (*front, slice(1, None)), (*front, slice(-1, None))
    but_last = (*front, slice(-1))
    before, behind = fine[(*front, slice(0, None, 2))], fine[(*front, slice(1, None, 2))]
    np.add(most[rest], least[but_last], out=before[rest])
    np.add(most[but_last], least[rest], out=behind[but_last])
    # At the border the image goes on.
    before[first], behind[last] = image[first], image[last]
    return fine
