"""Blob candidates: places where the image is convex in every direction, over several scales.

A maximum of the Laplacian drowns where a nodule touches a vessel or a neighbour. The smallest of
the three curvatures does not: along a vessel it is nearly 0, on a nodule beside it it is not. On
nodules put into two real scans its maxima kept 97 and 99 % of those of 1.6 mm and more with a
third of the candidates of Laplacian maxima, which kept 96 and 98 %.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.kernels.filters import hessian_at, laplacian, smooth
from miliary.kernels.hessian import eigenvalues_at
from miliary.kernels.maxima import interior_indices, local_maxima, suppress_neighbours

#: A maximum between voxels lies at most half a voxel off, a little more with noise.
_MAX_SHIFT_VOXELS = 0.6


@dataclass(frozen=True, eq=False)
class Blobs:
    """Candidates, one row each.

    Parameters
    ----------
    voxel_zyx : (N, 3) int
        Voxel of the maximum.
    index_zyx : (N, 3) float
        Maximum of the smoothed image between the voxels.
    sigma_mm : (N,) float
        Scale at which the curvature was largest.
    curvatures_hu : (N, 3) float
        Negated Hessian eigenvalues times the squared scale, increasing.
    laplacians_hu : (N, S) float
        Scale-normalised negated Laplacian at every scale.
    """

    voxel_zyx: IntArray
    index_zyx: FloatArray
    sigma_mm: FloatArray
    curvatures_hu: FloatArray
    laplacians_hu: FloatArray

    def __len__(self) -> int:
        return len(self.voxel_zyx)

    def take(self, rows: BoolArray | IntArray) -> Blobs:
        """Choose candidates.

        Parameters
        ----------
        rows : (N,) bool or (M,) int
            Which ones.

        Returns
        -------
        Blobs
            Only those.
        """
        return Blobs(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def find_blobs(
    image: FloatArray,
    inside: BoolArray,
    spacing_mm: FloatArray,
    sigmas_mm: tuple[float, ...],
    *,
    min_laplacian_hu: float,
    min_curvature_hu: float,
    merge_mm: float,
) -> Blobs:
    """Find maxima of the smallest curvature over several scales.

    Dense work is one Gaussian and one Laplacian a scale; the rest touches only the voxels whose
    Laplacian is high enough.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Image in HU, flat outside the lungs.
    inside : (Z, Y, X) bool
        Where candidates are looked for.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    sigmas_mm : tuple of S float
        Scales.
    min_laplacian_hu, min_curvature_hu : float
        Least scale-normalised Laplacian and smallest curvature.
    merge_mm : float
        Maxima of different scales nearer than this are one candidate, at the scale of the
        largest curvature.

    Returns
    -------
    Blobs
        Candidates by scale and place.
    """
    shape = image.shape
    found, laplacians = [], []
    for sigma in sigmas_mm:
        smoothed = smooth(image, sigma, spacing_mm)
        blobness = laplacian(smoothed, spacing_mm)
        blobness *= np.float32(-(sigma**2))
        found.append(
            _convex_maxima(
                smoothed, blobness, inside, spacing_mm, sigma, min_laplacian_hu, min_curvature_hu
            )
        )
        laplacians.append(blobness)
    flat, shift, curvatures, sigma_of = (np.concatenate(part) for part in zip(*found, strict=True))
    voxel = np.column_stack(np.unravel_index(flat, shape)) if len(flat) else np.empty((0, 3), int)
    index = voxel + shift
    kept = suppress_neighbours(index * spacing_mm, curvatures[:, 0], merge_mm)
    flat = flat[kept]
    return Blobs(
        voxel_zyx=voxel[kept],
        index_zyx=index[kept],
        sigma_mm=sigma_of[kept],
        curvatures_hu=curvatures[kept],
        laplacians_hu=np.column_stack([blobness.ravel()[flat] for blobness in laplacians]),
    )


def _convex_maxima(
    smoothed: FloatArray,
    blobness: FloatArray,
    inside: BoolArray,
    spacing_mm: FloatArray,
    sigma_mm: float,
    min_laplacian_hu: float,
    min_curvature_hu: float,
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Flat index, shift (N, 3) in voxels, curvatures (N, 3) and scale of one scale's maxima."""
    flat = interior_indices((blobness > min_laplacian_hu) & inside)
    # In closed form and single precision where only the maxima are looked for ...
    lowest = -eigenvalues_at(smoothed, flat, spacing_mm, scale=sigma_mm**2)[2]
    smallest = np.zeros_like(smoothed)
    smallest.ravel()[flat] = lowest
    flat = flat[local_maxima(smallest, flat) & (lowest > min_curvature_hu)]
    # ... and by LAPACK in double precision at these few.
    hessian = hessian_at(smoothed, flat, spacing_mm)
    curvatures = -np.linalg.eigvalsh(hessian)[:, ::-1] * sigma_mm**2
    shift = _newton_shift(smoothed, flat, hessian, np.asarray(spacing_mm, float))
    return flat, shift, curvatures, np.full(len(flat), sigma_mm)


def _newton_shift(
    smoothed: FloatArray, flat: IntArray, hessian: FloatArray, spacing: FloatArray
) -> FloatArray:
    """Step in voxels to the top of the parabola through a voxel; the Hessians are definite."""
    values, (_, height, width) = smoothed.ravel(), smoothed.shape
    gradient = np.column_stack(
        [
            (values[flat + step] - values[flat - step]) / (2 * length)
            for step, length in zip((height * width, width, 1), spacing, strict=True)
        ]
    )
    step_mm = -np.linalg.solve(hessian, gradient[..., None])[..., 0]
    return np.clip(step_mm / spacing, -_MAX_SHIFT_VOXELS, _MAX_SHIFT_VOXELS)
