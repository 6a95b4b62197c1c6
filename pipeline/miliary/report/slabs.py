"""Thin-slab maximum intensity projections, as small grey pictures with rings round nodules."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from miliary.analysis import Analysis
from miliary.arrays import AnyArray, BoolArray, Box, FloatArray, IntArray, LabelArray
from miliary.config.report import ReportSettings
from miliary.report.uris import data_uri


@dataclass(frozen=True, eq=False)
class Slab:
    """One projection, ready to be shown.

    Parameters
    ----------
    pixels : (height, width) uint8
        Grey values in the lung window, of square pixels.
    rings_px : (M, 3) float
        Centre x, y and radius of the ring round each nodule in the slab.
    rows : (M,) int
        Which rows of the table of nodules these are.
    depth_mm : float
        Distance of the slab's middle from the top (axial) or front (coronal) of the lungs.
    """

    pixels: LabelArray
    rings_px: FloatArray
    rows: IntArray
    depth_mm: float


@dataclass(frozen=True, eq=False)
class Frame:
    """The lungs' part of a scan, as the pictures show it.

    Parameters
    ----------
    hu : (z, y, x) array
        Hounsfield units, cropped to the lungs.
    box : tuple of three slices
        Where that lies in the crop of the anatomy.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    index_zyx : (N, 3) float
        Centres of the nodules in `hu`.
    diameter_mm : (N,) float
        Their diameters.
    """

    hu: AnyArray
    box: Box
    spacing_mm: FloatArray
    index_zyx: FloatArray
    diameter_mm: FloatArray


def frame_lungs(analysis: Analysis, settings: ReportSettings) -> Frame:
    """Crop a scan to its lungs and a small border: what lies beyond is not for this page.

    Parameters
    ----------
    analysis : Analysis
        One case.
    settings : ReportSettings
        The border.

    Returns
    -------
    Frame
        The part, with the nodules in its indices; the whole crop where there is no lung.
    """
    anatomy = analysis.anatomy
    spacing = anatomy.geometry.spacing_mm
    box = _lung_box(anatomy.lung_labels, settings.margin_mm / spacing)
    start = np.array([bounds.start for bounds in box])
    return Frame(
        analysis.volume.hu[anatomy.box][box],
        box,
        spacing,
        anatomy.geometry.to_index(analysis.accepted.points_mm) - start,
        np.nan_to_num(analysis.accepted.diameter_mm),
    )


def _lung_box(lung_labels: LabelArray, margin: FloatArray) -> Box:
    in_plane: BoolArray = np.any(lung_labels, axis=0)
    profiles = (
        np.any(lung_labels, axis=(1, 2)),
        np.any(in_plane, axis=1),
        np.any(in_plane, axis=0),
    )
    bounds = []
    for profile, border in zip(profiles, margin, strict=True):
        where = np.flatnonzero(profile)
        first, last = (where[0], where[-1]) if len(where) else (0, len(profile) - 1)
        bounds.append(slice(max(int(first - border), 0), min(int(last + border) + 1, len(profile))))
    return bounds[0], bounds[1], bounds[2]


def axial_slabs(frame: Frame, settings: ReportSettings) -> list[Slab]:
    """Slide a slab through the lungs from the top down.

    Parameters
    ----------
    frame : Frame
        The scan, cropped to the lungs.
    settings : ReportSettings
        Thickness, step, window and size.

    Returns
    -------
    list of Slab
        At most `max_slabs`, evenly spaced, the uppermost first.
    """
    spacing = float(frame.spacing_mm[0])
    height_mm = len(frame.hu) * spacing
    step_mm = max(settings.slab_step_mm, height_mm / settings.max_slabs)
    n = max(int(height_mm / step_mm), 1)
    middles_mm = height_mm - (np.arange(n) + 0.5) * height_mm / n
    return [make_slab(frame, 0, middle / spacing, settings) for middle in middles_mm]


def key_levels(frame: Frame, slabs: list[Slab], lung_labels: LabelArray, n: int) -> list[int]:
    """Choose levels that share the lungs out evenly, so that most lie where most lung is.

    Parameters
    ----------
    frame : Frame
        The scan, cropped to the lungs.
    slabs : list of Slab
        The slabs to choose from.
    lung_labels : (z, y, x) uint8
        Lungs on the grid of the anatomy.
    n : int
        How many.

    Returns
    -------
    list of int
        Places in `slabs`, without repeats, in order.
    """
    filled = np.cumsum(count_along(lung_labels[frame.box], axis=2).sum(axis=1)[::-1])
    if not len(filled) or filled[-1] == 0:
        return list(range(min(n, len(slabs))))
    shares = (np.arange(n) + 0.5) / n * filled[-1]
    depths_mm = (np.searchsorted(filled, shares) + 0.5) * frame.spacing_mm[0]
    middles_mm = np.array([slab.depth_mm for slab in slabs])
    return sorted({int(np.abs(middles_mm - depth).argmin()) for depth in depths_mm})


def fullest_level(frame: Frame, lung_labels: LabelArray) -> float:
    """Find the coronal level with most lung, which shows most of it.

    Parameters
    ----------
    frame : Frame
        The scan, cropped to the lungs.
    lung_labels : (z, y, x) uint8
        Lungs on the grid of the anatomy.

    Returns
    -------
    float
        Index along y; the middle where there is no lung.
    """
    filled = count_along(lung_labels[frame.box], axis=2).sum(axis=0)
    return float(filled.argmax()) if filled.any() else len(filled) / 2


def count_along(*labels: AnyArray, axis: int) -> IntArray:
    """Count what is labelled along lines of sight, slice by slice: no mask of the whole is made.

    Parameters
    ----------
    *labels : (z, y, x) array
        Label images; a voxel counts that has a label in one of them.
    axis : int
        1 to look along y, 2 along x.

    Returns
    -------
    (z, x) or (z, y) int
        Voxels on each line.
    """
    planes = (functools.reduce(np.maximum, cut) != 0 for cut in zip(*labels, strict=True))
    # Sixteen bits hold the longest line, and are added in half the time of the usual 64.
    return np.stack([np.add.reduce(plane, axis=axis - 1, dtype=np.uint16) for plane in planes])


def make_slab(frame: Frame, axis: int, middle: float, settings: ReportSettings) -> Slab:
    """Project the brightest voxels of one slab and ring its nodules.

    Parameters
    ----------
    frame : Frame
        The scan, cropped to the lungs.
    axis : int
        0 for an axial, 1 for a coronal slab.
    middle : float
        Index of its middle along that axis, counted from the first voxel's edge.
    settings : ReportSettings
        Thickness, window and size.

    Returns
    -------
    Slab
        Head (coronal) or front (axial) at the top, the patient's right at the left.
    """
    n = frame.hu.shape[axis]
    half = settings.slab_mm / frame.spacing_mm[axis] / 2
    start = int(np.clip(round(middle - half), 0, n - 1))
    stop = int(np.clip(round(middle + half), start + 1, n))
    # A slice, not take(): views of 40 slabs cost nothing, copies cost 0.7 s.
    thick = frame.hu[start:stop] if axis == 0 else frame.hu[:, start:stop]
    projected = thick.max(axis=axis)
    at = frame.index_zyx[:, axis]
    rows = np.flatnonzero((at >= start - 0.5) & (at < stop - 0.5))
    down, right = (1, 2) if axis == 0 else (0, 2)
    vertical = frame.index_zyx[rows, down]
    if axis == 1:
        projected, vertical = projected[::-1], len(projected) - 1 - vertical
    lengths_mm = np.array(projected.shape) * frame.spacing_mm[[down, right]]
    per_mm = min(settings.picture_px / lengths_mm[1], 1 / frame.spacing_mm[right])
    height, width = np.maximum(np.rint(lengths_mm * per_mm), 1).astype(int)
    grey = Image.fromarray(apply_window(projected, settings))
    resized = grey.resize((int(width), int(height)), Image.Resampling.BICUBIC)
    rings = np.column_stack(
        [
            (frame.index_zyx[rows, right] + 0.5) * frame.spacing_mm[right] * per_mm,
            (vertical + 0.5) * frame.spacing_mm[down] * per_mm,
            (frame.diameter_mm[rows] / 2 + settings.ring_mm) * per_mm,
        ]
    )
    depth = n - middle if axis == 0 else middle
    return Slab(np.asarray(resized), rings, rows, float(depth * frame.spacing_mm[axis]))


def apply_window(hu: AnyArray, settings: ReportSettings) -> LabelArray:
    """Turn Hounsfield units into grey values.

    Parameters
    ----------
    hu : array
        Hounsfield units.
    settings : ReportSettings
        The window.

    Returns
    -------
    array of uint8
        0 at and below the window, 255 at and above it.
    """
    low = settings.window_center_hu - settings.window_width_hu / 2
    grey = (np.nan_to_num(hu.astype(np.float32)) - low) * (255 / settings.window_width_hu)
    windowed: LabelArray = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return windowed


def shrink(pixels: LabelArray) -> LabelArray:
    """Make a picture smaller, to three quarters of its width and height.

    Parameters
    ----------
    pixels : (height, width) uint8
        Grey values.

    Returns
    -------
    (height, width) uint8
        At least one pixel each way.
    """
    height, width = (max(int(0.75 * n), 1) for n in pixels.shape)
    smaller = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
    return np.asarray(smaller)


def jpeg_uri(pixels: LabelArray, quality: int) -> str:
    """Pack pixels into a data URI.

    Parameters
    ----------
    pixels : (height, width) or (height, width, 3) uint8
        Grey values, or red, green and blue.
    quality : int
        JPEG quality, 1 to 100.

    Returns
    -------
    str
        `data:image/jpeg;base64,...`.
    """
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG", quality=quality, subsampling=0)
    return data_uri(packed.getvalue(), "image/jpeg")
