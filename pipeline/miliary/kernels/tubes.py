"""Bright tubes in an image, and the bright blobs that they must not swallow."""

from __future__ import annotations

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.kernels.runs import Runs

#: Standard deviations in a median absolute deviation, for a normal distribution.
_MAD_TO_SD = 1.4826


def tube_response(values: FloatArray, *, end_penalty: float) -> FloatArray:
    """Answer to bright tubes of about a radius of the scale times 1.4.

    The response is minus the middle eigenvalue of the Hessian, which is near 0 in a plate, less
    the curvature along the tube, which is 0 in a tube and full in a blob.

    Parameters
    ----------
    values : (3, N) float
        Eigenvalues, ascending, of the image smoothed by the scale.
    end_penalty : float
        Weight of the curvature along the tube; from 1 on a blob has no response.

    Returns
    -------
    (N,) float
        In the units of the eigenvalues.
    """
    response: FloatArray = -values[1] - end_penalty * np.maximum(-values[2], 0)
    return response


def response_noise(values: FloatArray) -> float:
    """Estimate the standard deviation of the response of noise.

    Parameters
    ----------
    values : (3, N) float
        Eigenvalues at a sample of all voxels, few of them in tubes.

    Returns
    -------
    float
        That of the middle eigenvalue, by its median absolute deviation; 0 without a voxel.
    """
    middle = values[1]
    if not len(middle):
        return 0.0
    return float(_MAD_TO_SD * np.median(np.abs(middle - np.median(middle))))


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
    seeds: BoolArray | None,
    spacing_mm: FloatArray,
    *,
    min_length_mm: float,
    max_fill: float,
) -> BoolArray:
    """Keep the 26-connected components that hold a seed, are long, and are no lumps.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        The object.
    seeds : (Z, Y, X) bool or None
        Where it is sure; None where all of it is.
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
    runs = Runs.of(mask)
    of_run, n_labels = runs.label(26)
    z, y, first, last = runs.places()
    sides = [
        step * _extents(low, high, of_run, n_labels)
        for low, high, step in zip((z, y, first), (z, y, last), spacing_mm, strict=True)
    ]
    diagonal = np.linalg.norm(sides, axis=0)
    volume = np.bincount(of_run, runs.lengths, n_labels) * float(np.prod(spacing_mm))
    stays = (diagonal >= min_length_mm) & (volume <= max_fill * diagonal**3)
    kept = np.zeros(mask.shape, bool)
    if seeds is not None:
        stays &= _holding(runs.take(stays[of_run]), of_run[stays[of_run]], seeds, n_labels)
    kept.ravel()[runs.take(stays[of_run]).voxels()] = True
    return kept


def _holding(runs: Runs, labels: IntArray, seeds: BoolArray, n_labels: int) -> BoolArray:
    """Say of each component, of whose runs the labels are given, whether it holds a seed."""
    sure = np.zeros(n_labels, bool)
    sure[np.repeat(labels, runs.lengths)[seeds.ravel()[runs.voxels()]]] = True
    return sure


def _extents(first: IntArray, last: IntArray, labels: IntArray, n_labels: int) -> IntArray:
    """Number of places along an axis from the first to the last of each label."""
    high, low = np.zeros((2, n_labels), np.intp)
    np.maximum.at(high, labels, last)
    low += high
    np.minimum.at(low, labels, first)
    return high - low + 1
