"""Headers of CT files: what is needed to group, judge and read slices, and nothing else."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from miliary.io.sources import Source
from miliary.volume import Acquisition

Triple = tuple[float, float, float]

_SINGLE_FRAME, _MULTI_FRAME = (
    {CTImageStorage},
    {EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage},
)

#: All that damaged files were seen to raise in pydicom's parser.
PARSE_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    EOFError,
    OSError,
    OverflowError,
    RecursionError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
)

_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientName",
    "PatientID",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelPaddingValue",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceThickness",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "ConvolutionKernel",
    "Manufacturer",
    "ManufacturerModelName",
    "KVP",
    "Exposure",
    "ContrastBolusAgent",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]


#: Looking a keyword up anew in every file would take a third of the whole time.
_TAG_OF = {name: Tag(tag_for_keyword(name)) for name in (*_TAGS, "FrameType")}


class NotDicomError(Exception):
    """The file is not DICOM."""


class NotCtError(Exception):
    """The file is DICOM, but not an image of a CT."""


@dataclass(frozen=True)
class SliceHeader:
    """One slice: a file of its own, or a frame of a multi-frame file.

    Parameters
    ----------
    source : Source
        Where its bytes are.
    frame : int
        Which frame of the file, from 0.
    study_uid, series_uid, sop_uid : str
        As in the file; never to be written anywhere.
    secrets : tuple of str
        Name and id of the patient, to keep them out of paths.
    rows, columns : int
        Size of the slice.
    pixel_mm : (2,) float or None
        Distance between rows, and between columns.
    position_mm : (3,) float or None
        World point of the first voxel.
    across, down : (3,) float or None
        Directions of increasing column and of increasing row.
    is_localizer : bool
        Whether the image type says so.
    acquisition_number, temporal_position : str
        What may tell phases apart; empty where absent.
    slope, intercept : float or None
        Rescale to HU.
    rescale_type : str
        Unit after the rescale; empty where absent.
    padding : int or None
        Stored value of what was not scanned.
    monochrome1 : bool
        Whether a viewer would show it inverted.
    transfer_syntax : str
        UID of the pixels' coding.
    acquisition : Acquisition
        How it was acquired.
    """

    source: Source
    frame: int
    study_uid: str
    series_uid: str
    sop_uid: str
    secrets: tuple[str, ...]
    rows: int
    columns: int
    pixel_mm: tuple[float, float] | None
    position_mm: Triple | None
    across: Triple | None
    down: Triple | None
    is_localizer: bool
    acquisition_number: str
    temporal_position: str
    slope: float | None
    intercept: float | None
    rescale_type: str
    padding: int | None
    monochrome1: bool
    transfer_syntax: str
    acquisition: Acquisition


def read_headers(file: BinaryIO, source: Source, *, max_bytes: int) -> list[SliceHeader]:
    """Read the slices that a file declares, without its pixels.

    Parameters
    ----------
    file : binary file
        At its beginning.
    source : Source
        Where it comes from.
    max_bytes : int
        Largest size of a deflated file once inflated.

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
    start = file.read(4096)
    if not _looks_like_dicom(start):
        raise NotDicomError
    if DeflatedExplicitVRLittleEndian.encode() in start[:1024]:
        _check_inflated(start + file.read(), max_bytes)
    file.seek(0)
    dataset = pydicom.dcmread(
        file, stop_before_pixels=True, specific_tags=list(_TAG_OF.values()), force=True
    )
    kind = _value(dataset, "SOPClassUID")
    if kind == "1.2.840.10008.1.3.10":
        raise NotDicomError
    if kind in _SINGLE_FRAME:
        return [_header(dataset, source, 0, dataset, [])]
    if kind in _MULTI_FRAME:
        return _frames(dataset, source)
    if kind is None and not dataset.file_meta.get("MediaStorageSOPClassUID"):
        raise NotDicomError
    raise NotCtError


def dataset_of(file: BinaryIO) -> pydicom.Dataset:
    """Read a whole file that `read_headers` has passed.

    Parameters
    ----------
    file : binary file
        At its beginning.

    Returns
    -------
    pydicom.Dataset
        With its pixel data.
    """
    return pydicom.dcmread(file, force=True)


def _looks_like_dicom(start: bytes) -> bool:
    """Tell DICOM by its mark, or, without preamble, by a first element of group 2 or 8."""
    if start[128:132] == b"DICM":
        return True
    if len(start) < 64 or start[:2] not in (b"\x02\x00", b"\x08\x00"):
        return False
    # Explicit: two letters of a value representation. Implicit: a length that fits a header.
    return start[4:6].isupper() or int.from_bytes(start[4:8], "little") < 1024


def _check_inflated(content: bytes, max_bytes: int) -> None:
    # The length of the group-2 elements stands in their first element; the deflated part follows.
    begin = 144 + int.from_bytes(content[140:144], "little")
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    unpacked = 0
    rest = content[begin:]
    # What follows the end of the stream stays unconsumed for ever: stop there.
    while rest and unpacked <= max_bytes and not unpacker.eof:
        unpacked += len(unpacker.decompress(rest, 1 << 22))
        rest = unpacker.unconsumed_tail
    if unpacked > max_bytes:
        raise OSError(f"the inflated file must be at most {max_bytes} bytes")


def _frames(dataset: pydicom.Dataset, source: Source) -> list[SliceHeader]:
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    frames = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    n = int(dataset.get("NumberOfFrames") or 1)
    if len(frames) != n:
        raise ValueError(f"a multi-frame file must describe each frame, got {len(frames)} of {n}")
    return [
        _header(dataset, source, index, _merged([*shared, frame], dataset), [frame, *shared])
        for index, frame in enumerate(frames)
    ]


def _merged(groups: Iterable[pydicom.Dataset], dataset: pydicom.Dataset) -> pydicom.Dataset:
    """Lay the functional groups flat, a frame's own over the shared ones, over the file's."""
    flat = pydicom.Dataset()
    for element in dataset:
        if element.VR != "SQ":
            flat[element.tag] = element
    for group in groups:
        for element in group:
            if element.VR == "SQ" and element.value:
                flat.update(element.value[0])
    return flat


def _header(
    dataset: pydicom.Dataset,
    source: Source,
    frame: int,
    flat: pydicom.Dataset,
    groups: list[pydicom.Dataset],
) -> SliceHeader:
    orientation = _numbers(flat, "ImageOrientationPatient", 6)
    across, down = _directions(orientation)
    position = _numbers(flat, "ImagePositionPatient", 3)
    spacing = _numbers(flat, "PixelSpacing", 2)
    number = _number(flat, "PixelPaddingValue")
    return SliceHeader(
        source=source,
        frame=frame,
        study_uid=_text(dataset, "StudyInstanceUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        sop_uid=_text(dataset, "SOPInstanceUID"),
        secrets=(_text(dataset, "PatientName"), _text(dataset, "PatientID")),
        rows=int(_value(dataset, "Rows") or 0),
        columns=int(_value(dataset, "Columns") or 0),
        pixel_mm=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None,
        position_mm=(position[0], position[1], position[2]) if position else None,
        across=across,
        down=down,
        is_localizer="LOCALIZER" in _image_type(flat, groups),
        acquisition_number=_text(flat, "AcquisitionNumber"),
        temporal_position=_text(flat, "TemporalPositionIdentifier")
        or _text(flat, "TemporalPositionIndex"),
        slope=_number(flat, "RescaleSlope"),
        intercept=_number(flat, "RescaleIntercept"),
        rescale_type=_text(flat, "RescaleType").upper(),
        padding=None if number is None else int(number),
        monochrome1=_text(dataset, "PhotometricInterpretation") == "MONOCHROME1",
        transfer_syntax=str(dataset.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2")),
        acquisition=_acquisition(flat),
    )


def _acquisition(flat: pydicom.Dataset) -> Acquisition:
    agent = _value(flat, "ContrastBolusAgent")
    return Acquisition(
        slice_thickness_mm=_number(flat, "SliceThickness"),
        kernel=_short(flat, "ConvolutionKernel"),
        manufacturer=_short(flat, "Manufacturer"),
        model=_short(flat, "ManufacturerModelName"),
        kvp=_number(flat, "KVP"),
        exposure_mas=_number(flat, "Exposure"),
        # An absent tag says nothing; only a named agent does.
        contrast_agent=True if agent not in (None, "") else None,
    )


def _directions(orientation: list[float] | None) -> tuple[Triple | None, Triple | None]:
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


def _image_type(flat: pydicom.Dataset, groups: list[pydicom.Dataset]) -> list[str]:
    values = _value(flat, "FrameType" if groups else "ImageType")
    several = [] if values is None else [values] if isinstance(values, str) else values
    return [str(value).strip().upper() for value in several]


def _numbers(dataset: pydicom.Dataset, name: str, n: int) -> list[float] | None:
    try:
        values = [float(value) for value in _value(dataset, name) or ()]
    except (TypeError, ValueError):
        return None
    return values if len(values) == n and all(map(math.isfinite, values)) else None


def _number(dataset: pydicom.Dataset, name: str) -> float | None:
    try:
        value = float(_value(dataset, name))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _value(dataset: pydicom.Dataset, name: str) -> Any:
    element = dataset.get(_TAG_OF[name])
    return None if element is None else element.value


def _text(dataset: pydicom.Dataset, name: str) -> str:
    value = _value(dataset, name)
    return "" if value is None else str(value).strip()


def _short(dataset: pydicom.Dataset, name: str) -> str | None:
    """Give a technical tag as one short printable line: tags can hold anything."""
    value = _value(dataset, name)
    several = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    text = " ".join(str(part) for part in several if part is not None)
    return "".join(filter(str.isprintable, text)).strip()[:64] or None
