"""Bright thin sheets in an image: where their middle is, and which way they face."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.kernels.hessian import symmetric_eigenvalues
from miliary.kernels.slabs import on_threads
from miliary.kernels.stencil import Stencil

#: Points worked on at a time.
_CHUNK = 65536
_TINY = 1e-12


def sheet_points(
    smoothed: FloatArray,
    flat_index: IntArray,
    spacing_mm: FloatArray,
    *,
    width_mm: float,
    scale: float,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Describe the sheet that the neighbourhood of each voxel could be part of.

    Across a sheet the smoothed image is taken for a Gaussian profile, of which the middle
    follows from slope and curvature.

    Parameters
    ----------
    smoothed : (Z, Y, X) float32
        Smoothed image, contiguous.
    flat_index : (N,) int
        Voxels, as indices into the flattened image.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    width_mm : float
        Standard deviation of a sheet's profile in the smoothed image.
    scale : float
        Factor of the curvatures: the smoothing sigma squared normalises them.

    Returns
    -------
    strength : (N,) float32
        Curvature across the sheet, positive where it is bright, in units of the image.
    second : (N,) float32
        The strongest curvature along it, of either sign, as a positive number.
    normal : (N, 3) float32
        Unit normals along z, y and x, of arbitrary sign.
    offset_mm : (N,) float32
        From the voxel along its normal to the middle of the sheet; infinite where there is none.
    """
    differences = sheet_differences(smoothed, flat_index, spacing_mm, width_mm=width_mm)
    return describe_sheets(differences, width_mm=width_mm, scale=scale)


def sheet_differences(
    smoothed: FloatArray, flat_index: IntArray, spacing_mm: FloatArray, *, width_mm: float
) -> FloatArray:
    """Take what `describe_sheets` needs of an image.

    Parameters
    ----------
    smoothed : (Z, Y, X) float32
        Smoothed image, contiguous.
    flat_index : (N,) int
        Voxels, as indices into the flattened image; beyond its border the image goes on flat.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    width_mm : float
        Standard deviation of a sheet's profile in the smoothed image.

    Returns
    -------
    (9, N) float32
        Entries zz, yy, xx, zy, zx, yx of the Hessian, and slopes along z, y and x.
    """
    steps = sheet_steps(spacing_mm, width_mm)
    differences = np.empty((9, len(flat_index)), np.float32)
    voxels = Stencil.anywhere(smoothed, flat_index, steps)

    def work(start: int) -> None:
        part = slice(start, start + _CHUNK)
        near = voxels.take(part)
        differences[:3, part], differences[3:6, part] = near.straight(), near.mixed()
        differences[6:, part] = near.gradient()

    on_threads(work, range(0, len(flat_index), _CHUNK))
    return differences


def describe_sheets(
    differences: FloatArray, *, width_mm: float, scale: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Describe sheets by the differences of the image round their points.

    Parameters
    ----------
    differences : (9, N) float32
        From `sheet_differences`.
    width_mm : float
        Standard deviation of a sheet's profile in the smoothed image.
    scale : float
        Factor of the curvatures: the smoothing sigma squared normalises them.

    Returns
    -------
    strength : (N,) float32
        Curvature across the sheet, positive where it is bright, in units of the image.
    second : (N,) float32
        The strongest curvature along it, of either sign, as a positive number.
    normal : (N, 3) float32
        Unit normals along z, y and x, of arbitrary sign.
    offset_mm : (N,) float32
        From the voxel along its normal to the middle of the sheet; infinite where there is none.
    """
    n = differences.shape[1]
    strength, second, offset = (np.empty(n, np.float32) for _ in range(3))
    normal = np.empty((n, 3), np.float32)

    def work(start: int) -> None:
        part = slice(start, start + _CHUNK)
        entries, slopes = differences[:6, part], differences[6:, part]
        values = symmetric_eigenvalues(entries)
        across = first_eigenvectors(entries, values)
        normal[part] = across.T
        strength[part] = -scale * values[0]
        second[part] = scale * np.abs(values[1:]).max(axis=0)
        offset[part] = _middle((across * slopes).sum(axis=0), values[0], width_mm)

    on_threads(work, range(0, n, _CHUNK))
    return strength, second, normal, offset


def sheet_steps(spacing_mm: FloatArray, width_mm: float) -> FloatArray:
    """Steps with which differences give the curvature on top of a sheet, whichever way it faces.

    Differences over a step that is not small against the profile's width tell too little:
    without this, sheets across thick slices would be missed and those along them seen.

    Parameters
    ----------
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    width_mm : float
        Standard deviation of a sheet's profile.

    Returns
    -------
    (3,) float
        Nearly the voxel size where that is small.
    """
    share = np.asarray(spacing_mm, float) / width_mm
    steps: FloatArray = width_mm * np.sqrt(2 * -np.expm1(-(share**2) / 2))
    return steps


def bright_curvature(
    smoothed: FloatArray, flat_index: IntArray, spacing_mm: FloatArray, *, width_mm: float
) -> FloatArray:
    """Negative Laplacian at chosen voxels: what is bright and small or thin has much of it.

    Parameters
    ----------
    smoothed : (Z, Y, X) float32
        Smoothed image, contiguous.
    flat_index : (N,) int
        Voxels, as indices into the flattened image, none of them on its border.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    width_mm : float
        Standard deviation of a sheet's profile in the smoothed image.

    Returns
    -------
    (N,) float32
        In units of the image per mm2.
    """
    steps, result = sheet_steps(spacing_mm, width_mm), np.empty(len(flat_index), np.float32)

    def work(start: int) -> None:
        part = slice(start, start + _CHUNK)
        result[part] = -Stencil(smoothed, flat_index[part], steps).straight().sum(axis=0)

    on_threads(work, range(0, len(flat_index), _CHUNK))
    return result


def coplanar_support(
    points_mm: FloatArray, normals: FloatArray, *, reach_mm: float, cell_mm: float
) -> FloatArray:
    """Say how much of a sheet surrounds each of many points on sheets.

    The squares of the normals round a point, as tensors, are summed under a Gaussian: those that
    face its way speak for a sheet, those that face other ways against it, so points of
    arbitrary normals add up to nothing.

    Parameters
    ----------
    points_mm : (N, 3) float
        Points on sheets.
    normals : (N, 3) float
        Unit normals of any sign.
    reach_mm : float
        Standard deviation of the Gaussian.
    cell_mm : float
        Width of the cells in which points are put together first.

    Returns
    -------
    (N,) float
        Points a cell, as if all of them lay in a sheet at right angles to the normal; negative
        where other directions prevail.
    """
    if len(points_mm) == 0:
        return np.zeros(0)
    low = points_mm.min(axis=0)
    cell = np.rint((points_mm - low) / cell_mm).astype(np.intp)
    shape = tuple(cell.max(axis=0) + 1)
    flat = np.ravel_multi_index(tuple(cell.T), shape)
    support = np.zeros(len(flat))
    for a in range(3):
        for b in range(a + 1):
            product = normals[:, a] * normals[:, b]
            field = np.bincount(flat, product, int(np.prod(shape))).reshape(shape)
            summed = ndimage.gaussian_filter(
                field.astype(np.float32), reach_mm / cell_mm, mode="constant", truncate=3.0
            ).ravel()[flat]
            # n T n - (trace T - n T n) / 2
            support += (3.0 if a != b else 1.5) * product * summed - (a == b) * 0.5 * summed
    return support


def first_eigenvectors(entries: FloatArray, values: FloatArray) -> FloatArray:
    """Eigenvectors of the smallest eigenvalue of symmetric 3 x 3 matrices.

    By Cayley and Hamilton the columns of (A - b)(A - c) are multiples of the eigenvector of a,
    where a, b and c are the eigenvalues.

    Parameters
    ----------
    entries : (6, N) float
        Entries aa, bb, cc, ab, ac, bc of each matrix.
    values : (3, N) float
        Its eigenvalues, ascending.

    Returns
    -------
    (3, N) float
        Unit vectors; arbitrary where the smallest eigenvalue is not alone.
    """
    aa, bb, cc, ab, ac, bc = entries
    trace, product = values[1] + values[2], values[1] * values[2]
    # Entries of A^2 - (b + c) A + bc.
    xx = aa * aa + ab * ab + ac * ac - trace * aa + product
    yy = ab * ab + bb * bb + bc * bc - trace * bb + product
    zz = ac * ac + bc * bc + cc * cc - trace * cc + product
    xy = aa * ab + ab * bb + ac * bc - trace * ab
    xz = aa * ac + ab * bc + ac * cc - trace * ac
    yz = ab * ac + bb * bc + bc * cc - trace * bc
    columns = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    # The longest column suffers least from cancellation.
    longest = np.argmax(np.abs([xx, yy, zz]), axis=0)
    chosen = np.take_along_axis(columns, longest[None, None], axis=0)[0]
    unit: FloatArray = chosen / np.maximum(np.linalg.norm(chosen, axis=0), _TINY)
    return unit


def _middle(slope: FloatArray, curvature: FloatArray, width_mm: float) -> FloatArray:
    """Where a Gaussian profile of this width has its top, from its slope and curvature."""
    bends: BoolArray = curvature < 0
    step = np.where(bends, -slope / np.where(bends, curvature, 1), np.inf)
    # At a distance t from the top, slope over curvature is t / (1 - t^2 / width^2).
    ratio = 2 * step / width_mm
    top = width_mm * ratio / (1 + np.sqrt(1 + np.minimum(ratio, 1e6) ** 2))
    return np.where(bends, top, np.inf).astype(np.float32)
