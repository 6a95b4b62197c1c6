"""What the headers of volume files claim, held against the bytes that are there.

ITK makes voxels up where a file is cut short, opens whatever file a header names, and asks for all
the memory that a header claims. So headers are looked at before it is let near them.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

#: Headers that are text, and the key under which they name another file for the voxels.
_TEXT_ENDINGS = (".mha", ".mhd", ".nrrd", ".nhdr")
_DATA_FILE = re.compile(
    rb"^[ \t]*(?:ElementDataFile[ \t]*=|data ?file:)[ \t]*(.*?)[ \t]*\r?(?:\n|\Z)", re.M | re.I
)
#: Where the text of an NRRD ends and its voxels may begin.
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_COMPRESSED = re.compile(
    rb"^[ \t]*(?:CompressedData[ \t]*=[ \t]*True|encoding:[ \t]*(?!raw\b)\S+)", re.M | re.I
)
_MAX_TEXT = 1 << 16

#: No stream of zlib is inflated by more than this factor.
_MAX_RATIO = 1032

_STEP = 1 << 20


@dataclass(frozen=True)
class StoredVoxels:
    """Where the voxels of a volume file are, as its header says.

    Parameters
    ----------
    files : tuple of Path
        The header, and the file of the voxels where that is another one.
    stream_from : int
        Where in the last of the files a stream of zlib or gzip begins whose check sum ITK does not
        look at; -1 where there is none.
    most_bytes : int
        Most bytes of voxels that can be there.
    fault : str
        What forbids to read it, as a sentence; empty where nothing does.
    has_place : bool
        False where the header says that it does not know how the axes lie.
    """

    files: tuple[Path, ...]
    stream_from: int
    most_bytes: int
    fault: str = ""
    has_place: bool = True


def look_at_volume(path: Path) -> StoredVoxels:
    """Look at the header of a volume file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StoredVoxels
        Files beside it are looked up, not opened.
    """
    try:
        if path.name.lower().endswith(_TEXT_ENDINGS):
            return _look_at_text(path)
        return _look_at_nifti(path)
    except (OSError, EOFError, zlib.error, struct.error, ValueError):
        return StoredVoxels((path,), -1, 0, "the volume file must be readable; it is damaged.")


def is_whole_stream(path: Path, begin: int, n_bytes: int) -> bool:
    """Tell whether a compressed stream is whole and holds enough, by reading it through.

    Parameters
    ----------
    path : Path
        The file.
    begin : int
        Where the stream begins.
    n_bytes : int
        How much it must hold.

    Returns
    -------
    bool
        False for a broken stream, a wrong check sum, or too little.
    """
    held = 0
    try:
        with path.open("rb") as file:
            file.seek(begin)
            packed = file.read(_STEP)
            while packed[:1].strip(b"\0"):
                # 47: the header says whether it is zlib or gzip, of which several may follow.
                unpacker = zlib.decompressobj(wbits=47)
                while packed and not unpacker.eof:
                    held += len(unpacker.decompress(packed, _STEP))
                    packed = unpacker.unconsumed_tail or file.read(_STEP)
                if not unpacker.eof:
                    return False
                packed = unpacker.unused_data + packed
    except (OSError, zlib.error):
        return False
    return held >= n_bytes


def _look_at_text(path: Path) -> StoredVoxels:
    with path.open("rb") as file:
        head = file.read(_MAX_TEXT)
    is_meta = path.name.lower().endswith((".mha", ".mhd"))
    # What follows the header are voxels, which may look like anything.
    blank = None if is_meta else _BLANK_LINE.search(head)
    found = _DATA_FILE.search(head[: blank.start()] if blank else head)
    end = found.end() if is_meta and found else blank.end() if blank else len(head)
    text = head[:end]
    name = found.group(1).decode("utf-8", "replace") if found else "LOCAL"
    data = path
    if name.upper() != "LOCAL":
        data = path.parent / name
        # A header must not lead elsewhere, and lists of files are not followed.
        if not name or Path(name).name != name or name.upper().startswith("LIST"):
            fault = "the header must name a file of voxels in its own folder, got another place."
            return StoredVoxels((path,), -1, 0, fault)
        if not data.is_file():
            fault = "the file of voxels that the header names must lie beside it; it is missing."
            return StoredVoxels((path,), -1, 0, fault)
    begin, files = (end, (path,)) if data == path else (0, (path, data))
    size = data.stat().st_size - begin
    packed = _COMPRESSED.search(text)
    if packed:
        # NRRD knows other codings as well, which nobody uses.
        known = is_meta or packed.group().lower().endswith((b"gz", b"gzip"))
        return StoredVoxels(files, begin if known else -1, size * _MAX_RATIO)
    return StoredVoxels(files, -1, size)


def _look_at_nifti(path: Path) -> StoredVoxels:
    size = path.stat().st_size
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if compressed:
        with gzip.open(path) as packed:
            header = _nifti_header(packed)  # type: ignore[arg-type]
    else:
        with path.open("rb") as file:
            header = _nifti_header(file)
    offset, has_place = header
    if compressed:
        return StoredVoxels((path,), 0, size * _MAX_RATIO, has_place=has_place)
    return StoredVoxels((path,), -1, size - offset, has_place=has_place)


def _nifti_header(file: BinaryIO) -> tuple[int, bool]:
    """Read where the voxels begin, and whether one of the two transforms is set."""
    head = file.read(540)
    order = "<" if struct.unpack_from("<i", head)[0] in (348, 540) else ">"
    version = struct.unpack_from(f"{order}i", head)[0]
    if version == 348:
        offset = int(struct.unpack_from(f"{order}f", head, 108)[0])
        codes = struct.unpack_from(f"{order}2h", head, 252)
    elif version == 540:
        offset = struct.unpack_from(f"{order}q", head, 168)[0]
        codes = struct.unpack_from(f"{order}2i", head, 344)
    else:
        raise ValueError(f"a NIfTI header must have 348 or 540 bytes, got {version}")
    return offset, max(codes) > 0
