"""Damaged copies of small scans: bytes flipped, cut, moved; tags swapped; numbers made wild."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

import oracles_cli
import oracles_io as made
from bad_folders.making import recoded
from miliary.io.write_dicom import write_series

SHAPE = (12, 23, 29)
_HEADER = 1500
#: Texts and lengths that parsers stumble over.
_WILD = (
    b"1e308",
    b"nan",
    b"-1e-9",
    b"inf",
    b"",
    b"999999999999",
    b"1\\2\\3\\4",
    b"\\\\",
    b"0x7",
    b"--1",
)
_LENGTHS = (b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x00")

Bytes = bytearray
Rng = np.random.Generator


def _plain(folder: Path, syntax: str | None = None, coding: str = "none") -> None:
    write_series(folder, made.chest(1, SHAPE), seed=1, coding=coding)
    if syntax:
        recoded(folder, syntax)


def _by_gdcm(folder: Path, compressor: str) -> None:
    _plain(folder)
    made.coded_by_gdcm(folder, compressor)


def _enhanced(folder: Path) -> None:
    folder.mkdir()
    made.enhanced(folder, made.chest(1, SHAPE), np.arange(SHAPE[0]))


def _zipped(folder: Path) -> None:
    _plain(folder)
    with zipfile.ZipFile(folder / "scan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.glob("*.dcm")):
            archive.write(path, path.name)
            path.unlink()


def _volume(folder: Path, ending: str) -> None:
    folder.mkdir()
    volume = made.chest(1, SHAPE)
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing([float(v) for v in volume.geometry.spacing_mm[::-1]])
    sitk.WriteImage(image, str(folder / f"ct.{ending}"))


#: What is damaged. `lungs` is the only one in which lungs are found: the others end there.
BASES: dict[str, Callable[[Path], object]] = {
    "explicit": _plain,
    "implicit": partial(_plain, syntax=ImplicitVRLittleEndian),
    "big endian": partial(_plain, syntax=ExplicitVRBigEndian),
    "deflated": partial(_plain, syntax=DeflatedExplicitVRLittleEndian),
    "rle": partial(_plain, coding="rle"),
    "jpeg-ls": partial(_plain, coding="jpeg-ls"),
    "jpeg": partial(_by_gdcm, compressor="JPEG"),
    "jpeg 2000": partial(_by_gdcm, compressor="JPEG2000"),
    "enhanced": _enhanced,
    "zip": _zipped,
    "nii": partial(_volume, ending="nii"),
    "nii.gz": partial(_volume, ending="nii.gz"),
    "nrrd": partial(_volume, ending="nrrd"),
    "mha": partial(_volume, ending="mha"),
    "lungs": oracles_cli.write_series,
}


def flip(content: Bytes, rng: Rng) -> None:
    """Change some bytes anywhere."""
    for place in rng.integers(len(content), size=rng.integers(1, 20)):
        content[place] = rng.integers(256)


def flip_header(content: Bytes, rng: Rng) -> None:
    """Change a few bytes at the beginning."""
    for place in rng.integers(min(len(content), _HEADER), size=rng.integers(1, 5)):
        content[place] = rng.integers(256)


def cut(content: Bytes, rng: Rng) -> None:
    """Break off."""
    del content[rng.integers(len(content)) :]


def insert(content: Bytes, rng: Rng) -> None:
    """Push bytes in."""
    place = int(rng.integers(min(len(content), _HEADER)))
    content[place:place] = rng.bytes(int(rng.integers(1, 12)))


def remove(content: Bytes, rng: Rng) -> None:
    """Take bytes out."""
    place = int(rng.integers(min(len(content), _HEADER)))
    del content[place : place + int(rng.integers(1, 12))]


def swap_blocks(content: Bytes, rng: Rng) -> None:
    """Exchange two parts of 40 bytes."""
    a, b = sorted(int(v) for v in rng.integers(max(len(content) - 40, 1), size=2))
    if b - a >= 40:
        content[a : a + 40], content[b : b + 40] = content[b : b + 40], content[a : a + 40]


def swap_tags(content: Bytes, rng: Rng) -> None:
    """Exchange the tags of two elements of a DICOM file."""
    places = [
        match.start()
        for match in re.finditer(
            rb"(\x08\0|\x10\0|\x18\0|\x20\0|\x28\0|\xe0\x7f)..[A-Z][A-Z]", content
        )
    ]
    if len(places) < 2:
        return swap_blocks(content, rng)
    a, b = rng.choice(places, 2, replace=False)
    content[a : a + 4], content[b : b + 4] = content[b : b + 4], content[a : a + 4]
    return None


def wild_number(content: Bytes, rng: Rng) -> None:
    """Put something wild in place of a number, in as many bytes."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content[: 3 * _HEADER]))
    if found:
        match = found[rng.integers(len(found))]
        n = match.end() - match.start()
        wild = _WILD[rng.integers(len(_WILD))]
        content[match.start() : match.end()] = wild[:n].ljust(n)


def wild_length(content: Bytes, rng: Rng) -> None:
    """Put a wild length somewhere."""
    place = int(rng.integers(max(min(len(content), _HEADER) - 4, 1)))
    content[place : place + 4] = _LENGTHS[rng.integers(len(_LENGTHS))]


MUTATIONS = (
    flip,
    flip_header,
    cut,
    insert,
    remove,
    swap_blocks,
    swap_tags,
    wild_number,
    wild_length,
)


class Mutator:
    """Makes damaged folders; the same number gives the same folder.

    Parameters
    ----------
    place : Path
        For the sound files.
    """

    def __init__(self, place: Path) -> None:
        self.whole: dict[str, dict[str, bytes]] = {}
        for index, (name, make) in enumerate(BASES.items()):
            folder = place / f"{index}"
            make(folder)
            self.whole[name] = {p.name: p.read_bytes() for p in sorted(folder.glob("*"))}

    def make(self, number: int, folder: Path) -> str:
        """Fill a folder; gives the name of what was done.

        Parameters
        ----------
        number : int
            Which one.
        folder : Path
            Made here.

        Returns
        -------
        str
            Base, kind of damage, and whether one file or all have it.
        """
        rng = np.random.default_rng([20261122, number])
        names = list(BASES)
        base = names[number % len(names)]
        damage = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
        files = self.whole[base]
        # The same damage to all files gets past what compares them.
        hit = set(files) if rng.random() < 0.5 else {str(rng.choice(sorted(files)))}
        seed = int(rng.integers(1 << 30))
        folder.mkdir(parents=True)
        for name, content in files.items():
            damaged = bytearray(content)
            if name in hit:
                damage(damaged, np.random.default_rng(seed))
            (folder / name).write_bytes(bytes(damaged))
        return f"{base}, {damage.__name__}, {'all files' if len(hit) > 1 else 'one file'}"
