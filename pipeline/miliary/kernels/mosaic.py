"""Patches of an image side by side in one small image, so that dense work is done on them alone."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, IntArray
from miliary.kernels.patches import cut_cubes


def patch_shape(
    shape: tuple[int, ...], spacing_mm: AnyArray, reach_mm: float
) -> tuple[int, int, int]:
    """Voxels of a patch that reaches so far to all sides of its middle, or as far as the image.

    Parameters
    ----------
    shape : (3,) int
        Shape of the image.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    reach_mm : float
        Least distance from the middle voxel's centre to the outermost ones'.

    Returns
    -------
    (3,) int
        Odd numbers, but for those that the image limits.
    """
    wanted = 2 * np.ceil(reach_mm / np.asarray(spacing_mm, float)).astype(int) + 1
    z, y, x = np.minimum(wanted, shape).tolist()
    return z, y, x


def first_voxels(
    shape: tuple[int, ...], middle_zyx: IntArray, patch: tuple[int, int, int]
) -> IntArray:
    """Tell where patches begin; one that would leave the image is moved into it.

    Parameters
    ----------
    shape : (3,) int
        Shape of the image.
    middle_zyx : (N, 3) int
        Middle voxels wished for.
    patch : (3,) int
        Voxels of a patch.

    Returns
    -------
    (N, 3) int
        First voxel of each.
    """
    size = np.array(patch)
    first = np.asarray(middle_zyx, np.intp).reshape(-1, 3) - size // 2
    clipped: IntArray = np.clip(first, 0, np.array(shape) - size)
    return clipped


def stack_patches(image: AnyArray, first_zyx: IntArray, patch: tuple[int, int, int]) -> AnyArray:
    """Cut patches out of an image and put them on top of each other along z.

    Parameters
    ----------
    image : (Z, Y, X) array
        Image.
    first_zyx : (N, 3) int
        First voxels, from `first_voxels`.
    patch : (3,) int
        Voxels of a patch.

    Returns
    -------
    (N z, y, x) array
        The patches, in order, in the image's type.
    """
    return cut_cubes(image, first_zyx, patch).reshape(-1, *patch[1:])


def to_stack(
    index_zyx: AnyArray, which: IntArray, first_zyx: IntArray, patch: tuple[int, int, int]
) -> AnyArray:
    """Turn indices of the image into those of the stack.

    Parameters
    ----------
    index_zyx : (M, 3) float
        Indices into the image.
    which : (M,) int
        The patch that each is wanted in.
    first_zyx : (N, 3) int
        First voxels of the patches.
    patch : (3,) int
        Voxels of a patch.

    Returns
    -------
    (M, 3) float
        Indices into the stack.
    """
    index = np.asarray(index_zyx, float).reshape(-1, 3) - first_zyx[which]
    index[:, 0] += which * patch[0]
    return index
