"""Fissures as smooth surfaces, each with how sure and how complete it is, and lobes by them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from miliary.anatomy import SIDES, Fissure
from miliary.arrays import BoolArray, Box, FloatArray, LabelArray
from miliary.config.fissures import FissureSettings
from miliary.fissures.bend import Fitted, bend, judge
from miliary.fissures.lobes import Drawing, Offsets, draw_side
from miliary.fissures.plates import Sheets, find_sheets
from miliary.fissures.search import fit_shape
from miliary.fissures.shape import height_over_depth, lung_box, place_prior
from miliary.fissures.surface import Evidence
from miliary.kernels.distance_image import DistanceImage
from miliary.kernels.slabs import on_threads
from miliary.volume import Volume

__all__ = ["Fissure", "Fissures", "find_fissures"]

#: What is not known without each fissure.
_UNKNOWN = {
    "right_oblique": "all lobes of the right lung are",
    "right_horizontal": "the right upper and middle lobe are",
    "left_oblique": "both lobes of the left lung are",
}


@dataclass(frozen=True, eq=False)
class Fissures:
    """Fissures and lobes on the crop.

    Parameters
    ----------
    found : tuple of Fissure
        Of each lung that there is.
    fissure_mask : (z, y, x) bool
        The seen parts of the sure ones, one to two voxels thick.
    surface_mm : (z, y, x) DistanceImage
        Inside the lungs, distance to the nearest sure surface of the same lung, seen or not;
        infinite elsewhere, and in a lung without one.
    lobe_labels : (z, y, x) uint8
        1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL; 0 where a fissure that bounds it is not sure.
    notes : tuple of str
        Sentences for a reader.
    """

    found: tuple[Fissure, ...]
    fissure_mask: BoolArray
    surface_mm: DistanceImage
    lobe_labels: LabelArray
    notes: tuple[str, ...] = ()

    @property
    def any_sure(self) -> bool:
        """Whether any fissure is sure enough to measure distances to."""
        return bool((self.surface_mm < np.inf).any())


def find_fissures(
    volume: Volume,
    box: Box,
    lung_labels: LabelArray,
    vessel_mask: BoolArray,
    settings: FissureSettings,
    *,
    cut: Iterable[tuple[str, str]] = (),
) -> Fissures:
    """Find the fissures and name the lobes between them.

    Thin sheets in the lungs, then for each fissure the shape of the prior that most of them speak
    for, then that surface bent to the sheets near it. The prior only says where to look: where
    sheets are seen, they decide.

    Parameters
    ----------
    volume : Volume
        The scan.
    box : tuple of three slices
        The crop.
    lung_labels : (z, y, x) uint8
        On the crop: 1 right lung, 2 left lung.
    vessel_mask : (z, y, x) bool
        Vessels, on the crop.
    settings : FissureSettings
        Limits.
    cut : iterable of (side, edge)
        Which lung is cut off by which edge of the scan: `upper` or `lower`.

    Returns
    -------
    Fissures
        With nothing found, masks are empty and distances infinite.
    """
    spacing = volume.geometry.spacing_mm
    sheets = find_sheets(volume.hu[box], lung_labels, vessel_mask, spacing, settings)
    found: list[Fissure] = []
    edges = {side: {edge for name, edge in cut if name == side} for side in sheets.evidence}
    fits = on_threads(lambda side: _fit_side(side, sheets, edges[side], settings), edges)
    # Only now: the images that sheets were found in are gone.
    drawing = Drawing.blank(lung_labels.shape)
    for side, fitted in zip(edges, fits, strict=True):
        found += [_describe(name, fit) for name, fit in fitted.items()]
        least = settings.min_confidence
        sure = {name: fit for name, fit in fitted.items() if fit.confidence >= least}
        draw_side(drawing, side, sure, lung_labels, spacing)
    notes = tuple(
        f"The {fissure.name.replace('_', ' ')} fissure is not seen well enough to name lobes by "
        f"it: {_UNKNOWN[fissure.name]} unknown."
        for fissure in found
        if fissure.confidence < settings.min_confidence
    )
    return Fissures(
        tuple(found), drawing.fissure_mask, drawing.surface_mm, drawing.lobe_labels, notes
    )


def _fit_side(
    side: str, sheets: Sheets, cut_edges: set[str], settings: FissureSettings
) -> dict[str, Fitted]:
    """Fit the fissures of one lung: of two ways to do so, the one that explains more sheets."""
    inside = sheets.lung_labels == SIDES[side]
    box_mm = _whole_box(lung_box(inside, sheets.step_mm), cut_edges)
    lung = _LungSheets(
        sheets.evidence[side], sheets.deep & inside, sheets.step_mm, box_mm, settings
    )
    first = lung.fit_all(side, lung.evidence)
    if side == "left":
        return first
    # The horizontal fissure and the upper part of the oblique one often lie in one surface, which
    # then passes for the oblique. Then what is left over goes on as the true one.
    oblique = first["right_oblique"].surface
    explained = np.abs(oblique.offsets_mm(lung.evidence.points_mm)) < settings.apart_mm
    weights = lung.evidence.weights * np.where(explained, settings.explained_weight, 1.0)
    second = lung.fit_all(side, replace(lung.evidence, weights=weights))
    return max(first, second, key=lambda fitted: sum(fit.seen_mm2 for fit in fitted.values()))


@dataclass(frozen=True, eq=False)
class _LungSheets:
    """Sheets of one lung, and where they could be seen."""

    evidence: Evidence
    deep: BoolArray
    step_mm: FloatArray
    box_mm: FloatArray
    settings: FissureSettings

    def fit_all(self, side: str, for_oblique: Evidence) -> dict[str, Fitted]:
        """Fit the oblique fissure from some evidence, bend it to all, then the horizontal one."""
        oblique = self._fit(f"{side}_oblique", for_oblique, self.evidence, self.deep)
        fitted = {f"{side}_oblique": oblique}
        if side == "right":
            # The horizontal fissure lies in front of the oblique one, and ends at it.
            away = oblique.surface.offsets_mm(self.evidence.points_mm)
            front = self.evidence.take(away < -self.settings.apart_mm)
            cut = Offsets.of(oblique.surface, self.deep.shape, np.zeros(3), self.step_mm)
            in_front = [cut.section(z)[0] < -self.settings.apart_mm for z in range(len(self.deep))]
            where = self.deep & np.array(in_front)
            fitted["right_horizontal"] = self._fit("right_horizontal", front, front, where)
        return fitted

    def _fit(self, name: str, chosen: Evidence, every: Evidence, where: BoolArray) -> Fitted:
        shape = fit_shape(place_prior(name, self.box_mm, self.settings), chosen, self.settings)
        surface = bend(shape, every, self.settings)
        return judge(surface, every, where, self.step_mm, self.settings)


def _whole_box(box_mm: FloatArray, cut_edges: set[str]) -> FloatArray:
    """Carry the box of a lung that the scan cuts off on to a usual height."""
    whole = box_mm.copy()
    height = height_over_depth() * (whole[1, 1] - whole[0, 1])
    if "upper" in cut_edges:
        whole[1, 0] = max(whole[1, 0], whole[0, 0] + height)
    elif "lower" in cut_edges:
        whole[0, 0] = min(whole[0, 0], whole[1, 0] - height)
    return whole


def _describe(name: str, fitted: Fitted) -> Fissure:
    area_mm2 = float(fitted.surface.node_areas_mm2()[fitted.inside].sum())
    return Fissure(name, fitted.confidence, fitted.completeness, area_mm2 / 100)
