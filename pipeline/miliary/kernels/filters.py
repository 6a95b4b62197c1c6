"""Scale space of a 3-D image: Gaussian smoothing, whole or where wanted, and its Hessian."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from miliary.arrays import AnyArray, BoolArray, Box, FloatArray, IntArray
from miliary.kernels.patches import cut_cubes
from miliary.kernels.slabs import cut_with_halo, on_threads, over_slabs, slab_of

#: Gaussians are cut off here: 4 standard deviations hold all but 6e-5 of the weight.
_TRUNCATE_SIGMAS = 4.0
#: Standard deviations below this, in voxels, count as this one, so that 0 can be divided by.
_NARROWEST = 1e-6
#: Voxels of the slabs that are handed on.
_SLAB_VOXELS = 2**22
#: Rows and columns of the blocks of a slab that are blurred or left out.
_BLOCK = 32
#: A tile of so many slices and rows of the image's width stays in the cache.
_TILE_SLICES, _TILE_ROWS = 48, 32
#: Voxels of a row, along z, y and x, that one product of matrices blurs: so small that BLAS takes
#: the matrices as they lie, and few zeros of the band.
_INNER_BLOCK = (4, 4, 12)

#: Voxels smoothed one by one at a time: some megabytes of neighbourhoods.
_CHUNK = 2048


def smooth(image: AnyArray, sigma_mm: float, spacing_mm: FloatArray) -> FloatArray:
    """Blur an image with an isotropic Gaussian.

    Tile by tile, each by `smooth_inner`: 3 ns a voxel for 1 voxel of standard deviation, against 20
    of a running sum of weights, at the same single precision.

    Parameters
    ----------
    image : (Z, Y, X) array
        Image, finite: what is not spreads over whole blocks of rows.
    sigma_mm : float
        Standard deviation of the Gaussian; 0 leaves the image as it is.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) float32
        The blurred image; beyond its border the outermost voxels go on.
    """
    result = np.empty(image.shape, np.float32)
    sigma = sigma_mm / np.asarray(spacing_mm, float)
    n_z, n_y, n_x = image.shape

    def work(first: tuple[int, int]) -> None:
        z, y = first
        box = (
            slice(z, min(z + _TILE_SLICES, n_z)),
            slice(y, min(y + _TILE_ROWS, n_y)),
            slice(0, n_x),
        )
        _blur_tile(image, box, sigma, result[box])

    on_threads(work, product(range(0, n_z, _TILE_SLICES), range(0, n_y, _TILE_ROWS)))
    return result


def smooth_in_slabs(
    image: AnyArray,
    sigma_mm: float,
    spacing_mm: FloatArray,
    work: Callable[[slice, FloatArray], None],
    *,
    where: BoolArray,
    around_mm: float = 0.0,
    halo: int = 0,
) -> None:
    """Blur an image slab by slab on threads, and hand each slab on: none is kept.

    Parameters
    ----------
    image : (Z, Y, X) array
        As for `smooth`.
    sigma_mm : float
        Standard deviation of the Gaussian; 0 leaves the image as it is.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    work : callable
        Called with the slices of each slab where anything is wanted, and these (and their halo)
        blurred as by `smooth`; calls must not depend on each other. What is not wanted may be
        NaN, but not the neighbours of what is.
    where : (Z, Y, X) bool
        Where it is wanted.
    around_mm : float
        How far around that it is wanted too.
    halo : int
        Slices to hand on before and behind the slab's own, as far as there are some.
    """
    sigma, margin = sigma_mm / np.asarray(spacing_mm, float), _margin(around_mm, spacing_mm)

    def blur(start: int, stop: int) -> None:
        low, high = max(start - halo, 0), min(stop + halo, len(image))
        wanted = _wanted_blocks(where, low, high, margin)
        if wanted.any():
            slab = np.empty((high - low, *image.shape[1:]), np.float32)
            for rows, columns, some in _stretches(wanted, image.shape):
                part = slab[:, rows, columns]
                if some:
                    _blur_tile(image, (slice(low, high), rows, columns), sigma, part)
                else:
                    part[...] = np.nan
            work(slice(start, stop), slab)

    over_slabs(blur, len(image), slab_of(image.shape, _SLAB_VOXELS))


def _margin(around_mm: float, spacing_mm: FloatArray) -> list[int]:
    """Voxels around wanted ones that are wanted too: neighbours are in any case."""
    margin: list[int] = (1 + np.ceil(around_mm / np.asarray(spacing_mm))).astype(int).tolist()
    return margin


def _blur_tile(image: AnyArray, box: Box, sigma: FloatArray, out: FloatArray) -> None:
    """Blur a part of an image, sigma in voxels."""
    smooth_inner(cut_with_halo(image, box, gaussian_reach(sigma)), sigma, out=out)


def _stretches(wanted: BoolArray, shape: tuple[int, ...]) -> Iterator[tuple[slice, slice, bool]]:
    """Rows and columns of blocks next to each other that are alike, and whether they are wanted."""
    for row, line in enumerate(wanted):
        rows = slice(_BLOCK * row, min(_BLOCK * (row + 1), shape[1]))
        ends = [0, *(np.flatnonzero(line[1:] != line[:-1]) + 1).tolist(), len(line)]
        for first, last in pairwise(ends):
            columns = slice(_BLOCK * first, min(_BLOCK * last, shape[2]))
            yield rows, columns, bool(line[first])


def _wanted_blocks(where: BoolArray, start: int, stop: int, margin: list[int]) -> BoolArray:
    """Blocks of rows and columns of a slab with a wanted voxel in them or so near."""
    section = where[max(start - margin[0], 0) : stop + margin[0]].any(axis=0)
    for axis, far in enumerate(margin[1:]):
        n = section.shape[axis]
        firsts = np.arange(0, n, _BLOCK)
        bounds = np.column_stack(
            [np.maximum(firsts - far, 0), np.minimum(firsts + _BLOCK + far, n)]
        )
        section = np.stack(
            [section.take(range(low, high), axis=axis).any(axis=axis) for low, high in bounds],
            axis=axis,
        )
    blocks: BoolArray = np.asarray(section)
    return blocks


def _gaussian(reach: int, sigma: float) -> FloatArray:
    """Weights (2 reach + 1,) of a Gaussian in voxels; of none wide the weight 1 alone."""
    # At 0 there is only the middle, which any width gives the weight 1.
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, _NARROWEST)) ** 2)
    normed: FloatArray = weights / weights.sum()
    return normed


def gaussian_reach(sigma_voxels: FloatArray) -> IntArray:
    """Tell how far `smooth_inner` looks.

    Parameters
    ----------
    sigma_voxels : (3,) float
        Standard deviation along z, y and x, in voxels.

    Returns
    -------
    (3,) int
        Voxels to each side.
    """
    reach: IntArray = (_TRUNCATE_SIGMAS * np.asarray(sigma_voxels, float) + 0.5).astype(np.intp)
    return reach


def smooth_inner(
    part: FloatArray,
    sigma_voxels: FloatArray,
    margin: IntArray | None = None,
    *,
    out: FloatArray | None = None,
) -> FloatArray:
    """Blur the inner voxels of a small part, all that need none from outside of it.

    The Gaussian of `smooth`, on one thread, axis by axis as products of many small matrices with a
    short band matrix: long bands are mostly zeros, and take four times the time.

    Parameters
    ----------
    part : (Z, Y, X) float32
        Part of an image, finite, contiguous.
    sigma_voxels : (3,) float
        Standard deviation along z, y and x, in voxels; 0 does not blur.
    margin : (3,) int or None
        Voxels to leave out on each side, no fewer than the reach; as many unless given.
    out : (Z - 2 z, Y - 2 y, X - 2 x) float32 or None
        Where the result goes, a new array unless given.

    Returns
    -------
    (Z - 2 z, Y - 2 y, X - 2 x) float32
        The blurred part, smaller by the margin on every side, contiguous.
    """
    reach = gaussian_reach(sigma_voxels)
    far = reach if margin is None else np.asarray(margin)
    sides = zip((far - reach).tolist(), part.shape, strict=True)
    blurred = part[tuple(slice(spare, size - spare) for spare, size in sides)]
    for axis, sigma in enumerate(np.asarray(sigma_voxels, float).tolist()):
        last = out if axis == 2 else None
        blurred = _blur_inner(blurred, axis, sigma, int(reach[axis]), last)
    return blurred


def _blur_inner(
    part: FloatArray, axis: int, sigma: float, reach: int, out: FloatArray | None
) -> FloatArray:
    """Blur along one axis, without the outermost voxels."""
    shape = list(part.shape)
    shape[axis] -= 2 * reach
    blurred = np.empty(shape, np.float32) if out is None else out
    block = max(min(_INNER_BLOCK[axis], shape[axis]), 1)
    band = _inner_band(block, reach, sigma)
    # Along z matrices of z and x, one for each y; along y and x of y and x, one for each z.
    source, target = (np.swapaxes(a, 0, 1) if axis == 0 else a for a in (part, blurred))
    for start in range(0, shape[axis], block):
        # The last block covers some voxels again where the others do not add up.
        first = min(start, shape[axis] - block)
        here, seen = slice(first, first + block), slice(first, first + block + 2 * reach)
        if axis == 2:
            np.matmul(source[..., seen], band.T, out=target[..., here])
        else:
            np.matmul(band, source[:, seen], out=target[:, here])
    return blurred


@lru_cache(maxsize=128)
def _inner_band(size: int, reach: int, sigma: float) -> FloatArray:
    """Weights (size, size + 2 reach) that blur a row, without as many voxels on both sides."""
    row = np.zeros(2 * (size + reach) - 1, np.float32)
    row[size - 1 : size + 2 * reach] = _gaussian(reach, sigma)
    # Every row of the matrix is the one before moved on by a voxel.
    rows = sliding_window_view(row, size + 2 * reach)[::-1]
    # Column by column, so that the transpose is contiguous.
    band: FloatArray = np.asfortranarray(rows)
    return band


def smooth_at(
    image: AnyArray, voxel_zyx: IntArray, sigma_mm: float, spacing_mm: FloatArray
) -> FloatArray:
    """Blur an image with an isotropic Gaussian at chosen voxels only.

    Parameters
    ----------
    image : (Z, Y, X) array
        Image, finite; beyond its border the outermost voxels go on.
    voxel_zyx : (N, 3) int
        Voxels.
    sigma_mm : float
        Standard deviation of the Gaussian; 0 leaves the values as they are.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (N,) float32
        What `smooth` gives there.
    """
    sigma = sigma_mm / np.asarray(spacing_mm, float)
    reach = gaussian_reach(sigma)
    deep, high, wide = (2 * reach + 1).tolist()
    z, y, x = (_gaussian(far, s) for far, s in zip(reach.tolist(), sigma, strict=True))
    weights = np.einsum("i,j,k->ijk", z, y, x).astype(np.float32).ravel()
    result = np.empty(len(voxel_zyx), np.float32)
    for start in range(0, len(voxel_zyx), _CHUNK):
        rows = slice(start, start + _CHUNK)
        values = cut_cubes(image, voxel_zyx[rows] - reach, (deep, high, wide))
        values = values.reshape(len(values), -1).astype(np.float32)
        # Not a matrix product: its rounding would depend on the other voxels of the batch.
        result[rows] = np.einsum("ij,j->i", values, weights)
    return result
