"""Every bad folder gets its verdict: right, or refused with a reason."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

from bad_folders import ROWS
from miliary.config.reading import ReadSettings
from miliary.errors import InputError, SeriesError
from miliary.io.reading import read_series
from miliary.io.series import find_inputs

SETTINGS = ReadSettings()
#: Positions are written with 15 digits or fewer; NIfTI keeps its affine in single precision, and
#: one row sets every position off by 0.01 mm.
CLOSE_MM = {"positions off by 0.01 mm": 0.011, "NIfTI of turned axes, with a mask beside it": 1e-4}
#: Reasons name what is wrong with figures: how many, where, how far.
MEASURED = ("E_MISSING_SLICES", "E_VARIABLE_SPACING", "E_GANTRY_TILT", "E_SHIFTED_SLICES")


def found(folder):
    try:
        return find_inputs([folder], SETTINGS)
    except InputError:
        return ()


@pytest.mark.parametrize("name", ROWS)
def test_a_bad_folder_is_right_or_refused_with_its_reason(tmp_path, name):
    row = ROWS[name]
    truths = row.make(tmp_path)
    infos = found(tmp_path)
    assert tuple(sorted(info.code for info in infos)) == row.codes
    usable = [info for info in infos if info.usable]
    assert any(info.chosen for info in usable) == bool(usable)
    for info in infos:
        assert info.reason
        if info.code in MEASURED:
            assert any(unit in info.reason for unit in (" mm", "degrees")), info.reason
    if row.reads:
        with pytest.raises(SeriesError) as caught:
            read_series(usable[0], SETTINGS)
        assert caught.value.code == row.reads
        return
    volumes = [read_series(info, SETTINGS) for info in usable]
    assert len(volumes) == len(truths)
    for truth in truths:
        (volume,) = [
            v for v in volumes if v.hu.shape == truth.hu.shape and (v.hu == truth.hu).all()
        ]
        tolerance = CLOSE_MM.get(name, 1e-6)
        assert_allclose(volume.geometry.affine, truth.geometry.affine, atol=tolerance)


def test_two_patients_under_one_study_are_both_chosen(tmp_path):
    ROWS["two patients under the same UIDs, one above the other"].make(tmp_path)
    assert [info.chosen for info in find_inputs([tmp_path], SETTINGS)] == [True, True]


def test_the_table_holds_all_that_was_measured_before():
    assert sum(row.listed for row in ROWS.values()) >= 35
