"""Balls as labels on a grid."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray


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
    parts, numbers = [centres[::-1]], [np.flatnonzero(inside)[::-1] + 1]
    for label, (index, radius) in enumerate(
        zip(index_zyx, np.nan_to_num(diameter_mm) / 2, strict=True), start=1
    ):
        parts.append(_voxels_in_ball(shape, index, radius, spacing_mm))
        numbers.append(np.full(len(parts[-1]), label))
    # Who comes first has a voxel; centres do, for of two that touch neither may lose the one
    # voxel that it has for certain.
    voxels, first = np.unique(np.concatenate(parts), return_index=True)
    return voxels, np.concatenate(numbers)[first]


def _centre_voxels(
    shape: tuple[int, int, int], index_zyx: FloatArray
) -> tuple[IntArray, BoolArray]:
    """Flat indices (M,) of the centres on the grid, and which (N,) these are."""
    centre = np.rint(index_zyx).astype(np.intp).reshape(-1, 3)
    inside: BoolArray = np.asarray(((centre >= 0) & (centre < shape)).all(axis=1))
    return centre[inside] @ np.array([shape[1] * shape[2], shape[2], 1]), inside


def _voxels_in_ball(
    shape: tuple[int, int, int], index: AnyArray, radius_mm: float, spacing_mm: AnyArray
) -> IntArray:
    """Flat indices of the voxels whose centre lies in a ball."""
    reach = radius_mm / spacing_mm
    low = np.clip(np.ceil(index - reach), 0, shape).astype(int)
    high = np.clip(np.floor(index + reach) + 1, low, shape).astype(int)
    places = [np.arange(start, stop) for start, stop in zip(low, high, strict=True)]
    z, y, x = (
        (place - at) * length for place, at, length in zip(places, index, spacing_mm, strict=True)
    )
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius_mm**2
    flat = (places[0][:, None, None] * shape[1] + places[1][:, None]) * shape[2] + places[2]
    voxels: IntArray = flat[inside]
    return voxels
