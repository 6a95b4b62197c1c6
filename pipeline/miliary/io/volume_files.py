"""CT volumes in one file: NIfTI, NRRD, MetaImage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813

from miliary.arrays import AnyArray, FloatArray
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.geometry import Geometry
from miliary.io.identity import hashed_file
from miliary.io.orient import patient_turn
from miliary.io.pixels import OUTSIDE_HU, check_hu, tally_of

VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")

#: A header that names another file for the voxels.
_DATA_FILE = re.compile(rb"^\s*(?:ElementDataFile\s*=|data file:)\s*(\S+)\s*$", re.M | re.I)

#: Voxel types that can hold HU; 8-bit images and labels cannot.
_CT_TYPES = {
    sitk.sitkInt16,
    sitk.sitkUInt16,
    sitk.sitkInt32,
    sitk.sitkUInt32,
    sitk.sitkInt64,
    sitk.sitkFloat32,
    sitk.sitkFloat64,
}

_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class VolumeFile:
    """A volume file, judged by its header.

    Parameters
    ----------
    path : Path
        The file.
    relative : str
        Its path relative to the input.
    content_hash : str
        Keyed hash of its bytes.
    shape : (3,) int
        Size along its slices, rows and columns; zeros where it cannot be read.
    spacing_mm : (3,) float or None
        Voxel size in the same order.
    code, reason : str
        `OK`, or why it cannot be used.
    """

    path: Path
    relative: str
    content_hash: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float] | None
    code: str
    reason: str


def inspect_volume(path: Path, relative: str, settings: ReadSettings) -> VolumeFile:
    """Judge a volume file by its header.

    Parameters
    ----------
    path : Path
        The file.
    relative : str
        Its path relative to the input.
    settings : ReadSettings
        Limits.

    Returns
    -------
    VolumeFile
        What it is; a file that cannot be read gets its code, not an error.
    """
    content_hash = hashed_file(_parts(path))
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        reason = (
            "the volume file must be readable; it is damaged, or its axes are not at right angles."
        )
        return VolumeFile(path, relative, content_hash, (0, 0, 0), None, "E_PIXELS", reason)
    size, spacing = reader.GetSize(), reader.GetSpacing()
    shape, spacing_mm = (0, 0, 0), None
    if len(size) == 3:
        shape = (size[2], size[1], size[0])
        spacing_mm = (spacing[2], spacing[1], spacing[0])
    code, reason = _fault(reader, settings) or ("OK", "")
    return VolumeFile(path, relative, content_hash, shape, spacing_mm, code, reason)


def read_volume_file(path: Path, settings: ReadSettings) -> tuple[AnyArray, Geometry]:
    """Read a volume file in HU.

    Parameters
    ----------
    path : Path
        A file that `inspect_volume` has passed.
    settings : ReadSettings
        Ranges of air and tissue.

    Returns
    -------
    (z, y, x) int16, Geometry
        Values, turned so that the axes point up, back and left.

    Raises
    ------
    SeriesError
        Where it cannot be read or is not in HU.
    """
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise SeriesError(
            f"the volume file must be readable, got {type(error).__name__} in its voxels; it is "
            "truncated or damaged",
            code="E_PIXELS",
        ) from error
    stored = sitk.GetArrayViewFromImage(image)
    tallies = [tally_of(np.nan_to_num(plane, nan=OUTSIDE_HU)) for plane in stored]
    check_hu(np.sum(tallies, axis=0), settings)
    affine = affine_of(image)
    turn = patient_turn(affine)
    hu = np.ascontiguousarray(turn.view(_as_int16(stored)))
    return hu, turn.geometry(stored.shape, affine)


def affine_of(image: Any) -> FloatArray:
    """Give the affine of a SimpleITK image, for `[z, y, x]` indices of its array.

    Parameters
    ----------
    image : SimpleITK.Image
        A 3-D image; SimpleITK's world is LPS, as ours.

    Returns
    -------
    (4, 4) float
        Maps `(z, y, x, 1)` indices to world points.
    """
    direction = np.array(image.GetDirection(), float).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = (direction * np.array(image.GetSpacing()))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


def _fault(reader: Any, settings: ReadSettings) -> tuple[str, str] | None:
    size = reader.GetSize()
    if len(size) != 3 or reader.GetNumberOfComponents() != 1:
        return "SKIP_NOT_CT", f"a CT must have three axes and one value a voxel, got axes {size}."
    if reader.GetPixelID() not in _CT_TYPES:
        return (
            "SKIP_NOT_CT",
            "a CT must have voxels of 16 bits or more; this is a mask or a picture.",
        )
    if min(size) < settings.min_slices:
        return "SKIP_TOO_FEW", (
            f"a volume needs at least {settings.min_slices} slices, got {min(size)}."
        )
    size_mb = float(np.prod(size, dtype=float)) * 2 / 2**20
    if size_mb > settings.max_volume_mb:
        return "E_TOO_BIG", (
            f"a volume must take at most {settings.max_volume_mb:.0f} MB, got {size_mb:.0f} MB."
        )
    return None


def _parts(path: Path) -> list[Path]:
    """List the files that make up a volume: the header, and the voxels beside it."""
    if path.name.lower().endswith((".mhd", ".nhdr")):
        with path.open("rb") as file:
            found = _DATA_FILE.search(file.read(1 << 16))
        # Only a name in the same folder counts: a header must not lead elsewhere.
        beside = (
            path.parent / Path(found.group(1).decode("utf-8", "replace")).name if found else path
        )
        if beside != path and beside.is_file():
            return [path, beside]
    return [path]


def _as_int16(stored: AnyArray) -> AnyArray:
    """Round to int16 slice by slice: a float copy of the whole would double the memory."""
    hu = np.empty(stored.shape, np.int16)
    for plane, values in zip(hu, stored, strict=True):
        filled = np.nan_to_num(values, nan=OUTSIDE_HU) if values.dtype.kind == "f" else values
        plane[...] = np.rint(np.clip(filled, OUTSIDE_HU, _INT16.max))
    return hu
