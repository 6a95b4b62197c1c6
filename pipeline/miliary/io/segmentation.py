"""Findings as a DICOM segmentation: right lung, left lung, micronodules."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from pydicom.sr.coding import Code
from pydicom.uid import RLELossless

import miliary
from miliary.anatomy import LEFT, RIGHT
from miliary.arrays import AnyArray, BoolArray, Box
from miliary.io.identity import uid_of
from miliary.io.series import SeriesInfo
from miliary.io.source_images import SourceImages

_ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LUNG = Code("39607008", "SCT", "Lung structure")
SIDE_CODES = {
    RIGHT: Code("24028007", "SCT", "Right"),
    LEFT: Code("7771000", "SCT", "Left"),
}
MICRONODULE = Code("112122", "DCM", "Micronodule")
NODULE = Code("27925004", "SCT", "Nodule")


def write_segmentation(
    path: str | Path,
    info: SeriesInfo,
    images: SourceImages,
    *,
    lung_labels: AnyArray,
    micronodules: BoolArray,
    box: Box,
) -> Path:
    """Write lungs and micronodules as a binary DICOM segmentation of the source series.

    Parameters
    ----------
    path : path
        The file. It holds the patient's name and id, as the source images do.
    info : SeriesInfo
        The series that was read.
    images : SourceImages
        Its images, to which the result refers.
    lung_labels : (z, y, x) int
        1 right, 2 left, on the crop in `box`.
    micronodules : (z, y, x) bool
        On the same crop.
    box : tuple of three slices
        Where the crop lies in the volume.

    Returns
    -------
    Path
        The file. A segment without voxels is left out: viewers fail on it.

    Raises
    ------
    ValueError
        Where there is no voxel at all.
    """
    masks = {
        "Right lung": lung_labels == RIGHT,
        "Left lung": lung_labels == LEFT,
        "Micronodules": micronodules,
    }
    masks = {label: mask for label, mask in masks.items() if mask.any()}
    if not masks:
        raise ValueError("a segmentation needs at least one voxel, got three empty masks")
    pixels = _frames(list(masks.values()), images, info, box)
    content = hashlib.sha256(np.packbits(np.moveaxis(pixels, -1, 0)).tobytes()).hexdigest()
    made = _make(
        images,
        info,
        pixels,
        content,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(i + 1, label) for i, label in enumerate(masks)],
        series_number=900,
        content_label="FINDINGS",
        content_description="Lungs and micronodules, research use only",
    )
    made.save_as(str(path))
    return Path(path)


def write_nodule_map(
    path: str | Path,
    info: SeriesInfo,
    images: SourceImages,
    *,
    nodule_labels: AnyArray,
    box: Box,
) -> Path:
    """Write each nodule as a segment of its own: a DICOM label map, as few viewers know it yet.

    Parameters
    ----------
    path : path
        The file. It holds the patient's name and id, as the source images do.
    info : SeriesInfo
        The series that was read.
    images : SourceImages
        Its images, to which the result refers.
    nodule_labels : (z, y, x) int
        Number of the nodule, 0 elsewhere, on the crop in `box`.
    box : tuple of three slices
        Where the crop lies in the volume.

    Returns
    -------
    Path
        The file, run-length encoded. The number of a segment is that of its nodule.

    Raises
    ------
    ValueError
        Where there is no nodule.
    """
    numbers = np.unique(nodule_labels)
    numbers = numbers[numbers > 0]
    if not len(numbers):
        raise ValueError("a map of nodules needs at least one, got none")
    pixels = _frames([np.asarray(nodule_labels)], images, info, box, np.uint16)[..., 0]
    content = hashlib.sha256(pixels.tobytes()).hexdigest()
    made = _make(
        images,
        info,
        pixels,
        content,
        segmentation_type=hd.seg.SegmentationTypeValues.LABELMAP,
        segment_descriptions=[_describe(int(n), f"Nodule {n}") for n in numbers],
        series_number=902,
        content_label="NODULES",
        content_description="Each nodule by its number, research use only",
        transfer_syntax_uid=RLELossless,
    )
    made.save_as(str(path))
    return Path(path)


def _make(
    images: SourceImages, info: SeriesInfo, pixels: AnyArray, content: str, **what: Any
) -> hd.seg.Segmentation:
    """Make a segmentation of whatever kind; the same content gives the same UIDs."""
    kind = str(what["content_label"])
    return hd.seg.Segmentation(
        source_images=images.datasets,
        pixel_array=pixels,
        series_instance_uid=uid_of("seg series", kind, info.case, content),
        sop_instance_uid=uid_of("seg", kind, info.case, content),
        instance_number=1,
        manufacturer="miliary",
        manufacturer_model_name="miliary",
        software_versions=miliary.__version__,
        device_serial_number="0",
        # Readers rebuild the volume from the frames: left-out ones would shift it.
        omit_empty_frames=False,
        **what,
    )


def _frames(
    masks: Sequence[AnyArray],
    images: SourceImages,
    info: SeriesInfo,
    box: Box,
    dtype: type[np.unsignedinteger[Any]] = np.uint8,
) -> AnyArray:
    """Lay images on the source frames: (frames, rows, columns, images)."""
    # Each image in one piece: strided ones take the writer twice the time.
    pixels = np.zeros((len(masks), info.n_slices, info.rows, info.columns), dtype)
    stack_shape = (info.n_slices, info.rows, info.columns)
    shape = tuple(stack_shape[axis] for axis in images.turn.axes)
    for segment, mask in enumerate(masks):
        whole = np.zeros(shape, dtype)
        whole[box] = mask
        pixels[segment] = images.as_frames(whole)
    return np.moveaxis(pixels, 0, -1)


def _kind(label: str) -> Code:
    return MICRONODULE if label == "Micronodules" else NODULE


def _describe(number: int, label: str) -> Any:
    is_lung = label.endswith("lung")
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=_ANATOMY if is_lung else _ABNORMAL,
        segmented_property_type=LUNG if is_lung else _kind(label),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="miliary",
            family=Code("123106", "DCM", "Multi-Scale/Resolution Filtering"),
            version=miliary.__version__,
        ),
        anatomic_regions=None if is_lung else [LUNG],
    )
    if is_lung:
        side = SIDE_CODES[RIGHT if label.startswith("Right") else LEFT]
        kind = description.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [hd.sr.CodedConcept.from_code(side)]
    return description
