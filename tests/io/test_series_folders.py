"""Folders, trees and archives: series sorted out, the best chosen, hostile files refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.testing import assert_allclose, assert_array_equal

import oracles_io as made
from miliary.config.pattern import PatternSettings
from miliary.config.reading import ReadSettings
from miliary.errors import InputError, SeriesError
from miliary.io.images import write_mask
from miliary.io.reading import read, read_series
from miliary.io.series import find_inputs, series_columns
from miliary.io.write_dicom import write_series
from miliary.volume import Acquisition, Volume
from oracles_io import reoriented, spoil_few, spoil_phases, verdicts

ALL, EVERY_OTHER = slice(None), slice(None, None, 2)
SETTINGS = ReadSettings()
#: Positions are written with 15 digits or fewer.
CLOSE_MM = 1e-6


def test_a_tree_of_everything_is_sorted_out(tmp_path):
    made.write(tmp_path / "p1" / "thin", seed=1)
    made.write(tmp_path / "p2" / "x" / "y", seed=2)
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "junk.dcm").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "p1" / "loop").symlink_to(tmp_path, target_is_directory=True)
    infos = find_inputs([tmp_path], SETTINGS)
    assert [(info.source, info.chosen) for info in infos] == [("p1/thin", True), ("p2/x/y", True)]
    with pytest.raises(InputError, match="one study, got 2"):
        read(tmp_path)


def test_the_same_folder_twice_is_one_series(tmp_path):
    made.write(tmp_path)
    assert len(find_inputs([tmp_path, tmp_path / "0001.dcm", tmp_path], SETTINGS)) == 1


def test_files_named_one_by_one_make_a_series(tmp_path):
    made.write(tmp_path)
    (info,) = find_inputs(sorted(tmp_path.glob("*.dcm")), SETTINGS)
    assert (info.source, info.n_slices, info.chosen) == (".", 19, True)


def test_a_zip_is_read_as_its_folder(tmp_path):
    made.write(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "scan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for index, path in enumerate(sorted((tmp_path / "a").glob("*"))):
            archive.write(path, f"../../../etc/{index}")
    got = read(tmp_path / "scan.zip")
    assert_array_equal(got.hu, made.chest().hu)
    assert got.case == read(tmp_path / "a").case
    assert got.source == "scan.zip"


def test_a_zip_bomb_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(3 << 20))
    (info,) = find_inputs([tmp_path], ReadSettings(max_zip_mb=1.0))
    assert (info.code, info.source, info.chosen) == (
        "E_TOO_BIG",
        "bomb.zip",
        False,
    )
    assert "at most 1 MB together, got 3 MB" in info.reason
    (info,) = find_inputs([tmp_path], ReadSettings(max_file_mb=1.0))
    assert info.code == "E_UNREADABLE"
    with pytest.raises(SeriesError, match="files must be readable, got 1 truncated"):
        read(tmp_path, ReadSettings(max_file_mb=1.0))


def test_a_broken_zip_has_a_row_and_hides_nothing(tmp_path):
    made.write(tmp_path / "ct")
    (tmp_path / "scan.zip").write_bytes(b"PK\x03\x04" + bytes(200))
    assert verdicts(tmp_path) == ["E_UNREADABLE", "OK"]


def test_a_deflated_bomb_is_not_inflated(tmp_path):
    made.write(tmp_path)
    path = tmp_path / "0001.dcm"
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.add_new(0x00090010, "LO", "bomb")
    dataset.add_new(0x00091010, "OB", bytes(4 << 20))
    dataset.save_as(path)
    assert path.stat().st_size < 1 << 20
    (whole,) = find_inputs([tmp_path], SETTINGS)
    (capped,) = find_inputs([tmp_path], ReadSettings(max_file_mb=2.0))
    assert (whole.n_slices, capped.n_slices) == (19, 18)
    assert (whole.code, capped.code) == ("OK", "W_UNREADABLE_FILES")


def test_sizes_beyond_the_caps_are_refused(tmp_path):
    made.write(tmp_path)
    (info,) = find_inputs([tmp_path], ReadSettings(max_rows=20))
    assert (info.code, "at most 5000 slices of 20" in info.reason) == ("E_TOO_BIG", True)


def _mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip bytes of the header, cut the file, or push bytes into it."""
    damaged = bytearray(content)
    kind, place = rng.integers(3), int(rng.integers(132, 1500))
    if kind == 0:
        damaged[place] = int(rng.integers(256))
        damaged[140] = int(rng.integers(256))
    elif kind == 1:
        del damaged[place:]
    else:
        damaged[place:place] = rng.bytes(8)
    return bytes(damaged)


@pytest.mark.parametrize("coding", ["none", "rle", "jpeg-ls"])
def test_damaged_files_are_refused_or_read_but_never_crash(tmp_path, rng, coding):
    write_series(tmp_path, made.chest(), seed=1, coding=coding)
    whole = {path: path.read_bytes() for path in sorted(tmp_path.glob("*"))}
    for path, content in whole.items():
        path.write_bytes(_mutated(content, rng))
        try:
            assert read(tmp_path).hu.shape[1:] == made.SHAPE[1:]
        except InputError as error:
            assert error.code.startswith(("E_", "SKIP_"))  # noqa: PT017
        path.write_bytes(content)


def test_nothing_to_read_says_what_was_found(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        find_inputs([tmp_path / "gone"], SETTINGS)
    with pytest.raises(InputError, match="no file at all"):
        find_inputs([tmp_path], SETTINGS)
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    with pytest.raises(InputError, match=r"got 2 file\(s\) that are not DICOM"):
        find_inputs([tmp_path], SETTINGS)


def _series(folder: Path, seed: int, thickness_mm: float, kernel: str, n: int) -> None:
    volume = made.chest(seed, (n, 23, 29))
    acquisition = Acquisition(slice_thickness_mm=thickness_mm, kernel=kernel)
    volume = Volume(volume.hu, volume.geometry, acquisition=acquisition)
    made.write(folder, seed, volume=volume, StudyInstanceUID="1.2.3", PatientID="one")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((1.25, "LUNG", 19), (5.0, "LUNG", 19)),
        ((1.25, "LUNG", 19), (1.25, "STANDARD", 19)),
        ((1.25, "FC51", 19), (1.25, "FC08", 19)),
        ((1.25, "B70f", 19), (1.25, "B30f", 19)),
        ((1.25, "LUNG", 19), (1.25, "LUNG", 14)),
        ((1.25, "STANDARD", 19), (1.25, "LUNG", 12)),
        ((1.25, "STANDARD", 12), (2.0, "LUNG", 19)),
        ((2.0, "LUNG", 19), (1.25, "LUNG", 10)),
    ],
    ids=[
        "thin", "sharp GE", "sharp Canon", "sharp Siemens", "most slices", "whole chest",
        "thin part before thick whole", "whole before a sliver",
    ],
)  # fmt: skip
def test_the_best_series_of_a_study_is_chosen(tmp_path, first, second):
    _series(tmp_path / "better", 1, *first)
    _series(tmp_path / "worse", 2, *second)
    # 19 slices are 23.75 mm: that is the whole chest here, and 10 of them a sliver.
    infos = find_inputs([tmp_path], ReadSettings(chest_mm=20.0, part_mm=13.0))
    assert [(info.source, info.chosen) for info in infos] == [("better", True), ("worse", False)]
    assert "ranks higher" in infos[1].reason
    assert infos[0].study_key == infos[1].study_key


def test_nothing_of_the_patient_gets_out(tmp_path):
    folder = tmp_path / "SMITH_JOHN" / "1.2.840.113619.2.55.3"
    made.write(folder, PatientName="Smith^John", PatientID="MRN-778812")
    for path in folder.glob("*"):
        path.rename(folder / f"mrn-778812-{path.name}")
    made.change(folder, lambda ds, _: made.move(ds, 5, 0, 0), only=slice(0, 1))
    (info,) = find_inputs([tmp_path], SETTINGS)
    told = f"{info.case} {info.source} {info.study_key} {info.reason}".lower()
    uids = pydicom.dcmread(next(folder.glob("*")))
    for secret in ("smith", "john", "778812", "1.2.840", uids.SeriesInstanceUID[-12:]):
        assert secret not in told
    (shown,) = find_inputs([tmp_path], ReadSettings(mask_paths=False))
    assert shown.source == "SMITH_JOHN/1.2.840.113619.2.55.3"


def test_case_names_depend_on_the_key(tmp_path, monkeypatch):
    made.write(tmp_path)
    (before,) = find_inputs([tmp_path], SETTINGS)
    monkeypatch.setenv("MILIARY_CASE_KEY", "a secret of the hospital")
    (after,) = find_inputs([tmp_path], SETTINGS)
    assert before.case != after.case
    assert before.study_key != after.study_key
    assert len(before.case) == len("case-") + 10


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha", "mhd"])
def test_volume_files_are_read_wherever_their_axes_point(tmp_path, ending):
    volume = made.chest()
    turned = reoriented(volume, (2, 0, 1), (True, False, True))
    image = sitk.GetImageFromArray(turned.hu.astype(np.float32))
    image.SetSpacing([float(v) for v in turned.geometry.spacing_mm[::-1]])
    image.SetOrigin([float(v) for v in turned.geometry.affine[:3, 3]])
    image.SetDirection([float(v) for v in turned.geometry.axes[:, ::-1].ravel()])
    sitk.WriteImage(image, str(tmp_path / f"ct.{ending}"))
    write_mask(tmp_path / "lungs.nii.gz", volume.hu < -400, volume.geometry)
    infos = find_inputs([tmp_path], SETTINGS)
    assert {info.source: info.code for info in infos} == {
        f"ct.{ending}": "OK",
        "lungs.nii.gz": "SKIP_NOT_CT",
    }
    got = read(tmp_path)
    assert_array_equal(got.hu, volume.hu)
    # NIfTI keeps its affine in single precision.
    assert_allclose(got.geometry.affine, volume.geometry.affine, atol=1e-4)


def test_a_damaged_volume_file_is_refused(tmp_path):
    (tmp_path / "ct.nii").write_bytes(b"not NIfTI" * 100)
    (info,) = find_inputs([tmp_path], SETTINGS)
    assert (info.code, info.chosen) == ("E_PIXELS", False)


def test_progress_counts_files(tmp_path):
    made.write(tmp_path)
    (info,) = find_inputs([tmp_path], SETTINGS)
    seen = []
    read_series(info, SETTINGS, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 19) for i in range(1, 20)]


def test_the_table_of_series_has_a_row_for_each(tmp_path):
    made.write(tmp_path / "a")
    spoil_few(made.write(tmp_path / "b", seed=2))
    table = series_columns(find_inputs([tmp_path], SETTINGS))
    assert table["chosen"] == [True, False]
    assert table["code"] == ["OK", "SKIP_TOO_FEW"]
    assert table["slice_spacing_mm"] == [1.25, None]
    assert table["kernel"] == ["LUNG", "LUNG"]


@pytest.mark.shared
def test_real_scans_thrown_together_are_told_apart(shared):
    names = ("lidc-0314", "nlst-low-dose", "rider-0117-lower")
    infos = find_inputs([shared / "ct" / name for name in names], SETTINGS)
    found = {(info.n_slices, info.kernel, info.chosen, info.code) for info in infos}
    assert found == {
        (275, "D", True, "OK"),
        (143, "FC51", True, "OK"),
        (95, "STANDARD", True, "OK"),
    }


@pytest.mark.shared
def test_a_real_scan_has_its_values_where_the_standard_says(shared, rng):
    folder = shared / "ct" / "rider-0117-lower"
    got = read(folder)
    for index in rng.integers((0, 150, 150), (95, 350, 350), (3, 3)):
        point_mm = got.geometry.to_world(index.astype(float))[0]
        assert got.hu[tuple(index)] == max(made.value_at(folder, point_mm), -1024)


@pytest.mark.shared
def test_odd_files_get_their_verdicts(shared):
    infos = find_inputs([shared / "ct" / "odd"], SETTINGS)
    found = {info.source.split("/", 1)[-1]: info.code for info in infos}
    assert found["gantrytilting/001"] == "E_GANTRY_TILT"
    assert found["sliceincrement/001"] == "E_MISSING_SLICES"
    assert found["sliceincrement/002"] == "E_GANTRY_TILT"
    assert found["localizer"] == "SKIP_LOCALIZER"
    assert found["enhanced-ct"] == "SKIP_TOO_FEW"
    assert not any(info.usable for info in infos)


def test_phases_between_each_other_are_told_apart(tmp_path):
    spoil_phases(made.write(tmp_path))

    def number(ds, i):
        ds.AcquisitionNumber = 2
        made.move(ds, 0, 0, 0.5)

    made.change(tmp_path / "b", number, only=ALL)
    assert verdicts(tmp_path) == ["OK", "OK"]


def test_acquisitions_one_above_the_other_are_one_series(tmp_path):
    made.write(tmp_path)

    def number(ds, i):
        ds.AcquisitionNumber = 1 + i // 7

    made.change(tmp_path, number, only=ALL)
    (tmp_path / "0010.dcm").unlink()
    assert verdicts(tmp_path) == ["E_MISSING_SLICES"]


def test_a_sharp_thin_series_in_another_plane_comes_after_an_axial_one(tmp_path):
    made.write(tmp_path / "axial", 1, StudyInstanceUID="1.2.3", PatientID="one")
    turned = reoriented(made.chest(2), (1, 0, 2), (False, True, False))
    write_series(
        tmp_path / "coronal", turned, seed=2, tags={"StudyInstanceUID": "1.2.3", "PatientID": "one"}
    )
    infos = find_inputs([tmp_path], ReadSettings(chest_mm=10.0, part_mm=10.0))
    assert [(info.source, info.chosen) for info in infos] == [("axial", True), ("coronal", False)]
    assert "ranks higher (across the body)" in infos[1].reason


def test_the_name_of_a_file_that_cannot_be_read_does_not_get_out(tmp_path):
    write_series(tmp_path, made.chest(), seed=1, coding="rle", tags={"PatientName": "Smith^John"})
    path = tmp_path / "0011.dcm"
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"no RLE at all"])
    dataset.save_as(tmp_path / "smith_11.dcm")
    path.unlink()
    with pytest.raises(SeriesError) as caught:
        read(tmp_path)
    assert caught.value.code == "E_PIXELS"
    assert "smith" not in str(caught.value).lower()
    assert ".dcm" in str(caught.value)


def test_a_zip_inside_a_zip_is_told_and_not_unpacked(tmp_path):
    made.write(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as archive:
        for path in (tmp_path / "a").glob("*"):
            archive.write(path, path.name)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(tmp_path / "inner.zip", "inner.zip")
    with pytest.raises(InputError, match=r"1 zip\(s\) inside a zip, not unpacked"):
        find_inputs([tmp_path / "outer.zip"], SETTINGS)


def test_a_dicomdir_stands_for_its_folder(tmp_path):
    made.write(tmp_path / "images")
    (tmp_path / "DICOMDIR").write_bytes(b"leads nowhere")
    assert read(tmp_path / "DICOMDIR").hu.shape == made.SHAPE


def test_a_value_that_would_fill_the_memory_is_not_read(tmp_path):
    made.write(tmp_path)
    for number, name in ((3, "Manufacturer"), (5, "PatientComments")):
        dataset = pydicom.dcmread(tmp_path / f"{number:04d}.dcm")
        # In an element of unlimited length by its own word, whatever the standard says.
        dataset.add_new(pydicom.datadict.tag_for_keyword(name), "UT", "y" * 100_000)
        dataset.save_as(tmp_path / f"{number:04d}.dcm")
    (info,) = find_inputs([tmp_path], SETTINGS)
    assert (info.code, info.n_slices) == ("E_MISSING_SLICES", 18)
    assert "between 0002.dcm and 0004.dcm" in info.reason


@pytest.mark.parametrize("name", ["PixelRepresentation", "BitsAllocated", "BitsStored"])
def test_pixels_that_cannot_be_told_from_the_header_are_refused(tmp_path, name):
    made.write(tmp_path)
    made.change(tmp_path, lambda ds, _: delattr(ds, name), only=slice(4, 5))
    (info,) = find_inputs([tmp_path], SETTINGS)
    assert info.code == "E_PIXELS"
    assert "first 0005.dcm" in info.reason


def test_what_is_thin_is_what_can_be_judged():
    # Sections of the configuration do not know each other.
    assert SETTINGS.thin_mm == PatternSettings().max_slice_mm
