"""Bright tubes in an image, and the bright blobs that they must not swallow."""

from __future__ import annotations

import cc3d
import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.kernels.hessian import eigenvalues_at

#: A sample of this many voxels gives the noise to a percent.
_NOISE_SAMPLE = 40000
#: Standard deviations in a median absolute deviation, for a normal distribution.
_MAD_TO_SD = 1.4826


def tube_response(
    smoothed: FloatArray,
    index: IntArray,
    *,
    sigma_mm: float,
    spacing_mm: FloatArray,
    min_value: float,
    end_penalty: float,
) -> tuple[IntArray, FloatArray, FloatArray, float]:
    """Answer to bright tubes of about a radius of sigma times 1.4.

    The response is minus the middle eigenvalue of the Hessian, which is near 0 in a plate, less
    the curvature along the tube, which is 0 in a tube and full in a blob.

    Parameters
    ----------
    smoothed : (Z, Y, X) float32
        Image, smoothed by the scale.
    index : (M,) int
        Where to look, as indices into the flattened image.
    sigma_mm : float
        Scale.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    min_value : float
        Only where the smoothed image is above.
    end_penalty : float
        Weight of the curvature along the tube; from 1 on a blob has no response.

    Returns
    -------
    (N,) int
        Which of these voxels are bright enough.
    (N,) float32
        Tube response.
    (3, N) float32
        Eigenvalues, ascending.
    float
        Standard deviation of the response of noise, from all of `index`.
    """
    looked = index[smoothed.ravel()[index] > min_value]
    values = eigenvalues_at(smoothed, looked, spacing_mm, scale=sigma_mm**2)
    sample = index[:: max(1, len(index) // _NOISE_SAMPLE)]
    middle = eigenvalues_at(smoothed, sample, spacing_mm, scale=sigma_mm**2)[1]
    noise = _spread(middle) if len(middle) else 0.0
    return looked, -values[1] - end_penalty * np.maximum(-values[2], 0), values, noise


def blob_cores(values: FloatArray, *, min_ratio: float, min_response: float) -> BoolArray:
    """Say where an image curves down alike in all directions.

    Parameters
    ----------
    values : (3, N) float
        Eigenvalues, ascending.
    min_ratio : float
        Share of the strongest curvature that the weakest must reach.
    min_response : float
        What the weakest must reach.

    Returns
    -------
    (N,) bool
        Whether it is so.
    """
    weakest = -values[2]
    core: BoolArray = (weakest >= min_response) & (weakest >= min_ratio * -values[0])
    return core


def long_components(
    mask: BoolArray,
    seeds: BoolArray,
    spacing_mm: FloatArray,
    *,
    min_length_mm: float,
    max_fill: float,
) -> BoolArray:
    """Keep the 26-connected components that hold a seed, are long, and are no lumps.

    Parameters
    ----------
    mask, seeds : (Z, Y, X) bool
        The object, and where it is sure.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    min_length_mm : float
        Least diagonal of a component's bounding box.
    max_fill : float
        Largest volume of a component, as a share of the cube of that diagonal.

    Returns
    -------
    (Z, Y, X) bool
        What stays.
    """
    mask = np.ascontiguousarray(mask)
    labels: AnyArray = cc3d.connected_components(mask, connectivity=26)
    statistics = cc3d.statistics(labels, no_slice_conversion=True)
    boxes = np.asarray(statistics["bounding_boxes"], float).reshape(-1, 3, 2)
    diagonal = np.linalg.norm((boxes[..., 1] - boxes[..., 0] + 1) * spacing_mm, axis=1)
    volume = np.asarray(statistics["voxel_counts"]) * float(np.prod(spacing_mm))
    stays = (diagonal >= min_length_mm) & (volume <= max_fill * diagonal**3)
    # The object is a small part of the image: only its voxels are looked up.
    index = np.flatnonzero(mask)
    of_voxel = labels.ravel()[index]
    sure = np.zeros(len(stays), bool)
    sure[of_voxel[seeds.ravel()[index]]] = True
    kept = np.zeros(mask.shape, bool)
    kept.ravel()[index] = (stays & sure)[of_voxel]
    return kept


def _spread(values: FloatArray) -> float:
    middle = np.median(values)
    return float(_MAD_TO_SD * np.median(np.abs(values - middle)))
