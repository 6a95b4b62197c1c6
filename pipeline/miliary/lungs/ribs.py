"""The inside of the ribs, as far as one side of the chest reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from miliary.arrays import BoolArray, Box, FloatArray
from miliary.lungs.coarse import CoarseLungs

#: Bone is above, on the smoothed coarse grid.
BONE_HU = 160.0
#: Half the height of a rib and of the gap below it: ribs slant, over this they close to a shell.
_HALF_HEIGHT_MM = 13.0
#: Directions in a slice, and how many neighbours tell where the bone of one is.
_SECTORS, _NEIGHBOURS = 180, 5
#: Fewest directions with bone from which those without are told.
_FEWEST = 3
#: Spine and its transverse processes reach this far to a side.
_SPINE_MM = 35.0
#: Way to a direction without bone.
_NO_BONE_MM = 1e9


@dataclass(frozen=True, eq=False)
class Ribs:
    """Where one side of a chest lies to its ribs.

    Parameters
    ----------
    depth_mm : (z, y, x) float32
        Way in the slice from a voxel outward to the inside of the ribs, negative behind it,
        infinite in slices without ribs or without lung on either side.
    costal : (z, y, x) bool
        What lies in a direction of ribs or sternum, not of the spine or of the other side.
    """

    depth_mm: FloatArray
    costal: BoolArray


def find_ribs(found: CoarseLungs, side: int, box: Box, bone: BoolArray, layer: BoolArray) -> Ribs:
    """Find the inside of the ribs round one lung.

    In every slice the first bone is looked for outward from the middle of what the lung, the
    other lung's mirror image and the layer round it take; between bones it is interpolated.

    Parameters
    ----------
    found : CoarseLungs
        Lungs on the coarse grid.
    side : int
        Label of the lung.
    box : tuple of three slices
        Part of the grid to look at.
    bone : (z, y, x) bool
        Ribs, sternum and spine, on that part.
    layer : (z, y, x) bool
        What lies on the lung, on that part.

    Returns
    -------
    Ribs
        On that part.
    """
    spacing = found.grid.spacing_mm
    place = found.sides[side]
    if 3 - side in found.sides:
        place = place | mirrored(found.sides[3 - side], found.middle_x)
    place = place[box] | layer
    height = 2 * round(_HALF_HEIGHT_MM / float(spacing[0])) + 1
    shell = ndimage.maximum_filter1d(bone.view(np.uint8), height, axis=0) > 0
    depth = np.full(place.shape, np.inf, np.float32)
    costal = np.zeros_like(place)
    # Towards the patient's left, x grows: with it, the way from the midline to this side.
    middle_x, outward = found.middle_x - box[2].start, 1.0 if side == 2 else -1.0
    for z in np.flatnonzero(place.any(axis=(1, 2))):
        middle = np.argwhere(place[z]).mean(axis=0)
        steps = (np.indices(place.shape[1:]) - middle[:, None, None]) * spacing[1:, None, None]
        away = np.hypot(*steps)
        sector = ((np.arctan2(*steps) / np.pi + 1.0) * _SECTORS / 2).astype(int) % _SECTORS
        wall_mm = _first_bone_mm(away[shell[z]], sector[shell[z]])
        if wall_mm is None:
            continue
        depth[z] = wall_mm[sector] - away
        angle = (np.arange(_SECTORS) + 0.5) * 2 * np.pi / _SECTORS - np.pi
        lateral = (middle[1] - middle_x) * spacing[2] + np.cos(angle) * wall_mm
        spine = (np.abs(lateral) < _SPINE_MM) & (np.sin(angle) > 0)
        costal[z] = ~(spine | (lateral * outward < -_SPINE_MM))[sector]
    return Ribs(depth, costal)


def _first_bone_mm(away_mm: FloatArray, sector: FloatArray) -> FloatArray | None:
    """Way to the first bone by direction; None where there is hardly any."""
    nearest = np.full(_SECTORS, _NO_BONE_MM)
    np.minimum.at(nearest, sector, away_mm)
    nearest = ndimage.median_filter(nearest, _NEIGHBOURS, mode="wrap")
    known = np.flatnonzero(nearest < _NO_BONE_MM)
    if len(known) < _FEWEST:
        return None
    wall_mm: FloatArray = np.interp(np.arange(_SECTORS), known, nearest[known], period=_SECTORS)
    return wall_mm


def mirrored(mask: BoolArray, middle_x: float) -> BoolArray:
    """Mirror a mask at a sagittal plane.

    Parameters
    ----------
    mask : (z, y, x) bool
        Mask.
    middle_x : float
        Index of the plane.

    Returns
    -------
    (z, y, x) bool
        Its mirror image, nothing where that lies outside.
    """
    columns = np.rint(2 * middle_x - np.arange(mask.shape[2])).astype(int)
    inside = (columns >= 0) & (columns < mask.shape[2])
    image = np.zeros_like(mask)
    image[:, :, inside] = mask[:, :, columns[inside]]
    return image
