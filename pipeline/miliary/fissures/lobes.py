"""Fissures and lobes on the voxels of the crop, and distances to the fissures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from miliary.anatomy import LOBES, SIDES
from miliary.arrays import BoolArray, FloatArray, LabelArray
from miliary.fissures.bend import Fitted
from miliary.fissures.surface import Surface
from miliary.kernels.distances import distance_to
from miliary.kernels.regions import bounding_box

#: A voxel belongs to a surface that passes nearer than this many voxels to its centre.
_HALF_THICKNESS_VOXELS = 0.6
#: Surfaces are read at steps this fine.
_FINE_MM = 0.2
_RUL, _RML, _RLL, _LUL, _LLL = (
    np.uint8(LOBES[name]) for name in ("RUL", "RML", "RLL", "LUL", "LLL")
)
_UNKNOWN = np.uint8(0)


@dataclass(frozen=True, eq=False)
class Drawing:
    """Images of the crop that the lungs are drawn into, one after the other.

    Parameters
    ----------
    fissure_mask : (z, y, x) bool
        Seen parts of fissures.
    surface_mm : (z, y, x) float32
        Distance to the nearest surface of the same lung.
    lobe_labels : (z, y, x) uint8
        Lobes that are known.
    """

    fissure_mask: BoolArray
    surface_mm: FloatArray
    lobe_labels: LabelArray

    @classmethod
    def blank(cls, shape: tuple[int, ...]) -> Drawing:
        """Start with nothing known.

        Parameters
        ----------
        shape : (3,) int
            Shape of the crop.

        Returns
        -------
        Drawing
            No fissures, no lobes, all distances infinite.
        """
        infinite = np.full(shape, np.inf, np.float32)
        return cls(np.zeros(shape, bool), infinite, np.zeros(shape, np.uint8))


def draw_side(
    drawing: Drawing,
    side: str,
    sure: dict[str, Fitted],
    lung_labels: LabelArray,
    spacing_mm: FloatArray,
) -> None:
    """Draw the fissures and lobes of one lung.

    Parameters
    ----------
    drawing : Drawing
        Gets them.
    side : str
        `right` or `left`.
    sure : dict of str to Fitted
        Surfaces of this lung that are sure enough, by their names. Without the oblique one
        nothing is drawn: the horizontal fissure alone bounds no lobe.
    lung_labels : (z, y, x) uint8
        1 right lung, 2 left lung.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    """
    if f"{side}_oblique" not in sure:
        return
    box = bounding_box(lung_labels == SIDES[side])
    inside = lung_labels[box] == SIDES[side]
    start_mm = np.array([bounds.start for bounds in box]) * spacing_mm
    half_mm = _HALF_THICKNESS_VOXELS * float(np.prod(spacing_mm)) ** (1 / 3)
    behind, seen = _draw(sure[f"{side}_oblique"], inside.shape, start_mm, spacing_mm)
    away = np.abs(behind)
    touched = away < half_mm
    found = touched & seen
    if side == "left":
        lobes = np.where(behind > 0, _LLL, _LUL)
    elif "right_horizontal" in sure:
        above, seen = _draw(sure["right_horizontal"], inside.shape, start_mm, spacing_mm)
        lobes = np.where(behind > 0, _RLL, np.where(above > 0, _RUL, _RML))
        # The horizontal fissure ends at the oblique one.
        level_mm = np.where(behind < 0, np.abs(above), np.float32(np.inf))
        away = np.minimum(away, level_mm)
        touched |= level_mm < half_mm
        found |= (level_mm < half_mm) & seen
    else:
        lobes = np.where(behind > 0, _RLL, _UNKNOWN)
    # Near a surface the offset is exact; past its edges only the distance to it is true.
    rough = distance_to(touched & inside, spacing_mm)
    drawing.surface_mm[box][inside] = np.maximum(away, rough - half_mm)[inside]
    drawing.fissure_mask[box] |= found & inside
    drawing.lobe_labels[box][inside] = lobes[inside]


def _draw(
    fitted: Fitted, shape: tuple[int, ...], start_mm: FloatArray, spacing_mm: FloatArray
) -> tuple[FloatArray, BoolArray]:
    shown = fitted.shown.astype(np.float32)
    return offset_image(fitted.surface, shape, start_mm, spacing_mm, shown)


def offset_image(
    surface: Surface,
    shape: tuple[int, ...],
    start_mm: FloatArray,
    spacing_mm: FloatArray,
    extra: FloatArray | None = None,
) -> tuple[FloatArray, BoolArray]:
    """Measure the offset of every voxel from a surface, and whether the surface is seen beside it.

    Parameters
    ----------
    surface : Surface
        A height over a plane whose second axis is x.
    shape : (3,) int
        Shape of the image.
    start_mm : (3,) float
        Grid point of its first voxel.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    extra : (P, Q) float or None
        Read along with the heights; above a half is seen. All is seen unless given.

    Returns
    -------
    offsets_mm : (Z, Y, X) float32
        At right angles to the surface, positive where the height is larger.
    seen : (Z, Y, X) bool
        Whether it is.
    """
    z, y, x = (a + np.arange(n) * d for a, n, d in zip(start_mm, shape, spacing_mm, strict=True))
    along, _, up = surface.axes
    place = (along[0] * z[:, None] + along[1] * y - surface.origin_mm[0]) / _FINE_MM
    heights = (up[0] * z[:, None] + up[1] * y).astype(np.float32)
    n_rows = int((surface.heights_mm.shape[0] - 1) * surface.step_mm / _FINE_MM) + 1
    # All voxels of a row along x share a place on the first axis: rows are read whole.
    row = np.clip(np.rint(place), 0, n_rows - 1).astype(np.intp)
    fine = np.arange(n_rows) * (_FINE_MM / surface.step_mm)
    across = (x - surface.origin_mm[1]) / surface.step_mm
    grid = np.meshgrid(fine, across, indexing="ij")

    def read(image: FloatArray) -> FloatArray:
        rows = ndimage.map_coordinates(image, grid, order=1, mode="nearest")
        return rows.astype(np.float32)

    cosines = read(surface.cosines())
    offsets = heights[..., None] * cosines[row] - (read(surface.heights_mm) * cosines)[row]
    seen = np.ones(shape, bool) if extra is None else (read(extra) > 0.5)[row]
    return offsets, seen
