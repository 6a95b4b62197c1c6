"""Values of an image inside a mask, slab by slab on threads."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.kernels.slabs import on_threads, over_slabs

#: Slices worked on at a time.
_SLAB = 16


def median_inside(image: AnyArray, inside: BoolArray, *, every: int) -> float:
    """Give the median of an image over some of the voxels of a mask.

    Parameters
    ----------
    image : (Z, Y, X) array
        Image.
    inside : (Z, Y, X) bool
        Where to look.
    every : int
        One of so many voxels is plenty for a median.

    Returns
    -------
    float
        NaN without a voxel.
    """
    starts = range(0, len(image), _SLAB)
    parts = on_threads(lambda z: image[z : z + _SLAB][inside[z : z + _SLAB]], starts)
    values = np.concatenate([image[:0].ravel(), *parts])[::every]
    return float(np.median(values)) if len(values) else float("nan")


def cap_inside(image: AnyArray, inside: BoolArray, *, ceiling: float, outside: float) -> FloatArray:
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
    (Z, Y, X) float32
        A new image.
    """
    result = np.empty(image.shape, np.float32)
    most, other = np.float32(ceiling), np.float32(outside)

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        np.minimum(image[part], most, out=result[part], casting="unsafe")
        np.copyto(result[part], other, where=~inside[part])

    over_slabs(work, len(image), _SLAB)
    return result
