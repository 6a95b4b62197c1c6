"""Fissures and lobes on the voxels of the crop, and distances to the fissures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.anatomy import LOBES, SIDES
from miliary.arrays import BoolArray, FloatArray, IntArray, LabelArray
from miliary.fissures.bend import Fitted
from miliary.fissures.surface import Surface
from miliary.kernels.distance_image import DistanceImage, in_steps
from miliary.kernels.fields import distance_beside
from miliary.kernels.heights import linear_matrix
from miliary.kernels.regions import bounding_box
from miliary.kernels.slabs import on_threads

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
    surface_mm : (z, y, x) DistanceImage
        Distance to the nearest surface of the same lung.
    lobe_labels : (z, y, x) uint8
        Lobes that are known.
    """

    fissure_mask: BoolArray
    surface_mm: DistanceImage
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
        infinite = DistanceImage.unknown(shape)
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
    labels = lung_labels[box]
    start_mm = np.array([bounds.start for bounds in box]) * spacing_mm
    half_mm = _HALF_THICKNESS_VOXELS * float(np.prod(spacing_mm)) ** (1 / 3)
    cut = {
        name: Offsets.of(fit.surface, labels.shape, start_mm, spacing_mm, fit.shown)
        for name, fit in sure.items()
    }
    # Of `away` only what is drawn is read.
    away, touched = np.empty(labels.shape, np.uint16), np.zeros(labels.shape, bool)
    fissure_mask, lobe_labels = drawing.fissure_mask[box], drawing.lobe_labels[box]

    def work(z: int) -> tuple[int, slice, slice] | None:
        inside = labels[z : z + 1] == SIDES[side]
        if not inside.any():
            return None
        # Of a lung's box a section of it fills half, and less near its ends.
        _, rows, columns = bounding_box(inside)
        part = (z, rows, columns)
        inside = inside[0, rows, columns]
        lobes, away_mm, near, found = _draw_section(side, cut, part, half_mm)
        away[part] = in_steps(away_mm)
        touched[part] = near & inside
        fissure_mask[part] |= found & inside
        np.copyto(lobe_labels[part], lobes, where=inside)
        return part

    drawn = on_threads(work, range(len(labels)))
    # Near a surface the offset is exact; past its edges only the distance to it is true.
    own_labels = labels * (labels == SIDES[side])
    rough = distance_beside(touched, own_labels, spacing_mm, margin_mm=0.0)
    beyond = in_steps(np.maximum(rough.table_mm - half_mm, 0))
    surface = drawing.surface_mm.codes[box]
    for part in filter(None, drawn):
        farther = np.maximum(away[part], beyond.take(rough.codes[part], mode="clip"))
        np.copyto(surface[part], farther, where=own_labels[part] > 0)


def _draw_section(
    side: str, cut: dict[str, Offsets], part: tuple[int, slice, slice], half_mm: float
) -> tuple[LabelArray, FloatArray, BoolArray, BoolArray]:
    """Lobes, distance to the nearer surface, where surfaces pass, and where they are seen."""
    behind, seen = cut[f"{side}_oblique"].section(*part)
    away = np.abs(behind)
    touched = away < half_mm
    found = touched & seen
    if side == "left":
        return np.where(behind > 0, _LLL, _LUL), away, touched, found
    if "right_horizontal" not in cut:
        return np.where(behind > 0, _RLL, _UNKNOWN), away, touched, found
    above, seen = cut["right_horizontal"].section(*part)
    lobes = np.where(behind > 0, _RLL, np.where(above > 0, _RUL, _RML))
    # The horizontal fissure ends at the oblique one.
    level_mm = np.where(behind < 0, np.abs(above), np.float32(np.inf))
    at_level = level_mm < half_mm
    return lobes, np.minimum(away, level_mm), touched | at_level, found | (at_level & seen)


@dataclass(frozen=True, eq=False)
class Offsets:
    """Offsets of every voxel of an image from a surface, read section by section.

    All voxels of a row along x share a place on the surface's first axis: rows are read whole.

    Parameters
    ----------
    row : (Z, Y) int
        Which row of the tables each row of the image reads.
    height_mm : (Z, Y) float32
        Its height.
    cosines, scaled_mm : (R, X) float32
        Cosine of the slope of the surface, and the surface's height times it.
    shown : (R, X) bool
        Where the surface is seen.
    """

    row: IntArray
    height_mm: FloatArray
    cosines: FloatArray
    scaled_mm: FloatArray
    shown: BoolArray

    @classmethod
    def of(
        cls,
        surface: Surface,
        shape: tuple[int, ...],
        start_mm: FloatArray,
        spacing_mm: FloatArray,
        shown: BoolArray | None = None,
    ) -> Offsets:
        """Read the surface at the rows of an image.

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
        shown : (P, Q) bool or None
            Nodes at which the surface is seen. All of them unless given.

        Returns
        -------
        Offsets
            The tables.
        """
        z, y, x = (
            a + np.arange(n) * d for a, n, d in zip(start_mm, shape, spacing_mm, strict=True)
        )
        along, _, up = surface.axes
        place = (along[0] * z[:, None] + along[1] * y - surface.origin_mm[0]) / _FINE_MM
        n_rows = int((surface.heights_mm.shape[0] - 1) * surface.step_mm / _FINE_MM) + 1
        fine = np.arange(n_rows) * (_FINE_MM / surface.step_mm)
        across = (x - surface.origin_mm[1]) / surface.step_mm
        # Bilinear reading of a whole grid is a product with a matrix along each axis.
        n_along, n_across = surface.heights_mm.shape
        by_row, by_column = linear_matrix(fine, n_along), linear_matrix(across, n_across)

        def read(image: FloatArray) -> FloatArray:
            rows: FloatArray = (by_row @ (by_column @ image.T).T).astype(np.float32)
            return rows

        cosines = read(surface.cosines())
        all_seen = np.ones(cosines.shape, bool)
        return cls(
            np.clip(np.rint(place), 0, n_rows - 1).astype(np.intp),
            (up[0] * z[:, None] + up[1] * y).astype(np.float32),
            cosines,
            read(surface.heights_mm) * cosines,
            all_seen if shown is None else read(shown.astype(np.float32)) > 0.5,
        )

    def section(
        self, z: int, rows: slice = slice(None), columns: slice = slice(None)
    ) -> tuple[FloatArray, BoolArray]:
        """Give one section, or a part of it.

        Parameters
        ----------
        z : int
            Its index.
        rows, columns : slice
            The part; the whole unless given.

        Returns
        -------
        offsets_mm : (Y, X) float32
            At right angles to the surface, positive where the height is larger.
        seen : (Y, X) bool
            Whether the surface is seen beside it.
        """
        row = self.row[z, rows]
        offsets = self.cosines[row, columns]
        offsets *= self.height_mm[z, rows, None]
        offsets -= self.scaled_mm[row, columns]
        return offsets, self.shown[row, columns]
