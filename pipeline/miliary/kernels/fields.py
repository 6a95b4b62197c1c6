"""Distances of all voxels of a large image to a surface: exact near it, smooth farther away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, LabelArray
from miliary.kernels.distance_image import INFINITE, DistanceImage
from miliary.kernels.distances import to_other_voxels, to_surface
from miliary.kernels.regions import label_boxes
from miliary.kernels.slabs import over_slabs, slab_of
from miliary.kernels.squares import Costs, Extents, Squares

#: Distances between centres are exact up to here: their squares are told in steps of 0.001 mm2,
#: which leave them true to 0.001 mm.
_EXACT_MM = 6.0
#: What these stand for is rounded to so many steps in a millimetre.
_NEAR_STEPS_PER_MM = 256
#: Codes of distances are these squares, and from here on steps of a grid half as fine.
_FAR = np.uint16(2**15)
#: Steps in a millimetre there, and the most of them, 256 mm: below the code of infinite, and the
#: sum of two still has a place in 16 bits, where the grid is read between its points.
_FAR_STEPS_PER_MM, _MOST_STEPS = 128, 2**15 - 2
#: There distances are found by shifts, too, up to here, in a third of the time of edt; farther ones
#: come from a grid that is half as fine again. No lung's pleura is as far.
_SHIFTED_MM = 64.0
#: Voxels worked on at a time across slices: of fewer slices the coarser grid would be read twice.
_DEEP_VOXELS = 2**19
#: Beyond, a grid half as fine is looked at, along axes whose blocks are no longer than this.
_BLOCK_MM = 2.0
#: A block counts as beyond the surface when any of its voxels is, and distances to its middle are
#: too short on average: by 0.14 blocks inside lungs, 0.05 outside of vessels, alike at 6 and 30 mm
#: (two patients and a phantom). This taken back, the error has a standard deviation of 0.2 blocks.
_BLOCK_SHARE = 0.1

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
    codes, scale = np.zeros(labels.shape, np.uint16), _Scale.of(spacing_mm)
    for label, box in label_boxes(labels).items():
        # The nearest voxel of another kind lies in the box or next to it.
        wider = _wider(box, (1, 1, 1))
        inside = labels[wider] == label
        _draw(inside, Extents.of(inside, (1, 1, 1)), scale, np.maximum, codes[wider])
    return DistanceImage(codes, scale.table_mm)


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
    codes, scale = np.full(mask.shape, INFINITE), _Scale.of(spacing_mm)
    if mask.any():
        everywhere = Extents.of(np.broadcast_to(True, mask.shape), (0, 0, 0))
        _draw(~mask, everywhere, scale, np.minimum, codes)
    return DistanceImage(codes, scale.table_mm)


def distance_beside(
    mask: BoolArray, labels: LabelArray, spacing_mm: FloatArray, *, margin_mm: float
) -> DistanceImage:
    """Distance of the voxels round some objects to the surface of a mask in the same place.

    Of each slice the box of what an object fills near it, and a margin, is looked at alone: two
    lungs fill half of the box round both, and a section half of the box of its lung. Where there
    is no part of the mask, the whole mask is looked at.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        What distances are to, such as vessels.
    labels : (Z, Y, X) uint8
        The objects, such as lungs; 0 is background.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    margin_mm : float
        How far round an object distances are told too.

    Returns
    -------
    (Z, Y, X) DistanceImage
        Inside of each object and of its margin the distance in mm to what of the mask is
        looked at with it, or to the whole mask where nothing is, as true as that of `depth_field`;
        the least where objects are near to each other, 0 inside the mask. Farther off a number
        that may be too large, or infinite; infinite everywhere when the mask is empty.
    """
    codes, scale = np.full(labels.shape, INFINITE), _Scale.of(spacing_mm)
    margin = tuple(np.ceil(margin_mm / np.asarray(spacing_mm, float)).astype(int).tolist())
    for label, tight in label_boxes(labels).items():
        box = _wider(tight, margin)
        extents = Extents.of(labels[box] == label, margin)
        beyond = extents.only(mask[box])
        if beyond.any():
            _draw(np.logical_not(beyond, out=beyond), extents, scale, np.minimum, codes[box])
        else:
            found = distance_field(mask, spacing_mm).codes[box]
            np.minimum(codes[box], found, out=codes[box])
    return DistanceImage(codes, scale.table_mm)


def _wider(box: tuple[slice, ...], margin: tuple[int, ...]) -> tuple[slice, ...]:
    """Add voxels on both sides of a box."""
    return tuple(slice(max(s.start - n, 0), s.stop + n) for s, n in zip(box, margin, strict=True))


def _draw(inside: BoolArray, extents: Extents, scale: _Scale, join: _Join, into: AnyArray) -> None:
    """Join the distances of the voxels of a mask to its surface to what an image holds."""
    if inside.all():
        join(into, INFINITE, out=into)
        return
    squares = Squares.of(inside, scale.costs, extents)
    far = _Grid.twice(inside, scale.spacing_mm, extents)

    def work(start: int, stop: int) -> None:
        part, codes = squares.section(start, stop)
        # What is beyond becomes the highest number, and is farther than all that the coarser grid
        # tells; what is not is nearer.
        codes |= (codes + np.uint16(1)) & _FAR
        np.minimum(codes, far.section(part) | _FAR, out=codes)
        join(into[part], codes, out=into[part])

    over_slabs(work, len(inside), slab_of(inside.shape, _DEEP_VOXELS))


@dataclass(frozen=True, eq=False)
class _Scale:
    """What codes stand for.

    Parameters
    ----------
    spacing_mm : tuple of three float
        Voxel size along z, y and x.
    costs : Costs
        Of near distances.
    table_mm : (65536,) float32
        Distances to the surface.
    """

    spacing_mm: tuple[float, ...]
    costs: Costs
    table_mm: FloatArray

    @classmethod
    def of(cls, spacing_mm: FloatArray) -> _Scale:
        return _scale(tuple(np.asarray(spacing_mm, float).tolist()))


@lru_cache(maxsize=8)
def _scale(spacing_mm: tuple[float, ...]) -> _Scale:
    costs = Costs.of(spacing_mm, _EXACT_MM)
    near = costs.table_mm()
    to_surface(near[None], np.array(spacing_mm))
    # Many voxels lie as far as each other: what is a limit of 2.5 or 5 mm but for rounding must be
    # on the same side of it everywhere.
    near = np.rint(near * _NEAR_STEPS_PER_MM) / np.float32(_NEAR_STEPS_PER_MM)
    far = np.arange(_FAR, dtype=np.float32) / np.float32(_FAR_STEPS_PER_MM)
    far[-1] = np.inf
    return _Scale(spacing_mm, costs, np.append(near, np.maximum(far, near[-1])))


@dataclass(frozen=True, eq=False)
class _Grid:
    """Distances on a coarser grid, read between its points.

    Parameters
    ----------
    steps : (z, y, x) uint16
        Distances of the middles of blocks to the surface, in steps.
    factors : tuple of three int
        1 or 2: voxels in a block along z, y and x.
    """

    steps: AnyArray
    factors: tuple[int, ...]

    @classmethod
    def twice(cls, inside: BoolArray, spacing_mm: tuple[float, ...], extents: Extents) -> _Grid:
        """Look at blocks of two voxels, and of four for what is farther than these tell."""
        factors = tuple(2 if 2 * step <= _BLOCK_MM else 1 for step in spacing_mm)
        blocks, size_mm = _blocks(inside, factors), np.multiply(spacing_mm, factors)
        coarser = _blocks(blocks, (2, 2, 2))
        beyond = cls(_steps(to_other_voxels(coarser, 2 * size_mm), 2 * size_mm), (2, 2, 2))
        costs = Costs.of(size_mm.tolist(), _SHIFTED_MM)
        table = _steps(costs.table_mm(), size_mm)
        most, table[-1] = table[-1], _MOST_STEPS
        squares = Squares.of(blocks, costs, extents.coarser(factors, blocks.shape))
        steps = np.full(blocks.shape, np.uint16(_MOST_STEPS))

        def work(start: int, stop: int) -> None:
            part, some = squares.section(start, stop)
            np.maximum(beyond.section(part), most, out=steps[part])
            np.minimum(table.take(some, mode="clip"), steps[part], out=steps[part])

        over_slabs(work, len(blocks), slab_of(blocks.shape, _DEEP_VOXELS))
        return cls(steps, factors)

    def section(self, part: tuple[slice, slice, slice]) -> AnyArray:
        """Give steps in a part of the fine grid."""
        # One block more on each side, as far as there is one.
        lows = [max(s.start // n - 1, 0) for s, n in zip(part, self.factors, strict=True)]
        ends = [(s.stop - 1) // n + 2 for s, n in zip(part, self.factors, strict=True)]
        z, y, x = (slice(low, end) for low, end in zip(lows, ends, strict=True))
        steps = self.steps[z, y, x]
        # Columns first, as long as there are few: rows are shifted in half of the time.
        for axis in (2, 0, 1):
            if self.factors[axis] == 2:
                steps = _twice_as_fine(steps, axis)
        z, y, x = (
            slice(s.start - n * low, s.stop - n * low)
            for s, n, low in zip(part, self.factors, lows, strict=True)
        )
        return steps[z, y, x]


def _steps(distance_mm: FloatArray, size_mm: FloatArray) -> AnyArray:
    """Turn distances in mm to blocks that hold some surface into steps to the surface."""
    steps = distance_mm + np.float32(_BLOCK_SHARE * float(np.prod(size_mm)) ** (1 / 3))
    steps *= np.float32(_FAR_STEPS_PER_MM)
    np.minimum(steps, np.float32(_MOST_STEPS), out=steps)
    np.rint(steps, out=steps)
    return steps.astype(np.uint16)


def _blocks(mask: BoolArray, factors: tuple[int, ...]) -> BoolArray:
    """Whether all voxels of a block belong to a mask; of the last ones some may be missing."""
    for axis, factor in enumerate(factors):
        if factor == 2:
            mask = _whole_pairs(mask, axis)
    return mask


def _whole_pairs(mask: BoolArray, axis: int) -> BoolArray:
    front = (slice(None),) * axis
    pairs: BoolArray = mask[(*front, slice(0, None, 2))].copy()
    second = mask[(*front, slice(1, None, 2))]
    pairs[(*front, slice(0, second.shape[axis]))] &= second
    return pairs


def _twice_as_fine(image: AnyArray, axis: int) -> AnyArray:
    """Read an image at a quarter of a voxel before and behind each voxel, linearly.

    Of numbers of two bytes, less than half of what these can hold.
    """
    front = (slice(None),) * axis
    shape = list(image.shape)
    shape[axis] *= 2
    fine = np.empty(shape, np.uint16)
    first, rest, last = (*front, slice(1)), (*front, slice(1, None)), (*front, slice(-1, None))
    but_last = (*front, slice(-1))
    before, behind = fine[(*front, slice(0, None, 2))], fine[(*front, slice(1, None, 2))]
    # The middle between two voxels, and the middles between that and each of them.
    one = np.uint16(1)
    middle = image[rest] + image[but_last]
    middle >>= one
    # Of what is cut off the second half makes up for the first.
    middle += one
    np.right_shift(image[rest] + middle, one, out=before[rest])
    np.right_shift(image[but_last] + middle, one, out=behind[but_last])
    # At the border the image goes on.
    before[first], behind[last] = image[first], image[last]
    return fine
