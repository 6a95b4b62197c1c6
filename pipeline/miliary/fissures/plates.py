"""Thin bright sheets inside the lungs, away from vessels and pleura: what may be a fissure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.anatomy import SIDES
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray, LabelArray
from miliary.config.fissures import FissureSettings
from miliary.fissures.surface import Evidence
from miliary.kernels.distances import deep_inside, within
from miliary.kernels.filters import smooth_where
from miliary.kernels.inside import cap_inside, median_inside
from miliary.kernels.plates import bright_curvature, coplanar_support, sheet_points

#: Voxels that tell the noise of the response.
_NOISE_SAMPLE = 40000
#: One of so many voxels of the lungs is plenty for a median.
_MEDIAN_EVERY = 11
#: So that a quotient that should be whole does not round down.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Sheets:
    """Sheets of both lungs, and the lattice they were looked for on.

    Parameters
    ----------
    evidence : dict of str to Evidence
        Points on sheets of each lung that there is.
    lung_labels : (z, y, x) uint8
        The lungs on the lattice.
    deep : (z, y, x) bool
        Its points that are far enough from the pleura for a sheet to be seen.
    step_mm : (3,) float
        Distance of its points along z, y and x.
    """

    evidence: dict[str, Evidence]
    lung_labels: LabelArray
    deep: BoolArray
    step_mm: FloatArray


def find_sheets(
    hu: AnyArray,
    lung_labels: LabelArray,
    vessel_mask: BoolArray,
    spacing_mm: FloatArray,
    settings: FissureSettings,
) -> Sheets:
    """Find points on thin sheets in each lung.

    Only a lattice of voxels is looked at: a smooth surface is known by far fewer points than
    there are voxels, and each point tells its own middle.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units of the crop.
    lung_labels : (z, y, x) uint8
        1 right lung, 2 left lung.
    vessel_mask : (z, y, x) bool
        Vessels.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    settings : FissureSettings
        Limits.

    Returns
    -------
    Sheets
        Of each lung that there is.
    """
    jumps = np.maximum((settings.lattice_mm / spacing_mm + _ROUNDING).astype(int), 1)
    step_mm = jumps * spacing_mm
    z, y, x = (slice(None, None, jump) for jump in jumps)
    labels = np.ascontiguousarray(lung_labels[z, y, x])
    deep = deep_inside(labels, settings.margin_mm, step_mm)
    # A lung that the scan cuts off reaches the border, where there is no curvature.
    inner = tuple(slice(1, -(-(n - 1) // jump)) for n, jump in zip(hu.shape, jumps, strict=True))
    index = np.argwhere(deep[inner]) + 1
    # Between thick slices a narrower filter would see nothing.
    sigma_mm = max(settings.sigma_mm, settings.sigma_steps * float(spacing_mm.max()))
    smoothed = _without_vessels(hu, lung_labels, vessel_mask, spacing_mm, sigma_mm, settings)
    chosen, normals, offset = _sheet_voxels(smoothed, index * jumps, spacing_mm, sigma_mm, settings)
    # Half the diagonal of the lattice: another of its voxels is nearer to a sheet farther away.
    near = np.abs(offset) < np.linalg.norm(step_mm) / 2
    index, normals, offset = index[chosen][near], normals[near], offset[near]
    points = index * step_mm + offset[:, None] * normals
    sides = labels[tuple(index.T)]
    found = {
        side: _weigh(points[sides == label], normals[sides == label], step_mm, settings)
        for side, label in SIDES.items()
        if (labels == label).any()
    }
    return Sheets(found, labels, deep, step_mm)


def _sheet_voxels(
    smoothed: FloatArray,
    index: IntArray,
    spacing_mm: FloatArray,
    sigma_mm: float,
    settings: FissureSettings,
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Choose voxels that a sheet passes; gives them, their normals and the way to its middle."""
    shape = smoothed.shape
    flat = index @ np.array([shape[1] * shape[2], shape[2], 1])
    width_mm, scale = float(np.hypot(sigma_mm, settings.psf_mm)), sigma_mm**2
    # A part tells the noise; the full Hessian is taken only where the image is bright at all.
    sample = flat[:: max(1, len(flat) // _NOISE_SAMPLE)]
    usual = sheet_points(smoothed, sample, spacing_mm, width_mm=width_mm, scale=scale)[0]
    noise = float(np.median(usual)) if len(usual) else 0.0
    least = max(settings.min_strength_hu, settings.min_strength_noise * noise)
    curved = bright_curvature(smoothed, flat, spacing_mm, width_mm=width_mm)
    bright = np.flatnonzero(scale * curved > least)
    strength, second, normals, offset = sheet_points(
        smoothed, flat[bright], spacing_mm, width_mm=width_mm, scale=scale
    )
    kept = (strength > least) & (second < settings.max_second * strength)
    return bright[kept], normals[kept], offset[kept]


def _weigh(
    points_mm: FloatArray, normals: FloatArray, step_mm: FloatArray, settings: FissureSettings
) -> Evidence:
    """Weight points by how much of a sheet surrounds them."""
    support = coplanar_support(
        points_mm, normals, reach_mm=settings.support_mm, cell_mm=settings.node_mm
    )
    # The points of a whole sheet fill a layer as thick as the lattice's diagonal.
    per_mm2 = float(np.linalg.norm(step_mm) / np.prod(step_mm))
    whole = per_mm2 * settings.node_mm**3 / (np.sqrt(2 * np.pi) * settings.support_mm)
    low, high = settings.support_shares
    weights = np.clip((support / whole - low) / (high - low), 0.0, 1.0)
    return Evidence(points_mm, normals, weights).take(weights > 0)


def _without_vessels(
    hu: AnyArray,
    lung_labels: LabelArray,
    vessel_mask: BoolArray,
    spacing_mm: FloatArray,
    sigma_mm: float,
    settings: FissureSettings,
) -> FloatArray:
    """Smooth the lungs with lung in place of vessels and of all that is outside."""
    lungs = lung_labels > 0
    lung_hu = median_inside(hu, lungs, every=_MEDIAN_EVERY) if lungs.any() else settings.cap_hu
    inside = lungs & ~within(vessel_mask, settings.vessel_margin_mm, spacing_mm)
    image = cap_inside(hu, inside, ceiling=settings.cap_hu, outside=lung_hu)
    return smooth_where(image, sigma_mm, spacing_mm, lungs)
