"""Tables and plain data come back as they went, and cannot harm a spreadsheet."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from numpy.testing import assert_allclose

from miliary.io.tables import numbers, read_csv, write_csv, write_json, write_markups
from miliary.nodules import NODULE_COLUMNS, Nodules


def _nodules(n: int) -> Nodules:
    rows = np.arange(n, dtype=float)
    text = np.array(["right"] * n, "U6")
    return Nodules(
        np.c_[rows, -rows / 3, rows * 2],
        *(rows / 7,) * 4,
        *(text,) * 3,
        *(np.where(rows == 1, np.nan, rows),) * 3,
        micronodule=rows < 2,
    )


def test_nodules_come_back_from_their_table(tmp_path):
    nodules = _nodules(5)
    table = read_csv(write_csv(tmp_path / "n.csv", nodules.columns()))
    assert tuple(table) == NODULE_COLUMNS
    assert_allclose(numbers(table["y_mm"]), nodules.points_mm[:, 1], atol=5e-4)
    assert table["fissure_mm"][1] == ""
    assert table["micronodule"] == ["true", "true", "false", "false", "false"]
    assert table["nodule"] == ["1", "2", "3", "4", "5"]


def test_an_empty_table_keeps_its_columns(tmp_path):
    table = read_csv(write_csv(tmp_path / "n.csv", Nodules.empty().columns()))
    assert tuple(table) == NODULE_COLUMNS
    assert all(cells == [] for cells in table.values())


def test_floats_are_rounded_by_their_unit(tmp_path):
    third = [1 / 3]
    path = write_csv(tmp_path / "t.csv", {"a_mm": third, "b_hu": third, "p": third, "n": [None]})
    assert path.read_text() == "a_mm,b_hu,p,n\n0.333,0.3,0.333333,\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd", "@SUM(A1)", "\tx"])
def test_text_cannot_be_a_formula(tmp_path, text):
    path = write_csv(tmp_path / "t.csv", {"source": [text], "x_mm": [-1.5]})
    assert f"'{text}" in path.read_text()
    assert read_csv(path) == {"source": [text], "x_mm": ["-1.5"]}


def test_separators_and_quotes_survive(tmp_path):
    text = 'a "b", c\nd; é'
    assert read_csv(write_csv(tmp_path / "t.csv", {"m": [text, "x"]})) == {"m": [text, "x"]}


def test_uneven_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="one length, got"):
        write_csv(tmp_path / "t.csv", {"a": [1], "b": [1, 2]})


def test_json_has_null_for_what_is_not_known(tmp_path):
    data = {
        "a_mm": np.array([1 / 3, np.nan]),
        "b": {"c": None, "d": np.bool_(True)},
        "e": (np.inf,),
    }
    found = json.loads(write_json(tmp_path / "d.json", data).read_text())
    assert found == {"a_mm": [0.333, None], "b": {"c": None, "d": True}, "e": [None]}


def test_markups_have_a_point_a_nodule(tmp_path):
    nodules = replace(_nodules(3), diameter_mm=np.array([1.5, np.nan, 2.0]))
    found = json.loads(write_markups(tmp_path / "n.mrk.json", nodules).read_text())
    (markup,) = found["markups"]
    assert (markup["type"], markup["coordinateSystem"]) == ("Fiducial", "LPS")
    assert [point["label"] for point in markup["controlPoints"]] == ["1", "2", "3"]
    assert_allclose(
        [point["position"] for point in markup["controlPoints"]], nodules.points_mm, atol=5e-4
    )
    assert [p["description"] for p in markup["controlPoints"]] == ["1.50 mm", "", "2.00 mm"]


def test_markups_of_no_nodule_are_valid(tmp_path):
    found = json.loads(write_markups(tmp_path / "n.mrk.json", Nodules.empty()).read_text())
    assert found["markups"][0]["controlPoints"] == []


#: What 3D Slicer's schema of markups (1.0.3, draft 7) asks of what is written here, in own words;
#: held against the published file key by key on 2026-11-22.
_TEXT = {key: {"type": "string"} for key in ("id", "label", "description")}
_SWITCHES = {key: {"type": "boolean"} for key in ("selected", "locked", "visibility")}
MARKUPS = {
    "type": "object",
    "required": ["@schema", "markups"],
    "properties": {
        "@schema": {"type": "string"},
        "markups": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {
                    "type": {"const": "Fiducial"},
                    "coordinateSystem": {"enum": ["LPS", "RAS"]},
                    "coordinateUnits": {"enum": ["mm", "um"]},
                    "locked": {"type": "boolean"},
                    "labelFormat": {"type": "string"},
                    "controlPoints": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                **_TEXT,
                                "position": {
                                    "type": "array",
                                    "items": {"type": "number"},
                                    "minItems": 3,
                                    "maxItems": 3,
                                },
                                **_SWITCHES,
                                "positionStatus": {"enum": ["undefined", "preview", "defined"]},
                            },
                            # Slicer bears others; that all of ours are known to it is meant here.
                            "additionalProperties": False,
                        },
                    },
                },
                "additionalProperties": False,
            },
        },
    },
}


@pytest.mark.parametrize("n", [0, 4])
def test_markups_are_what_slicer_reads(tmp_path, n):
    written = json.loads(write_markups(tmp_path / "n.mrk.json", _nodules(n)).read_text("utf-8"))
    Draft202012Validator(MARKUPS).validate(written)
    assert len(written["markups"][0]["controlPoints"]) == n
