"""A phantom, written along any axes and in any coding, is read back voxel for voxel."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.testing import assert_allclose, assert_array_equal

import miliary
import oracles_io as made
from bad_folders.making import set_tags, store, tilted_axes
from miliary.io.volume_files import affine_of
from miliary.io.write_dicom import CODINGS, write_series
from miliary.volume import Volume

#: Positions are written with 15 digits or fewer.
CLOSE_MM = 1e-6

#: Order of axes and flips that turn the patient's axes into the scan's.
ORIENTATIONS = {
    "supine, feet first": ((0, 1, 2), (False, False, False)),
    "supine, from the head down": ((0, 1, 2), (True, False, False)),
    "prone": ((0, 1, 2), (False, True, True)),
    "on the side": ((0, 2, 1), (False, True, False)),
    "coronal": ((1, 0, 2), (False, True, False)),
    "sagittal": ((2, 0, 1), (True, True, False)),
}


@cache
def phantom() -> Volume:
    """A small chest; no two of its sizes are equal."""
    spec = miliary.PhantomSpec.of(shape=(24, 33, 41), spacing_mm=(6.0, 5.0, 5.5), n_nodules=4)
    volume = miliary.make_phantom(spec).volume
    return Volume(volume.hu, volume.geometry, volume.acquisition)


def writable(volume: Volume) -> Volume:
    """What 16 bits keep of it."""
    kept = np.clip(np.rint(volume.hu), -1024, 3071).astype(np.int16)
    return Volume(kept, volume.geometry, volume.acquisition)


@pytest.mark.parametrize(
    ("orientation", "coding"),
    [*((name, "none") for name in ORIENTATIONS), ("prone", "jpeg-ls"), ("sagittal", "rle")],
)
def test_a_phantom_comes_back_from_every_orientation(tmp_path, orientation, coding):
    volume = writable(phantom())
    write_series(
        tmp_path, made.reoriented(volume, *ORIENTATIONS[orientation]), seed=3, coding=coding
    )
    got = miliary.read(tmp_path)
    assert_array_equal(got.hu, volume.hu)
    assert_allclose(got.geometry.affine, volume.geometry.affine, atol=CLOSE_MM)


@pytest.mark.parametrize("angles_deg", [(12.0, -7.0), (-30.0, 20.0), (0.0, 41.0)])
def test_an_oblique_phantom_keeps_every_place(tmp_path, rng, angles_deg):
    volume = tilted_axes(writable(phantom()), *angles_deg)
    write_series(tmp_path, volume, seed=3)
    got = miliary.read(tmp_path)
    index = rng.integers(0, volume.hu.shape, (200, 3)).astype(float)
    there = got.geometry.to_index(volume.geometry.to_world(index))
    nearest = np.rint(there).astype(int)
    assert_allclose(there, nearest, atol=CLOSE_MM)
    assert_array_equal(got.hu[tuple(nearest.T)], volume.hu[tuple(index.astype(int).T)])
    assert got.hu.size == volume.hu.size


@pytest.mark.parametrize("coding", CODINGS)
def test_other_readers_see_the_same_oblique_series(tmp_path, coding):
    volume = tilted_axes(writable(phantom()), 12.0, -7.0)
    paths = write_series(tmp_path, volume, seed=3, coding=coding)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    assert_array_equal(sitk.GetArrayFromImage(image), volume.hu)
    assert_allclose(affine_of(image), volume.geometry.affine, atol=CLOSE_MM)
    slices = [pydicom.dcmread(path) for path in paths]
    seen = [ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in slices]
    assert_array_equal(seen, volume.hu)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy of dicom3tools")
@pytest.mark.parametrize(
    ("orientation", "coding"),
    [("axial", "none"), ("axial", "rle"), ("oblique", "jpeg-ls"), ("coronal", "none")],
)
def test_the_standard_is_kept(tmp_path, coding, orientation):
    volume = writable(phantom())
    if orientation == "oblique":
        volume = tilted_axes(volume, 12.0, -7.0)
    elif orientation == "coronal":
        volume = made.reoriented(volume, *ORIENTATIONS["coronal"])
    paths = write_series(tmp_path, volume, seed=3, coding=coding)
    for path in paths[:: len(paths) // 2]:
        assert complaints(path) == []


def complaints(path: Path) -> list[str]:
    """Errors and warnings of an independent validator."""
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith(("Error", "Warning"))]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy of dicom3tools")
def test_the_validator_complains_where_it_should(tmp_path):
    path = write_series(tmp_path, writable(phantom()), seed=3)[0]
    dataset = pydicom.dcmread(path)
    del dataset.ImagePositionPatient
    dataset.save_as(path)
    assert any("ImagePositionPatient" in line for line in complaints(path))


def _drawn(folder: Path, rng: np.random.Generator) -> Volume:
    """A sound series of any kind at all: every choice drawn."""
    shape = tuple(int(n) for n in rng.integers(24, 34, 3))
    volume = made.chest(int(rng.integers(1000)), shape)
    volume = tilted_axes(volume, *rng.uniform(-40, 40, 2)) if rng.random() < 0.5 else volume
    axes = tuple(int(axis) for axis in rng.permutation(3))
    flips = tuple(bool(flip) for flip in rng.random(3) < 0.5)
    truth = made.reoriented(volume, (0, 1, 2), (False, False, False))
    # The array must keep its hand: DICOM's slices, rows and columns are right-handed.
    turned = made.reoriented(volume, axes, flips)
    if np.linalg.det(turned.geometry.axes) * np.linalg.det(volume.geometry.axes) < 0:
        turned = made.reoriented(turned, (0, 1, 2), (True, False, False))
    intercept = int(rng.integers(-2000, 200))
    slope = float(rng.choice([1.0, 0.5, 2.0**-3, -1.0]))
    low, high = (round((v - intercept) / slope) for v in (volume.hu.min(), volume.hu.max()))
    if max(abs(low), abs(high)) > 32000:
        slope = 1.0
    coding = str(rng.choice(sorted(CODINGS))) if slope == 1.0 else "none"
    write_series(folder, turned, seed=int(rng.integers(99)), coding=coding, intercept_hu=intercept)
    if slope != 1.0:
        store(folder, lambda stored, _: stored / slope)
        set_tags(folder, RescaleSlope=str(slope))
    names = rng.permutation(len(list(folder.glob("*.dcm"))))
    for name, path in zip(names, sorted(folder.glob("*.dcm")), strict=True):
        place = folder / f"{rng.integers(3)}"
        place.mkdir(exist_ok=True)
        path.rename(place / f"{name}")
    return truth


@pytest.mark.parametrize("number", range(12))
def test_whatever_is_sound_is_read_exactly(tmp_path, number):
    rng = np.random.default_rng([7, number])
    truth = _drawn(tmp_path, rng)
    got = miliary.read(tmp_path)
    index = np.indices(truth.hu.shape).reshape(3, -1).T.astype(float)
    there = got.geometry.to_index(truth.geometry.to_world(index))
    nearest = np.rint(there).astype(int)
    assert np.abs(there - nearest).max() < 1e-5
    assert_array_equal(got.hu[tuple(nearest.T)], truth.hu[tuple(index.astype(int).T)])
