"""Voxels counted by several label images at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from miliary.arrays import IntArray, LabelArray
from miliary.kernels.slabs import on_threads, slab_of

#: Voxels counted at a time. `bincount` makes eight bytes of each: of a whole scan that would be
#: 0.4 GB, and memory touched for the first time takes longer than the count.
_AT_ONCE = 2**17


def count_together(images: Sequence[LabelArray], sizes: Sequence[int]) -> IntArray:
    """Count voxels by the labels that they have in all of some images.

    Parameters
    ----------
    images : sequence of K (z, y, x) uint8
        Labels on one grid.
    sizes : (K,) int
        Above the highest label of each.

    Returns
    -------
    sizes int
        Voxels of each combination of labels.

    Raises
    ------
    ValueError
        When a label is not below its size.
    """
    for image, size in zip(images, sizes, strict=True):
        if (highest := int(image.max(initial=0))) >= size:
            raise ValueError(f"labels must be below {size}, got {highest}")
    n_cells = int(np.prod(sizes))
    code = np.min_scalar_type(max(n_cells - 1, *sizes)).type
    shape = images[0].shape
    slab = slab_of(shape, _AT_ONCE)

    def count(first: int) -> IntArray:
        cells = images[0][first : first + slab].astype(code)
        for image, size in zip(images[1:], sizes[1:], strict=True):
            cells *= code(size)
            cells += image[first : first + slab]
        return np.bincount(cells.ravel(), minlength=n_cells)

    counts = sum(on_threads(count, range(0, shape[0], slab)), np.zeros(n_cells, np.intp))
    return counts.reshape(tuple(sizes))
