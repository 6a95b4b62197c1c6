"""Series that are written are taken by readers that are not ours."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.testing import assert_allclose, assert_array_equal

import oracles_io as made
from miliary.io.reading import read
from miliary.io.volume_files import affine_of
from miliary.io.write_dicom import write_series
from miliary.volume import Volume


@pytest.mark.parametrize("coding", ["none", "rle", "jpeg-ls"])
def test_simpleitk_reads_the_same_volume(tmp_path, coding):
    volume = made.chest()
    write_series(tmp_path, volume, seed=4, coding=coding)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    assert_array_equal(sitk.GetArrayFromImage(image), volume.hu)
    assert_allclose(affine_of(image), volume.geometry.affine, atol=1e-6)
    assert_array_equal(read(tmp_path).hu, volume.hu)


def test_coding_makes_files_smaller(tmp_path):
    sizes = {}
    for coding in ("none", "rle", "jpeg-ls"):
        paths = write_series(tmp_path / coding, made.chest(), seed=4, coding=coding)
        sizes[coding] = sum(path.stat().st_size for path in paths)
    assert sizes["jpeg-ls"] < sizes["rle"] < sizes["none"]


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first = write_series(tmp_path / "a", made.chest(), seed=4)
    second = write_series(tmp_path / "b", made.chest(), seed=4)
    other = write_series(tmp_path / "c", made.chest(), seed=5)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    uids = {pydicom.dcmread(p).SOPInstanceUID for p in (*first, *other)}
    assert len(uids) == 38
    assert all(uid.startswith("2.25.") and uid.is_valid for uid in uids)


def test_no_patient_is_made_out_of_nothing(tmp_path):
    dataset = pydicom.dcmread(write_series(tmp_path, made.chest(), seed=4)[0])
    assert str(dataset.PatientName).startswith("Phantom^")
    assert (dataset.PatientBirthDate, dataset.PatientSex) == ("", "")
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert (dataset.BitsStored, dataset.PixelRepresentation) == (16, 1)


def test_floats_are_rounded_and_tags_replaced(tmp_path):
    volume = made.chest()
    blurred = Volume(volume.hu.astype(np.float32) + 0.4, volume.geometry)
    paths = write_series(
        tmp_path, blurred, seed=4, intercept_hu=0, tags={"ConvolutionKernel": "BONE"}
    )
    assert pydicom.dcmread(paths[3]).ConvolutionKernel == "BONE"
    assert_array_equal(read(tmp_path).hu, volume.hu)


def test_an_unknown_coding_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none, rle, jpeg-ls, got 'zip'"):
        write_series(tmp_path, made.chest(), seed=4, coding="zip")
