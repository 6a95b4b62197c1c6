"""The inside of the ribs, as far as one side of the chest reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from miliary.anatomy import SIDES
from miliary.arrays import BoolArray, Box, FloatArray, IntArray
from miliary.lungs.coarse import CoarseLungs

#: Bone is above, on the smoothed coarse grid.
BONE_HU = 160.0
#: A gap between ribs is no higher: 27 mm from rib to rib, and they slant.
_GAP_MM = 30.0
#: Directions in a slice, their angles, and how many neighbours tell where the bone of one is.
_SECTORS, _NEIGHBOURS = 180, 5
_ANGLES = (np.arange(_SECTORS) + 0.5) * 2 * np.pi / _SECTORS - np.pi
#: Fewest directions with bone from which those without are told.
_FEWEST = 3
#: Spine and its transverse processes reach this far to a side.
_SPINE_MM = 35.0


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
    other lung's mirror image and the layer round it take; in gaps between ribs those above and
    below tell, elsewhere those on both sides.

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
    slices = np.flatnonzero(place.any(axis=(1, 2)))
    polar = [_Polar.of(place[z], spacing) for z in slices]
    nearest = np.stack([one.first_mm(bone[z]) for z, one in zip(slices, polar, strict=True)])
    wall_mm = _fill_between(nearest, float(spacing[0]))
    depth = np.full(place.shape, np.inf, np.float32)
    costal = np.zeros_like(place)
    # Towards the patient's left x grows: outward on that side.
    middle_x, outward = found.middle_x - box[2].start, 1.0 if side == SIDES["left"] else -1.0
    for z, one, wall in zip(slices, polar, wall_mm, strict=True):
        if np.isfinite(wall).all():
            depth[z] = wall[one.sector] - one.away_mm
            lateral = (one.middle[1] - middle_x) * spacing[2] + np.cos(_ANGLES) * wall
            spine = (np.abs(lateral) < _SPINE_MM) & (np.sin(_ANGLES) > 0)
            costal[z] = ~(spine | (lateral * outward < -_SPINE_MM))[one.sector]
    return Ribs(depth, costal)


@dataclass(frozen=True, eq=False)
class _Polar:
    """A slice seen from the middle of what lies in it.

    Parameters
    ----------
    middle : (2,) float
        Index of the middle.
    away_mm : (y, x) float
        Distance from it.
    sector : (y, x) int
        Direction from it.
    """

    middle: FloatArray
    away_mm: FloatArray
    sector: IntArray

    @classmethod
    def of(cls, place: BoolArray, spacing_mm: FloatArray) -> _Polar:
        """Look at a slice."""
        middle = np.argwhere(place).mean(axis=0)
        steps = (np.indices(place.shape) - middle[:, None, None]) * spacing_mm[1:, None, None]
        sector = ((np.arctan2(*steps) / np.pi + 1.0) * _SECTORS / 2).astype(int) % _SECTORS
        return cls(middle, np.hypot(*steps), sector)

    def first_mm(self, bone: BoolArray) -> FloatArray:
        """Way to the first bone by direction, infinite where there is none."""
        nearest = np.full(_SECTORS, np.inf)
        np.minimum.at(nearest, self.sector[bone], self.away_mm[bone])
        median: FloatArray = ndimage.median_filter(nearest, _NEIGHBOURS, mode="wrap")
        return median


def _fill_between(nearest_mm: FloatArray, step_mm: float) -> FloatArray:
    """Ways to the ribs where there is no bone, or one behind them such as a shoulder blade's."""
    # Opened along z: what is farther over less than a gap is none of the ribs' inside.
    height = 2 * round(_GAP_MM / step_mm / 2) + 1
    filled: FloatArray = ndimage.grey_opening(nearest_mm, size=(height, 1), mode="nearest")
    for row in filled:
        known = np.flatnonzero(np.isfinite(row))
        if len(known) >= _FEWEST:
            row[:] = np.interp(np.arange(_SECTORS), known, row[known], period=_SECTORS)
    return filled


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
