"""Images on a coarser grid: the mean of every block of voxels."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, FloatArray, IntArray


def block_means(image: AnyArray, block: IntArray, *, cap: float = np.inf) -> FloatArray:
    """Take the mean of every block of voxels; the middle of the first is at `(block - 1) / 2`.

    Parameters
    ----------
    image : (Z, Y, X) float or bool
        Image.
    block : (3,) int
        Voxels of a block along z, y and x, at least 1.
    cap : float
        What is larger counts as this.

    Returns
    -------
    (Z // bz, Y // by, X // bx) float32
        Means; voxels that fill no block at the far ends are left out.
    """
    depth, height, width = np.asarray(block).tolist()
    n, rows, columns = (size // side for size, side in zip(image.shape, block, strict=True))
    means = np.empty((n, rows, columns), np.float32)
    # Block by block along z: no copy of the whole image.
    for k in range(n):
        layer = image[k * depth : (k + 1) * depth, : rows * height, : columns * width]
        total = np.minimum(layer, np.float32(cap)).sum(axis=0, dtype=np.float32)
        blocks = total.reshape(rows, height, columns, width).sum(axis=(1, 3))
        means[k] = blocks / np.float32(depth * height * width)
    return means
