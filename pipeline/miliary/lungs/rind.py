"""A layer of soft tissue between lung and chest wall: pleural rind or effusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from miliary.arrays import BoolArray, Box, FloatArray, IntArray
from miliary.config.lungs import LungSettings
from miliary.kernels.distances import close_gaps, depth_inside, distance_to, within
from miliary.kernels.filters import smooth
from miliary.kernels.layers import Crossings, cross_layer, outward_normals
from miliary.kernels.regions import bounding_box, fill_holes, label_parts, members
from miliary.lungs.bodies import choose_bodies
from miliary.lungs.coarse import CoarseLungs
from miliary.lungs.ribs import BONE_HU, find_ribs

#: Blur under which layers are looked at: fat of 2.5 mm stays dark, noise is halved.
_BLUR_MM = 0.8
#: Scale on which the surface of a lung has a direction.
_NORMAL_MM = 3.0
#: Rays whose median stands for one ray, and for one that meets no end.
_NEAR, _FAR = 9, 25
#: Rays towards the ribs whose median tells how thick a layer is round about.
_COSTAL_RAYS = 300
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
        Thickness at points of the lung's surface: the shortest way out of it.
    index : (N, 3) int
        The coarse voxels of these points.
    """

    mask: BoolArray
    thickness_mm: FloatArray
    index: FloatArray


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """What lies round one lung, on a part of the coarse grid.

    Parameters
    ----------
    box : tuple of three slices
        The part.
    lung : (z, y, x) bool
        The lung.
    hu : (z, y, x) float32
        Smoothed Hounsfield units.
    bone : (z, y, x) bool
        Bones, and the gaps between ribs.
    free : (z, y, x) bool
        Where a rind may be: no lung, bone, air or what is never lung.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    """

    box: Box
    lung: BoolArray
    hu: FloatArray
    bone: BoolArray
    free: BoolArray
    spacing_mm: FloatArray


def find_rind(found: CoarseLungs, side: int, settings: LungSettings) -> Rind:
    """Find a layer of soft tissue that parts a lung from its ribs.

    Rays leave the lung at right angles to its surface and end at fat, bone or air. A lung has a
    rind when many of the rays that look at ribs are long; muscle between the ribs is not. Then
    the bodies of soft tissue that the layer is made of are taken whole, and thickness is measured
    in them.

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
    round_it = _look_round(found, side, settings)
    spacing = round_it.spacing_mm
    surface = round_it.lung & within(~round_it.lung, float(spacing.max()), spacing)
    index = np.argwhere(surface)
    normals = outward_normals(round_it.lung, index, sigma_mm=_NORMAL_MM, spacing_mm=spacing)
    # A few rays tell whether there is anything to measure.
    few = slice(None, None, max(1, len(index) // _FIRST_RAYS))
    nothing = Rind(np.zeros_like(found.sides[side]), np.empty(0), np.empty((0, 3), int))
    if _usual_mm(_rays(round_it, index[few], normals[few], settings), settings) == 0:
        return nothing
    rays = _rays(round_it, index, normals, settings)
    usual_mm = _usual_mm(rays, settings)
    if usual_mm == 0:
        return nothing
    thickness = _even(index * spacing, rays, usual_mm, settings)
    layer = _near_layer(round_it, index, thickness, settings)
    body = _whole(found, side, round_it, layer, float(np.median(thickness)), settings)
    mask = np.zeros_like(found.sides[side])
    mask[round_it.box] = body
    thickness = _thickness_mm(round_it.lung, body, index, spacing, settings)
    return Rind(mask, thickness, index + [part.start for part in round_it.box])


def _look_round(found: CoarseLungs, side: int, settings: LungSettings) -> _Surroundings:
    spacing = found.grid.spacing_mm
    margin = np.ceil((settings.rind_reach_mm + 3.0) / spacing).astype(int)
    box = bounding_box(found.sides[side], margin)
    hu = smooth(found.grid.hu[box], _BLUR_MM, spacing)
    bone = close_gaps(hu > BONE_HU, settings.rib_closing_mm, spacing)
    free = ~(bone | found.never[box] | (hu < settings.air_hu))
    for mask in found.sides.values():
        free &= ~mask[box]
    return _Surroundings(box, found.sides[side][box], hu, bone, free, spacing)


def _rays(
    round_it: _Surroundings, index: IntArray, normals: FloatArray, settings: LungSettings
) -> Crossings:
    return cross_layer(
        round_it.hu,
        round_it.bone,
        index,
        normals,
        spacing_mm=round_it.spacing_mm,
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


def _even(
    points_mm: FloatArray, rays: Crossings, usual_mm: float, settings: LungSettings
) -> FloatArray:
    """Medians over neighbouring rays; rays without an end take those of the nearest with one."""
    thick = rays.thickness_mm
    ended = ~rays.is_open & (thick <= settings.rind_outlier * usual_mm)
    # A ray that does not look at ribs may go on into an organ: the costal side tells how far.
    costal, other = ended & rays.faces_bone & (thick > 0), np.flatnonzero(ended & ~rays.faces_bone)
    near = _neighbours(points_mm[costal], points_mm[other], _COSTAL_RAYS)
    ended[other[thick[other] > settings.rind_beyond * np.median(thick[costal][near], axis=1)]] = (
        False
    )
    even = np.empty(len(points_mm))
    for chosen, count in ((ended, _NEAR), (~ended, _FAR)):
        if chosen.any():
            near = _neighbours(points_mm[ended], points_mm[chosen], count)
            even[chosen] = np.median(thick[ended][near], axis=1)
    return even


def _neighbours(points_mm: FloatArray, queries_mm: FloatArray, count: int) -> IntArray:
    """Ranks of the nearest points, a row for each query; all points where there are fewer."""
    ranks = np.arange(1, min(count, len(points_mm)) + 1)
    return np.asarray(cKDTree(points_mm).query(queries_mm, k=ranks, workers=-1)[1])


def _near_layer(
    round_it: _Surroundings, index: IntArray, thickness_mm: FloatArray, settings: LungSettings
) -> BoolArray:
    """Voxels no farther from the lung than the layer is thick there."""
    spacing, lung = round_it.spacing_mm, round_it.lung
    soft, rim = _soft(round_it, settings), _rim(round_it, settings)
    places = np.argwhere((within(lung, float(thickness_mm.max()) + 1.0, spacing) & soft) | rim)
    distance, nearest = cKDTree(index * spacing).query(places * spacing, workers=-1)
    # The surface lies half a voxel outside of the outermost voxels of the lung.
    inside = distance - 0.5 * float(spacing.mean()) <= thickness_mm[nearest]
    layer = np.zeros_like(lung)
    layer[tuple(places[inside].T)] = True
    # Corners are farther from the lung than any ray tells.
    layer |= within(layer, settings.rind_margin_mm, spacing) & soft
    layer |= close_gaps(layer | lung, settings.rind_closing_mm, spacing) & (soft | rim)
    filled: BoolArray = fill_holes(ndimage.binary_opening(layer | lung)) & round_it.free
    return filled


def _soft(round_it: _Surroundings, settings: LungSettings) -> BoolArray:
    soft: BoolArray = (round_it.hu > settings.rind_hu) & round_it.free
    return soft


def _rim(round_it: _Surroundings, settings: LungSettings) -> BoolArray:
    """Next to the lung a layer's own edge is as dense as fat."""
    return within(round_it.lung, settings.rind_rise_mm, round_it.spacing_mm) & round_it.free


def _whole(
    found: CoarseLungs,
    side: int,
    round_it: _Surroundings,
    layer: BoolArray,
    thick_mm: float,
    settings: LungSettings,
) -> BoolArray:
    """The bodies of tissue that a layer is made of, as far as they hang together with the lung."""
    lung, spacing = round_it.lung, round_it.spacing_mm
    soft, rim = _soft(round_it, settings), _rim(round_it, settings) & layer
    ribs = find_ribs(found, side, round_it.box, round_it.bone, layer)
    away = distance_to(lung, spacing)
    rind = choose_bodies(round_it.hu, soft, layer, away, thick_mm, ribs, spacing, settings)
    rind = _hanging(rind | rim | lung, lung)
    rind = _hanging(ndimage.binary_opening(rind) | rim | lung, lung)
    gaps = close_gaps(rind, settings.rind_closing_mm, spacing) & (soft | rim)
    filled: BoolArray = fill_holes(rind | gaps) & round_it.free
    return filled


def _hanging(mask: BoolArray, seed: BoolArray) -> BoolArray:
    """Components of a mask that hold some of a seed."""
    labels, n_labels = label_parts(mask)
    hanging = np.zeros(n_labels + 1, bool)
    hanging[labels[seed]] = True
    return members(labels, hanging)


def _thickness_mm(
    lung: BoolArray,
    rind: BoolArray,
    index: IntArray,
    spacing_mm: FloatArray,
    settings: LungSettings,
) -> FloatArray:
    """Shortest ways from the lung's surface out of lung and rind, less those out of the lung."""
    whole = close_gaps(rind | lung, settings.rind_closing_mm, spacing_mm)
    at = tuple(index.T)
    out_mm, own_mm = (depth_inside(mask, spacing_mm)[at] for mask in (whole, lung))
    thickness: FloatArray = np.maximum(out_mm - own_mm, 0.0)
    return thickness
