"""Folders of every kind, each with the verdict that it must get."""

from __future__ import annotations

import shutil
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
from miliary.geometry import Geometry
from miliary.io.images import write_mask
from miliary.io.reading import read, read_series
from miliary.io.series import find_inputs, series_columns
from miliary.io.write_dicom import write_series
from miliary.volume import Acquisition, Volume

ALL, EVERY_OTHER = slice(None), slice(None, None, 2)
SETTINGS = ReadSettings()
#: Positions are written with 15 digits or fewer.
CLOSE_MM = 1e-6


def verdicts(folder: Path) -> list[str]:
    return sorted(info.code for info in find_inputs([folder], SETTINGS))


def spoil_missing(folder):
    sorted(folder.glob("*.dcm"))[7].unlink()


def spoil_two_missing(folder):
    for path in sorted(folder.glob("*.dcm"))[7:9]:
        path.unlink()


def spoil_variable(folder):
    made.change(folder, lambda ds, i: made.move(ds, 0, 0, 0.4 * (i - 9)), only=slice(10, None))


def spoil_drift(folder):
    made.change(folder, lambda ds, i: made.move(ds, 0, 0, 0.004 * i * i), only=ALL)


def spoil_tilt(folder):
    shift = 1.25 * np.tan(np.radians(15))
    made.change(folder, lambda ds, i: made.move(ds, 0, shift * i, 0), only=ALL)


def spoil_one_shifted(folder):
    made.change(folder, lambda ds, _: made.move(ds, 1.5, 0, 0), only=slice(5, 6))


def spoil_coincident(folder):
    made.change(folder, lambda ds, _: made.move(ds, 0, 0, 1.25), only=slice(4, 5))


def spoil_phases(folder):
    made.write(folder / "b", seed=2)
    uid = pydicom.dcmread(folder / "0001.dcm").SeriesInstanceUID
    study = pydicom.dcmread(folder / "0001.dcm").StudyInstanceUID

    def rename(ds, i):
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.PatientID = uid, study, "PHANTOM-1"

    made.change(folder / "b", rename, only=ALL)


def spoil_no_position(folder):
    def edit(ds, i):
        del ds.ImagePositionPatient

    made.change(folder, edit, only=ALL)


def spoil_skewed_axes(folder):
    def edit(ds, i):
        ds.ImageOrientationPatient = [1, 0, 0, 0.2, 0.98, 0]

    made.change(folder, edit, only=ALL)


def spoil_slope(folder):
    def edit(ds, i):
        ds.RescaleSlope = 0

    made.change(folder, edit, only=slice(3, 4))


def spoil_unit(folder):
    def edit(ds, i):
        ds.RescaleType = "Z_EFF"

    made.change(folder, edit, only=ALL)


def spoil_mixed_halves(folder):
    def edit(ds, i):
        ds.PixelSpacing = [0.9, 0.9]

    made.change(folder, edit, only=slice(10, None))


def spoil_mixed_every_other(folder):
    def edit(ds, i):
        ds.PixelSpacing = [0.9, 0.9]

    made.change(folder, edit, only=EVERY_OTHER)


def spoil_few(folder):
    for path in sorted(folder.glob("*.dcm"))[6:]:
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "code", "sentence"),
    [
        (spoil_missing, "E_MISSING_SLICES", "1 missing, first between 0007.dcm and 0009.dcm (2.5"),
        (spoil_two_missing, "E_MISSING_SLICES", "2 missing, first between 0007.dcm and 0010.dcm"),
        (spoil_variable, "E_VARIABLE_SPACING", "1.25 to 1.65 mm"),
        (spoil_drift, "E_VARIABLE_SPACING", "evenly spaced"),
        (spoil_tilt, "E_GANTRY_TILT", "15.0 degrees"),
        (spoil_one_shifted, "E_SHIFTED_SLICES", "sideways at 0006.dcm"),
        (spoil_coincident, "E_DUP_POSITIONS", "0005.dcm and 0006.dcm"),
        (spoil_phases, "E_OVERLAPPING_PHASES", "38 slices at 19 positions"),
        (spoil_no_position, "E_NO_GEOMETRY", "got 19 of 19 without, first 0001.dcm"),
        (spoil_skewed_axes, "E_NO_GEOMETRY", "orientation"),
        (spoil_slope, "E_SLOPE0", "0004.dcm"),
        (spoil_unit, "E_NOT_HU", "rescale type"),
        (spoil_few, "SKIP_TOO_FEW", "at least 10 slices, got 6"),
    ],
)
def test_a_spoilt_series_is_refused_with_its_reason(tmp_path, spoil, code, sentence):
    spoil(made.write(tmp_path))
    (info,) = find_inputs([tmp_path], SETTINGS)
    assert (info.code, info.chosen, info.usable) == (code, False, False)
    assert sentence in info.reason
    with pytest.raises(SeriesError) as caught:
        read(tmp_path)
    assert caught.value.code == code


@pytest.mark.parametrize("spoil", [spoil_mixed_halves, spoil_mixed_every_other])
def test_two_grids_under_one_series_are_both_refused(tmp_path, spoil):
    spoil(made.write(tmp_path))
    assert verdicts(tmp_path) == ["E_MIXED_SPACING"] * 2 or "E_MIXED_SPACING" in verdicts(tmp_path)
    assert not any(info.chosen for info in find_inputs([tmp_path], SETTINGS))


def test_a_sound_series_is_read_as_it_was_written(tmp_path):
    volume = made.chest()
    got = read(made.write(tmp_path, volume=volume))
    assert_array_equal(got.hu, volume.hu)
    assert_allclose(got.geometry.affine, volume.geometry.affine, atol=CLOSE_MM)
    assert got.acquisition.kernel == "LUNG"
    assert got.acquisition.slice_thickness_mm == 1.25
    assert got.hu.flags.c_contiguous
    assert not got.notes


def test_values_stand_where_the_standard_says(tmp_path, rng):
    got = read(made.write(tmp_path))
    for index in rng.integers(0, made.SHAPE, (6, 3)):
        point_mm = got.geometry.to_world(index.astype(float))[0]
        assert got.hu[tuple(index)] == made.value_at(tmp_path, point_mm)


def _reoriented(volume: Volume, axes: tuple[int, int, int], flips: tuple[bool, ...]) -> Volume:
    """The same patient scanned along other axes: another array, the same world."""
    hu, affine = volume.hu.transpose(axes), volume.geometry.affine.copy()
    affine[:3, :3] = affine[:3, axes]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
            affine[:3, axis] *= -1
            hu = np.flip(hu, axis)
    return Volume(np.ascontiguousarray(hu), Geometry(hu.shape, affine))


@pytest.mark.parametrize(
    ("axes", "flips"),
    [
        ((0, 1, 2), (False, False, False)),
        ((0, 1, 2), (True, False, False)),
        ((0, 1, 2), (False, True, True)),
        ((0, 1, 2), (False, False, True)),
        ((1, 0, 2), (False, True, False)),
        ((2, 0, 1), (True, True, False)),
    ],
)
def test_orientation_does_not_change_the_volume(tmp_path, axes, flips):
    volume = made.chest()
    write_series(tmp_path, _reoriented(volume, axes, flips), seed=3)
    got = read(tmp_path)
    assert_array_equal(got.hu, volume.hu)
    assert_allclose(got.geometry.affine, volume.geometry.affine, atol=CLOSE_MM)


def _oblique() -> Volume:
    volume = made.chest()
    a, b = np.radians((12.0, -7.0))
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = volume.geometry.affine.copy()
    affine[:3, :3] = turn_x @ turn_z @ affine[:3, :3]
    return Volume(volume.hu, Geometry(volume.hu.shape, affine))


def test_an_oblique_series_keeps_its_affine(tmp_path):
    volume = _oblique()
    got = read(made.write(tmp_path, volume=volume))
    assert_array_equal(got.hu, volume.hu)
    assert_allclose(got.geometry.affine, volume.geometry.affine, atol=CLOSE_MM)


def test_jitter_of_positions_is_borne(tmp_path, rng):
    made.write(tmp_path)
    shifts = rng.uniform(-0.01, 0.01, (19, 3))
    made.change(tmp_path, lambda ds, i: made.move(ds, *shifts[i]), only=ALL)
    assert verdicts(tmp_path) == ["OK"]


def test_the_order_of_files_does_not_matter(tmp_path):
    made.write(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for index, path in enumerate(sorted((tmp_path / "a").glob("*"))):
        shutil.copy(path, tmp_path / "b" / f"IM{(index * 7) % 19}")
    first, second = read(tmp_path / "a"), read(tmp_path / "b")
    assert_array_equal(first.hu, second.hu)
    assert first.case == second.case
    assert first.provenance == second.provenance


def test_copies_are_left_out_and_told(tmp_path):
    made.write(tmp_path)
    shutil.copy(tmp_path / "0003.dcm", tmp_path / "copy.dcm")
    got = read(tmp_path)
    assert got.hu.shape == made.SHAPE
    assert got.notes == ("1 file(s) repeat a slice and were left out.",)
    assert verdicts(tmp_path) == ["W_DUP_FILES"]


def test_phases_that_a_tag_tells_apart_are_two_series(tmp_path):
    spoil_phases(made.write(tmp_path))

    def number(ds, i):
        ds.AcquisitionNumber = 2

    made.change(tmp_path / "b", number, only=ALL)
    infos = find_inputs([tmp_path], SETTINGS)
    assert [info.code for info in infos] == ["OK", "OK"]
    assert sum(info.chosen for info in infos) == 1
    assert len({info.case for info in infos}) == 2
    seen = [read_series(info, SETTINGS).hu for info in infos]
    truths = [made.chest(1).hu, made.chest(2).hu]
    assert sorted(int(hu.sum()) for hu in seen) == sorted(int(hu.sum()) for hu in truths)


def test_a_localizer_under_the_same_uid_is_skipped(tmp_path):
    made.write(tmp_path)
    dataset = pydicom.dcmread(tmp_path / "0001.dcm")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.SOPInstanceUID += "9"
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    dataset.save_as(tmp_path / "scout.dcm")
    assert verdicts(tmp_path) == ["OK", "SKIP_LOCALIZER"]
    assert_array_equal(read(tmp_path).hu, made.chest().hu)


def test_monochrome1_is_not_inverted(tmp_path):
    made.write(tmp_path, PhotometricInterpretation="MONOCHROME1")
    got = read(tmp_path)
    assert verdicts(tmp_path) == ["W_MONO1_NOT_INVERTED"]
    assert_array_equal(got.hu, made.chest().hu)


def test_rescale_is_done_slice_by_slice(tmp_path):
    made.write(tmp_path)

    def edit(ds, i):
        stored = ds.pixel_array.astype(float)
        ds.RescaleSlope, ds.RescaleIntercept = "0.5", str(-1024 + i)
        ds.PixelData = np.rint((stored - i) * 2).astype("<i2").tobytes()

    made.change(tmp_path, edit, only=ALL)
    assert_array_equal(read(tmp_path).hu, made.chest().hu)


@pytest.mark.parametrize("padding", [-1000, 64536], ids=["signed", "written unsigned"])
def test_padding_becomes_air(tmp_path, padding):
    # A stored -1000 is 500 HU here: bone, if the padding were not heeded.
    write_series(tmp_path, made.chest(), seed=1, intercept_hu=1500)

    def edit(ds, i):
        stored = ds.pixel_array.copy()
        stored[:4] = -1000
        ds.PixelData = stored.tobytes()
        ds.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)

    made.change(tmp_path, edit, only=ALL)
    got = read(tmp_path).hu
    assert (got[:, :4] == -1024).all()
    assert_array_equal(got[:, 4:], made.chest().hu[:, 4:])


def test_bits_beyond_those_stored_are_ignored(tmp_path, rng):
    made.write(tmp_path)

    def edit(ds, i):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 0
        garbage = rng.integers(0, 16, (ds.Rows, ds.Columns), dtype=np.uint16) << 12
        ds.PixelData = (ds.pixel_array.astype(np.uint16) | garbage).tobytes()

    made.change(tmp_path, edit, only=ALL)
    assert_array_equal(read(tmp_path).hu, made.chest().hu)


def test_missing_rescale_tags_are_told(tmp_path):
    write_series(tmp_path, made.chest(), seed=1, intercept_hu=0)

    def edit(ds, i):
        del ds.RescaleSlope, ds.RescaleIntercept

    made.change(tmp_path, edit, only=ALL)
    assert verdicts(tmp_path) == ["W_NO_RESCALE"]
    assert_array_equal(read(tmp_path).hu, made.chest().hu)


@pytest.mark.parametrize("spoil", ["stored", "negated", "eight bits"])
def test_values_that_are_not_hu_are_refused(tmp_path, spoil):
    hu = made.chest().hu
    wrong = {"stored": hu + 1024, "negated": -hu, "eight bits": (hu + 1024) // 8}[spoil]
    made.write(tmp_path, volume=Volume(wrong.astype(np.int16), made.chest().geometry))
    with pytest.raises(SeriesError, match="must have air or lung") as caught:
        read(tmp_path)
    assert caught.value.code == "E_NOT_HU"


def test_stored_values_with_padding_are_not_taken_for_hu(tmp_path):
    hu = made.chest().hu + 1024
    # Padding at the value of air would pass for it, were it counted.
    hu[:, :5] = -1024
    made.write(
        tmp_path,
        volume=Volume(hu.astype(np.int16), made.chest().geometry),
        PixelPaddingValue=0,
    )
    with pytest.raises(SeriesError, match="not in HU"):
        read(tmp_path)


def test_truncated_pixels_are_refused(tmp_path):
    made.write(tmp_path)
    path = tmp_path / "0011.dcm"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(SeriesError, match=r"1034 bytes of pixels .*, first 0011\.dcm") as caught:
        read(tmp_path)
    assert caught.value.code == "E_PIXELS"


@pytest.mark.parametrize("coding", ["rle", "jpeg-ls"])
def test_truncated_coded_pixels_are_refused(tmp_path, coding):
    write_series(tmp_path, made.chest(), seed=1, coding=coding)
    dataset = pydicom.dcmread(tmp_path / "0011.dcm")
    dataset.PixelData = pydicom.encaps.encapsulate(
        [next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))[:-400]]
    )
    dataset.save_as(tmp_path / "0011.dcm")
    with pytest.raises(SeriesError) as caught:
        read(tmp_path)
    assert caught.value.code == "E_PIXELS"


def test_multi_frame_objects_are_read_in_order_of_position(tmp_path, rng):
    volume = made.chest()
    made.enhanced(tmp_path, volume, rng.permutation(19))
    (info,) = find_inputs([tmp_path], SETTINGS)
    assert (info.code, info.n_slices, len(info.files)) == ("OK", 19, 1)
    got = read(tmp_path)
    assert_array_equal(got.hu, volume.hu)
    assert_allclose(got.geometry.affine, volume.geometry.affine, atol=CLOSE_MM)


def test_files_without_preamble_are_read(tmp_path):
    made.write(tmp_path)
    for path in tmp_path.glob("*"):
        dataset = pydicom.dcmread(path)
        bare = pydicom.Dataset()
        bare.update(dataset)
        with path.open("wb") as file:
            pydicom.dcmwrite(file, bare, implicit_vr=True, little_endian=True)
    assert_array_equal(read(tmp_path).hu, made.chest().hu)


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
    turned = _reoriented(volume, (2, 0, 1), (True, False, True))
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
    turned = _reoriented(made.chest(2), (1, 0, 2), (False, True, False))
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
