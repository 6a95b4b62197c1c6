"""How and where the pixels of a file are stored, and whether they are all there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from miliary.io.dicom_file import OpenedHeader
from miliary.io.tags import Elements, number, tags_of

#: Transfer syntaxes whose pixels are plain numbers.
_NATIVE = {
    str(uid)
    for uid in (
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    )
}

_TAGS = tags_of(
    (
        "Rows",
        "Columns",
        "SamplesPerPixel",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "NumberOfFrames",
    )
)

_SIGNED: dict[int | None, bool] = {0: False, 1: True}
_PIXEL_DATA = (0x7FE0, 0x0010)
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class PixelLayout:
    """How the pixels of a file are stored.

    Parameters
    ----------
    rows, columns, n_frames, samples : int
        Size of a frame, frames in the file, and values a pixel.
    allocated, stored, high_bit : int
        Bits a value takes, bits it has, and the place of its highest.
    signed : bool or None
        Whether values have a sign; None where the header does not say.
    transfer_syntax : str
        UID of the coding.
    start : int
        Where the value of the pixel data begins in the (inflated) file; -1 where there is none.
    length : int
        Its bytes; -1 where it is a sequence of coded fragments.
    file_bytes : int
        Size of the file; -1 where it is deflated.
    """

    rows: int
    columns: int
    n_frames: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool | None
    transfer_syntax: str
    start: int
    length: int
    file_bytes: int

    @property
    def is_native(self) -> bool:
        """Whether the pixels are plain numbers."""
        return self.transfer_syntax in _NATIVE

    @property
    def is_deflated(self) -> bool:
        """Whether the whole data set is deflated."""
        return self.transfer_syntax == str(DeflatedExplicitVRLittleEndian)

    @property
    def byte_order(self) -> str:
        """Order of the bytes of a plain number, as numpy has it."""
        return ">" if self.transfer_syntax == str(ExplicitVRBigEndian) else "<"

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame of plain numbers."""
        return self.rows * self.columns * self.samples * self.allocated // 8

    @property
    def fault(self) -> str:
        """What forbids to read them, as part of a sentence; empty where nothing does."""
        if self.start < 0:
            return "no pixel data"
        if self.samples != 1 or self.allocated not in (8, 16, 32):
            return f"{self.samples} sample(s) of {self.allocated} bits a pixel"
        if not 0 < self.stored <= self.allocated or not 0 <= self.high_bit < self.allocated:
            return f"{self.stored} of {self.allocated} bits stored, the highest {self.high_bit}"
        if self.signed is None:
            return "no word of whether values have a sign"
        if self.is_native != (self.length >= 0):
            return "pixels that are not stored as their transfer syntax says"
        needed = self.frame_bytes * self.n_frames if self.is_native else 0
        there = self.length
        if self.file_bytes >= 0:
            rest = self.file_bytes - self.start
            there = min(self.length, rest) if self.is_native else rest
        if there < needed or (not self.is_native and there < 16):
            return f"{max(there, 0)} bytes of pixels where {max(needed, 16)} should be"
        return ""


def layout_of(header: OpenedHeader, file_bytes: int) -> PixelLayout:
    """Gather how pixels are stored.

    Parameters
    ----------
    header : OpenedHeader
        Of the file.
    file_bytes : int
        Size of the file.

    Returns
    -------
    PixelLayout
        The layout.
    """
    elements, syntax = header.elements, header.transfer_syntax
    whole = {name: _whole(elements, tag) for name, tag in _TAGS.items()}
    start, length = _place(header)
    stored, high_bit = whole["BitsStored"] or 0, whole["HighBit"]
    return PixelLayout(
        rows=whole["Rows"] or 0,
        columns=whole["Columns"] or 0,
        n_frames=max(whole["NumberOfFrames"] or 1, 1),
        samples=whole["SamplesPerPixel"] or 1,
        allocated=whole["BitsAllocated"] or 0,
        stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        signed=_SIGNED.get(whole["PixelRepresentation"]),
        transfer_syntax=syntax,
        start=start,
        length=length,
        file_bytes=-1 if syntax == str(DeflatedExplicitVRLittleEndian) else file_bytes,
    )


def _whole(elements: Elements, tag: int) -> int | None:
    value = number(elements, tag)
    return None if value is None or math.isnan(value) else int(value)


def _place(header: OpenedHeader) -> tuple[int, int]:
    """Find where the value of the pixel data begins, and how long it is."""
    at, implicit = header.content.tell(), header.implicit
    head = header.content.read(12)

    def whole(begin: int, end: int) -> int:
        return int.from_bytes(head[begin:end], "little" if header.little_endian else "big")

    if len(head) < 12 or (whole(0, 2), whole(2, 4)) != _PIXEL_DATA:
        return -1, 0
    if not implicit and head[4:6] not in (b"OB", b"OW", b"UN"):
        return -1, 0
    start, length = (at + 8, whole(4, 8)) if implicit else (at + 12, whole(8, 12))
    return start, -1 if length == _UNDEFINED else length
