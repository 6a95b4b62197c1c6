"""Headers of CT files: what is needed to group, judge and read slices, and nothing else."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, BinaryIO

import pydicom
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from miliary.io.dicom_file import NotDicomError, open_header
from miliary.io.identity import hashed
from miliary.io.layout import PixelLayout, layout_of
from miliary.io.sources import Source
from miliary.io.tags import Elements, elements_of, items, number, numbers, tags_of, text, values
from miliary.io.technique import TECHNIQUE_TAGS, acquisition_of
from miliary.volume import Acquisition

Triple = tuple[float, float, float]

_MULTI_FRAME = {EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
_DIRECTORY = "1.2.840.10008.1.3.10"

_TAGS = tags_of(
    (
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "ImageType",
        "FrameType",
        "Rows",
        "Columns",
        "SamplesPerPixel",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "NumberOfFrames",
        "PhotometricInterpretation",
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
        "PixelSpacing",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "AcquisitionNumber",
        "TemporalPositionIdentifier",
        "TemporalPositionIndex",
        "StackID",
        "RescaleSlope",
        "RescaleIntercept",
        "RescaleType",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
    )
)

#: What may name the patient; read only to keep it out of everything that is told.
_SECRET_TAGS = tags_of(
    (
        "PatientID",
        "PatientName",
        "PatientBirthName",
        "PatientMotherBirthName",
        "PatientBirthDate",
        "OtherPatientIDs",
        "OtherPatientNames",
        "AccessionNumber",
        "StudyID",
        "ReferringPhysicianName",
    )
)

#: When the scan was made, the most telling first; read only to tell scans of a patient in order.
_DATE_TAGS = tags_of(("AcquisitionDate", "StudyDate", "SeriesDate"))

_WANTED = [
    *_TAGS.values(),
    *_SECRET_TAGS.values(),
    *_DATE_TAGS.values(),
    *TECHNIQUE_TAGS.values(),
]

#: Words in an image type of pictures whose pixels are not the tissue at their place.
_PROJECTIONS = {"MIP", "MINIP", "MAX_IP", "MIN_IP", "PROJECTION IMAGE", "VRT", "VOLUME_RENDERED"}


class NotCtError(Exception):
    """The file is DICOM, but not an image of a CT.

    Parameters
    ----------
    sop_class, study_uid, series_uid : str
        UIDs: what it is, and where it belongs.
    secrets : tuple of str
        What names the patient.
    """

    def __init__(
        self, sop_class: str, study_uid: str, series_uid: str, secrets: tuple[str, ...]
    ) -> None:
        super().__init__(sop_class)
        self.sop_class, self.secrets = sop_class, secrets
        self.study_uid, self.series_uid = study_uid, series_uid


@dataclass(frozen=True)
class SliceHeader:
    """One slice: a file of its own, or a frame of a multi-frame file.

    Parameters
    ----------
    source : Source
        Where its bytes are.
    frame : int
        Which frame of the file, from 0.
    study_uid, series_uid, sop_uid, frame_uid : str
        As in the file, the last of the frame of reference; never to be written anywhere.
    secrets : tuple of str
        Id, name, birth date and the like of the patient, to keep them out of paths.
    pixels : PixelLayout
        How the pixels of the file are stored.
    pixel_mm : (2,) float or None
        Distance between rows, and between columns.
    position_mm : (3,) float or None
        World point of the first voxel.
    across, down : (3,) float or None
        Directions of increasing column and of increasing row.
    kind : str
        `slice`, `localizer` or `projection`, as the image type says.
    acquisition_number, temporal_position, stack : str
        What may tell phases apart; empty where absent.
    slope, intercept : float or None
        Rescale to HU; NaN where the header holds no number there.
    rescale_type : str
        Unit after the rescale; empty where absent.
    padding : (2,) int or None
        Lowest and highest stored value of what was not scanned, as written.
    monochrome1 : bool
        Whether a viewer would show it inverted.
    acquisition : Acquisition
        How it was acquired.
    day : int or None
        Day of the scan since 1 January of year 1; never to be written anywhere as it is.
    """

    source: Source
    frame: int
    study_uid: str
    series_uid: str
    sop_uid: str
    frame_uid: str
    secrets: tuple[str, ...]
    pixels: PixelLayout
    pixel_mm: tuple[float, float] | None
    position_mm: Triple | None
    across: Triple | None
    down: Triple | None
    kind: str
    acquisition_number: str
    temporal_position: str
    stack: str
    slope: float | None
    intercept: float | None
    rescale_type: str
    padding: tuple[int, int] | None
    monochrome1: bool
    acquisition: Acquisition
    day: int | None = None

    @property
    def rows(self) -> int:
        """Rows of the slice."""
        return self.pixels.rows

    @property
    def columns(self) -> int:
        """Columns of the slice."""
        return self.pixels.columns

    def without_identity(self) -> SliceHeader:
        """Give the header without anything of the patient, the instance's UID hashed.

        Returns
        -------
        SliceHeader
            Fit to be kept and sent to workers.
        """
        told = hashed("sop", self.sop_uid, digits=32)
        return replace(
            self, study_uid="", series_uid="", sop_uid=told, frame_uid="", secrets=(), day=None
        )


def read_headers(
    file: BinaryIO, source: Source, *, file_bytes: int, max_bytes: int, max_frames: int
) -> list[SliceHeader]:
    """Read the slices that a file declares, without its pixels.

    Parameters
    ----------
    file : binary file
        At its beginning.
    source : Source
        Where it comes from.
    file_bytes : int
        Its size.
    max_bytes : int
        Most that is inflated of a deflated file before its pixels.
    max_frames : int
        Most frames of a file.

    Returns
    -------
    list of SliceHeader
        One, or one a frame.

    Raises
    ------
    NotDicomError
        For any other kind of file, and for a DICOMDIR.
    NotCtError
        For other DICOM objects.
    OSError, ValueError and others of PARSE_ERRORS
        For a damaged file.
    """
    header = open_header(file, _WANTED, max_bytes=max_bytes)
    elements, kind = header.elements, text(header.elements, _TAGS["SOPClassUID"])
    if kind == _DIRECTORY or not (kind or header.sop_class):
        raise NotDicomError
    if not kind:
        kind = header.sop_class
        if kind == CTImageStorage or kind in _MULTI_FRAME:
            raise ValueError("a DICOM file must say what it is; it breaks off")
    if kind != CTImageStorage and kind not in _MULTI_FRAME:
        study, series = (text(elements, _TAGS[f"{of}InstanceUID"]) for of in ("Study", "Series"))
        raise NotCtError(kind, study, series, _secrets(elements))
    pixels = layout_of(header, file_bytes)
    if pixels.n_frames > max_frames:
        raise ValueError(f"a file must have at most {max_frames} frames, got {pixels.n_frames}")
    if kind in _MULTI_FRAME:
        return _frames(elements, source, pixels)
    return [_header(elements, source, 0, elements, pixels, "ImageType")]


def _frames(elements: Elements, source: Source, pixels: PixelLayout) -> list[SliceHeader]:
    shared = items(elements, _TAGS["SharedFunctionalGroupsSequence"])
    frames = items(elements, _TAGS["PerFrameFunctionalGroupsSequence"])
    if len(frames) != pixels.n_frames:
        raise ValueError(
            f"a multi-frame file must describe each frame, got {len(frames)} of {pixels.n_frames}"
        )
    # A frame's own groups lie over the shared ones, and those over what the file says.
    common = dict(elements) | _merged(shared)
    return [
        _header(elements, source, index, common | _merged([frame]), pixels, "FrameType")
        for index, frame in enumerate(frames)
    ]


def _merged(groups: Iterable[pydicom.Dataset]) -> dict[int, Any]:
    """Lay the elements of functional groups flat."""
    flat: dict[int, Any] = {}
    for group in groups:
        group_elements = elements_of(group)
        for tag in group_elements:
            for item in items(group_elements, tag)[:1]:
                flat |= elements_of(item)
    return flat


def _header(
    elements: Elements,
    source: Source,
    frame: int,
    flat: Elements,
    pixels: PixelLayout,
    type_name: str,
) -> SliceHeader:
    across, down = _directions(numbers(flat, _TAGS["ImageOrientationPatient"], 6))
    position = numbers(flat, _TAGS["ImagePositionPatient"], 3)
    spacing = numbers(flat, _TAGS["PixelSpacing"], 2)
    return SliceHeader(
        source=source,
        frame=frame,
        study_uid=text(elements, _TAGS["StudyInstanceUID"]),
        series_uid=text(elements, _TAGS["SeriesInstanceUID"]),
        sop_uid=text(elements, _TAGS["SOPInstanceUID"]),
        frame_uid=text(elements, _TAGS["FrameOfReferenceUID"]),
        secrets=_secrets(elements),
        pixels=pixels,
        pixel_mm=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None,
        position_mm=(position[0], position[1], position[2]) if position else None,
        across=across,
        down=down,
        kind=_kind_of(values(flat, _TAGS[type_name])),
        acquisition_number=text(flat, _TAGS["AcquisitionNumber"]),
        temporal_position=text(flat, _TAGS["TemporalPositionIdentifier"])
        or text(flat, _TAGS["TemporalPositionIndex"]),
        stack=text(flat, _TAGS["StackID"]),
        slope=number(flat, _TAGS["RescaleSlope"]),
        intercept=number(flat, _TAGS["RescaleIntercept"]),
        rescale_type=text(flat, _TAGS["RescaleType"]).upper(),
        padding=_padding(flat),
        monochrome1=text(elements, _TAGS["PhotometricInterpretation"]) == "MONOCHROME1",
        acquisition=acquisition_of(flat),
        day=_day(elements),
    )


def _day(elements: Elements) -> int | None:
    """Read the day of the scan; None where no date is one."""
    for tag in _DATE_TAGS.values():
        told = text(elements, tag)[:8]
        if len(told) == 8 and told.isdecimal():
            with contextlib.suppress(ValueError):
                return date(int(told[:4]), int(told[4:6]), int(told[6:])).toordinal()
    return None


def _secrets(elements: Elements) -> tuple[str, ...]:
    return tuple(text(elements, tag) for tag in _SECRET_TAGS.values())


def _padding(flat: Elements) -> tuple[int, int] | None:
    value = number(flat, _TAGS["PixelPaddingValue"])
    if value is None or math.isnan(value):
        return None
    limit = number(flat, _TAGS["PixelPaddingRangeLimit"])
    if limit is None or math.isnan(limit):
        limit = value
    return int(value), int(limit)


def _directions(orientation: tuple[float, ...] | None) -> tuple[Triple | None, Triple | None]:
    """Give the two unit directions, or None where they are not unit and at right angles."""
    if orientation is None:
        return None, None
    x, y, z, u, v, w = orientation
    lengths = math.hypot(x, y, z), math.hypot(u, v, w)
    if min(lengths) < 0.9 or max(lengths) > 1.1:
        return None, None
    if abs(x * u + y * v + z * w) > 1e-3:
        return None, None
    a, d = lengths
    return (x / a, y / a, z / a), (u / d, v / d, w / d)


def _kind_of(image_type: list[str]) -> str:
    told = [value.upper() for value in image_type]
    if "LOCALIZER" in told:
        return "localizer"
    words = {*told, *(word for value in told for word in value.split())}
    return "projection" if words & _PROJECTIONS else "slice"
