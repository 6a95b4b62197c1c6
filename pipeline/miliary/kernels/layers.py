"""The layer that lies on a surface, measured along rays that leave it at right angles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.kernels.filters import smooth

#: Samples along a ray are this far apart.
_STEP_MM = 0.75


@dataclass(frozen=True, eq=False)
class Crossings:
    """What rays met, one row each.

    Parameters
    ----------
    thickness_mm : (N,) float
        Length between the edge of the air and the end of the layer; 0 without a layer.
    is_open : (N,) bool
        The layer has no end within reach.
    faces_bone : (N,) bool
        Bone lies close behind the layer, or behind the surface where there is none.
    """

    thickness_mm: FloatArray
    is_open: BoolArray
    faces_bone: BoolArray


def outward_normals(
    mask: BoolArray, index: IntArray, *, sigma_mm: float, spacing_mm: FloatArray
) -> FloatArray:
    """Give the direction in which a surface looks.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        The object.
    index : (N, 3) int
        Voxels at its surface.
    sigma_mm : float
        Scale on which the surface is taken to be flat.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (N, 3) float
        Unit vectors along z, y and x, in mm; 0 where there is no direction.
    """
    blurred = smooth(mask.astype(np.float32), sigma_mm, spacing_mm)
    last = np.array(mask.shape) - 1
    # Slopes at the surface alone: those of the whole image would cost more than the rest.
    slopes = []
    for axis in range(3):
        step = np.eye(3, dtype=int)[axis]
        ahead, back = np.minimum(index + step, last), np.maximum(index - step, 0)
        slopes.append((blurred[tuple(back.T)] - blurred[tuple(ahead.T)]) / spacing_mm[axis])
    normals = np.stack(slopes, axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: FloatArray = normals / np.maximum(lengths, 1e-12)
    return unit


def cross_layer(
    hu: FloatArray,
    bone: BoolArray,
    index: IntArray,
    normals: FloatArray,
    *,
    spacing_mm: FloatArray,
    reach_mm: float,
    air_hu: float,
    soft_hu: float,
    max_rise_mm: float,
    beyond_mm: float,
) -> Crossings:
    """Measure a layer of soft tissue on the surface of a lung.

    Parameters
    ----------
    hu : (Z, Y, X) float32
        Smoothed Hounsfield units.
    bone : (Z, Y, X) bool
        Where a ray ends in any case.
    index : (N, 3) int
        Voxels at the surface, inside the lung.
    normals : (N, 3) float
        Unit vectors that lead out, in mm.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    reach_mm : float
        Length of the rays.
    air_hu, soft_hu : float
        The layer begins at the first, and is denser than the second up to its end.
    max_rise_mm : float
        From the first to the second it may take this long; if it takes longer, fat lies on the
        surface and there is no layer.
    beyond_mm : float
        How far behind the layer bone is looked for.

    Returns
    -------
    Crossings
        A row for each voxel of the surface.
    """
    steps = np.arange(0.0, reach_mm, _STEP_MM)
    shape = np.array(hu.shape)
    points = index[:, None, :] + normals[:, None, :] * (steps[:, None] / spacing_mm)
    flat = np.clip(points.reshape(-1, 3), 0, shape - 1)
    values = ndimage.map_coordinates(hu, flat.T, order=1, mode="nearest")
    values = values.reshape(len(index), len(steps))
    hits = bone[tuple(np.rint(flat).astype(np.intp).T)].reshape(values.shape)
    seen = ((points >= 0) & (points <= shape - 1)).all(axis=2)
    # Beyond the image nothing is known: a ray that leaves it has no end.
    air_end, soft_start = _first(values > air_hu), _first((values > soft_hu) & seen)
    rank = np.arange(len(steps))
    rises = (soft_start - air_end) * _STEP_MM <= max_rise_mm
    rises &= (soft_start < len(steps)) & (air_end < len(steps))
    past = rank > soft_start[:, None]
    end = _first(((values < soft_hu) | hits) & past & seen)
    ended = end < len(steps)
    last = np.where(rises & ended, end, soft_start)[:, None] + beyond_mm / _STEP_MM
    start_mm = _crossing_mm(values, air_end, air_hu)
    rows = np.arange(len(index))
    # Bone is known by voxels, the end of soft tissue to a part of a step.
    at_bone = hits[rows, np.minimum(end, len(steps) - 1)]
    end_mm = np.where(at_bone, end * _STEP_MM, _crossing_mm(values, end, soft_hu))
    return Crossings(
        np.where(rises & ended, np.maximum(end_mm - start_mm, 0.0), 0.0),
        rises & ~ended,
        (hits & (rank <= last)).any(axis=1),
    )


def _first(mask: BoolArray) -> IntArray:
    """Rank of the first sample of each ray, the number of samples where there is none."""
    first: IntArray = np.where(mask.any(axis=1), mask.argmax(axis=1), mask.shape[1])
    return first


def _crossing_mm(values: FloatArray, rank: IntArray, level: float) -> FloatArray:
    """Where a level is crossed between a sample and the one before, linearly."""
    rows = np.arange(len(values))
    after = np.clip(rank, 1, values.shape[1] - 1)
    one, two = values[rows, after - 1], values[rows, after]
    rise = np.where(one == two, 1.0, two - one)
    crossing: FloatArray = (after - 1 + np.clip((level - one) / rise, 0.0, 1.0)) * _STEP_MM
    return crossing
