"""Folders made to do harm: bombs, liars, names and tags that would break out."""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import pydicom
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian

import oracles_io as made
from miliary.io.write_dicom import write_series

#: What must not come through: markup, terminal controls, formulas, paths.
MARKUP = "<script>alert(1)</script>"
ESCAPE = "\x1b]0;owned\x07\x1b[31m"
FORMULA = "=HYPERLINK(1)"

_CHUNK = 1 << 24


def zeros_deflated(megabytes: int) -> bytes:
    """Give a raw deflate stream of zeros, fast: after a full flush the same chunk fits again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packer.compress(b"")
    chunk = packer.compress(bytes(_CHUNK)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(_CHUNK)) + packer.flush(zlib.Z_FULL_FLUSH)
    n = max(megabytes * (1 << 20) // _CHUNK, 2)
    return chunk + again * (n - 1) + packer.flush(zlib.Z_FINISH)


def edit_one(folder: Path, edit) -> Path:
    """Edit the sixth file."""
    made.change(folder, lambda dataset, _: edit(dataset), only=slice(5, 6))
    return folder / "0006.dcm"


def deflated_bomb(folder: Path, megabytes: int = 1024) -> None:
    """One file whose header inflates to a gigabyte."""
    made.write(folder)

    def edit(dataset: pydicom.Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    path = edit_one(folder, edit)
    content = path.read_bytes()
    begin = 144 + int.from_bytes(content[140:144], "little")
    header = zlib.decompress(content[begin:], -zlib.MAX_WBITS)
    place = header.index(b"\x10\x00\x10\x00PN")
    n = megabytes << 20
    element = struct.pack("<HH2sHI", 9, 0x1010, b"OB", 0, n)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(header[:place] + element) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(content[:begin] + start + zeros_deflated(megabytes))


def rle_bomb(folder: Path) -> None:
    """One slice of 8 MB whose first segment unpacks to 0.5 GB."""
    write_series(folder, made.chest(), seed=1, coding="rle")
    segment = b"\x81\x00" * (4 << 20)
    head = struct.pack("<16I", 2, 64, 64 + len(segment), *([0] * 13))
    edit_one(folder, lambda d: setattr(d, "PixelData", encapsulate([head + segment + segment])))


def jpeg_ls_bomb(folder: Path) -> None:
    """One slice whose stream claims 65535 x 65535."""
    write_series(folder, made.chest(), seed=1, coding="jpeg-ls")

    def edit(dataset: pydicom.Dataset) -> None:
        frame = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
        place = frame.index(b"\xff\xf7")
        frame[place + 5 : place + 9] = b"\xff" * 4
        dataset.PixelData = encapsulate([bytes(frame)])

    edit_one(folder, edit)


def jpeg_2000_bomb(folder: Path) -> None:
    """One slice whose stream claims 60000 x 60000."""
    made.write(folder)
    made.coded_by_gdcm(folder, "JPEG2000")

    def edit(dataset: pydicom.Dataset) -> None:
        frame = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
        place = frame.index(b"\xff\x51")
        for offset in (6, 10, 22, 26):
            frame[place + offset : place + offset + 4] = struct.pack(">I", 60000)
        dataset.PixelData = encapsulate([bytes(frame)])

    edit_one(folder, edit)


def liars(folder: Path) -> None:
    """Every header claims 4096 x 4096 pixels that are not there: 100 slices of them, 3.3 GB."""
    made.write(folder, volume=made.chest(1, (100, 23, 29)))

    def edit(dataset: pydicom.Dataset, _: int) -> None:
        dataset.Rows = dataset.Columns = 4096

    made.change(folder, edit, only=slice(None))


def huge(folder: Path) -> None:
    """Every header claims 65535 x 65535 pixels."""
    made.write(folder)

    def edit(dataset: pydicom.Dataset, _: int) -> None:
        dataset.Rows = dataset.Columns = 65535

    made.change(folder, edit, only=slice(None))


def deep(folder: Path) -> None:
    """One file with 200,000 sequences in one another."""
    made.write(folder)
    path = folder / "0006.dcm"
    content = path.read_bytes()
    place = content.index(b"\x10\x00\x10\x00PN")
    item = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(content[:place] + item * 200_000 + content[place:])


def zip_bomb(folder: Path, megabytes: int = 1024) -> None:
    """A zip beside a series: one member of a gigabyte of zeros."""
    made.write(folder)
    packed, size = zeros_deflated(megabytes), megabytes << 20
    name = b"scan.dcm"
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(packed), size, len(name), 0)
    local = b"PK\x03\x04" + common + name + packed
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + common + bytes(14) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local), 0)
    (folder / "bomb.zip").write_bytes(local + entry + end)


def zip_slip(folder: Path) -> None:
    """A zip whose members are named to land elsewhere, with a zip in it and an encrypted member."""
    made.write(folder / "a")
    with zipfile.ZipFile(folder / "scan.zip", "w") as archive:
        for index, path in enumerate(sorted((folder / "a").glob("*"))):
            archive.write(path, f"../../../../{ESCAPE}{index}")
        archive.writestr("/etc/inner.zip", (folder / "a" / "0001.dcm").read_bytes())
    shutil.rmtree(folder / "a")


def traps(folder: Path) -> None:
    """Links in circles, to nowhere, to devices and to what cannot be read; a pipe."""
    made.write(folder)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self").symlink_to(folder / "self")
    (folder / "gone.dcm").symlink_to(folder / "nowhere")
    # A regular file that even root cannot read.
    (folder / "memory.dcm").symlink_to("/proc/self/mem")
    (folder / "zero.dcm").symlink_to("/dev/zero")
    (folder / "zero.nii").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.dcm")
    os.mkfifo(folder / "pipe.nii")


def many(folder: Path, n: int = 20_000) -> None:
    """A series among many small files of all sorts."""
    made.write(folder / "ct")
    starts = (b"", b"text", b"\x00" * 132 + b"DICM", b"PK\x03\x04", b"\x08\x00\x05\x00CS\x04\x00")
    for index in range(n // 200):
        place = folder / f"{index:03d}"
        place.mkdir()
        for k in range(200):
            (place / f"{k}").write_bytes(starts[k % len(starts)] + b"%d" % k)


def names(folder: Path) -> None:
    """A folder and files whose names are a formula, markup, terminal controls, and no UTF-8."""
    made.write(folder / "plain")
    place = os.path.join(
        os.fsencode(folder), f"{FORMULA}{ESCAPE}{MARKUP}".replace("/", "_").encode()
    )
    place += b"\n\xff\xfe"
    os.rename(folder / "plain", place)
    for entry in os.listdir(place):
        os.rename(place + b"/" + entry, place + b"/-\xff\x1b[2J" + entry)


#: Tags that hold what they should not, and go nowhere as they are.
TAGS = {
    "ConvolutionKernel": f"{FORMULA}{ESCAPE}{MARKUP}",
    "Manufacturer": f"{MARKUP}{ESCAPE}",
    "ManufacturerModelName": f"@{ESCAPE}\r\n,{MARKUP}",
    "ImageType": ["ORIGINAL", "PRIMARY", f"AXIAL{ESCAPE}"],
    "RescaleType": "HU",
    "PatientID": "../../../../tmp/evil",
    "PatientName": f"{MARKUP}^{ESCAPE}",
    "StudyInstanceUID": "../../../../tmp/study",
    "SeriesInstanceUID": f"/tmp/{MARKUP}",
    "FrameOfReferenceUID": "../../frame",
    "AccessionNumber": "`touch /tmp/x`",
}
