"""A layer of soft tissue between lung and chest wall: pleural rind or effusion."""

from __future__ import annotations

from dataclasses import dataclass

import fill_voids
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from miliary.arrays import BoolArray, Box, FloatArray, IntArray
from miliary.config.lungs import LungSettings
from miliary.kernels.distances import close_gaps, within
from miliary.kernels.filters import smooth
from miliary.kernels.layers import Crossings, cross_layer, outward_normals
from miliary.kernels.regions import bounding_box
from miliary.lungs.coarse import CoarseLungs

#: Bone is above, on the smoothed coarse grid.
BONE_HU = 160.0
#: Blur under which layers are looked at: fat of 2.5 mm stays dark, noise is halved.
_BLUR_MM = 0.8
#: Scale on which the surface of a lung has a direction.
_NORMAL_MM = 3.0
#: Rays whose median stands for one ray, and for one that meets no end.
_NEAR, _FAR = 9, 25
#: Rays by which a lung without a rind is known.
_FIRST_RAYS = 4000
#: A ray that meets bone within this distance beyond its layer looks at the ribs.
_COSTAL_MM = 8.0


@dataclass(frozen=True, eq=False)
class Rind:
    """The layer round one lung, on the coarse grid.

    Parameters
    ----------
    mask : (z, y, x) bool
        Where it is; nowhere when the lung lies against its wall.
    thickness_mm : (N,) float
        Thickness at points of the lung's surface.
    index : (N, 3) int
        The coarse voxels of these points.
    """

    mask: BoolArray
    thickness_mm: FloatArray
    index: FloatArray


def find_rind(found: CoarseLungs, side: int, settings: LungSettings) -> Rind:
    """Find a layer of soft tissue that parts a lung from its ribs.

    Rays leave the lung at right angles to its surface and end at fat, bone or air. A lung has a
    rind when many of the rays that look at ribs are long; muscle between the ribs is not.

    Parameters
    ----------
    found : CoarseLungs
        Lungs on the coarse grid.
    side : int
        Label of the lung.
    settings : LungSettings
        Limits.

    Returns
    -------
    Rind
        Without a voxel when there is none.
    """
    spacing = found.grid.spacing_mm
    lung = found.sides[side]
    nothing = Rind(np.zeros_like(lung), np.empty(0), np.empty((0, 3), int))
    margin = np.ceil((settings.rind_reach_mm + 3.0) / spacing).astype(int)
    box = bounding_box(lung, margin)
    lung = lung[box]
    hu = smooth(found.grid.hu[box], _BLUR_MM, spacing)
    bone = close_gaps(hu > BONE_HU, settings.rib_closing_mm, spacing)
    surface = lung & within(~lung, float(spacing.max()), spacing)
    index = np.argwhere(surface)
    normals = outward_normals(lung, index, sigma_mm=_NORMAL_MM, spacing_mm=spacing)
    # A few rays tell whether there is anything to measure.
    few = slice(None, None, max(1, len(index) // _FIRST_RAYS))
    if _usual_mm(_rays(hu, bone, index[few], normals[few], spacing, settings), settings) == 0:
        return nothing
    rays = _rays(hu, bone, index, normals, spacing, settings)
    usual_mm = _usual_mm(rays, settings)
    if usual_mm == 0:
        return nothing
    thickness = _even(index * spacing, rays, settings.rind_outlier * usual_mm)
    mask = np.zeros_like(found.sides[side])
    mask[box] = _fill(lung, hu, bone, index, thickness, found, side, box, settings)
    thickness = _shortest(index * spacing, normals, thickness, spacing)
    return Rind(mask, thickness, index + [part.start for part in box])


def _rays(
    hu: FloatArray,
    bone: BoolArray,
    index: IntArray,
    normals: FloatArray,
    spacing_mm: FloatArray,
    settings: LungSettings,
) -> Crossings:
    return cross_layer(
        hu,
        bone,
        index,
        normals,
        spacing_mm=spacing_mm,
        reach_mm=settings.rind_reach_mm,
        air_hu=settings.air_hu,
        soft_hu=settings.rind_hu,
        max_rise_mm=settings.rind_rise_mm,
        beyond_mm=_COSTAL_MM,
    )


def _usual_mm(rays: Crossings, settings: LungSettings) -> float:
    """Median thickness towards the ribs, 0 where too few rays are long."""
    thick = rays.thickness_mm[rays.faces_bone & ~rays.is_open]
    if not len(thick) or np.mean(thick > settings.rind_least_mm) < settings.rind_share:
        return 0.0
    return float(np.median(thick))


def _shortest(
    points_mm: FloatArray, normals: FloatArray, along_mm: FloatArray, spacing_mm: FloatArray
) -> FloatArray:
    """Shortest way out of a layer, from its thickness along the normals.

    Along a normal the way is longer, as the lung's surface is not parallel to the wall. One ray
    that ended too early must not count, so the 25th nearest end of all is taken, and its lateral
    distance off: among ends of one a voxel's face, k of them lie in a circle of k faces.
    """
    half_mm = 0.5 * float(spacing_mm.mean())
    ends = points_mm + normals * (along_mm + half_mm)[:, None]
    rank = min(_FAR, len(ends))
    away = np.asarray(cKDTree(ends).query(points_mm, k=[rank], workers=-1)[0])
    lateral = rank * (2 * half_mm) ** 2 / np.pi
    shortest: FloatArray = np.sqrt(np.maximum(away[:, 0] ** 2 - lateral, 0.0)) - half_mm
    return np.maximum(shortest, 0.0)


def _even(points_mm: FloatArray, rays: Crossings, most_mm: float) -> FloatArray:
    """Medians over neighbouring rays; rays without an end take those of the nearest with one."""
    ended = ~rays.is_open & (rays.thickness_mm <= most_mm)
    tree = cKDTree(points_mm[ended])
    even = np.empty(len(points_mm))
    for chosen, count in ((ended, _NEAR), (~ended, _FAR)):
        if chosen.any():
            count = min(count, int(ended.sum()))
            _, near = tree.query(points_mm[chosen], k=np.arange(1, count + 1), workers=-1)
            even[chosen] = np.median(rays.thickness_mm[ended][near], axis=1)
    return even


def _fill(
    lung: BoolArray,
    hu: FloatArray,
    bone: BoolArray,
    index: IntArray,
    thickness_mm: FloatArray,
    found: CoarseLungs,
    side: int,
    box: Box,
    settings: LungSettings,
) -> BoolArray:
    """Voxels no farther from the lung than the layer is thick there."""
    spacing = found.grid.spacing_mm
    blocked = lung | bone | found.never[box] | (hu < settings.air_hu)
    for other, mask in found.sides.items():
        if other != side:
            blocked |= mask[box]
    soft = (hu > settings.rind_hu) & ~blocked
    # Next to the lung the layer's own edge is as dense as fat.
    rim = within(lung, settings.rind_rise_mm, spacing) & ~blocked
    places = np.argwhere((within(lung, float(thickness_mm.max()) + 1.0, spacing) & soft) | rim)
    distance, nearest = cKDTree(index * spacing).query(places * spacing, workers=-1)
    # The surface lies half a voxel outside of the outermost voxels of the lung.
    inside = distance - 0.5 * float(spacing.mean()) <= thickness_mm[nearest]
    layer = np.zeros_like(lung)
    layer[tuple(places[inside].T)] = True
    # Corners and sulci are farther from the lung than any ray tells.
    layer |= within(layer, settings.rind_margin_mm, spacing) & soft
    layer |= close_gaps(layer | lung, settings.rind_closing_mm, spacing) & (soft | rim)
    filled: BoolArray = fill_voids.fill(ndimage.binary_opening(layer | lung)) & ~blocked
    return filled
