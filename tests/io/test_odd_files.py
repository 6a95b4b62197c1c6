"""Real odd files get the verdicts that they call for; real scans thrown together are told apart."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal

import oracles_io as made
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.io.reading import read
from miliary.io.series import find_inputs

pytestmark = pytest.mark.shared
SETTINGS = ReadSettings()

#: Folder under `odd`: codes of the series in it.
VERDICTS = {
    "dicom2nifti-failing/gantrytilting/001": ["E_GANTRY_TILT"],
    "dicom2nifti-failing/sliceincrement/001": ["E_MISSING_SLICES"],
    # Four slices, the fourth two steps away; the tilt is what is told first.
    "dicom2nifti-failing/sliceincrement/002": ["E_GANTRY_TILT"],
    # Four slices at one place, by four acquisitions: four series of one slice.
    "dicom2nifti-failing/notavolume/001": ["SKIP_TOO_FEW"] * 4,
    "dicom2nifti-failing/slicecount/001": ["SKIP_NOT_CT"],
    "dicom2nifti-failing/sliceorientation/001": ["SKIP_NOT_CT"],
    "enhanced-ct": ["SKIP_TOO_FEW"],
    "localizer": ["SKIP_LOCALIZER"],
    "truncated": ["SKIP_TOO_FEW"],
    # One place in many codings; a text and an ultrasound image.
    "transfer-syntaxes": ["SKIP_NOT_CT", "SKIP_NOT_CT", "SKIP_TOO_FEW"],
}


@pytest.mark.parametrize("place", VERDICTS)
def test_odd_folders_are_refused_with_their_codes(shared, place):
    infos = find_inputs([shared / "ct" / "odd" / place], SETTINGS)
    assert sorted(info.code for info in infos) == VERDICTS[place]
    assert not any(info.chosen for info in infos)


def test_there_is_no_odd_folder_without_a_verdict(shared):
    odd = shared / "ct" / "odd"
    folders = {path.parent.relative_to(odd).as_posix() for path in odd.rglob("*.dcm")}
    assert folders == set(VERDICTS)


#: Syntaxes that must give the very values of the uncompressed slice. What lossy ones give is held
#: against another decoder (SimpleITK).
LOSSLESS = (
    "1.2",
    "1.2.1",
    "1.2.2",
    "1.2.1.99",
    "1.2.5",
    "1.2.4.57",
    "1.2.4.70",
    "1.2.4.80",
    "1.2.4.90",
)


def stacked(path: Path, folder: Path) -> None:
    """Make a series of twelve slices of one, with its coding kept."""
    for index in range(12):
        dataset = pydicom.dcmread(path)
        x, y, _ = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, 2.0 * index]
        dataset.SOPInstanceUID = f"1.2.3.{index}"
        dataset.save_as(folder / f"{index:02d}.dcm")


def syntaxes(folder: Path) -> list[Path]:
    return sorted(folder.glob("CTImage.dcm*"))


@pytest.mark.parametrize("number", range(16))
def test_every_transfer_syntax_is_read(shared, tmp_path, number):
    import SimpleITK as sitk  # noqa: N813

    path = syntaxes(shared / "ct" / "odd" / "transfer-syntaxes")[number]
    stacked(path, tmp_path)
    got = read(tmp_path).hu
    assert_array_equal(got, np.broadcast_to(got[0], got.shape))
    other = np.maximum(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0], -1024)
    assert np.abs(got[0] - other).max() <= 1
    first = pydicom.dcmread(syntaxes(path.parent)[0])
    truth = np.maximum(
        first.pixel_array * float(first.RescaleSlope) + first.RescaleIntercept, -1024
    )
    syntax = str(pydicom.dcmread(path).file_meta.TransferSyntaxUID)
    if syntax.removeprefix("1.2.840.10008.") in LOSSLESS:
        assert_array_equal(got[0], truth)


def test_a_real_truncated_slice_is_no_slice(shared, tmp_path):
    path = shared / "ct" / "odd" / "truncated" / "truncated-slice.dcm"
    stacked(path, tmp_path)
    with pytest.raises(SeriesError) as caught:
        read(tmp_path)
    assert caught.value.code == "E_PIXELS"


SCANS = {"lidc-0314": 275, "nlst-low-dose": 143, "rider-0117-lower": 95}


@pytest.fixture(scope="module")
def heap(shared, tmp_path_factory) -> Path:
    """All files of three patients in one folder, without endings, their names shuffled."""
    folder = tmp_path_factory.mktemp("heap")
    paths = [path for scan in SCANS for path in sorted((shared / "ct" / scan).glob("*.dcm"))]
    random.Random(1).shuffle(paths)
    for index, path in enumerate(paths):
        (folder / f"IM{index:05d}").symlink_to(path)
    return folder


def test_three_patients_in_one_heap_are_told_apart(shared, heap):
    infos = find_inputs([heap], SETTINGS)
    assert [(info.code, info.chosen) for info in infos] == [("OK", True)] * 3
    assert sorted(info.n_slices for info in infos) == sorted(SCANS.values())
    assert len({info.study_key for info in infos}) == 3
    apart = [find_inputs([shared / "ct" / scan], SETTINGS)[0].case for scan in SCANS]
    assert sorted(info.case for info in infos) == sorted(apart)


def test_a_scan_out_of_the_heap_has_its_values_where_the_standard_says(shared, heap, tmp_path, rng):
    alone = shared / "ct" / "rider-0117-lower"
    for path in heap.iterdir():
        if path.resolve().parent == alone.resolve():
            shutil.copy(path, tmp_path / path.name)
    got = read(tmp_path)
    for index in rng.integers((0, 150, 150), (95, 350, 350), (3, 3)):
        point_mm = got.geometry.to_world(index.astype(float))[0]
        assert got.hu[tuple(index)] == max(made.value_at(alone, point_mm), -1024)
