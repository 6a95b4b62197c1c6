"""A DICOM file up to its pixels: told from other files, opened, its elements read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import data_element_generator, read_partial
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from miliary.io.inflate import deflated_from, open_inflated
from miliary.io.tags import Elements, elements_of, is_short, text

_STANDARD = "1.2.840.10008.1.2"
#: Longest value of a tag that is no sequence; the standard allows 64 to 10,240 characters.
_MAX_VALUE_BYTES = 1 << 16
_UNDEFINED = 0xFFFFFFFF

_META_CLASS, _META_SYNTAX = 0x00020002, 0x00020010

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


class NotDicomError(Exception):
    """The file is not DICOM."""


@dataclass(frozen=True, eq=False)
class OpenedHeader:
    """The elements before the pixels of a DICOM file.

    Parameters
    ----------
    content : binary file
        The file, inflated where it is deflated, at the element of the pixels or at its end.
    elements : Elements
        Those wanted.
    sop_class, transfer_syntax : str
        By the file's meta information; the former empty where there is none.
    implicit, little_endian : bool
        How the elements are written.
    """

    content: BinaryIO
    elements: Elements
    sop_class: str
    transfer_syntax: str
    implicit: bool
    little_endian: bool


def open_header(file: BinaryIO, wanted: Sequence[int], *, max_bytes: int) -> OpenedHeader:
    """Read the elements up to the pixels.

    Parameters
    ----------
    file : binary file
        At its beginning.
    wanted : sequence of int
        Tags to keep.
    max_bytes : int
        Most that is inflated of a deflated file.

    Returns
    -------
    OpenedHeader
        What was read.

    Raises
    ------
    NotDicomError
        For any other kind of file.
    OSError, ValueError and others of PARSE_ERRORS
        For a damaged file.
    """
    start = file.read(4096)
    if not _looks_like_dicom(start):
        raise NotDicomError
    meta = _meta(file, start)
    kind, syntax = text(meta, _META_CLASS), text(meta, _META_SYNTAX)
    deflated = deflated_from(start)
    if deflated:
        content = open_inflated(file, deflated, max_bytes)
        elements = _read_elements(content, False, wanted)
        return OpenedHeader(content, elements, kind, syntax, False, True)
    if syntax.startswith(_STANDARD) and syntax != ExplicitVRBigEndian:
        implicit = syntax == ImplicitVRLittleEndian
        elements = _read_elements(file, implicit, wanted)
        return OpenedHeader(file, elements, kind, syntax, implicit, True)
    # What is left is rare, and has to be guessed at: pydicom knows how.
    file.seek(0)
    stop = partial(_at_pixels, wanted)
    dataset = read_partial(file, stop_when=stop, force=True, specific_tags=wanted)
    implicit, little = dataset.original_encoding
    return OpenedHeader(
        file,
        elements_of(dataset),
        str(dataset.file_meta.get("MediaStorageSOPClassUID", "")),
        str(dataset.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)),
        bool(implicit),
        bool(little),
    )


def _looks_like_dicom(start: bytes) -> bool:
    """Tell DICOM by its mark, or, without preamble, by a first element of group 2 or 8."""
    if start[128:132] == b"DICM":
        return True
    if len(start) < 64 or start[:2] not in (b"\x02\x00", b"\x08\x00"):
        return False
    # Explicit: two letters of a value representation. Implicit: a length that fits a header.
    return start[4:6].isupper() or int.from_bytes(start[4:8], "little") < 1024


def _meta(file: BinaryIO, start: bytes) -> Elements:
    """Read the file meta information; the file is then where the data set begins."""
    begin = 132 if start[128:132] == b"DICM" else 0
    file.seek(begin)
    if start[begin : begin + 2] != b"\x02\x00":
        return {}
    elements = data_element_generator(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    return {int(element.tag): element for element in elements}


def _read_elements(file: BinaryIO, implicit: bool, wanted: Sequence[int]) -> Elements:
    # A data set and its elements as objects would take twice as long.
    stop = partial(_at_pixels, wanted)
    elements = data_element_generator(file, implicit, True, stop_when=stop, specific_tags=wanted)
    return {int(element.tag): element for element in elements}


def _at_pixels(wanted: Sequence[int], tag: int, vr: str | None, length: int) -> bool:
    """Stop before the pixels, and before a value that would fill the memory.

    Sequences may be long: frames by the thousand are described in one. What else is wanted is
    short, and what is not wanted is passed over without being read.
    """
    is_long = length > _MAX_VALUE_BYTES and length != _UNDEFINED and vr != "SQ"
    if is_long and int(tag) in wanted and is_short(int(tag)):
        raise ValueError(f"a value must have at most {_MAX_VALUE_BYTES} bytes, got {length}")
    return tag >> 16 == 0x7FE0
