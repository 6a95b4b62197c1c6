"""What surrounds a point: the image sampled along rays, told by numbers that do not turn with it.

What separates a nodule from a vessel is what leaves it. Along a vessel the image stays bright in
two opposite directions, at a bend or a branching in two or three others, round a nodule in none,
and round a nodule that leans on a vessel to one side only. Four kinds of numbers tell this: order
statistics over the directions, of the values and of the running minima along each ray; order
statistics over the axes, of the darker of two opposite rays; and the first and second moments of
the brightness over the sphere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.kernels.interpolation import Interpolator, points_at_once
from miliary.kernels.slabs import n_threads, on_threads

#: Samples taken in one go, of 64 points with 1840 each: keeps them near a core's cache; with fewer,
#: two threads wait for the interpreter between the short calls (16 to 21 % slower in the wall with
#: half as many).
_SAMPLES = 64 * 1840

#: Parts of the points a thread, so that none is left waiting for long.
_PARTS = 4

#: Points in one block of so many voxels a side are described one after the other: they share what
#: is around them.
_BLOCK_VOXELS = 16

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

    def put(self, rows: IntArray, part: RayFeatures) -> None:
        """Write the rows of some points.

        Parameters
        ----------
        rows : (M,) int
            Which points.
        part : RayFeatures
            Their descriptions.
        """
        for name in self.__dataclass_fields__:
            getattr(self, name)[rows] = getattr(part, name)


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


def ray_features(
    image: AnyArray, index_zyx: FloatArray, spacing_mm: FloatArray, spec: RaySpec
) -> RayFeatures:
    """Describe the surroundings of points by rotation-invariant numbers.

    Parameters
    ----------
    image : (Z, Y, X) int16 or float32
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
    directions = sphere_directions(spec.n_directions)
    offsets = _offsets(directions, np.asarray(spec.radii_mm), spacing_mm)
    products = _products(directions)
    index = np.asarray(index_zyx, float).reshape(-1, 3)
    found = _empty_features(len(index), spec)

    batch = points_at_once(offsets, max(_SAMPLES // len(offsets), 1))

    def describe(part: slice) -> None:
        read = Interpolator(image, offsets, batch)
        for rows in batches[part]:
            samples = read.around(index[rows]).reshape(len(rows), -1, spec.n_directions)
            found.put(rows, _describe(samples, products, spec))

    order = np.lexsort((index // _BLOCK_VOXELS).T)
    # Whatever the number of threads, the same points are described together, and round alike.
    batches = [order[start : start + batch] for start in range(0, len(order), batch)]
    share = max(1, -(-len(batches) // (_PARTS * n_threads())))
    on_threads(describe, [slice(k, k + share) for k in range(0, len(batches), share)])
    return found


def _offsets(directions: FloatArray, radii_mm: FloatArray, spacing_mm: FloatArray) -> FloatArray:
    """Places (R * D, 3) on the rays in voxels, radius by radius."""
    places_mm = np.asarray(radii_mm, float)[:, None, None] * directions
    offsets: FloatArray = (places_mm / np.asarray(spacing_mm, float)).reshape(-1, 3)
    return offsets


def _empty_features(n: int, spec: RaySpec) -> RayFeatures:
    radii = len(spec.radii_mm)
    ridges = (radii - 1) * (len(spec.ridge_quantiles) + len(spec.axis_quantiles))
    levels = radii * len(spec.shell_quantiles) + ridges
    widths = (levels, 2 * (2 * radii - 1), 2 * radii - 1)
    return RayFeatures(*(np.empty((n, width), np.float32) for width in widths))


def _describe(samples: FloatArray, products: FloatArray, spec: RaySpec) -> RayFeatures:
    """Features of (N, R, D) samples, which are sorted in place at the end."""
    half = spec.n_directions // 2
    # From some value of the surroundings on, single precision tells more in sums.
    origin = samples[:, -1:, 0].copy()
    samples -= origin[..., None]
    # At the first radius the smallest value met so far is the value itself.
    ridges = np.empty_like(samples[:, 1:])
    for k in range(ridges.shape[1]):
        before = ridges[:, k - 1] if k else samples[:, 0]
        np.minimum(before, samples[:, k + 1], out=ridges[:, k])
    axes = np.minimum(ridges[..., :half], ridges[..., half:])
    moments = [_moments(values, products) for values in (samples, ridges)]
    levels = [
        _order_statistics(values, quantiles).reshape(len(samples), -1)
        for values, quantiles in (
            (samples, spec.shell_quantiles),
            (ridges, spec.ridge_quantiles),
            (axes, spec.axis_quantiles),
        )
    ]
    spreads = [part for first, second, _ in moments for part in (first, second)]
    return RayFeatures(
        np.concatenate(levels, axis=1) + origin,
        np.concatenate(spreads, axis=1),
        np.concatenate([shape for *_, shape in moments], axis=1),
    )


def _order_statistics(values: FloatArray, quantiles: tuple[float, ...]) -> FloatArray:
    """Sort along the last axis in place, and take these quantiles without interpolating."""
    values.sort(axis=-1)
    rank = np.rint(np.asarray(quantiles) * (values.shape[-1] - 1)).astype(int)
    chosen: FloatArray = values[..., rank]
    return chosen


def _products(directions: FloatArray) -> FloatArray:
    """Weights (D, 9) of the first moment (z, y, x) and the second (zz, yy, xx, zy, zx, yx)."""
    z, y, x = directions.T
    squares = np.column_stack([z * z, y * y, x * x, z * y, z * x, y * x])
    # The mean of the squares is the unit matrix by 3: what is the same all round adds nothing.
    squares -= squares.mean(axis=0)
    n = len(directions)
    weights: FloatArray = np.concatenate([directions * (3 / n), squares * (7.5 / n)], axis=1)
    return weights.astype(np.float32)


def _moments(values: FloatArray, products: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """First moment's length, second's size and shape, each (N, R), over the sphere.

    The second moment without its trace, M, has the invariants tr M² and det M; the shape is
    det M by the largest it can be for that tr M².
    """
    # The weights of each moment add up to 0: the mean need not be taken off before.
    moments = products.T @ values.reshape(-1, values.shape[-1]).T
    moments = moments.reshape(-1, *values.shape[:-1])
    first = np.sqrt((moments[:3] ** 2).sum(axis=0))
    size = np.sqrt(((moments[3:6] ** 2).sum(axis=0) + 2 * (moments[6:] ** 2).sum(axis=0)) / 1.5)
    zz, yy, xx, zy, zx, yx = moments[3:] / np.maximum(size, np.float32(_FLAT_HU))
    shape = zz * (yy * xx - yx * yx) - zy * (zy * xx - yx * zx) + zx * (zy * yx - yy * zx)
    return first, size, 4 * shape
