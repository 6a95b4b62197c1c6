"""Distances to surfaces of voxel masks, and morphology by distances."""

from __future__ import annotations

import edt
import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.kernels.slabs import n_threads

#: The nearest voxel beyond a surface lies half a voxel behind it next to the surface, but ever
#: closer to it farther away, where many voxels compete. On balls and ellipsoids of 20 to 25 mm
#: (voxels 1.0 x 0.78 x 0.78 mm) the excess was 0.43, 0.24, 0.16, 0.11 and 0.06 mm at depths of
#: 0-1, 1-3, 3-6, 6-12 and 12-24 mm; this many voxels of depth halve it.
_EXCESS_HALVES_VOXELS = 3.0

#: A ball reaching over more rows than this is cheaper by a distance transform.
_MAX_SHIFTS = 60
#: Voxels exactly a radius away belong to the ball, however the division rounds.
_ROUNDING = 1e-6


def depth_inside(labels: AnyArray, spacing_mm: FloatArray) -> FloatArray:
    """Distance of every labelled voxel's centre to the surface of its own label.

    The border of the image is no surface: a lung that the scan cuts off has no pleura there.

    Parameters
    ----------
    labels : (Z, Y, X) bool or integer
        0 is background. Two labels that touch have a surface between them.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) float32
        Distance in mm, 0 on the background, infinite where there is no surface.
    """
    distance = _to_other_voxels(labels, spacing_mm)
    _to_surface(distance, spacing_mm)
    return distance


def distance_to(mask: BoolArray, spacing_mm: FloatArray) -> FloatArray:
    """Distance of every voxel's centre to the surface of a mask.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        The object.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) float32
        Distance in mm, 0 inside the mask, infinite everywhere when the mask is empty.
    """
    return depth_inside(~np.asarray(mask, bool), spacing_mm)


def within(mask: BoolArray, radius_mm: float, spacing_mm: FloatArray) -> BoolArray:
    """Dilate a mask with a ball.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        The object.
    radius_mm : float
        Radius of the ball.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) bool
        Voxels whose centre is no farther than the radius from a centre of the mask.
    """
    mask = np.asarray(mask, bool)
    reach = [int(radius_mm / step + _ROUNDING) for step in spacing_mm]
    if reach[0] * reach[1] > _MAX_SHIFTS:
        near: BoolArray = _to_other_voxels(~mask, spacing_mm) <= radius_mm * (1 + _ROUNDING)
        return near
    return _dilate(mask, radius_mm, reach, spacing_mm)


def deeper_than(mask: BoolArray, radius_mm: float, spacing_mm: FloatArray) -> BoolArray:
    """Erode a mask with a ball; the border of the image does not erode.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        The object.
    radius_mm : float
        Radius of the ball.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) bool
        Voxels whose centre is farther than the radius from every centre outside the mask.
    """
    return ~within(~np.asarray(mask, bool), radius_mm, spacing_mm)


def close_gaps(mask: BoolArray, radius_mm: float, spacing_mm: FloatArray) -> BoolArray:
    """Close a mask with a ball: fill what no ball outside the mask can reach.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        The object.
    radius_mm : float
        Radius of the ball.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (Z, Y, X) bool
        The mask and its narrow gaps; beyond the border of the image lies nothing.
    """
    mask = np.asarray(mask, bool)
    if not mask.any():
        return mask.copy()
    # Without this frame the ball could not pass between the object and the border.
    frame = [(int(np.ceil(radius_mm / step)) + 1,) * 2 for step in spacing_mm]
    grown = within(np.pad(mask, frame), radius_mm, spacing_mm)
    closed = deeper_than(grown, radius_mm, spacing_mm)
    inner = tuple(slice(width[0], -width[1]) for width in frame)
    return closed[inner] | mask


def _to_other_voxels(labels: AnyArray, spacing_mm: FloatArray) -> FloatArray:
    spacing = tuple(float(step) for step in spacing_mm)
    distance: FloatArray = edt.edt(
        np.ascontiguousarray(labels), anisotropy=spacing, black_border=False, parallel=n_threads()
    )
    return distance


def _dilate(
    mask: BoolArray, radius_mm: float, reach: list[int], spacing_mm: FloatArray
) -> BoolArray:
    """Dilate with a ball made of runs along x: for a few voxels 5 times faster than edt."""
    runs = [mask]
    for _ in range(reach[2]):
        wider = runs[-1].copy()
        wider[..., 1:] |= runs[-1][..., :-1]
        wider[..., :-1] |= runs[-1][..., 1:]
        runs.append(wider)
    grown = np.zeros_like(mask)
    for dz in range(min(reach[0], len(mask) - 1) + 1):
        disc = np.zeros_like(mask)
        for dy in range(min(reach[1], mask.shape[1] - 1) + 1):
            left = radius_mm**2 - (dz * spacing_mm[0]) ** 2 - (dy * spacing_mm[1]) ** 2
            if left < -_ROUNDING:
                break
            run = runs[int(np.sqrt(max(left, 0.0)) / spacing_mm[2] + _ROUNDING)]
            disc[:, dy:] |= run[:, : run.shape[1] - dy]
            disc[:, : run.shape[1] - dy] |= run[:, dy:]
        grown[dz:] |= disc[: len(disc) - dz]
        grown[: len(disc) - dz] |= disc[dz:]
    return grown


def _to_surface(distance: FloatArray, spacing_mm: FloatArray) -> None:
    """Turn distances to voxel centres beyond a surface into distances to the surface, in place."""
    voxel = float(np.prod(spacing_mm)) ** (1.0 / 3.0)
    for part in distance:
        here = part > 0
        far = part[here]
        excess = (
            0.5 * voxel / (1.0 + np.maximum(far - voxel, 0.0) / (_EXCESS_HALVES_VOXELS * voxel))
        )
        # Along a short axis the next centre may be nearer than the mean half voxel.
        part[here] = np.maximum(far - excess, 0.5 * far)
