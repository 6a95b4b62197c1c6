"""The table of bad folders, and what their makers have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRBigEndian

import oracles_io as made
from miliary.geometry import Geometry
from miliary.volume import Volume

ALL, FROM_TENTH = slice(None), slice(10, None)
STEP_MM = made.SPACING_MM[0]

Make = Callable[[Path], list[Volume]]


@dataclass(frozen=True)
class BadFolder:
    """A row of the table.

    Parameters
    ----------
    name : str
        What is odd.
    make : callable
        Fills a folder; gives the volumes that must come out of it, none where it must be refused.
    codes : tuple of str
        Codes that the headers must get, of all series found, sorted; empty where there is no CT.
    reads : str
        Code with which reading must end where the headers are sound and the pixels are not.
    listed : bool
        Whether other readers were measured on it before.
    as_stored : bool
        Whether what is stored is a sound stack, and it is refused for what it shows.
    """

    name: str
    make: Make
    codes: tuple[str, ...]
    reads: str
    listed: bool
    as_stored: bool


#: By name, in the order in which they are told.
ROWS: dict[str, BadFolder] = {}


def row(
    name: str, *codes: str, reads: str = "", listed: bool = False, as_stored: bool = False
) -> Callable[[Make], Make]:
    """Put a maker into the table."""

    def put(make: Make) -> Make:
        ROWS[name] = BadFolder(name, make, tuple(sorted(codes)), reads, listed, as_stored)
        return make

    return put


def tilted_axes(volume: Volume, about_x_deg: float, about_z_deg: float) -> Volume:
    """The same array in a patient who lies askew."""
    a, b = np.radians((about_x_deg, about_z_deg))
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = volume.geometry.affine.copy()
    affine[:3, :3] = turn_x @ turn_z @ affine[:3, :3]
    return Volume(volume.hu, Geometry(volume.hu.shape, affine), volume.acquisition)


def sound(folder: Path, seed: int = 1, **tags: object) -> list[Volume]:
    """A series without fault, in place of the folder's files."""
    made.write(folder, seed, **tags)
    return [made.chest(seed)]


def set_tags(folder: Path, only: slice = ALL, **tags: object) -> None:
    """Give elements a value in some files; None takes them away."""

    def edit(dataset: pydicom.Dataset, index: int) -> None:
        for keyword, value in tags.items():
            if value is not None:
                setattr(dataset, keyword, value)
            elif keyword in dataset:
                delattr(dataset, keyword)

    made.change(folder, edit, only=only)


def shift(folder: Path, along: Callable[[int], tuple[float, float, float]], only: slice) -> None:
    """Move slices."""
    made.change(folder, lambda dataset, i: made.move(dataset, *along(i)), only=only)


def store(folder: Path, values: Callable[[np.ndarray, int], np.ndarray], only: slice = ALL) -> None:
    """Replace stored values, in 16 bits."""

    def edit(dataset: pydicom.Dataset, index: int) -> None:
        stored = np.rint(values(dataset.pixel_array.astype(float), index))
        dataset.PixelData = (stored.astype(np.int64) & 0xFFFF).astype("<u2").tobytes()

    made.change(folder, edit, only=only)


def beside(folder: Path, template: str = "0001.dcm") -> pydicom.Dataset:
    """Another instance, like one of the folder's."""
    dataset = pydicom.dcmread(folder / template)
    dataset.SOPInstanceUID += ".9"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def second_phase(folder: Path, **tags: object) -> list[Volume]:
    """Two scans under one series UID, at the same places."""
    truths = sound(folder) + sound(folder / "b", 2)
    first = pydicom.dcmread(folder / "0001.dcm")
    names = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID")
    set_tags(folder / "b", **{name: first[name].value for name in names})
    set_tags(folder / "b", PatientName=first.PatientName, **tags)
    for path in (folder / "b").glob("*.dcm"):
        path.rename(folder / f"b{path.name}")
    (folder / "b").rmdir()
    return truths


def recoded(folder: Path, syntax: str) -> None:
    """Write the files again in an uncompressed or deflated syntax."""
    for path in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">i2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        # Without these marks pydicom writes in the coding that was read.
        bare = pydicom.Dataset()
        bare.update(dataset)
        bare.file_meta = dataset.file_meta
        bare.save_as(path, enforce_file_format=True)
