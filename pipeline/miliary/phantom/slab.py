"""A few slices of the lungs: every layer as blurred shares, then attenuation and tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import BoolArray, Box, FloatArray, LabelArray
from miliary.kernels.balls import REACH_SIGMAS, render_balls
from miliary.phantom.chest import Chest
from miliary.phantom.disease import Lesions
from miliary.phantom.drawing import blurred_sheet, draw_tubes, edge_share
from miliary.phantom.fields import Upsampler
from miliary.phantom.fissures import fissure_present, label_lobes
from miliary.phantom.lobules import SeptumField
from miliary.phantom.spec import PhantomSpec
from miliary.phantom.trees import Trees
from miliary.phantom.truth import Tissue
from miliary.phantom.tubes import Tubes

#: Attenuation in HU.
_VESSEL_HU, _WALL_HU, _AIR_HU, _SHEET_HU, _CONSOLIDATION_HU, _RIND_HU = (
    np.float32(hu) for hu in (45.0, 20.0, -1000.0, 20.0, 35.0, 40.0)
)

#: Thickness of a fissure in mm: seen as a faint line of about -700 HU at 1 mm.
_FISSURE_MM = 0.22

#: A voxel is called fissure when its centre is that near; septum when it is half as near.
_SHEET_LABEL_MM = 0.75

#: Blurred share from which a voxel is called vessel, wall or nodule; from which it is lumen.
_SMALL_SHARE, _LUMEN_SHARE = 0.25, 0.5

#: Part of the healthy septa that is seen, and how deep under the pleura they reach in mm
#: (Webb 2006, doi 10.1148/radiol.2392041968: few, and best developed in the periphery).
_SEEN_SEPTA, _SEPTA_DEEP_MM = 0.3, 15.0


@dataclass(frozen=True, eq=False)
class Slab:
    """The lungs' surfaces in a box of the phantom's grid.

    Parameters
    ----------
    spec : PhantomSpec
        Grid and disease.
    box : tuple of three slices
        Which voxels.
    shift_mm : float
        Along z, for the sub-slices of a thick one.
    sigma_mm : (3,) float
        Standard deviation of the Gaussian that everything is drawn with.
    depth_mm, pleural_mm : (k, m, n) float32
        Depth in the aerated lung and in the pleura.
    above_mm : tuple of three (k, m, n) float32
        Height above the fissures.
    right : (k, m, n) bool
        On the patient's right.
    texture_hu : (k, m, n) float32
        Parenchyma.
    missing, glass, consolidation_mm : (k, m, n) float32 or None
        As in `Chest`.
    """

    spec: PhantomSpec
    box: Box
    shift_mm: float
    sigma_mm: tuple[float, float, float]
    depth_mm: FloatArray
    pleural_mm: FloatArray
    above_mm: tuple[FloatArray, ...]
    right: BoolArray
    texture_hu: FloatArray
    missing: FloatArray | None
    glass: FloatArray | None
    consolidation_mm: FloatArray | None

    @classmethod
    def look(
        cls,
        spec: PhantomSpec,
        chest: Chest,
        up: Upsampler,
        box: Box,
        shift_mm: float,
        sigma_mm: tuple[float, float, float],
    ) -> Slab:
        """Interpolate the coarse fields of a chest.

        Parameters
        ----------
        spec : PhantomSpec
            Grid and disease.
        chest : Chest
            The fields.
        up : Upsampler
            Onto the phantom's grid.
        box : tuple of three slices
            Which voxels.
        shift_mm : float
            Along z.
        sigma_mm : (3,) float
            Standard deviation of the Gaussian that everything is drawn with.

        Returns
        -------
        Slab
            The box.
        """

        def part(field: FloatArray) -> FloatArray:
            return up.part(field, box, shift_mm)

        def maybe(field: FloatArray | None) -> FloatArray | None:
            return None if field is None else part(field)

        depth_mm = part(chest.depth_mm)
        encased = chest.pleural_mm is not chest.depth_mm
        lines = _lines(spec, box, shift_mm)
        return cls(
            spec,
            box,
            shift_mm,
            sigma_mm,
            depth_mm,
            part(chest.pleural_mm) if encased else depth_mm,
            tuple(part(field) for field in chest.fissure_mm),
            np.broadcast_to(chest.frame.axes(lines)[2] < chest.midline, depth_mm.shape),
            part(chest.texture_hu),
            maybe(chest.missing),
            maybe(chest.ground_glass),
            maybe(chest.consolidation_mm),
        )

    @property
    def lobes(self) -> LabelArray:
        """Lobes, also outside of the lungs."""
        return label_lobes(self.above_mm, self.right)

    @property
    def aerated(self) -> BoolArray:
        """Inside the aerated lung: neither rind nor consolidation."""
        inside: BoolArray = self.depth_mm > 0
        return inside if self.consolidation_mm is None else inside & (self.consolidation_mm <= 0)

    def shares(self, trees: Trees, septa: SeptumField, lesions: Lesions) -> Shares:
        """Draw everything that is finer than the coarse fields.

        Parameters
        ----------
        trees : Trees
            Vessels and airways.
        septa : SeptumField
            Faces between lobules.
        lesions : Lesions
            Nodules.

        Returns
        -------
        Shares
            Blurred shares of every layer.
        """
        fissure, fissure_near = self._fissures()
        septum, septum_near = self._septa(septa)
        nodules = self._nodules(lesions)
        return Shares(
            fissure,
            septum,
            self._tubes(trees.artery_tubes),
            self._tubes(trees.vein_tubes),
            self._tubes(trees.wall),
            self._tubes(trees.lumen),
            self._tubes(lesions.buds) if len(lesions.buds) else None,
            nodules,
            fissure_near & (self.depth_mm > 0),
            septum_near,
        )

    def attenuation(self, shares: Shares, body_hu: FloatArray) -> FloatArray:
        """Put the lungs into the body.

        Parameters
        ----------
        shares : Shares
            What `shares` gave.
        body_hu : (k, m, n) float32
            What is round the lungs.

        Returns
        -------
        (k, m, n) float32
            Attenuation in HU, without noise.
        """
        lung = self.texture_hu.copy()
        sigma = self._sigma_across(self.depth_mm)
        sheets = [(shares.fissure, _SHEET_HU), (shares.septum, _SHEET_HU)]
        if self.consolidation_mm is not None:
            sheets.append((edge_share(self.consolidation_mm, sigma), _CONSOLIDATION_HU))
        for share, tissue_hu in (
            *sheets,
            (shares.vessel, _VESSEL_HU),
            (shares.wall, _WALL_HU),
            (shares.lumen, _AIR_HU),
        ):
            lung += share * (tissue_hu - lung)
        around = body_hu + shares.lumen * (_AIR_HU - body_hu)
        if self.pleural_mm is not self.depth_mm:
            rind = edge_share(self.pleural_mm, self._sigma_across(self.pleural_mm))
            around += rind * (_RIND_HU - around)
        hu: FloatArray = around + edge_share(self.depth_mm, sigma) * (lung - around)
        if shares.buds is not None:
            hu += shares.buds * np.maximum(_WALL_HU - lung, 0)
        for nodule_hu, share in shares.nodules.items():
            # A nodule replaces lung: at the pleura, where lung and wall are blurred into each
            # other, what it adds still belongs to the lung alone. It gets no denser than tissue.
            tissue = np.maximum(hu, np.float32(nodule_hu))
            hu = np.minimum(hu + share * np.maximum(np.float32(nodule_hu) - lung, 0), tissue)
        return hu

    def tissues(self, shares: Shares, body_labels: LabelArray) -> LabelArray:
        """Tell what every voxel mostly is.

        Parameters
        ----------
        shares : Shares
            What `shares` gave.
        body_labels : (k, m, n) uint8
            What is round the lungs.

        Returns
        -------
        (k, m, n) uint8
            Labels of `Tissue`.
        """
        labels = body_labels.copy()
        inside = self.depth_mm > 0
        labels[self.pleural_mm > 0] = Tissue.RIND
        labels[inside] = Tissue.LUNG
        if self.glass is not None:
            labels[inside & (self.glass > 0.5)] = Tissue.GROUND_GLASS
        labels[shares.septum_near & inside] = Tissue.SEPTUM
        labels[shares.fissure_near] = Tissue.FISSURE
        if self.consolidation_mm is not None:
            labels[inside & (self.consolidation_mm > 0)] = Tissue.CONSOLIDATION
        artery = shares.artery >= shares.vein
        labels[inside & artery & (shares.artery >= _SMALL_SHARE)] = Tissue.ARTERY
        labels[inside & ~artery & (shares.vein >= _SMALL_SHARE)] = Tissue.VEIN
        labels[shares.wall >= _LUMEN_SHARE] = Tissue.AIRWAY_WALL
        labels[shares.lumen >= _LUMEN_SHARE] = Tissue.AIRWAY_LUMEN
        if shares.buds is not None:
            labels[inside & (shares.buds >= _SMALL_SHARE)] = Tissue.BRONCHIOLE
        for share in shares.nodules.values():
            labels[(share >= _SMALL_SHARE) & (self.pleural_mm > 0)] = Tissue.NODULE
        return labels

    def _sigma_across(self, depth_mm: FloatArray) -> FloatArray:
        """Standard deviation of the drawing Gaussian across a surface, voxel by voxel."""
        sigmas = np.asarray(self.sigma_mm, np.float32)
        if np.ptp(sigmas) == 0 or min(depth_mm.shape) <= 1:
            return np.full_like(depth_mm, sigmas.mean())
        spacing = self.spec.scanner.spacing_mm
        steps = np.gradient(depth_mm, *(np.float32(step) for step in spacing))
        along = sum(np.square(step) for step in steps)
        across = sum(np.square(s * step) for s, step in zip(sigmas, steps, strict=True))
        # Where the depth is flat, deep inside or far outside, any spread will do.
        flat = (along < 1e-6) * sigmas[0] ** 2
        spread: FloatArray = np.sqrt(across / np.maximum(along, 1e-6) + flat)
        return spread

    def _sheet_sigma_mm(self) -> float:
        """Blur of a sheet of any direction: the mean of the three."""
        return float(np.sqrt(np.mean(np.square(self.sigma_mm))))

    def _fissures(self) -> tuple[FloatArray, BoolArray]:
        """Share of the fissures, and where they are near."""
        sigma_mm = self._sheet_sigma_mm()
        share, near = np.zeros(self.depth_mm.shape, np.float32), np.zeros(self.depth_mm.shape, bool)
        for number, offset_mm in enumerate(self.above_mm):
            close = np.abs(offset_mm) < 4 * sigma_mm
            close &= fissure_present(self.above_mm, number, self.right)
            line = blurred_sheet(offset_mm[close], _FISSURE_MM, sigma_mm)
            seen = np.abs(offset_mm[close]) <= _SHEET_LABEL_MM
            if self.missing is not None:
                there = np.clip(-4.0 * self.missing[close], 0.0, 1.0)
                line, seen = line * there, seen & (there > 0.5)
            share[close] = np.maximum(share[close], line)
            near[close] |= seen
        return share, near

    def _septa(self, septa: SeptumField) -> tuple[FloatArray, BoolArray]:
        """Share of the septa that are seen, and where they are near."""
        chest, disease = self.spec.chest, self.spec.disease
        thick_mm = disease.septal_thickening_mm
        share, near = np.zeros(self.depth_mm.shape, np.float32), np.zeros(self.depth_mm.shape, bool)
        where = self.depth_mm > 0
        if not thick_mm:
            where &= self.depth_mm < _SEPTA_DEEP_MM
        index = np.argwhere(where)
        if not len(index):
            return share, near
        lines = _lines(self.spec, self.box, self.shift_mm)
        points = np.stack([line[rows] for line, rows in zip(lines, index.T, strict=True)], 1)
        distance_mm, face = septa.at(points.astype(np.float32), self.lobes[where])
        rank = septa.presence(face)
        seen = (rank > 1 - _SEEN_SEPTA) & (self.depth_mm[where] < _SEPTA_DEEP_MM)
        width = np.where(seen, np.float32(chest.septum_mm), np.float32(0))
        if thick_mm:
            width[rank < disease.septal_share] = thick_mm
        share[where] = blurred_sheet(distance_mm, width, self._sheet_sigma_mm())
        near[where] = (width > 0) & (distance_mm < np.maximum(width, _SHEET_LABEL_MM) / 2)
        return share, near

    def _start_mm(self) -> FloatArray:
        """Grid point of the first voxel."""
        start = np.array([part.start for part in self.box]) * self.spec.scanner.spacing_mm
        shifted: FloatArray = start + np.array([self.shift_mm, 0.0, 0.0])
        return shifted

    def _tubes(self, tubes: Tubes) -> FloatArray:
        """Share of tubes."""
        share = np.zeros(self.depth_mm.shape, np.float32)
        lift_mm = self._start_mm()
        moved = Tubes(tubes.start_mm - lift_mm, tubes.end_mm - lift_mm, tubes.radius_mm)
        draw_tubes(share, moved, self.spec.scanner.spacing_mm, self.sigma_mm)
        return share

    def _nodules(self, lesions: Lesions) -> dict[float, FloatArray]:
        """Share of the nodules of every attenuation."""
        spacing, start_mm = self.spec.scanner.spacing_mm, self._start_mm()
        height_mm = self.depth_mm.shape[0] * spacing[0]
        shares: dict[float, FloatArray] = {}
        looks = {(hu, edge) for hu, edge in zip(lesions.nodule_hu, lesions.edge_mm, strict=True)}
        for nodule_hu, edge_mm in sorted(looks):
            sigma = [float(np.hypot(s, edge_mm)) for s in self.sigma_mm]
            reach = lesions.diameter_mm / 2 + (REACH_SIGMAS + 1) * sigma[0]
            z = lesions.centres_mm[:, 0] - start_mm[0]
            here = (z + reach > 0) & (z - reach < height_mm)
            here &= (lesions.nodule_hu == nodule_hu) & (lesions.edge_mm == edge_mm)
            share = render_balls(
                (self.depth_mm.shape[0], self.depth_mm.shape[1], self.depth_mm.shape[2]),
                spacing,
                lesions.centres_mm[here] - start_mm,
                lesions.diameter_mm[here],
                (sigma[0], sigma[1], sigma[2]),
            )
            before = shares.get(float(nodule_hu))
            shares[float(nodule_hu)] = (
                share if before is None else np.minimum(before + share, np.float32(1))
            )
        return shares


@dataclass(frozen=True, eq=False)
class Shares:
    """What part of each voxel a layer fills after the blur, 0 to 1.

    Parameters
    ----------
    fissure, septum, artery, vein, wall, lumen : (k, m, n) float32
        Sheets and tubes; the wall includes its lumen.
    buds : (k, m, n) float32 or None
        Filled bronchioles.
    nodules : dict of float to (k, m, n) float32
        Nodules by attenuation in HU.
    fissure_near, septum_near : (k, m, n) bool
        Where they get their label.
    """

    fissure: FloatArray
    septum: FloatArray
    artery: FloatArray
    vein: FloatArray
    wall: FloatArray
    lumen: FloatArray
    buds: FloatArray | None
    nodules: dict[float, FloatArray]
    fissure_near: BoolArray
    septum_near: BoolArray

    @property
    def vessel(self) -> FloatArray:
        """Share of arteries and veins together."""
        together: FloatArray = 1.0 - (1.0 - self.artery) * (1.0 - self.vein)
        return together


def _lines(
    spec: PhantomSpec, box: Box, shift_mm: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Grid coordinates in mm of the voxels of a box along z, y and x."""
    z, y, x = (
        np.arange(part.start, part.stop) * step
        for part, step in zip(box, spec.scanner.spacing_mm, strict=True)
    )
    return z + shift_mm, y, x
