"""Frames of a file as stored values: read from their place, decoded where they are compressed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from pydicom.uid import UID

from miliary.arrays import AnyArray
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.io.decoders import Decoders, check_length
from miliary.io.dicom_file import PARSE_ERRORS
from miliary.io.headers import SliceHeader
from miliary.io.inflate import deflated_from, open_inflated
from miliary.io.layout import PixelLayout
from miliary.io.sources import Archive
from miliary.io.stack import name_of

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"

#: What may follow the pixels of a deflated file and be inflated with them.
_BEYOND = 1 << 24
_STEP = 1 << 16

#: Last bytes of a frame of the JPEG family, where nothing else tells frames apart.
_END_MARK = b"\xff\xd9"


def stored_frames(
    headers: Sequence[SliceHeader], archive: Archive, decoders: Decoders, settings: ReadSettings
) -> Iterator[tuple[SliceHeader, AnyArray]]:
    """Read frames of one file, one after the other.

    Parameters
    ----------
    headers : sequence of SliceHeader
        Slices of one file.
    archive : Archive
        Opens it.
    decoders : Decoders
        Decode compressed frames.
    settings : ReadSettings
        Caps, and for naming the file.

    Yields
    ------
    (SliceHeader, (rows, columns) int)
        Each of the slices with its stored values, by number of frame.

    Raises
    ------
    SeriesError
        Where the pixels cannot be read, or are fewer than they should be.
    """
    layout = headers[0].pixels
    try:
        with archive.open(headers[0].source) as file:
            if not layout.is_deflated and archive.size(headers[0].source) != layout.file_bytes:
                raise ValueError("a file must not change between finding and reading")
            # A deflated stream can be read forwards only.
            ordered = sorted(headers, key=lambda item: item.frame)
            if layout.is_native:
                yield from _native(file, layout, ordered)
            else:
                yield from _coded(file, layout, ordered, decoders)
    except (*PARSE_ERRORS, RuntimeError, zipfile.BadZipFile) as error:
        syntax = UID(layout.transfer_syntax)
        kind = syntax.name if syntax.is_transfer_syntax else "an unknown coding"
        raise SeriesError(
            f"pixels must be readable, got {type(error).__name__} in "
            f"{name_of(headers[0], settings)} ({kind}); it is truncated, damaged or in a coding "
            "that is not supported",
            code="E_PIXELS",
        ) from error


def _native(
    file: BinaryIO, layout: PixelLayout, headers: Sequence[SliceHeader]
) -> Iterator[tuple[SliceHeader, AnyArray]]:
    if layout.is_deflated:
        whole = layout.start + layout.n_frames * layout.frame_bytes
        file = open_inflated(file, deflated_from(file.read(4096)), whole + _BEYOND)
    kind = np.dtype(f"{layout.byte_order}{'i' if layout.signed else 'u'}{layout.allocated // 8}")
    for header in headers:
        file.seek(layout.start + header.frame * layout.frame_bytes)
        content = file.read(layout.frame_bytes)
        # Raises where there is less than a frame.
        yield header, np.frombuffer(content, kind).reshape(layout.rows, layout.columns)
    if layout.is_deflated:
        # Damage may show only later, in what follows or at the end.
        while file.read(_STEP):
            pass


def _coded(
    file: BinaryIO, layout: PixelLayout, headers: Sequence[SliceHeader], decoders: Decoders
) -> Iterator[tuple[SliceHeader, AnyArray]]:
    table, fragments = _fragments(file, layout.start)
    frames = _by_frame(file, table, fragments, layout.n_frames)
    for header in headers:
        parts = frames[header.frame]
        # Before it is read, let alone decoded.
        check_length(sum(length for _, length in parts), layout)
        content = b"".join(_bytes_at(file, *part) for part in parts)
        yield header, decoders.decode(content, layout)


def _bytes_at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _fragments(file: BinaryIO, start: int) -> tuple[bytes, list[tuple[int, int]]]:
    """List place and length of the coded fragments, and the table of offsets before them."""
    file.seek(start)
    fragments = []
    place = start
    while True:
        head = file.read(8)
        if head[:4] == _END:
            break
        length = int.from_bytes(head[4:8], "little")
        if len(head) < 8 or head[:4] != _ITEM or length == 0xFFFFFFFF:
            raise ValueError("coded pixels must be fragments up to an end mark")
        fragments.append((place + 8, length))
        place += 8 + length
        file.seek(place)
    if len(fragments) < 2:
        raise ValueError("coded pixels must have a table of offsets and a fragment")
    (place, length), *rest = fragments
    file.seek(place)
    return file.read(min(length, 1 << 20)), rest


def _by_frame(
    file: BinaryIO, table: bytes, fragments: list[tuple[int, int]], n_frames: int
) -> list[list[tuple[int, int]]]:
    """Share fragments out among frames."""
    if n_frames == 1:
        return [fragments]
    if len(fragments) == n_frames:
        return [[fragment] for fragment in fragments]
    starts = np.frombuffer(table[: len(table) // 4 * 4], "<u4").astype(np.int64)
    if len(starts) == n_frames:
        # Offsets count from the first fragment's tag.
        offsets = np.array([place - 8 for place, _ in fragments]) - (fragments[0][0] - 8)
        owner = np.searchsorted(starts, offsets, side="right") - 1
    else:
        owner = np.cumsum([0, *(_ends_frame(file, part) for part in fragments)])[:-1]
    frames: list[list[tuple[int, int]]] = [[] for _ in range(n_frames)]
    for part, number in zip(fragments, owner, strict=True):
        frames[number].append(part)
    if not all(frames):
        raise ValueError("coded fragments must make as many frames as the header states")
    return frames


def _ends_frame(file: BinaryIO, fragment: tuple[int, int]) -> bool:
    place, length = fragment
    file.seek(place + max(length - 4, 0))
    return _END_MARK in file.read(min(length, 4))
