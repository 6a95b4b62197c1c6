"""Folders of every kind, each with the verdict that it must get."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_io as made
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.geometry import Geometry
from miliary.io.reading import read, read_series
from miliary.io.series import find_inputs
from miliary.io.write_dicom import write_series
from miliary.volume import Volume
from oracles_io import reoriented, spoil_phases, verdicts

ALL, EVERY_OTHER = slice(None), slice(None, None, 2)
SETTINGS = ReadSettings()
#: Positions are written with 15 digits or fewer.
CLOSE_MM = 1e-6


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
    write_series(tmp_path, reoriented(volume, axes, flips), seed=3)
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
