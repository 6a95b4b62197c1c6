"""Masks and label images as NIfTI, on the grid of the whole scan."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

from miliary.arrays import AnyArray, Box
from miliary.geometry import Geometry
from miliary.io.orient import patient_turn
from miliary.io.volume_files import affine_of

#: zlib level: masks are nearly all zeros, and the fastest level is within a few kB of the best.
_COMPRESSION = 1

#: Bytes of a NIfTI file before its voxels.
_NIFTI_HEADER = 352


def write_mask(
    path: str | Path, labels: AnyArray, geometry: Geometry, *, box: Box | None = None
) -> Path:
    """Write a mask or label image that overlays the scan in any viewer.

    Parameters
    ----------
    path : path
        Ends in `.nii.gz`.
    labels : (z, y, x) bool or int
        Labels from 0; of the whole grid, or of the part in `box`.
    geometry : Geometry
        The grid of the whole scan.
    box : tuple of three slices or None
        Where `labels` lies in the scan; the rest becomes 0.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OSError
        Where the disk is full.
    """
    part = np.asarray(labels)
    highest = int(part.max(initial=0))
    if (part.size and part.min() < 0) or highest > np.iinfo(np.uint16).max:
        raise ValueError(f"labels must be 0 to 65535, got {part.min()} to {highest}")
    dtype = np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16
    # Not named here: SimpleITK has a copy, and one of the whole grid is enough.
    image = sitk.GetImageFromArray(_on_grid(part.astype(dtype, copy=False), geometry, box))
    return _write(path, image, geometry)


def _on_grid(part: AnyArray, geometry: Geometry, box: Box | None) -> AnyArray:
    """Put a part into the whole grid, with 0 round it."""
    whole = np.zeros(geometry.shape, part.dtype)
    room = whole if box is None else whole[box]
    if room.shape != part.shape:
        raise ValueError(f"labels must fill their box {room.shape} of the grid, got {part.shape}")
    room[...] = part
    return whole


def write_map(path: str | Path, values: AnyArray, geometry: Geometry) -> Path:
    """Write a map of numbers that lies over the scan, such as a density.

    Parameters
    ----------
    path : path
        Ends in `.nii.gz`.
    values : (z, y, x) float
        NaN where nothing is known; stored as float32.
    geometry : Geometry
        The grid of the map.

    Returns
    -------
    Path
        The file.
    """
    if values.shape != geometry.shape:
        raise ValueError(f"values must fill their grid {geometry.shape}, got {values.shape}")
    return _write(path, sitk.GetImageFromArray(np.asarray(values, np.float32)), geometry)


def _write(path: str | Path, image: sitk.Image, geometry: Geometry) -> Path:
    image.SetSpacing([float(length) for length in geometry.spacing_mm[::-1]])
    image.SetOrigin([float(value) for value in geometry.affine[:3, 3]])
    image.SetDirection([float(value) for value in geometry.axes[:, ::-1].ravel()])
    sitk.WriteImage(image, str(path), useCompression=True, compressionLevel=_COMPRESSION)
    n_bytes = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    _check_whole(Path(path), n_bytes)
    return Path(path)


def _check_whole(path: Path, n_bytes: int) -> None:
    """Refuse a file cut short: on a full disk SimpleITK writes what fits, and says nothing."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(-min(4, file.tell()), os.SEEK_END)
        told = int.from_bytes(file.read(), "little")
    # The last thing in a gzip file is the length of its content, to 32 bits.
    if told != (n_bytes + _NIFTI_HEADER) % 2**32:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_mask(path: str | Path) -> tuple[AnyArray, Geometry]:
    """Read a mask or label image.

    Parameters
    ----------
    path : path
        NIfTI, NRRD or MetaImage.

    Returns
    -------
    (z, y, x) int, Geometry
        Labels, turned so that the axes point up, back and left, and their grid.
    """
    image = sitk.ReadImage(str(path))
    stored = sitk.GetArrayFromImage(image)
    affine = affine_of(image)
    turn = patient_turn(affine)
    return np.ascontiguousarray(turn.view(stored)), turn.geometry(stored.shape, affine)
