"""Balls as labels on a grid."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, FloatArray, IntArray


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
    labels: IntArray = np.zeros(shape, np.uint16)
    radius_mm = np.nan_to_num(diameter_mm) / 2
    for label, (index, radius) in enumerate(zip(index_zyx, radius_mm, strict=True), start=1):
        _draw_ball(labels, index, radius, spacing_mm, label)
    # Centres last: of two that touch, neither may lose the one voxel that it has for certain.
    centre = np.rint(index_zyx).astype(np.intp).reshape(-1, 3)
    inside = ((centre >= 0) & (centre < shape)).all(axis=1)
    labels[tuple(centre[inside].T)] = np.flatnonzero(inside) + 1
    return labels


def _draw_ball(
    labels: IntArray, index: AnyArray, radius_mm: float, spacing_mm: AnyArray, label: int
) -> None:
    """Give the free voxels whose centre lies in a ball its label."""
    reach = radius_mm / spacing_mm
    low = np.clip(np.ceil(index - reach), 0, labels.shape).astype(int)
    high = np.clip(np.floor(index + reach) + 1, low, labels.shape).astype(int)
    box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
    z, y, x = (
        (np.arange(start, stop) - at) * length
        for start, stop, at, length in zip(low, high, index, spacing_mm, strict=True)
    )
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius_mm**2
    part = labels[box]
    part[inside & (part == 0)] = label
