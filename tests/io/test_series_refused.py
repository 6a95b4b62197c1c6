"""Series that are spoilt on purpose are refused, each with its reason."""

from __future__ import annotations

import numpy as np
import pytest

import oracles_io as made
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.io.reading import read
from miliary.io.series import find_inputs
from oracles_io import spoil_few, spoil_phases, verdicts

ALL, EVERY_OTHER = slice(None), slice(None, None, 2)
SETTINGS = ReadSettings()
#: Positions are written with 15 digits or fewer.
CLOSE_MM = 1e-6


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
