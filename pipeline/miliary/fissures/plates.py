"""Thin bright sheets inside the lungs, away from vessels and pleura: what may be a fissure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.anatomy import SIDES
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray, LabelArray
from miliary.config.fissures import FissureSettings
from miliary.fissures.surface import Evidence
from miliary.kernels.distances import deep_inside, within
from miliary.kernels.filters import smooth_in_slabs
from miliary.kernels.inside import cap_inside, median_inside
from miliary.kernels.plates import (
    bright_curvature,
    coplanar_support,
    describe_sheets,
    sheet_differences,
)

#: Voxels that tell the noise of the response.
_NOISE_SAMPLE = 40000
#: One of so many rows of the lungs is plenty for a median.
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
    lungs = lung_labels > 0
    image = _without_vessels(hu, lungs, vessel_mask, spacing_mm, settings)
    looked = _Looked.at(image, lungs, index * jumps, spacing_mm, sigma_mm, settings)
    chosen, normals, offset = looked.sheets(settings)
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


@dataclass(frozen=True, eq=False)
class _Looked:
    """What the smoothed image says at the lattice; it is not kept itself.

    Parameters
    ----------
    bright : (N,) int
        Which of the voxels may be bright enough, in order.
    curved_hu : (N,) float32
        How much these are curved, whichever way.
    differences : (9, N) float32
        What tells of a sheet there.
    sample : (9, M) float32
        The same of some of all voxels, which tell the noise.
    width_mm, scale : float
        Standard deviation of a sheet's profile, and factor of curvatures.
    """

    bright: IntArray
    curved_hu: FloatArray
    differences: FloatArray
    sample: FloatArray
    width_mm: float
    scale: float

    @classmethod
    def at(
        cls,
        image: AnyArray,
        lungs: BoolArray,
        index: IntArray,
        spacing_mm: FloatArray,
        sigma_mm: float,
        settings: FissureSettings,
    ) -> _Looked:
        """Look at some voxels, in the order of memory."""
        width_mm, scale = float(np.hypot(sigma_mm, settings.psf_mm)), sigma_mm**2
        ranks = np.arange(0, len(index), max(1, len(index) // _NOISE_SAMPLE))
        parts: dict[int, tuple[IntArray, FloatArray, FloatArray, FloatArray]] = {}

        def look(part: slice, slab: FloatArray) -> None:
            first, last = np.searchsorted(index[:, 0], [part.start, part.stop])
            begin = max(part.start - 1, 0)
            flat = np.ravel_multi_index(tuple((index[first:last] - [begin, 0, 0]).T), slab.shape)
            curved = scale * bright_curvature(slab, flat, spacing_mm, width_mm=width_mm)
            # The full Hessian is taken only where the image is bright at all.
            bright = np.flatnonzero(curved > settings.min_strength_hu)
            few = flat[ranks[slice(*np.searchsorted(ranks, [first, last]))] - first]
            differences, sample = (
                sheet_differences(slab, some, spacing_mm, width_mm=width_mm)
                for some in (flat[bright], few)
            )
            parts[part.start] = first + bright, curved[bright], differences, sample

        smooth_in_slabs(image, sigma_mm, spacing_mm, look, where=lungs, halo=1)
        none = np.empty(0, np.intp), *(np.empty(n, np.float32) for n in (0, (9, 0), (9, 0)))
        columns = zip(none, *(parts[start] for start in sorted(parts)), strict=True)
        bright, curved, differences, sample = (np.concatenate(one, axis=-1) for one in columns)
        return cls(bright, curved, differences, sample, width_mm, scale)

    def sheets(self, settings: FissureSettings) -> tuple[IntArray, FloatArray, FloatArray]:
        """Choose voxels that a sheet passes; gives them, normals and the way to its middle."""
        usual = describe_sheets(self.sample, width_mm=self.width_mm, scale=self.scale)[0]
        noise = float(np.median(usual)) if len(usual) else 0.0
        least = max(settings.min_strength_hu, settings.min_strength_noise * noise)
        bright = self.curved_hu > least
        strength, second, normals, offset = describe_sheets(
            self.differences[:, bright], width_mm=self.width_mm, scale=self.scale
        )
        kept = (strength > least) & (second < settings.max_second * strength)
        return self.bright[bright][kept], normals[kept], offset[kept]


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
    lungs: BoolArray,
    vessel_mask: BoolArray,
    spacing_mm: FloatArray,
    settings: FissureSettings,
) -> AnyArray:
    """The lungs with lung in place of vessels and of all that is outside."""
    lung_hu = median_inside(hu, lungs, every=_MEDIAN_EVERY) if lungs.any() else settings.cap_hu
    inside = within(vessel_mask, settings.vessel_margin_mm, spacing_mm)
    np.greater(lungs, inside, out=inside)
    return cap_inside(hu, inside, ceiling=settings.cap_hu, outside=lung_hu)
