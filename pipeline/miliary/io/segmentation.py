"""Findings as a DICOM segmentation: right lung, left lung, micronodules."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from pydicom.sr.coding import Code

import miliary
from miliary.anatomy import LEFT, RIGHT
from miliary.arrays import AnyArray, BoolArray
from miliary.config.reading import ReadSettings
from miliary.geometry import Box
from miliary.io.identity import uid_of
from miliary.io.series import SeriesInfo
from miliary.io.source_images import SourceImages, source_images

_ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LUNG = Code("39607008", "SCT", "Lung structure")
SIDE_CODES = {
    RIGHT: Code("24028007", "SCT", "Right"),
    LEFT: Code("7771000", "SCT", "Left"),
}
MICRONODULE = Code("112122", "DCM", "Micronodule")


def write_segmentation(
    path: str | Path,
    info: SeriesInfo,
    settings: ReadSettings,
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
    settings : ReadSettings
        As it was read with.
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
    SeriesError
        Where the series is not DICOM.
    """
    images = source_images(info, settings)
    masks = {
        "Right lung": lung_labels == RIGHT,
        "Left lung": lung_labels == LEFT,
        "Micronodules": micronodules,
    }
    masks = {label: mask for label, mask in masks.items() if mask.any()}
    if not masks:
        raise ValueError("a segmentation needs at least one voxel, got three empty masks")
    pixels = _frames(list(masks.values()), images, info, box)
    content = hashlib.sha256(np.packbits(pixels).tobytes()).hexdigest()
    made = hd.seg.Segmentation(
        source_images=images.datasets,
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(i + 1, label) for i, label in enumerate(masks)],
        series_instance_uid=uid_of("seg series", info.case, content),
        series_number=900,
        sop_instance_uid=uid_of("seg", info.case, content),
        instance_number=1,
        manufacturer="miliary",
        manufacturer_model_name="miliary",
        software_versions=miliary.__version__,
        device_serial_number="0",
        # Readers rebuild the volume from the frames: left-out ones would shift it.
        omit_empty_frames=False,
        content_label="FINDINGS",
        content_description="Lungs and micronodules, research use only",
    )
    made.save_as(str(path))
    return Path(path)


def _frames(masks: list[BoolArray], images: SourceImages, info: SeriesInfo, box: Box) -> AnyArray:
    """Lay the masks on the source frames: (frames, rows, columns, segments)."""
    pixels = np.zeros((info.n_slices, info.rows, info.columns, len(masks)), np.uint8)
    stack_shape = (info.n_slices, info.rows, info.columns)
    shape = tuple(stack_shape[axis] for axis in images.turn.axes)
    for segment, mask in enumerate(masks):
        whole = np.zeros(shape, bool)
        whole[box] = mask
        pixels[..., segment] = images.as_frames(whole)
    return pixels


def _describe(number: int, label: str) -> Any:
    is_lung = label.endswith("lung")
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=_ANATOMY if is_lung else _ABNORMAL,
        segmented_property_type=LUNG if is_lung else MICRONODULE,
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
