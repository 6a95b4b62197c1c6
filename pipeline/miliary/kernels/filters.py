"""Scale space of a 3-D image: Gaussian smoothing, its Laplacian, its Hessian where wanted."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.kernels.slabs import filter_in_slabs

#: Gaussians are cut off here: 4 standard deviations hold all but 6e-5 of the weight.
_TRUNCATE_SIGMAS = 4.0


def smooth(image: FloatArray, sigma_mm: float, spacing_mm: FloatArray) -> FloatArray:
    """Blur an image with an isotropic Gaussian.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Image.
    sigma_mm : float
        Standard deviation of the Gaussian.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) float32
        The blurred image; beyond its border the outermost voxels go on.
    """
    sigma = sigma_mm / np.asarray(spacing_mm)

    def blur(part: AnyArray) -> FloatArray:
        blurred: FloatArray = ndimage.gaussian_filter(
            part, sigma, mode="nearest", truncate=_TRUNCATE_SIGMAS, output=np.float32
        )
        return blurred

    return filter_in_slabs(blur, image, halo=int(_TRUNCATE_SIGMAS * sigma[0] + 1.5))


def laplacian(image: FloatArray, spacing_mm: FloatArray) -> FloatArray:
    """Sum of the second differences along the three axes.

    Differences of a smoothed image sum to zero exactly, which a sampled second derivative of a
    Gaussian does not: cut short, it answers to flat lung (measured: 2.4 HU a squared voxel at
    -850 HU, 1.28 voxels of sigma, cut at 3.5 sigmas).

    Parameters
    ----------
    image : (Z, Y, X) float32
        Smoothed image.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) float32
        Laplacian, in units of the image per mm2; beyond its border the outermost voxels go on.
    """
    weights = 1.0 / np.asarray(spacing_mm, float) ** 2

    def second_differences(part: AnyArray) -> FloatArray:
        result = part * np.float32(-2 * weights.sum())
        for axis, weight in enumerate(weights.astype(np.float32)):
            line, turned = np.moveaxis(part, axis, 0), np.moveaxis(result, axis, 0)
            turned[1:] += weight * line[:-1]
            turned[:-1] += weight * line[1:]
            # Beyond the border the outermost voxel goes on.
            turned[0] += weight * line[0]
            turned[-1] += weight * line[-1]
        return result

    return filter_in_slabs(second_differences, image, halo=1)


def hessian_at(image: FloatArray, flat_index: IntArray, spacing_mm: FloatArray) -> FloatArray:
    """Hessian by central differences at chosen voxels.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Smoothed image, contiguous.
    flat_index : (N,) int
        Voxels, none of them on the border of the image.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (N, 3, 3) float64
        Symmetric matrices, in units of the image per mm2.
    """
    values = image.ravel()
    strides = np.array([image.shape[1] * image.shape[2], image.shape[2], 1])
    spacing = np.asarray(spacing_mm, float)
    result = np.empty((len(flat_index), 3, 3))
    for a in range(3):
        forward, back = values[flat_index + strides[a]], values[flat_index - strides[a]]
        result[:, a, a] = (forward - 2 * values[flat_index] + back) / spacing[a] ** 2
        for b in range(a):
            along, across = strides[a] + strides[b], strides[a] - strides[b]
            mixed = (
                values[flat_index + along]
                + values[flat_index - along]
                - values[flat_index + across]
                - values[flat_index - across]
            )
            result[:, a, b] = result[:, b, a] = mixed / (4 * spacing[a] * spacing[b])
    return result
