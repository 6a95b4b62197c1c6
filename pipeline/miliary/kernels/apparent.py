"""Apparent diameters: where the surroundings of a point fall to half of its contrast."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, FloatArray
from miliary.kernels.interpolation import Interpolator, points_at_once
from miliary.kernels.rays import sphere_directions

_DIRECTIONS = 92
_STEP_MM = 0.5

#: With less contrast there is nothing whose width could be told.
_LEAST_HU = 100.0

#: Points read in one go: keeps their samples inside the cache of a core.
_BATCH = 32


def apparent_diameters(
    image: AnyArray,
    index_zyx: FloatArray,
    spacing_mm: FloatArray,
    largest_mm: float,
    *,
    cap: float = np.inf,
) -> FloatArray:
    """Tell how wide the bright things round some points look.

    At each distance the median over the directions is taken, so that a vessel or a wall on one
    side does not count. Half of the contrast lies midway between the median 0.5 mm off the point
    and the darkest one.

    Parameters
    ----------
    image : (Z, Y, X) int16 or float32
        Image in HU.
    index_zyx : (N, 3) float
        Points, as indices.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    largest_mm : float
        Largest diameter of interest.
    cap : float
        What is brighter counts as this.

    Returns
    -------
    (N,) float64
        Diameters in mm; infinite where the medians do not fall to half, nor by 50 HU, within
        three quarters of the largest.
    """
    index = np.asarray(index_zyx, float).reshape(-1, 3)
    radii = np.arange(_STEP_MM, 0.75 * largest_mm + _STEP_MM, _STEP_MM)
    places = radii[:, None, None] * sphere_directions(_DIRECTIONS)
    offsets = (places / np.asarray(spacing_mm, float)).reshape(-1, 3)
    batch = points_at_once(offsets, _BATCH)
    read = Interpolator(image, offsets, batch)
    medians = np.empty((len(index), len(radii)))
    for start in range(0, len(index), batch):
        samples = read.around(index[start : start + batch])
        medians[start : start + batch] = np.median(
            samples.reshape(-1, len(radii), _DIRECTIONS), axis=2
        )
    np.minimum(medians, cap, out=medians)
    return _half_widths(medians, radii)


def _half_widths(medians: FloatArray, radii: FloatArray) -> FloatArray:
    """Twice the radius at which each row (N, R) first falls below the middle of its range."""
    darkest = medians.min(axis=1, keepdims=True)
    half = (medians[:, :1] + darkest) / 2
    below = medians < half
    last = np.maximum(below.argmax(axis=1), 1)
    rows = np.arange(len(medians))
    before, after = medians[rows, last - 1], medians[rows, last]
    part = (before - half[:, 0]) / np.maximum(before - after, 1e-6)
    width = 2 * (radii[last - 1] + part * (radii[last] - radii[last - 1]))
    clear = (medians[:, :1] - darkest)[:, 0] >= _LEAST_HU
    fallen: FloatArray = np.where(clear, width, np.inf)
    return fallen
