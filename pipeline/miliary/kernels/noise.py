"""Standard deviation of the noise in many small cubes of an image."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.kernels.patches import cut_cubes

#: White noise of unit variance has this standard deviation after two second differences, along
#: y and x: the weights (1, -2, 1) have the sum of squares 6, once for each axis.
_SECOND_DIFFERENCES = 6.0


def gather_cubes(image: AnyArray, index_zyx: IntArray, shape: tuple[int, int, int]) -> FloatArray:
    """Cut cubes out of an image.

    Parameters
    ----------
    image : (Z, Y, X) array
        Image, at least as large as a cube.
    index_zyx : (N, 3) int
        Their middle voxels; a cube that would leave the image is moved into it.
    shape : (3,) int
        Voxels of a cube along z, y and x.

    Returns
    -------
    (N, z, y, x) float32
        Cubes; length 0 without places.
    """
    if any(size > whole for size, whole in zip(shape, image.shape, strict=True)):
        raise ValueError(f"a cube must fit into the image {image.shape}, got {shape}")
    size = np.array(shape)
    first = np.asarray(index_zyx, np.intp).reshape(-1, 3) - size // 2
    first = np.clip(first, 0, np.array(image.shape) - size)
    return cut_cubes(image, first, shape).astype(np.float32, copy=False)


def deviations(cubes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Standard deviation of each cube: as it is, and of its finest in-plane detail alone.

    The second is that of the second difference along y of the second difference along x, scaled
    to be equal for white noise. What is smooth over three voxels, such as the texture of the
    lung or a vessel that runs along an axis, leaves nothing in it.

    Parameters
    ----------
    cubes : (N, z, y, x) float
        Cubes, at least three voxels along y and x.

    Returns
    -------
    total, fine : (N,) float
        Standard deviations.
    """
    if min(cubes.shape[2:]) < 3:
        raise ValueError(f"cubes must have three voxels along y and x, got {cubes.shape[1:]}")
    total = cubes.std(axis=(1, 2, 3), ddof=1, dtype=float)
    detail = np.diff(np.diff(cubes, 2, axis=2), 2, axis=3)
    fine = np.sqrt(np.square(detail, dtype=float).mean(axis=(1, 2, 3))) / _SECOND_DIFFERENCES
    return total, fine
