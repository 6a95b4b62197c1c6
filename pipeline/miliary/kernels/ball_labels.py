"""Balls as labels on a grid."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray

#: Voxels round balls that are looked at together: 8 MB of doubles.
_AT_ONCE = 2**20


def label_balls(
    shape: tuple[int, int, int],
    spacing_mm: FloatArray,
    index_zyx: FloatArray,
    diameter_mm: FloatArray,
) -> IntArray:
    """Draw balls, each at least its centre voxel.

    Parameters
    ----------
    shape : (3,) int
        Shape of the grid.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    index_zyx : (N, 3) float
        Centres, as indices; those outside of the grid are drawn as far as they reach into it.
    diameter_mm : (N,) float
        Diameters; NaN for the centre voxel alone.

    Returns
    -------
    (z, y, x) uint16
        Number of the ball, from 1; where two overlap the first; 0 elsewhere.

    Raises
    ------
    ValueError
        For more balls than a label can tell.
    """
    if len(index_zyx) > np.iinfo(np.uint16).max:
        raise ValueError(f"balls must be at most 65535, got {len(index_zyx)}")
    image: IntArray = np.zeros(shape, np.uint16)
    voxels, labels = list_ball_labels(shape, spacing_mm, index_zyx, diameter_mm)
    image.ravel()[voxels] = labels
    return image


def list_ball_labels(
    shape: tuple[int, int, int],
    spacing_mm: FloatArray,
    index_zyx: FloatArray,
    diameter_mm: FloatArray,
) -> tuple[IntArray, IntArray]:
    """List the voxels that `label_balls` gives a label, without the memory of an image.

    Parameters
    ----------
    shape : (3,) int
        Shape of the grid.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    index_zyx : (N, 3) float
        Centres, as indices.
    diameter_mm : (N,) float
        Diameters; NaN for the centre voxel alone.

    Returns
    -------
    voxels : (V,) int
        Flat indices, increasing, each once.
    labels : (V,) int
        Number of the ball of each, from 1.
    """
    centres, inside = _centre_voxels(shape, index_zyx)
    radius_mm = np.nan_to_num(diameter_mm) / 2
    which, held = _voxels_in_balls(shape, index_zyx, radius_mm, spacing_mm)
    # Who comes first has a voxel; centres do, for of two that touch neither may lose the one
    # voxel that it has for certain.
    voxels, first = np.unique(np.concatenate([centres[::-1], held]), return_index=True)
    return voxels, np.concatenate([np.flatnonzero(inside)[::-1], which])[first] + 1


def _centre_voxels(
    shape: tuple[int, int, int], index_zyx: FloatArray
) -> tuple[IntArray, BoolArray]:
    """Flat indices (M,) of the centres on the grid, and which (N,) these are."""
    centre = np.rint(index_zyx).astype(np.intp).reshape(-1, 3)
    inside: BoolArray = np.asarray(((centre >= 0) & (centre < shape)).all(axis=1))
    return centre[inside] @ np.array([shape[1] * shape[2], shape[2], 1]), inside


def _voxels_in_balls(
    shape: tuple[int, int, int], index_zyx: FloatArray, radius_mm: FloatArray, spacing_mm: AnyArray
) -> tuple[IntArray, IntArray]:
    """List the voxels whose centre lies in a ball: rows of balls, in order, and flat indices."""
    which: list[IntArray] = [np.empty(0, np.intp)]
    voxels: list[IntArray] = [np.empty(0, np.intp)]
    half = np.ceil(radius_mm[:, None] / spacing_mm).astype(np.intp)
    # Balls that reach as far are looked at together.
    for size in np.unique(half, axis=0):
        alike = np.flatnonzero((half == size).all(axis=1))
        n_parts = 1 + len(alike) * int(np.prod(2 * size + 2)) // _AT_ONCE
        for rows in np.array_split(alike, n_parts):
            ball, flat = _voxels_alike(shape, index_zyx[rows], radius_mm[rows], spacing_mm, size)
            which.append(rows[ball])
            voxels.append(flat)
    owner = np.concatenate(which)
    order = np.argsort(owner, kind="stable")
    return owner[order], np.concatenate(voxels)[order]


def _voxels_alike(
    shape: tuple[int, int, int],
    index_zyx: FloatArray,
    radius_mm: FloatArray,
    spacing_mm: AnyArray,
    half: IntArray,
) -> tuple[IntArray, IntArray]:
    """List the voxels in balls that reach no farther than so many voxels along each axis."""
    first = np.floor(index_zyx).astype(np.intp) - half
    flat = np.zeros((len(first), 1, 1, 1), np.intp)
    squares = np.zeros(flat.shape)
    for axis, length in enumerate(spacing_mm):
        place = first[:, axis, None] + np.arange(2 * half[axis] + 2)
        step = (place - index_zyx[:, axis, None]) * length
        square = np.where((place >= 0) & (place < shape[axis]), step**2, np.inf)
        along = [len(first), 1, 1, 1]
        along[axis + 1] = -1
        squares = squares + square.reshape(along)
        flat = flat * shape[axis] + place.reshape(along)
    inside = squares <= (radius_mm**2)[:, None, None, None]
    return np.nonzero(inside)[0], flat[inside]
