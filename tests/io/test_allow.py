"""What was scanned unevenly or tilted is resampled where that is allowed, near the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

import miliary
import oracles_io as made
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.geometry import Geometry
from miliary.io.series import find_inputs
from miliary.io.write_dicom import write_series
from miliary.volume import Acquisition, Volume

STEP_MM, Y_MM, X_MM = SPACING_MM = (1.25, 0.7, 0.8)
SHAPE = (24, 31, 37)
ORIGIN_MM = np.array((-14.0, 6.0, -120.0))

#: Values are linear along z and y, so that linear interpolation is exact but for rounding, twice:
#: of what is written and of what is read.
ROUNDED_HU = 1.01


def truth_hu(points_mm: np.ndarray) -> np.ndarray:
    """Two lungs in tissue, with gradients along y and z that tell any place from any other."""
    x, y, z = (points_mm - ORIGIN_MM).T
    lung = np.abs(np.abs(x - 14.0) - 7.0) < 4.0
    return np.where(lung, -880.0, 20.0) + 4.0 * y + 3.0 * z


def scan(folder: Path, shifts_mm: np.ndarray) -> Path:
    """Scan the made-up body with each slice shifted by (x, y, z) from its place."""
    geometry = Geometry.aligned(SHAPE, SPACING_MM, tuple(ORIGIN_MM))
    empty = Volume(np.zeros(SHAPE, np.int16), geometry, Acquisition(slice_thickness_mm=STEP_MM))
    write_series(folder, empty, seed=1)
    index = np.indices((1, *SHAPE[1:])).reshape(3, -1).T.astype(float)

    def edit(dataset: pydicom.Dataset, i: int) -> None:
        made.move(dataset, *shifts_mm[i])
        points = geometry.to_world(index + np.array((i, 0, 0))) + shifts_mm[i]
        values = np.rint(truth_hu(points)).reshape(SHAPE[1:]) + 1024
        dataset.PixelData = values.astype("<i2").tobytes()

    made.change(folder, edit, only=slice(None))
    return folder


def lost(folder: Path, *numbers: int) -> Path:
    """Take slices away."""
    for number in numbers:
        (folder / f"{number:04d}.dcm").unlink()
    return folder


def no_shifts() -> np.ndarray:
    return np.zeros((SHAPE[0], 3))


def tilted(degrees: float) -> np.ndarray:
    shifts = no_shifts()
    shifts[:, 1] = STEP_MM * np.tan(np.radians(degrees)) * np.arange(SHAPE[0])
    return shifts


def wider_upper_half() -> np.ndarray:
    shifts = no_shifts()
    shifts[12:, 2] = 0.95 * (np.arange(12) + 1)
    return shifts


def make_missing(folder: Path) -> Path:
    return lost(scan(folder, no_shifts()), 8)


def make_several_missing(folder: Path) -> Path:
    return lost(scan(folder, no_shifts()), 5, 6, 7, 15)


def make_variable(folder: Path) -> Path:
    return scan(folder, wider_upper_half())


def make_tilt(folder: Path) -> Path:
    return scan(folder, tilted(15.0))


def make_tilt_back(folder: Path) -> Path:
    return scan(folder, tilted(-20.0))


def make_tilt_and_missing(folder: Path) -> Path:
    return lost(scan(folder, tilted(12.0)), 9, 10)


CASES = [
    (make_missing, ("missing",), "MISSING_SLICES"),
    (make_several_missing, ("missing",), "MISSING_SLICES"),
    (make_variable, ("variable",), "VARIABLE_SPACING"),
    (make_tilt, ("tilt",), "GANTRY_TILT"),
    (make_tilt_back, ("tilt",), "GANTRY_TILT"),
    (make_tilt_and_missing, ("missing", "tilt"), "GANTRY_TILT"),
]
IDS = [make.__name__.removeprefix("make_") for make, _, _ in CASES]


def scanned_box(volume: Volume, margin_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Values, and world points, of voxels that were scanned, away from edges made by a shear."""
    index = np.argwhere(volume.hu > -1024)
    # A margin along y, where a shear leaves edges half in and half out.
    inside = [
        np.flatnonzero((volume.hu[z] > -1024).all(axis=1))[[0, -1]] for z in range(len(volume.hu))
    ]
    low, high = np.array(inside).T
    keep = (index[:, 1] >= low[index[:, 0]] + margin_px) & (
        index[:, 1] <= high[index[:, 0]] - margin_px
    )
    index = index[keep]
    return volume.hu[tuple(index.T)].astype(float), volume.geometry.to_world(index.astype(float))


@pytest.mark.parametrize(("make", "allow", "code"), CASES, ids=IDS)
def test_resampled_values_are_near_the_truth(tmp_path, make, allow, code):
    make(tmp_path)
    with pytest.raises(SeriesError) as caught:
        miliary.read(tmp_path)
    assert code in caught.value.code or len(allow) > 1
    volume = miliary.read(tmp_path, allow=allow)
    hu, points_mm = scanned_box(volume, margin_px=0)
    assert hu.size > 0.7 * (SHAPE[0] - 4) * SHAPE[1] * SHAPE[2]
    assert np.abs(hu - truth_hu(points_mm)).max() <= ROUNDED_HU
    assert volume.geometry.spacing_mm[1:] == pytest.approx(SPACING_MM[1:])
    assert STEP_MM * 0.99 < volume.geometry.spacing_mm[0] < 1.02 * 2.2


@pytest.mark.parametrize(("make", "allow", "code"), CASES, ids=IDS)
def test_what_is_resampled_is_stamped(tmp_path, make, allow, code):
    (info,) = find_inputs([make(tmp_path)], ReadSettings(allow=allow))
    assert info.chosen
    assert info.code.startswith("W_")
    assert code in info.code or len(allow) > 1
    notes = " ".join(miliary.read(tmp_path, allow=allow).notes)
    assert "interpolated" in notes or "resampled" in notes or "sheared" in notes, notes


def test_slices_that_were_scanned_are_kept_as_they_are(tmp_path):
    volume = miliary.read(make_several_missing(tmp_path), allow=("missing",))
    assert volume.hu.shape == SHAPE
    for path in tmp_path.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array.astype(int) - 1024
        np.testing.assert_array_equal(volume.hu[int(path.stem) - 1], stored)


def test_only_what_is_allowed_is_resampled(tmp_path):
    makers = {"missing": make_missing, "variable": make_variable, "tilt": make_tilt}
    for kind, make in makers.items():
        others = tuple(set(makers) - {kind})
        make(tmp_path / kind)
        if kind == "missing":
            # A gap is an uneven distance, but may be told as missing only.
            others = ("tilt",)
        with pytest.raises(SeriesError):
            miliary.read(tmp_path / kind, allow=others)


def test_a_long_gap_is_not_guessed(tmp_path):
    lost(scan(tmp_path, no_shifts()), *range(6, 15))
    with pytest.raises(SeriesError) as caught:
        miliary.read(tmp_path, allow=("missing", "variable", "tilt"))
    assert caught.value.code in ("E_MISSING_SLICES", "E_VARIABLE_SPACING")


@pytest.mark.parametrize("spoil", ["phases", "sideways", "slope"])
def test_nothing_else_is_allowed_by_it(tmp_path, spoil):
    scan(tmp_path, no_shifts())

    def edit(dataset: pydicom.Dataset, i: int) -> None:
        if spoil == "slope":
            dataset.RescaleSlope = 0
        elif spoil == "sideways":
            made.move(dataset, 4.0, 0, 0)
        else:
            made.move(dataset, 0, 0, STEP_MM)

    made.change(tmp_path, edit, only=slice(5, 6))
    with pytest.raises(SeriesError):
        miliary.read(tmp_path, allow=("missing", "variable", "tilt"))


def test_a_sound_series_is_left_alone(tmp_path):
    scan(tmp_path, no_shifts())
    strict, lax = miliary.read(tmp_path), miliary.read(tmp_path, allow=("missing", "tilt"))
    np.testing.assert_array_equal(strict.hu, lax.hu)
    assert strict.notes == lax.notes == ()
