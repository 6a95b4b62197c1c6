"""The chest without its vessels: smooth fields on a coarse grid, from closed-form shapes.

Shapes are functions of chest coordinates: mm at adult size with x to the left, y to the back
and z to the head (see `shapes`). They are evaluated on a coarse grid and interpolated; what is
sharper than that, fissures, septa, vessels and nodules, is drawn on the phantom's own grid from
distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cc3d
import edt
import numpy as np
from scipy import ndimage as ndi

from miliary.arrays import BoolArray, FloatArray, LabelArray
from miliary.phantom.body import paint_body
from miliary.phantom.fields import gradient_length
from miliary.phantom.fissures import (
    Fissure,
    Waves,
    depth_in_lobe,
    fissure_present,
    label_lobes,
    make_fissures,
)
from miliary.phantom.frame import Frame
from miliary.phantom.shapes import Build, lungs, smooth_noise
from miliary.phantom.spec import LOBES, DiseaseSpec, PhantomSpec

#: Where the pleura is pierced by bronchus, artery and veins: (z, y, x) in chest mm.
HILUM = {"right": (128.0, 12.0, -44.0), "left": (132.0, 14.0, 44.0)}

#: Where the trachea divides, and its start, (z, y, x) in chest mm.
CARINA, TRACHEA_TOP = (158.0, 14.0, 0.0), (330.0, 2.0, 0.0)

#: Voxel size of the coarse grid in mm.
STEP_MM = 1.6

#: Part of the fissures that is missing where they are incomplete.
_GAP_SHARE = 0.16

#: How far the mediastinum moves, and a half of the diaphragm rises, at a volume loss of 1.
_SHIFT_MM, _LIFT_MM = 45.0, 90.0

#: Relative standard deviation of a rind's thickness from place to place; never thinner than a
#: fifth of its mean.
_RIND_UNEVEN, _RIND_LEAST = 0.35, 0.2

#: Bodies smaller than this part of the largest are no lungs.
_ISLAND = 0.03

#: Attenuation of air and of lung in full inspiration, in HU.
_AIR_HU, _LUNG_HU = -1000.0, -866.0


@dataclass(frozen=True, eq=False)
class Chest:
    """A chest on a coarse grid, in the mm of the phantom's own grid points.

    Parameters
    ----------
    scale : float
        Size as a part of an adult's.
    frame : Frame
        Chest coordinates to grid points.
    step_mm : float
        Voxel size of the coarse grid, whose first voxel lies at grid point (0, 0, 0).
    pleural_mm : (z, y, x) float32
        Depth inside the pleura; negative outside. True near it.
    depth_mm : (z, y, x) float32
        Depth inside the nearest lung: the same but for a rind.
    body_hu : (z, y, x) float32
        Everything but the lungs, as if the lungs were filled with wall and mediastinum.
    body_labels : (z, y, x) uint8
        Tissue of the same.
    texture_hu : (z, y, x) float32
        Attenuation of the lung's parenchyma.
    ground_glass : (z, y, x) float32 or None
        Share of ground glass in it.
    consolidation_mm : (z, y, x) float32 or None
        Depth inside a consolidated lobe.
    missing : (z, y, x) float32 or None
        Positive where the fissures are missing.
    fissure_mm : tuple of three (z, y, x) float32
        Signed distance above right oblique, right horizontal and left oblique fissure.
    midline : float
        x in chest mm that parts right from left.
    """

    scale: float
    frame: Frame
    step_mm: float
    pleural_mm: FloatArray
    depth_mm: FloatArray
    body_hu: FloatArray
    body_labels: LabelArray
    texture_hu: FloatArray
    ground_glass: FloatArray | None
    consolidation_mm: FloatArray | None
    missing: FloatArray | None
    fissure_mm: tuple[FloatArray, FloatArray, FloatArray]
    midline: float

    @cached_property
    def true_depth_mm(self) -> FloatArray:
        """Depth in the aerated lung in mm, on the coarse grid: true at all depths, not only near
        the pleura; at most too small by half a step.
        """
        grid_mm = edt.edt(self.depth_mm > 0, anisotropy=(self.step_mm,) * 3, parallel=1)
        deep_mm = grid_mm - np.float32(0.5 * self.step_mm)
        depth_mm: FloatArray = np.where(self.depth_mm > 2 * self.step_mm, deep_mm, self.depth_mm)
        return depth_mm

    def to_grid(self, chest_zyx: FloatArray) -> FloatArray:
        """Convert (..., 3) chest coordinates `(z, y, x)` to grid points in mm.

        Parameters
        ----------
        chest_zyx : (..., 3) float
            Chest mm.

        Returns
        -------
        (..., 3) float
            Grid points in mm.
        """
        return self.frame.to_grid(chest_zyx)

    def sample(self, field: FloatArray, grid_mm: FloatArray) -> FloatArray:
        """Interpolate a coarse field linearly at grid points.

        Parameters
        ----------
        field : (z, y, x) float
            One of the fields of this chest.
        grid_mm : (N, 3) float
            Grid points in mm.

        Returns
        -------
        (N,) float
            Values; beyond the border those of the border.
        """
        index = (np.asarray(grid_mm) / self.step_mm).T
        values: FloatArray = ndi.map_coordinates(field, index, order=1, mode="nearest")
        return values

    def is_right(self, grid_mm: FloatArray) -> BoolArray:
        """Tell which grid points lie on the patient's right.

        Parameters
        ----------
        grid_mm : (N, 3) float
            Grid points in mm.

        Returns
        -------
        (N,) bool
            Whether a point is on the right.
        """
        right: BoolArray = self.frame.to_chest(grid_mm)[..., 2] < self.midline
        return right

    def lobes_at(self, grid_mm: FloatArray) -> LabelArray:
        """Tell in which lobe grid points lie, as if they were in the lungs.

        Parameters
        ----------
        grid_mm : (N, 3) float
            Grid points in mm.

        Returns
        -------
        (N,) uint8
            1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL.
        """
        above = tuple(self.sample(field, grid_mm) for field in self.fissure_mm)
        return label_lobes(above, self.is_right(grid_mm))

    def fissure_offset_mm(self, grid_mm: FloatArray) -> FloatArray:
        """Measure the distance of points inside the lungs to the nearest fissure of their lung.

        Parameters
        ----------
        grid_mm : (N, 3) float
            Grid points in mm.

        Returns
        -------
        (N,) float
            Distances in mm, as if the fissures were complete.
        """
        above = tuple(self.sample(field, grid_mm) for field in self.fissure_mm)
        right = self.is_right(grid_mm)
        distances = [
            np.where(fissure_present(above, number, right), np.abs(offset), np.inf)
            for number, offset in enumerate(above)
        ]
        nearest: FloatArray = np.minimum.reduce(distances)
        return nearest


@dataclass(frozen=True, eq=False)
class Plan:
    """All that is random in a chest and must be the same in every scan of a patient.

    Parameters
    ----------
    fissures : tuple of three Fissure
        Right oblique, right horizontal, left oblique.
    gaps, rind, glass : Waves
        Where fissures are missing, a rind is thick, ground glass lies.
    seed : int
        Of the mottles of body and lung.
    """

    fissures: tuple[Fissure, Fissure, Fissure]
    gaps: Waves
    rind: Waves
    glass: Waves
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Plan:
        """Draw the plan of a patient.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        Plan
            The plan.
        """
        lengths_mm = ((45.0, 110.0), (40.0, 140.0), (35.0, 90.0))
        gaps, rind, glass = (Waves.draw(lengths, rng) for lengths in lengths_mm)
        return cls(make_fissures(rng), gaps, rind, glass, int(rng.integers(2**62)))


def make_chest(spec: PhantomSpec, plan: Plan) -> Chest:
    """Make the coarse chest that a phantom's grid looks at.

    Parameters
    ----------
    spec : PhantomSpec
        Grid, patient and disease.
    plan : Plan
        What is random in the patient.

    Returns
    -------
    Chest
        Coarse fields with a step of 1.6 mm.
    """
    frame = Frame.of(spec)
    field_mm = (np.array(spec.scanner.shape) - 1) * spec.scanner.spacing_mm
    nz, ny, nx = (np.arange(np.ceil(n / STEP_MM) + 2) * STEP_MM for n in field_mm)
    z, y, x = frame.axes((nz, ny, nx))
    body_rng, lung_rng = np.random.default_rng(plan.seed).spawn(2)
    build = _build(spec.disease)
    pleural_mm = _distance((lungs(z, y, x, build) * spec.chest_scale).astype(np.float32))
    right = np.broadcast_to(x < build.midline, pleural_mm.shape)
    depth_mm = _without_rind(pleural_mm, right, spec.disease, plan.rind.at(z, y, x))
    above = tuple(
        _distance(np.asarray(z - fissure.height(y, x), np.float32)) for fissure in plan.fissures
    )
    glass = _ground_glass(plan.glass.at(z, y, x), spec.disease)
    body_hu, body_labels = paint_body(
        z, y, x, build, body_rng, table=spec.chest.table, arms=spec.chest.arms
    )
    texture_hu = _parenchyma_hu(pleural_mm.shape, y, spec.chest.breath, lung_rng)
    if glass is not None:
        texture_hu += np.float32(spec.disease.ground_glass_hu) * glass
    missing = plan.gaps.at(z, y, x) - np.float32(plan.gaps.share_above(_GAP_SHARE))
    return Chest(
        scale=spec.chest_scale,
        frame=frame,
        step_mm=STEP_MM,
        pleural_mm=pleural_mm,
        depth_mm=depth_mm,
        body_hu=body_hu,
        body_labels=body_labels,
        texture_hu=texture_hu,
        ground_glass=glass,
        consolidation_mm=_consolidation(above, right, spec.disease),
        missing=missing if spec.chest.incomplete_fissures else None,
        fissure_mm=(above[0], above[1], above[2]),
        midline=build.midline,
    )


def _build(disease: DiseaseSpec) -> Build:
    """Shift and lift where a lung is encased and has shrunken."""
    shift, lift = _SHIFT_MM * disease.volume_loss, _LIFT_MM * disease.volume_loss
    if disease.encased_lung == "left":
        return Build(shift_mm=shift, lift_left_mm=lift)
    if disease.encased_lung == "right":
        return Build(shift_mm=-shift, lift_right_mm=lift)
    return Build()


def _distance(field: FloatArray) -> FloatArray:
    """Turn a field into a signed distance that is true near its zero; islands are pushed under.

    A field of one body only (a fissure's sides are both large) keeps its sign everywhere.
    """
    kept = _without_islands(field)
    distance: FloatArray = kept / gradient_length(kept, STEP_MM)
    return distance


def _without_islands(depth_mm: FloatArray) -> FloatArray:
    """Push all but the largest bodies of a depth below zero: the two lungs stay."""
    labels = cc3d.connected_components(depth_mm > 0, connectivity=6)
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    island = (sizes > 0) & (sizes < _ISLAND * sizes.max())
    return np.where(island[labels], np.float32(-0.5), depth_mm)


def _without_rind(
    pleural_mm: FloatArray, right: BoolArray, disease: DiseaseSpec, uneven: FloatArray
) -> FloatArray:
    """Depth inside the lung that a rind has left."""
    if disease.encased_lung == "none":
        return pleural_mm
    thick = np.maximum(1.0 + _RIND_UNEVEN * uneven, _RIND_LEAST) * np.float32(disease.rind_mm)
    # The field is a true distance near the pleura only: deeper it is measured on the grid.
    grid_mm = edt.edt(pleural_mm > 0, anisotropy=(STEP_MM,) * 3, parallel=1)
    deep_mm = np.where(pleural_mm > 2 * STEP_MM, grid_mm - np.float32(0.5 * STEP_MM), pleural_mm)
    encased = right == (disease.encased_lung == "right")
    lung = np.where(encased, deep_mm - thick, pleural_mm).astype(np.float32)
    return _without_islands(lung)


def _ground_glass(field: FloatArray, disease: DiseaseSpec) -> FloatArray | None:
    """Share of ground glass: patches with soft borders that fill the part asked for."""
    if not disease.ground_glass_share:
        return None
    level = np.quantile(field, 1.0 - disease.ground_glass_share)
    glass: FloatArray = np.clip(0.5 + 1.8 * (field - np.float32(level)), 0.0, 1.0)
    return glass.astype(np.float32)


def _consolidation(
    above: tuple[FloatArray, ...], right: BoolArray, disease: DiseaseSpec
) -> FloatArray | None:
    """Depth inside the consolidated lobe, where there is one."""
    if disease.consolidated_lobe == "none":
        return None
    return depth_in_lobe(above, right, 1 + LOBES.index(disease.consolidated_lobe))


def _parenchyma_hu(
    shape: tuple[int, ...], y: FloatArray, breath: float, rng: np.random.Generator
) -> FloatArray:
    """Lung without visible vessels: denser towards the back, mottled like lobules and acini."""
    # Breathed out, the same tissue holds less air.
    dense = _AIR_HU + (_LUNG_HU - _AIR_HU) / breath
    hu = np.full(shape, dense, np.float32) + np.float32(0.22) * y
    for sigma_mm, sd_hu in ((1.2, 26.0), (5.0, 12.0), (18.0, 10.0)):
        hu += np.float32(sd_hu) * smooth_noise(shape, sigma_mm / STEP_MM, rng)
    return hu
