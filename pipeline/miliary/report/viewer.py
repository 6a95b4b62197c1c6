"""The scan itself in three planes, with masks and nodules, as one page that asks for nothing."""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from miliary import __version__
from miliary.analysis import Analysis
from miliary.anatomy import LOBES, Anatomy
from miliary.arrays import AnyArray, IntArray, LabelArray
from miliary.config.report import ReportSettings
from miliary.kernels.slabs import on_threads
from miliary.report.slabs import Frame, frame_lungs
from miliary.report.templating import content_security_policy, environment
from miliary.report.words import headline

#: Name of the file in the folder of a case.
VIEWER = "viewer.html"
#: What grey 0 stands for, and one step of grey: room for the lung and the soft-tissue window.
_LOW_HU, _STEP_HU = -1100.0, 5.5
#: Bits of a label beside the lobe in its lowest three: right lung, left lung and the rest.
_LUNG_BITS, _VESSEL, _AIRWAY, _FISSURE = 3, 32, 64, 128
#: What stands in the bits of the lung for rind, effusion and consolidation.
_AIRLESS = 3
#: Slices whose loss is measured: every so many.
_LOSS_STEP = 16


@dataclass(frozen=True, eq=False)
class Packed:
    """A scan and its labels, packed for a page.

    Parameters
    ----------
    shape : (3,) tuple of int
        Voxels along z, y and x.
    spacing_mm : (3,) tuple of float
        Their size.
    factors : (3,) int
        How many voxels of the scan were averaged along each axis.
    slices : list of str
        A WebP picture a slice, base64, from the lowest up.
    labels : str
        A byte a voxel, deflated, base64: lobe, lung, vessel, airway and fissure.
    loss_hu : float
        Root mean square of what packing changed; some slices stand for all.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    factors: IntArray
    slices: list[str]
    labels: str
    loss_hu: float


def render_viewer(analysis: Analysis) -> str:
    """Write the page with the scan in three planes.

    Parameters
    ----------
    analysis : Analysis
        One case, whatever was found in it.

    Returns
    -------
    str
        A complete HTML page. It needs no other file, and holds the images of the lungs' part of
        the scan: 20 to 30 MB at 512 x 512 x 400 voxels.
    """
    settings = analysis.config.report
    frame = frame_lungs(analysis, settings)
    packed = pack(frame, analysis.anatomy, settings)
    shown_mm = " × ".join(f"{length:.2f}" for length in packed.spacing_mm)
    return (
        environment()
        .get_template("viewer.html.j2")
        .render(
            policy=content_security_policy("viewer.css", "viewer.js"),
            version=__version__,
            case=analysis.volume.case,
            headline=headline(analysis.miliary.flag, analysis.miliary.extent),
            scene=_scene(analysis, frame, packed),
            packed=packed,
            shown_mm=shown_mm,
            averaged=bool((packed.factors > 1).any()),
            lobes=analysis.anatomy.lobe_labels is not None,
            fissures=analysis.anatomy.fissure_mask is not None,
            n=len(analysis.accepted),
        )
    )


def _scene(analysis: Analysis, frame: Frame, packed: Packed) -> dict[str, Any]:
    """What the script of the page has to know; names of lobes and zones are the package's own."""
    geometry = analysis.anatomy.geometry.crop(frame.box)
    affine = geometry.affine.copy()
    # From the index in what is shown to the patient's mm: voxels start at the same edge.
    affine[:3, 3] = geometry.to_world(np.atleast_2d((packed.factors - 1) / 2))[0]
    affine[:3, :3] *= packed.factors
    return {
        "shape": packed.shape,
        "spacing_mm": packed.spacing_mm,
        "start": start_at(analysis.anatomy, frame, packed),
        "affine": np.round(affine[:3], 6).tolist(),
        "low_hu": _LOW_HU,
        "step_hu": _STEP_HU,
        "slab_mm": analysis.config.report.slab_mm,
        "ring_mm": analysis.config.report.ring_mm,
        "window": [
            analysis.config.report.window_center_hu,
            analysis.config.report.window_width_hu,
        ],
        "nodules": _rows(analysis, frame, packed),
    }


def _rows(analysis: Analysis, frame: Frame, packed: Packed) -> list[list[object]]:
    """Number, place in what is shown (z, y, x), diameter, score, lung, lobe, zone, micronodule."""
    nodules, numbers = analysis.accepted, analysis.accepted_numbers
    place = (frame.index_zyx + 0.5) / packed.factors - 0.5
    columns = zip(
        place.round(2).tolist(),
        frame.diameter_mm.round(2).tolist(),
        nodules.score.round(2).tolist(),
        nodules.lung,
        nodules.lobe,
        nodules.zone,
        nodules.micronodule,
        strict=True,
    )
    return [
        [int(i), *at, diameter, score, str(lung), str(lobe), str(zone), bool(micro)]
        for i, (at, diameter, score, lung, lobe, zone, micro) in zip(numbers, columns, strict=True)
    ]


def start_at(anatomy: Anatomy, frame: Frame, packed: Packed) -> list[int]:
    """Choose where the viewer opens: in the middle of the larger lung, not of the heart.

    Parameters
    ----------
    anatomy : Anatomy
        With the lungs.
    frame : Frame
        Crops them.
    packed : Packed
        What is shown.

    Returns
    -------
    list of int
        Index along z, y and x; the middle of the picture where there is no lung.
    """
    labels = anatomy.lung_labels[frame.box]
    counts = np.bincount(labels[::4, ::4, ::4].ravel(), minlength=2)[1:]
    if not counts.any():
        return [n // 2 for n in packed.shape]
    inside = np.argwhere(labels[::4, ::4, ::4] == 1 + counts.argmax())
    middle = (4 * inside.mean(axis=0) / packed.factors).astype(int)
    return [min(int(at), n - 1) for at, n in zip(middle, packed.shape, strict=True)]


def pack(frame: Frame, anatomy: Anatomy, settings: ReportSettings) -> Packed:
    """Pack a scan and its labels into texts.

    Parameters
    ----------
    frame : Frame
        The scan, cropped to the lungs.
    anatomy : Anatomy
        With the labels, on the grid that `frame.box` crops.
    settings : ReportSettings
        Quality, and the most voxels.

    Returns
    -------
    Packed
        Slice by slice, on threads: no copy of the whole scan is made.
    """
    factors = block_factors(frame, settings.viewer_megavoxels * 1_000_000)
    n_z, n_y, n_x = (int(n) for n in np.maximum(np.array(frame.hu.shape) // factors, 1))

    def one(level: int) -> tuple[str, float]:
        grey = to_grey(block_mean(frame.hu, level, factors, (n_y, n_x)))
        file = io.BytesIO()
        Image.fromarray(grey).save(file, "WEBP", quality=settings.viewer_quality, method=0)
        loss = np.nan
        if level % _LOSS_STEP == 0:
            again = np.asarray(Image.open(file).convert("L"), np.float32)
            loss = float(np.mean((again - grey) ** 2))
        return base64.b64encode(file.getvalue()).decode("ascii"), loss

    done = on_threads(one, range(n_z))
    shown = tuple(
        slice(0, n * int(step), int(step)) for n, step in zip((n_z, n_y, n_x), factors, strict=True)
    )
    labels = merge_labels(anatomy, frame)[shown]
    deflated = zlib.compress(labels.tobytes(), 1)
    z_mm, y_mm, x_mm = (float(length) for length in frame.spacing_mm * factors)
    return Packed(
        (n_z, n_y, n_x),
        (z_mm, y_mm, x_mm),
        factors,
        [text for text, _ in done],
        base64.b64encode(deflated).decode("ascii"),
        _STEP_HU * float(np.sqrt(np.nanmean([loss for _, loss in done]))),
    )


def block_factors(frame: Frame, most: int) -> IntArray:
    """Choose how many voxels to average along each axis: the finest axis first.

    Parameters
    ----------
    frame : Frame
        The scan, cropped to the lungs.
    most : int
        Most voxels that may be left.

    Returns
    -------
    (3,) int
        1 along each axis for a scan that is small enough.
    """
    shape, factors = np.array(frame.hu.shape), np.ones(3, int)
    while np.prod(shape // factors) > most:
        factors[np.argmin(frame.spacing_mm * factors)] += 1
    return factors


def block_mean(hu: AnyArray, level: int, factors: IntArray, shape: tuple[int, int]) -> AnyArray:
    """Give one slice of a scan whose voxels are averaged in blocks.

    Parameters
    ----------
    hu : (z, y, x) array
        Hounsfield units.
    level : int
        Which slice of the result.
    factors : (3,) int
        Voxels of a block along each axis.
    shape : (2,) int
        Rows and columns of the result; what is over at the far edge is left out.

    Returns
    -------
    (rows, columns) array
        The slice itself where blocks are single voxels.
    """
    f_z, f_y, f_x = (int(n) for n in factors)
    rows, columns = shape
    part = hu[level * f_z : (level + 1) * f_z, : rows * f_y, : columns * f_x]
    if part.shape == (1, rows, columns):
        only: AnyArray = part[0]
        return only
    blocks = part.reshape(len(part), rows, f_y, columns, f_x)
    mean: AnyArray = blocks.mean(axis=(0, 2, 4), dtype=np.float32)
    return mean


def to_grey(hu: AnyArray) -> LabelArray:
    """Turn Hounsfield units into the grey of the viewer, in steps of 5.5 HU from -1100 on.

    Parameters
    ----------
    hu : array
        Hounsfield units.

    Returns
    -------
    array of uint8
        0 at -1100 HU and below, 255 at 302.5 HU and above.
    """
    grey = (np.nan_to_num(hu.astype(np.float32)) - _LOW_HU) / _STEP_HU
    clipped: LabelArray = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return clipped


def merge_labels(anatomy: Anatomy, frame: Frame) -> LabelArray:
    """Lay the labels of the anatomy into one byte a voxel.

    Parameters
    ----------
    anatomy : Anatomy
        Lungs, and lobes, vessels, airways and fissures where known.
    frame : Frame
        Crops them.

    Returns
    -------
    (z, y, x) uint8
        Lobe (0 where unknown) + 8 for the right lung, 16 for the left, 24 for what is airless +
        32 for a vessel + 64 for an airway + 128 for a fissure.
    """
    lungs = anatomy.lung_labels[frame.box].astype(np.uint8)
    if anatomy.airless_labels is not None:
        lungs[(anatomy.airless_labels[frame.box] > 0) & (lungs == 0)] = _AIRLESS
    merged: LabelArray = (lungs << _LUNG_BITS).astype(np.uint8, copy=False)
    if anatomy.lobe_labels is not None:
        merged |= np.minimum(anatomy.lobe_labels[frame.box], max(LOBES.values())).astype(np.uint8)
    for mask, bit in (
        (anatomy.vessel_mask, _VESSEL),
        (anatomy.airway_mask, _AIRWAY),
        (anatomy.fissure_mask, _FISSURE),
    ):
        if mask is not None:
            merged |= np.where(mask[frame.box] > 0, np.uint8(bit), np.uint8(0))
    return merged
