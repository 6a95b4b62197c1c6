"""The density of points, smoothed by a Gaussian inside a window."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from miliary.arrays import AnyArray, FloatArray

#: Kernels end after so many standard deviations; what lies beyond is 0.03 %.
_REACH = 4.0


def smooth_intensity(
    counts: AnyArray, room_mm3: FloatArray, *, sigma_voxels: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Estimate the intensity of points: smoothed points over smoothed window (Diggle 1985).

    Parameters
    ----------
    counts : (z, y, x) int or float
        Points in each voxel.
    room_mm3 : (z, y, x) float
        How much of the window each voxel holds.
    sigma_voxels : (3,) float
        Standard deviation of the Gaussian along each axis, in voxels; above 0.

    Returns
    -------
    per_mm3 : (z, y, x) float64
        Intensity: unbiased where it is even, up to the border; NaN outside the window.
    error_per_mm3 : (z, y, x) float64
        Its standard error for independent points, estimated from the same points.

    Raises
    ------
    ValueError
        For a standard deviation that is not above 0.
    """
    if not (np.asarray(sigma_voxels) > 0).all():
        raise ValueError(f"sigma_voxels must be above 0, got {sigma_voxels}")
    kernels = [_gaussian(float(sigma)) for sigma in sigma_voxels]
    room = _smoothed(np.asarray(room_mm3, float), kernels)
    number = _smoothed(np.asarray(counts, float), kernels)
    # The variance of a sum over independent points is the sum of the squared weights.
    squared = _smoothed(np.asarray(counts, float), [kernel**2 for kernel in kernels])
    inside = np.asarray(room_mm3) > 0
    below = np.where(inside, room, np.nan)
    return number / below, np.sqrt(squared) / below


def _gaussian(sigma: float) -> FloatArray:
    reach = int(np.ceil(_REACH * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def _smoothed(image: FloatArray, kernels: list[FloatArray]) -> FloatArray:
    for axis, kernel in enumerate(kernels):
        image = ndimage.correlate1d(image, kernel, axis=axis, mode="constant")
    return image
