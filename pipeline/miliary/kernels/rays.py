"""What surrounds a point: the image sampled along rays, told by numbers that do not turn with it.

What separates a nodule from a vessel is what leaves it. Along a vessel the image stays bright in
two opposite directions, at a bend or a branching in two or three others, round a nodule in none,
and round a nodule that leans on a vessel to one side only. Four kinds of numbers tell this: order
statistics over the directions, of the values and of the running minima along each ray; order
statistics over the axes, of the darker of two opposite rays; and the first and second moments of
the brightness over the sphere.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from miliary.arrays import FloatArray
from miliary.kernels.slabs import n_threads

#: Points sampled in one go: keeps the samples of a batch inside the cache of a core.
_BATCH = 256

#: Below this a moment is no more than rounding, and has no shape.
_FLAT_HU = 1e-3


@dataclass(frozen=True)
class RaySpec:
    """What is measured along the rays.

    Parameters
    ----------
    n_directions : int
        Rays a point, an even number: every ray has its opposite.
    radii_mm : tuple of R float
        Distances along the rays, increasing, the first above 0.
    shell_quantiles : tuple of Q float
        Quantiles over the directions of the values at each radius.
    ridge_quantiles : tuple of P float
        Quantiles over the directions of the smallest value met up to each radius.
    axis_quantiles : tuple of A float
        Quantiles over the axes of the smaller of the two ridges of an axis.
    """

    n_directions: int
    radii_mm: tuple[float, ...]
    shell_quantiles: tuple[float, ...]
    ridge_quantiles: tuple[float, ...]
    axis_quantiles: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class RayFeatures:
    """Descriptions of N points.

    Parameters
    ----------
    levels_hu : (N, R * Q + (R - 1) * (P + A)) float32
        Shells radius by radius, then ridges, then axes, both from the second radius on.
    spreads_hu : (N, 2 * (2 R - 1)) float32
        Length of the first moment and size of the second: of the values at each radius, then of
        the ridges from the second radius on.
    shapes : (N, 2 R - 1) float32
        Shape of the second moment: 1 for a line through the point, -1 for a sheet.
    """

    levels_hu: FloatArray
    spreads_hu: FloatArray
    shapes: FloatArray


def sphere_directions(n: int) -> FloatArray:
    """Spread directions evenly over the sphere, every one with its opposite.

    Parameters
    ----------
    n : int
        Number of directions, even.

    Returns
    -------
    (n, 3) float64
        Unit vectors: one half on a Fibonacci lattice, then their opposites in the same order.

    Raises
    ------
    ValueError
        For an odd number.
    """
    if n % 2:
        raise ValueError(f"the number of directions must be even, got {n}")
    k = np.arange(n // 2) + 0.5
    polar, turn = np.arccos(1 - 2 * k / n), np.pi * (1 + 5**0.5) * k
    half = np.column_stack(
        [np.cos(polar), np.sin(polar) * np.sin(turn), np.sin(polar) * np.cos(turn)]
    )
    return np.concatenate([half, -half])


def sample_rays(
    image: FloatArray,
    index_zyx: FloatArray,
    spacing_mm: FloatArray,
    directions: FloatArray,
    radii_mm: FloatArray,
) -> FloatArray:
    """Interpolate an image linearly along rays from points.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Image; beyond its border the outermost voxels go on.
    index_zyx : (N, 3) float
        Points, as indices.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    directions : (D, 3) float
        Unit vectors (z, y, x).
    radii_mm : (R,) float
        Distances along the rays.

    Returns
    -------
    (N, R, D) float32
        Samples.
    """
    steps = radii_mm[:, None, None] * directions / np.asarray(spacing_mm)
    index = np.asarray(index_zyx, np.float32)
    places = index.T[:, :, None, None] + np.moveaxis(steps, -1, 0)[:, None].astype(np.float32)
    samples: FloatArray = ndimage.map_coordinates(
        image, places, order=1, mode="nearest", output=np.float32, prefilter=False
    )
    return samples


def ray_features(
    image: FloatArray, index_zyx: FloatArray, spacing_mm: FloatArray, spec: RaySpec
) -> RayFeatures:
    """Describe the surroundings of points by rotation-invariant numbers.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Image in HU.
    index_zyx : (N, 3) float
        Points, as indices.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    spec : RaySpec
        Rays and order statistics.

    Returns
    -------
    RayFeatures
        One row a point.
    """
    directions, radii = sphere_directions(spec.n_directions), np.asarray(spec.radii_mm, float)

    def describe(points: FloatArray) -> RayFeatures:
        samples = sample_rays(image, points, spacing_mm, directions, radii)
        return _describe(samples, directions.astype(np.float32), spec)

    index = np.asarray(index_zyx)
    batches = np.array_split(index, max(1, -(-len(index) // _BATCH)))
    with ThreadPoolExecutor(n_threads()) as pool:
        parts = list(pool.map(describe, batches))
    return RayFeatures(
        np.concatenate([part.levels_hu for part in parts]),
        np.concatenate([part.spreads_hu for part in parts]),
        np.concatenate([part.shapes for part in parts]),
    )


def _describe(samples: FloatArray, directions: FloatArray, spec: RaySpec) -> RayFeatures:
    """Features of (N, R, D) samples, which are sorted in place at the end."""
    half = spec.n_directions // 2
    # At the first radius the smallest value met so far is the value itself.
    ridges = np.minimum.accumulate(samples, axis=1)[:, 1:]
    axes = np.minimum(ridges[..., :half], ridges[..., half:])
    moments = [_moments(values, directions) for values in (samples, ridges)]
    levels = [
        _rows(_order_statistics(values, quantiles))
        for values, quantiles in (
            (samples, spec.shell_quantiles),
            (ridges, spec.ridge_quantiles),
            (axes, spec.axis_quantiles),
        )
    ]
    spreads = [part for first, second, _ in moments for part in (first, second)]
    return RayFeatures(
        np.concatenate(levels, axis=1),
        np.concatenate(spreads, axis=1),
        np.concatenate([shape for *_, shape in moments], axis=1),
    )


def _rows(values: FloatArray) -> FloatArray:
    """All numbers of a point in one row; without points too, where -1 would not tell how many."""
    return values.reshape(len(values), math.prod(values.shape[1:]))


def _order_statistics(values: FloatArray, quantiles: tuple[float, ...]) -> FloatArray:
    """Sort along the last axis in place, and take these quantiles without interpolating."""
    values.sort(axis=-1)
    rank = np.rint(np.asarray(quantiles) * (values.shape[-1] - 1)).astype(int)
    chosen: FloatArray = values[..., rank]
    return chosen


def _moments(
    values: FloatArray, directions: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """First moment's length, second's size and shape, each (N, R), over the sphere.

    The second moment without its trace, M, has the invariants tr M² and det M; the shape is
    det M by the largest it can be for that tr M².
    """
    centred = values - values.mean(axis=-1, keepdims=True)
    first = np.linalg.norm(centred @ directions, axis=-1) * np.float32(3 / len(directions))
    squares = (directions[:, :, None] * directions[:, None, :]).reshape(-1, 9)
    # The mean of the squares is the unit matrix by 3, so that a centred value leaves no trace.
    squares = squares - squares.mean(axis=0)
    second = (centred @ squares).reshape(*values.shape[:-1], 3, 3) * np.float32(
        7.5 / len(directions)
    )
    size = np.sqrt((second**2).sum(axis=(-2, -1)) / 1.5)
    scaled = second / np.maximum(size, np.float32(_FLAT_HU))[..., None, None]
    return first, size, 4 * np.linalg.det(scaled)
