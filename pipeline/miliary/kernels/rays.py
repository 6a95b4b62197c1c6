"""What surrounds a point: the image sampled along rays, told by order statistics.

What separates a nodule from a vessel is what leaves it. Along a vessel the image stays bright in
two directions, at a branching in three, round a nodule in none. Order statistics over the
directions do not change when the image is turned; running minima along each ray tell whether a
bright ridge leads away without a break.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import ndimage

from miliary.arrays import FloatArray
from miliary.kernels.slabs import n_threads

#: Points sampled in one go: keeps the samples of a batch inside the cache of a core.
_BATCH = 512


def sphere_directions(n: int) -> FloatArray:
    """Spread directions evenly over the sphere on a Fibonacci lattice.

    Parameters
    ----------
    n : int
        Number of directions.

    Returns
    -------
    (n, 3) float64
        Unit vectors.
    """
    k = np.arange(n) + 0.5
    polar, turn = np.arccos(1 - 2 * k / n), np.pi * (1 + 5**0.5) * k
    return np.column_stack(
        [np.cos(polar), np.sin(polar) * np.sin(turn), np.sin(polar) * np.cos(turn)]
    )


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
    image: FloatArray,
    index_zyx: FloatArray,
    spacing_mm: FloatArray,
    *,
    n_directions: int,
    radii_mm: FloatArray,
    shell_quantiles: FloatArray,
    ridge_quantiles: FloatArray,
) -> FloatArray:
    """Describe the surroundings of points by rotation-invariant numbers.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Image in HU.
    index_zyx : (N, 3) float
        Points, as indices.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    n_directions : int
        Rays a point.
    radii_mm : (R,) float
        Distances along the rays, increasing, the first above 0.
    shell_quantiles : (Q,) float
        Quantiles over the directions of the values at each radius.
    ridge_quantiles : (P,) float
        Quantiles over the directions of the smallest value met up to each radius.

    Returns
    -------
    (N, R * Q + (R - 1) * P) float32
        In HU: shells first, radius by radius, then ridges from the second radius on.
    """
    directions, radii = sphere_directions(n_directions), np.asarray(radii_mm, float)
    shell = np.rint(np.asarray(shell_quantiles) * (n_directions - 1)).astype(int)
    ridge = np.rint(np.asarray(ridge_quantiles) * (n_directions - 1)).astype(int)

    def describe(points: FloatArray) -> FloatArray:
        samples = sample_rays(image, points, spacing_mm, directions, radii)
        lowest = np.minimum.accumulate(samples, axis=1)
        samples.sort(axis=-1)
        lowest.sort(axis=-1)
        parts = [samples[..., shell].reshape(len(points), -1)]
        # At the first radius the smallest value met so far is the value itself.
        parts.append(lowest[:, 1:, ridge].reshape(len(points), -1))
        return np.concatenate(parts, axis=1)

    if len(index_zyx) == 0:
        width = len(radii) * len(shell) + (len(radii) - 1) * len(ridge)
        return np.empty((0, width), np.float32)
    batches = np.array_split(np.asarray(index_zyx), -(-len(index_zyx) // _BATCH))
    with ThreadPoolExecutor(n_threads()) as pool:
        return np.concatenate(list(pool.map(describe, batches)))
