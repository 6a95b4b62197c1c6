"""Septa between lobules: how much of the lung's inside lies on bright thin sheets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from miliary.anatomy import SIDES, Anatomy
from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.fissures import FissureSettings
from miliary.findings import ImageQuality
from miliary.kernels.filters import smooth
from miliary.kernels.plates import sheet_points
from miliary.kernels.regions import bounding_box

#: Blocks in which sheets are looked for, and how many voxels wide: a sample tells a share.
_BLOCKS, _WIDE = 40, 40
#: A block counts where this share of it may be looked at; of its voxels every seventh is: no
#: divisor of its width, so that what is looked at does not lie in rows.
_LEAST_SHARE, _EVERY = 0.2, 7
#: Standard deviations of a Gaussian beyond which it is nothing.
_REACH = 4.0


def with_septa(
    hu: FloatArray,
    anatomy: Anatomy,
    quality: ImageQuality,
    slice_mm: float,
    settings: FissureSettings,
) -> Anatomy:
    """Measure the area of the sheets inside each lung, where this scan can show them.

    Pleura, fissures and what lies beside vessels are left out: what is a sheet inside of that is a
    septum between lobules. Healthy septa are too thin to be seen but for a few.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        The crop.
    anatomy : Anatomy
        Lungs, vessels and fissures on it.
    quality : ImageQuality
        Noise of the scan.
    slice_mm : float
        Thickness or distance of its slices, whichever is larger.
    settings : FissureSettings
        Limits.

    Returns
    -------
    Anatomy
        With `septa_cm2_per_ml` of each lung, None where it cannot be measured.
    """
    if quality.noise_hu > settings.septa_noise_hu or slice_mm > settings.septa_slice_mm:
        return anatomy
    lungs = [
        replace(lung, septa_cm2_per_ml=_area(hu, anatomy, SIDES[lung.side], settings))
        for lung in anatomy.lungs
    ]
    return replace(anatomy, lungs=tuple(lungs))


def _area(hu: FloatArray, anatomy: Anatomy, label: int, settings: FissureSettings) -> float | None:
    """Area of the sheets a volume, from a sample of blocks."""
    box = bounding_box(anatomy.lung_labels == label)
    free = (
        (anatomy.lung_labels[box] == label)
        & (anatomy.pleura_mm[box] > settings.septa_pleura_mm)
        & (anatomy.vessel_mm[box] > settings.septa_vessel_mm)
    )
    if anatomy.fissure_mm is not None:
        free &= anatomy.fissure_mm[box] > settings.septa_fissure_mm
    if np.count_nonzero(free) * anatomy.geometry.voxel_ml < settings.septa_least_ml:
        return None
    spacing = anatomy.geometry.spacing_mm
    seen = [_on_sheets(hu[box], free, start, spacing, settings) for start in _sample(free)]
    if not seen:
        return None
    on, looked_at = np.sum(seen, axis=0)
    # Within half a voxel of a sheet's middle: a band of one voxel, in cm2 a ml.
    return float(on / looked_at / spacing.mean() * 10.0)


def _sample(free: BoolArray) -> IntArray:
    """First voxels of the blocks that are looked at, evenly spread."""
    count = np.pad(free, [(0, -n % _WIDE) for n in free.shape]).view(np.uint8)
    # Axis by axis in ever wider numbers: in whole ones at once it takes four times as long.
    for axis, kind in enumerate((np.uint8, np.uint16, np.uint32)):
        parts = [*count.shape[:axis], -1, _WIDE, *count.shape[axis + 1 :]]
        count = count.reshape(parts).sum(axis=axis + 1, dtype=kind)
    starts = _WIDE * np.argwhere(count >= _LEAST_SHARE * _WIDE**3)
    chosen: IntArray = starts[:: max(1, -(-len(starts) // _BLOCKS))]
    return chosen


def _on_sheets(
    hu: FloatArray,
    free: BoolArray,
    start: IntArray,
    spacing_mm: FloatArray,
    settings: FissureSettings,
) -> tuple[int, int]:
    """Voxels of a block that lie on sheets, and those that were looked at."""
    margin = np.ceil(_REACH * settings.septa_blur_mm / spacing_mm).astype(int) + 1
    box = tuple(
        slice(max(int(first - more), 0), int(first + _WIDE + more))
        for first, more in zip(start, margin, strict=True)
    )
    own = np.zeros_like(free[box])
    inner = tuple(
        slice(int(first) - part.start, int(first) - part.start + _WIDE)
        for first, part in zip(start, box, strict=True)
    )
    own[inner] = free[box][inner]
    index = np.flatnonzero(own)[::_EVERY]
    width_mm = float(np.hypot(settings.septa_blur_mm, settings.psf_mm))
    blurred = smooth(hu[box].astype(np.float32), settings.septa_blur_mm, spacing_mm)
    strength, second, _, offset_mm = sheet_points(
        np.ascontiguousarray(blurred), index, spacing_mm, width_mm=width_mm, scale=width_mm**2
    )
    on = (
        (strength > settings.septa_hu)
        & (second < settings.septa_second * strength)
        & (np.abs(offset_mm) < spacing_mm.mean() / 2)
    )
    return int(np.count_nonzero(on)), len(index)
