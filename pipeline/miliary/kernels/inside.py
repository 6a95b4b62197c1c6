"""Values of an image inside a mask, slab by slab on threads."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, BoolArray, IntArray
from miliary.kernels.slabs import over_slabs

#: Slices worked on at a time.
_SLAB = 16


def median_inside(image: AnyArray, inside: BoolArray, *, every: int) -> float:
    """Give the median of an image over some of the rows of a mask.

    Parameters
    ----------
    image : (Z, Y, X) array
        Image.
    inside : (Z, Y, X) bool
        Where to look.
    every : int
        One of so many rows of a slice is looked at; all, where these hold nothing of the mask.

    Returns
    -------
    float
        NaN without a voxel.
    """
    # Other rows in every slice, so that the sample has no direction.
    rows = [slice(z % every, None, every) for z in range(len(image))]
    parts = [image[z, some][inside[z, some]] for z, some in enumerate(rows)]
    values = np.concatenate([image[:0].ravel(), *parts])
    if not len(values):
        values = image[inside]
    return float(np.median(values)) if len(values) else float("nan")


def cap_inside(image: AnyArray, inside: BoolArray, *, ceiling: float, outside: float) -> AnyArray:
    """Cut an image down to a ceiling inside a mask, and set it to one value outside.

    Parameters
    ----------
    image : (Z, Y, X) array
        Image.
    inside : (Z, Y, X) bool
        What is kept.
    ceiling : float
        Highest value inside.
    outside : float
        Value outside.

    Returns
    -------
    (Z, Y, X) float32, or whole numbers as the image's
        A new image; between whole numbers the nearest stand for the values.
    """
    whole = np.issubdtype(image.dtype, np.integer)
    kind = image.dtype if whole else np.dtype(np.float32)
    result = np.empty(image.shape, kind)
    most, other = (kind.type(round(value) if whole else value) for value in (ceiling, outside))

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        np.minimum(image[part], most, out=result[part], casting="same_kind")
        np.copyto(result[part], other, where=~inside[part])

    over_slabs(work, len(image), _SLAB)
    return result


def spread_inside(inside: BoolArray, most: int) -> IntArray:
    """Choose some voxels of a mask, evenly spread in the order of memory.

    Parameters
    ----------
    inside : (Z, Y, X) bool
        Where to choose.
    most : int
        About how many.

    Returns
    -------
    (N,) int
        Every so many-th of its voxels from the first on, as indices into the flattened mask; up
        to twice as many as asked for.
    """
    counts = [int(np.count_nonzero(section)) for section in inside]
    every, size = max(1, sum(counts) // most), inside[:1].size
    chosen, passed = [np.empty(0, np.intp)], 0
    # Slice by slice: the places of all voxels of a lung are larger than its image.
    for z, count in enumerate(counts):
        chosen.append(z * size + np.flatnonzero(inside[z])[-passed % every :: every])
        passed += count
    return np.concatenate(chosen)


def choose_inside(inside: BoolArray, most: int) -> IntArray:
    """Choose some voxels of a mask, the first and the last and evenly spread between.

    Parameters
    ----------
    inside : (Z, Y, X) bool
        Where to choose.
    most : int
        How many, or all where there are fewer.

    Returns
    -------
    (N, 3) int
        Voxels, in the order of memory.
    """
    counts = np.array([np.count_nonzero(section) for section in inside], np.intp)
    passed = np.concatenate([[0], np.cumsum(counts)])
    total = int(passed[-1])
    ranks = np.linspace(0, total - 1, min(most, total)).astype(np.intp)
    bounds = np.searchsorted(ranks, passed)
    chosen = [np.empty((0, 3), np.intp)]
    # Slice by slice: the places of all voxels of a lung are larger than its image.
    for z in np.flatnonzero(np.diff(bounds)):
        flat = np.flatnonzero(inside[z])[ranks[bounds[z] : bounds[z + 1]] - passed[z]]
        y, x = np.unravel_index(flat, inside.shape[1:])
        chosen.append(np.column_stack([np.full(len(flat), z), y, x]))
    return np.concatenate(chosen)
