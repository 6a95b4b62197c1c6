"""Lungs of two scans laid over each other: rigid first, then affine, and how well it went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813
from scipy.spatial import KDTree
from skimage.morphology import skeletonize

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.config.compare import CompareSettings
from miliary.geometry import Geometry

#: Distances are of interest near a surface only; vessels are nearer to each other than this.
_LUNG_REACH_MM, _VESSEL_REACH_MM = 20.0, 6.0
_MARGIN_MM = 12.0
_STEPS, _LEARNING_RATE, _LEAST_STEP = 80, 1.0, 1e-3
#: Points of the vessels by which an alignment is measured.
_MAX_POINTS = 4000
#: Vessels refine an alignment by lungs only where the lungs do not lose more overlap.
_DICE_LOSS = 0.01


@dataclass(frozen=True, eq=False)
class LungMasks:
    """One lung of a scan and the vessels in it.

    Parameters
    ----------
    lung, vessels : (z, y, x) bool
        Masks.
    geometry : Geometry
        Their grid.
    """

    lung: BoolArray
    vessels: BoolArray
    geometry: Geometry


@dataclass(frozen=True, eq=False)
class Aligned:
    """Two scans of a lung, laid over each other.

    Parameters
    ----------
    matrix : (4, 4) float
        From world points of the earlier scan to those of the later.
    model : str
        `rigid` or `affine`.
    dice_before, dice : float
        Overlap of the lungs as scanned and as aligned.
    surface_mm : float
        Mean distance of their surfaces.
    error_mm : float or None
        Median distance from the middle lines of the vessels of one scan to those of the other;
        None for too few.
    """

    matrix: FloatArray
    model: str
    dice_before: float
    dice: float
    surface_mm: float
    error_mm: float | None

    def __call__(self, points_mm: FloatArray) -> FloatArray:
        """Take points of the earlier scan to the later.

        Parameters
        ----------
        points_mm : (N, 3) float
            World points.

        Returns
        -------
        (N, 3) float
            World points.
        """
        points = np.asarray(points_mm, float).reshape(-1, 3)
        moved: FloatArray = points @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        return moved


def align_lungs(earlier: LungMasks, later: LungMasks, settings: CompareSettings) -> Aligned:
    """Lay a lung of one scan over the same lung of another.

    Distance maps of the lungs on a coarse grid, rigid from their middles, then affine; then those
    of the vessels, which hold what the outline of a lung lets turn and slide.

    Parameters
    ----------
    earlier, later : LungMasks
        The lung in each scan.
    settings : CompareSettings
        The coarse grid.

    Returns
    -------
    Aligned
        The better of the alignments by lungs and by vessels.
    """
    step = settings.align_mm
    maps = [_distances(part.lung, part, step, _LUNG_REACH_MM) for part in (earlier, later)]
    middle = [_middle(part) for part in (earlier, later)]
    start = sitk.Euler3DTransform()
    start.SetCenter(middle[0].tolist())
    start.SetTranslation((middle[1] - middle[0]).tolist())
    rigid = _register(maps, start)
    affine = sitk.AffineTransform(3)
    affine.SetCenter(middle[0].tolist())
    affine.SetMatrix(rigid.GetMatrix())
    affine.SetTranslation(rigid.GetTranslation())
    by_lungs = _register(maps, affine)
    lines = [_middle_lines(part) for part in (earlier, later)]
    tried = [
        _measure(_matrix(rigid), "rigid", maps, lines),
        _measure(_matrix(by_lungs), "affine", maps, lines),
    ]
    if min(map(len, lines)) >= settings.align_vessel_points:
        vessels = [
            _distances(part.vessels, part, step / 2, _VESSEL_REACH_MM) for part in (earlier, later)
        ]
        refined = _register(vessels, by_lungs)
        tried.append(_measure(_matrix(refined), "affine", maps, lines))
    return _best(tried)


def _best(tried: list[Aligned]) -> Aligned:
    """The one that lays vessels best over each other among those that overlap well."""
    overlap = max(one.dice for one in tried)
    good = [one for one in tried if one.dice >= overlap - _DICE_LOSS]
    return min(good, key=lambda one: one.error_mm if one.error_mm is not None else -one.dice)


def _middle(part: LungMasks) -> FloatArray:
    index = np.argwhere(part.lung[::2, ::2, ::2]).mean(axis=0) * 2
    middle: FloatArray = part.geometry.to_world(index[None])[0]
    return middle


def _distances(mask: BoolArray, part: LungMasks, step_mm: float, reach_mm: float) -> sitk.Image:
    """Signed distance to a mask, cut off, on an upright grid round the lung."""
    geometry = part.geometry
    image = sitk.GetImageFromArray(mask.astype(np.float32))
    image.SetSpacing([float(length) for length in geometry.spacing_mm[::-1]])
    image.SetOrigin([float(value) for value in geometry.affine[:3, 3]])
    image.SetDirection([float(value) for value in geometry.axes[:, ::-1].ravel()])
    corners = geometry.to_world(_corners(part.lung))
    low, high = corners.min(axis=0) - _MARGIN_MM, corners.max(axis=0) + _MARGIN_MM
    size = [int(n) for n in np.ceil((high - low) / step_mm)]
    coarse = sitk.Resample(
        sitk.SmoothingRecursiveGaussian(image, step_mm / 2.35),
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        low.tolist(),
        [step_mm] * 3,
        np.eye(3).ravel().tolist(),
        0.0,
    )
    # Thin vessels fill less than half of a coarse voxel.
    least = 0.5 if mask is part.lung else 0.2
    distance = sitk.SignedMaurerDistanceMap(
        coarse > least, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    # Distances are to the centres of the outermost voxels; the surface lies half a voxel outside.
    return sitk.Clamp(distance - step_mm / 2, sitk.sitkFloat32, -reach_mm, reach_mm)


def _corners(mask: BoolArray) -> FloatArray:
    where = [np.flatnonzero(mask.any(axis=axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1))]
    corners: FloatArray = np.stack(np.meshgrid(*where, indexing="ij"), -1).astype(float)
    return corners.reshape(-1, 3)


def _register(maps: list[sitk.Image], start: sitk.Transform) -> sitk.Transform:
    """Move the later map until it fits the earlier one."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=_LEARNING_RATE, minStep=_LEAST_STEP, numberOfIterations=_STEPS
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([0, 0])
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(*maps)
    # What comes back is a composite of one.
    inner = sitk.CompositeTransform(found).GetNthTransform(0)
    return type(start)(inner)


def _matrix(transform: sitk.Transform) -> FloatArray:
    matrix = np.eye(4)
    turn = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix[:3, :3] = turn
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - turn @ centre
    return matrix


def _middle_lines(part: LungMasks) -> FloatArray:
    """Points on the middle lines of the vessels."""
    box = tuple(slice(int(low), int(high) + 1) for low, high in _corners(part.lung)[[0, -1]].T)
    lines = np.argwhere(skeletonize(part.vessels[box] & part.lung[box]))
    index = lines.astype(float) + [bounds.start for bounds in box]
    index = index[:: max(1, len(index) // _MAX_POINTS)]
    points: FloatArray = part.geometry.to_world(index.reshape(-1, 3))
    return points


def _measure(
    matrix: FloatArray, model: str, maps: list[sitk.Image], lines: list[FloatArray]
) -> Aligned:
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(matrix[:3, :3].ravel().tolist())
    affine.SetTranslation(matrix[:3, 3].tolist())
    first = sitk.GetArrayViewFromImage(maps[0])
    moved, still = (
        sitk.GetArrayFromImage(
            sitk.Resample(maps[1], maps[0], how, sitk.sitkLinear, _LUNG_REACH_MM)
        )
        for how in (affine, sitk.Transform())
    )
    surface = np.abs(first) <= 0.75 * maps[0].GetSpacing()[0]
    aligned = Aligned(
        matrix,
        model,
        _dice(first <= 0, still <= 0),
        _dice(first <= 0, moved <= 0),
        float(np.abs(moved[surface] - first[surface]).mean()) if surface.any() else float("nan"),
        None,
    )
    if min(map(len, lines)) == 0:
        return aligned
    there = aligned(lines[0])
    apart = [KDTree(b).query(a)[0] for a, b in ((there, lines[1]), (lines[1], there))]
    error = float(max(np.median(distance) for distance in apart))
    return Aligned(matrix, model, aligned.dice_before, aligned.dice, aligned.surface_mm, error)


def _dice(a: AnyArray, b: AnyArray) -> float:
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return float(2 * np.count_nonzero(a & b) / total) if total else 0.0
