"""CT volumes in one file: NIfTI, NRRD, MetaImage."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from miliary.arrays import AnyArray, FloatArray
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.geometry import Geometry
from miliary.io.identity import hashed_file
from miliary.io.orient import patient_turn
from miliary.io.pixels import OUTSIDE_HU, check_hu, tally_of
from miliary.io.volume_headers import StoredVoxels, is_whole_stream, look_at_volume

VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")

#: SimpleITK's names of voxels that can hold HU, with their bytes; 8-bit images and labels cannot.
_CT_TYPES = {
    "Int16": 2,
    "UInt16": 2,
    "Int32": 4,
    "UInt32": 4,
    "Int64": 8,
    "Float32": 4,
    "Float64": 8,
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
    stored = look_at_volume(path)
    content_hash = hashed_file(stored.files)
    reader = _reader(path)
    reason = stored.fault
    if not reason:
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            reason = (
                "the volume file must be readable; it is damaged, or its axes are not at right "
                "angles."
            )
    if reason:
        return VolumeFile(path, relative, content_hash, (0, 0, 0), None, "E_PIXELS", reason)
    size, spacing = reader.GetSize(), reader.GetSpacing()
    shape, spacing_mm = (0, 0, 0), None
    if len(size) == 3:
        shape = (size[2], size[1], size[0])
        spacing_mm = (spacing[2], spacing[1], spacing[0])
    code, reason = _fault(reader, stored, settings) or ("OK", "")
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
    _check_whole(path)
    try:
        image = _itk().ReadImage(str(path))
    except RuntimeError as error:
        raise SeriesError(
            f"the volume file must be readable, got {type(error).__name__} in its voxels; it is "
            "truncated or damaged",
            code="E_PIXELS",
        ) from error
    stored = _itk().GetArrayViewFromImage(image)
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
    # SimpleITK counts axes from x, the array of its image from z.
    affine[:3, :3] = (direction * np.array(image.GetSpacing()))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


def _itk() -> Any:
    """Import SimpleITK once there is a volume file: DICOM does without its 0.1 s."""
    import SimpleITK

    return SimpleITK


def _reader(path: Path) -> Any:
    reader = _itk().ImageFileReader()
    reader.SetFileName(str(path))
    return reader


@functools.cache
def _ct_types() -> dict[int, int]:
    return {getattr(_itk(), f"sitk{name}"): n_bytes for name, n_bytes in _CT_TYPES.items()}


def _fault(reader: Any, stored: StoredVoxels, settings: ReadSettings) -> tuple[str, str] | None:
    size = reader.GetSize()
    if len(size) != 3 or reader.GetNumberOfComponents() != 1:
        return "SKIP_NOT_CT", f"a CT must have three axes and one value a voxel, got axes {size}."
    if reader.GetPixelID() not in _ct_types():
        return (
            "SKIP_NOT_CT",
            "a CT must have voxels of 16 bits or more; this is a mask or a picture.",
        )
    if min(size) < settings.min_slices:
        return "SKIP_TOO_FEW", (
            f"a volume needs at least {settings.min_slices} slices, got {min(size)}."
        )
    return _misfit(reader, stored, settings)


def _misfit(reader: Any, stored: StoredVoxels, settings: ReadSettings) -> tuple[str, str] | None:
    """Find what forbids to read a volume that is a CT by its kind."""
    n_bytes = _voxel_bytes(reader)
    if n_bytes > settings.max_volume_mb * 2**20:
        return "E_TOO_BIG", (
            f"a volume must take at most {settings.max_volume_mb:.0f} MB, got "
            f"{n_bytes / 2**20:.0f} MB."
        )
    if n_bytes > stored.most_bytes:
        return "E_PIXELS", (
            f"the file must hold the {n_bytes} bytes of voxels that its header claims, got at most "
            f"{max(stored.most_bytes, 0)}; it is truncated or damaged."
        )
    if not stored.has_place:
        return "E_NO_GEOMETRY", (
            "a NIfTI file must say how its axes lie, got neither qform nor sform; right and left "
            "would be a guess."
        )
    low, high = settings.pixel_mm[0], settings.step_mm[1]
    spacing = reader.GetSpacing()
    if not low <= min(spacing) <= max(spacing) <= high:
        return "E_NOT_PLAUSIBLE", (
            f"voxels of a chest CT must have sides of {low:g} to {high:g} mm, got "
            f"{' x '.join(f'{side:.4g}' for side in spacing)} mm."
        )
    return None


def _voxel_bytes(reader: Any) -> int:
    n_voxels = 1
    for length in reader.GetSize():
        n_voxels *= int(length)
    return n_voxels * _ct_types()[reader.GetPixelID()]


def _check_whole(path: Path) -> None:
    """Refuse a compressed file that is broken: ITK would make the missing voxels up."""
    stored = look_at_volume(path)
    if stored.fault or stored.stream_from < 0:
        return
    reader = _reader(path)
    reader.ReadImageInformation()
    if not is_whole_stream(stored.files[-1], stored.stream_from, _voxel_bytes(reader)):
        raise SeriesError(
            "the volume file must be whole, got a broken compressed stream; it is truncated or "
            "damaged",
            code="E_PIXELS",
        )


def _as_int16(stored: AnyArray) -> AnyArray:
    """Round to int16 slice by slice: a float copy of the whole would double the memory."""
    hu = np.empty(stored.shape, np.int16)
    for plane, values in zip(hu, stored, strict=True):
        filled = np.nan_to_num(values, nan=OUTSIDE_HU) if values.dtype.kind == "f" else values
        plane[...] = np.rint(np.clip(filled, OUTSIDE_HU, _INT16.max))
    return hu
