"""Masks, label images and maps as NIfTI, on the grid of the whole scan."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from miliary.arrays import AnyArray, Box, IntArray
from miliary.geometry import Geometry
from miliary.io.nifti import write_nifti
from miliary.io.orient import patient_turn
from miliary.io.volume_files import affine_of

_BYTE, _WORD = np.dtype(np.uint8), np.dtype(np.uint16)


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
    kind = _BYTE if part.dtype in (bool, np.uint8) else _kind_for(part)
    box = box or (slice(None), slice(None), slice(None))
    z, y, x = (range(n)[bounds] for n, bounds in zip(geometry.shape, box, strict=True))
    room = (len(z), len(y), len(x))
    if room != part.shape:
        raise ValueError(f"labels must fill their box {room} of the grid, got {part.shape}")

    def planes() -> Iterator[AnyArray]:
        nothing, plane = np.zeros((2, *geometry.shape[1:]), kind)
        for level in range(geometry.shape[0]):
            if level in z:
                plane[box[1:]] = part[level - z.start]
            yield plane if level in z else nothing

    return write_nifti(path, planes(), kind, geometry)


def write_sparse_mask(
    path: str | Path, voxels: IntArray, labels: IntArray, geometry: Geometry, *, box: Box
) -> Path:
    """Write a label image of which the few voxels with a label are listed.

    Parameters
    ----------
    path : path
        Ends in `.nii.gz`.
    voxels : (V,) int
        Flat indices into the part of the grid in `box`, increasing.
    labels : (V,) int
        Their labels, from 1.
    geometry : Geometry
        The grid of the whole scan.
    box : tuple of three slices
        The part.

    Returns
    -------
    Path
        The file, as `write_mask` writes it.
    """
    kind = _kind_for(labels)
    shape = tuple(bounds.stop - bounds.start for bounds in box)
    z, y, x = np.unravel_index(voxels, shape)
    bounds = np.searchsorted(z + box[0].start, np.arange(geometry.shape[0] + 1))

    def planes() -> Iterator[AnyArray]:
        plane = np.zeros(geometry.shape[1:], kind)
        for first, last in pairwise(bounds):
            here = y[first:last] + box[1].start, x[first:last] + box[2].start
            plane[here] = labels[first:last]
            yield plane
            plane[here] = 0

    return write_nifti(path, planes(), kind, geometry)


def _kind_for(labels: AnyArray) -> np.dtype:
    """Choose the fewest bytes that hold some labels."""
    lowest, highest = int(labels.min(initial=0)), int(labels.max(initial=0))
    if lowest < 0 or highest > np.iinfo(_WORD).max:
        raise ValueError(f"labels must be 0 to 65535, got {lowest} to {highest}")
    return _BYTE if highest <= np.iinfo(_BYTE).max else _WORD


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
    stored = np.ascontiguousarray(values, np.float32)
    return write_nifti(path, stored, stored.dtype, geometry)


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
    # Only here: who reads DICOM and writes masks does without.
    import SimpleITK as sitk  # noqa: N813

    image = sitk.ReadImage(str(path))
    stored = sitk.GetArrayFromImage(image)
    affine = affine_of(image)
    turn = patient_turn(affine)
    return np.ascontiguousarray(turn.view(stored)), turn.geometry(stored.shape, affine)
