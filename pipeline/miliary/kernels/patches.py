"""Many small parts of an image, all of one size, copied at once."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from miliary.arrays import AnyArray, IntArray


def cut_cubes(image: AnyArray, first_zyx: IntArray, shape: tuple[int, int, int]) -> AnyArray:
    """Copy cubes of voxels.

    Parameters
    ----------
    image : (Z, Y, X) array
        Image; beyond its border the outermost voxels go on.
    first_zyx : (N, 3) int
        Their first voxels, beyond the border too.
    shape : (3,) int
        Voxels of a cube along z, y and x.

    Returns
    -------
    (N, z, y, x) array
        Cubes, in the image's type.
    """
    first = np.asarray(first_zyx, np.intp).reshape(-1, 3)
    whole = ((first >= 0) & (first + shape <= image.shape)).all(axis=1)
    if not whole.any():
        return _clipped(image, first, shape)
    # Whole cubes are copied row by row: an eighth of the time of an index for each voxel.
    z, y, x = first[whole].T
    inner: AnyArray = sliding_window_view(image, shape)[z, y, x]
    if whole.all():
        return inner
    cubes = np.empty((len(first), *shape), image.dtype)
    cubes[whole], cubes[~whole] = inner, _clipped(image, first[~whole], shape)
    return cubes


def _clipped(image: AnyArray, first: IntArray, shape: tuple[int, int, int]) -> AnyArray:
    """Cubes that reach over the border, by an index for each voxel."""
    z, y, x = (
        (start[:, None] + np.arange(n)).clip(0, end - 1)
        for start, n, end in zip(first.T, shape, image.shape, strict=True)
    )
    cubes: AnyArray = image[z[:, :, None, None], y[:, None, :, None], x[:, None, None, :]]
    return cubes
