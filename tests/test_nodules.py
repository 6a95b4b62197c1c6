"""The tables of candidates and nodules, and their columns."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from miliary.nodules import NODULE_COLUMNS, Candidates, Nodules


def three_nodules():
    return Nodules(
        points_mm=np.arange(9.0).reshape(3, 3),
        diameter_mm=np.array([1.5, 2.0, 3.1]),
        diameter_se_mm=np.array([0.1, 0.2, 0.3]),
        contrast_hu=np.array([800.0, 850, 900]),
        score=np.array([0.9, 0.6, 0.7]),
        lung=np.array(["right", "left", "left"]),
        lobe=np.array(["RUL", "", "LLL"]),
        zone=np.array(["upper", "middle", "lower"]),
        pleura_mm=np.array([1.0, 2, 3]),
        fissure_mm=np.full(3, np.nan),
        vessel_mm=np.array([4.0, 5, 6]),
        micronodule=np.array([True, True, False]),
    )


def test_the_columns_are_those_of_the_contract():
    assert ", ".join(NODULE_COLUMNS) == (
        "nodule, x_mm, y_mm, z_mm, diameter_mm, diameter_se_mm, contrast_hu, score, lung, lobe, "
        "zone, pleura_mm, fissure_mm, vessel_mm, micronodule"
    )


def test_columns_come_in_order_and_the_point_is_x_y_z():
    columns = three_nodules().columns()
    assert tuple(columns) == NODULE_COLUMNS
    assert_array_equal(columns["nodule"], [1, 2, 3])
    assert_array_equal([columns[name][1] for name in ("x_mm", "y_mm", "z_mm")], [3, 4, 5])
    assert_array_equal(columns["lung"], ["right", "left", "left"])


def test_taking_rows_by_mask_and_by_number():
    nodules = three_nodules()
    assert_array_equal(nodules.take(np.array([True, False, True])).diameter_mm, [1.5, 3.1])
    turned = nodules.take(np.array([2, 0]))
    assert_array_equal(turned.points_mm, [[6, 7, 8], [0, 1, 2]])
    assert_array_equal(turned.lobe, ["LLL", "RUL"])
    # Rows are counted anew.
    assert_array_equal(turned.columns()["nodule"], [1, 2])
    assert len(nodules.take(np.zeros(3, bool))) == 0


def test_candidates_are_taken_row_by_row():
    candidates = Candidates(
        np.arange(9.0).reshape(3, 3),
        np.array([0.6, 0.8, 1.2]),
        np.ones(3),
        np.array([0.1, 0.9, 0.5]),
    )
    best = candidates.take(candidates.score >= 0.5)
    assert len(best) == 2
    assert_array_equal(best.index_zyx, [[3, 4, 5], [6, 7, 8]])
    assert_array_equal(best.sigma_mm, [0.8, 1.2])


def test_candidates_of_two_searches_are_joined_in_order():
    first = Candidates(np.ones((2, 3)), np.array([0.6, 0.8]), np.array([50.0, 60]), np.ones(2))
    second = Candidates(np.zeros((1, 3)), np.array([2.6]), np.array([70.0]), np.array([0.7]))
    both = first.join(second)
    assert len(both) == 3
    assert_array_equal(both.index_zyx, [[1, 1, 1], [1, 1, 1], [0, 0, 0]])
    assert_array_equal(both.sigma_mm, [0.6, 0.8, 2.6])
    assert_array_equal(both.response_hu, [50, 60, 70])
    assert_array_equal(both.score, [1, 1, 0.7])


def test_nothing_found_is_a_table_with_the_same_columns():
    empty, columns = Nodules.empty(), Nodules.empty().columns()
    assert len(empty) == 0
    assert tuple(columns) == NODULE_COLUMNS
    some = three_nodules().columns()
    for name, column in columns.items():
        assert column.shape == (0,)
        assert column.dtype.kind == some[name].dtype.kind


def test_the_frame_has_the_columns():
    pytest.importorskip("pandas")
    frame = three_nodules().to_frame()
    assert tuple(frame.columns) == NODULE_COLUMNS
    assert frame["micronodule"].sum() == 2
    assert len(Nodules.empty().to_frame()) == 0


def test_without_pandas_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"miliary\[frames\].*or use columns\(\)"):
        three_nodules().to_frame()
