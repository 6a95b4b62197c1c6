"""Masks overlay the scan: their affine is the one of another reader."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.testing import assert_allclose, assert_array_equal

from miliary.geometry import Geometry
from miliary.io.images import read_mask, write_mask, write_sparse_mask
from miliary.io.nifti import write_nifti

SHAPE, SPACING_MM = (19, 23, 29), (1.25, 0.7, 0.8)
BOX = (slice(2, 9), slice(5, 21), slice(1, 12))
#: NIfTI keeps its affine in single precision.
CLOSE_MM = 1e-4


def _grid(kind: str) -> Geometry:
    straight = Geometry.aligned(SHAPE, SPACING_MM, (-11.5, 7.25, -130.5))
    affine = straight.affine.copy()
    if kind == "oblique":
        a = np.radians(20.0)
        turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        affine[:3, :3] = turn @ affine[:3, :3]
    if kind == "flipped":
        affine[:3, 1:3] *= -1
    return Geometry(SHAPE, affine)


@pytest.mark.parametrize("kind", ["straight", "oblique", "flipped"])
def test_another_reader_sees_labels_at_the_same_world_points(tmp_path, rng, kind):
    grid = _grid(kind)
    labels = rng.integers(0, 3, SHAPE).astype(np.uint8)
    image = nibabel.load(write_mask(tmp_path / "m.nii.gz", labels, grid))
    # NIfTI's world is RAS: x and y are those of DICOM with the other sign.
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    index_zyx = rng.integers(0, SHAPE, (20, 3))
    points_mm = (to_lps @ np.c_[index_zyx[:, ::-1], np.ones(20)].T).T[:, :3]
    assert_allclose(points_mm, grid.to_world(index_zyx.astype(float)), atol=CLOSE_MM)
    assert_array_equal(np.asanyarray(image.dataobj).transpose(2, 1, 0), labels)


def test_a_crop_is_written_on_the_whole_grid(tmp_path, rng):
    grid = _grid("straight")
    part = rng.random((7, 16, 11)) < 0.5
    path = write_mask(tmp_path / "m.nii.gz", part, grid, box=BOX)
    labels, found = read_mask(path)
    assert labels.shape == SHAPE
    assert_array_equal(labels[BOX], part)
    assert labels.sum() == part.sum()
    assert_allclose(found.affine, grid.affine, atol=CLOSE_MM)


def test_many_labels_need_sixteen_bits(tmp_path):
    labels = np.zeros(SHAPE, np.int32)
    labels[3, 4, 5] = 1200
    found, _ = read_mask(write_mask(tmp_path / "m.nii.gz", labels, _grid("straight")))
    assert (found.dtype, found[3, 4, 5]) == (np.uint16, 1200)


def test_a_crop_of_the_wrong_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must fill their box"):
        write_mask(tmp_path / "m.nii.gz", np.zeros((2, 2, 2)), _grid("straight"), box=BOX)


def test_labels_out_of_range_are_refused(tmp_path):
    with pytest.raises(ValueError, match="0 to 65535, got -1"):
        write_mask(tmp_path / "m.nii.gz", np.full(SHAPE, -1), _grid("straight"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is full")
def test_a_full_disk_is_told(rng):
    labels = rng.integers(0, 3, SHAPE).astype(np.uint8)
    with pytest.raises(OSError, match="No space left on device"):
        write_mask("/dev/full", labels, _grid("straight"))


@pytest.mark.parametrize("kind", ["straight", "oblique", "flipped"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_header_is_the_one_that_itk_writes(tmp_path, rng, kind, dtype):
    grid = _grid(kind)
    values = rng.integers(0, 3000, SHAPE).astype(dtype)
    itk = sitk.GetImageFromArray(values)
    itk.SetSpacing(grid.spacing_mm[::-1].tolist())
    itk.SetOrigin(grid.affine[:3, 3].tolist())
    itk.SetDirection(grid.axes[:, ::-1].ravel().tolist())
    sitk.WriteImage(itk, str(tmp_path / "itk.nii"))
    path = write_nifti(tmp_path / "ours.nii.gz", values, values.dtype, grid)
    expected, found = (tmp_path / "itk.nii").read_bytes(), gzip.decompress(path.read_bytes())
    assert found[348:] == expected[348:]
    header, theirs = (nibabel.Nifti1Header(content[:348]) for content in (found, expected))
    for field in theirs:
        if theirs[field].dtype.kind == "f":
            assert_allclose(header[field], theirs[field], atol=CLOSE_MM, err_msg=field)
        else:
            assert_array_equal(header[field], theirs[field], err_msg=field)


def test_listed_voxels_give_the_file_of_the_image_that_holds_them(tmp_path, rng):
    grid, part = _grid("oblique"), np.zeros((7, 16, 11), np.uint16)
    part[rng.random(part.shape) < 0.05] = 1
    part[part > 0] = rng.permutation(np.count_nonzero(part)) + 250
    voxels = np.flatnonzero(part)
    for labels in (part, part > 0):
        listed = write_sparse_mask(
            tmp_path / "l.nii.gz", voxels, labels.ravel()[voxels].astype(int), grid, box=BOX
        )
        image = write_mask(tmp_path / "i.nii.gz", labels, grid, box=BOX)
        assert listed.read_bytes() == image.read_bytes()
    none = write_sparse_mask(tmp_path / "n.nii.gz", voxels[:0], voxels[:0], grid, box=BOX)
    assert not read_mask(none)[0].any()


def test_the_same_mask_gives_the_same_bytes_without_a_time_or_a_name(tmp_path, rng):
    labels = rng.integers(0, 3, SHAPE).astype(np.uint8)
    first = write_mask(tmp_path / "a.nii.gz", labels, _grid("straight")).read_bytes()
    assert first == write_mask(tmp_path / "b.nii.gz", labels, _grid("straight")).read_bytes()
    # Flags, and the time of the file, are 0 in gzip's header (RFC 1952, 2.3).
    assert first[:8] == bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("order", ["<", ">"])
def test_values_are_written_in_the_order_that_the_header_tells(tmp_path, rng, order):
    values = rng.normal(size=SHAPE).astype(f"{order}f4")
    path = write_nifti(tmp_path / "m.nii.gz", values, values.dtype, _grid("oblique"))
    assert_array_equal(np.asanyarray(nibabel.load(path).dataobj).transpose(2, 1, 0), values)
