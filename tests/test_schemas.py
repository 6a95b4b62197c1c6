"""What describes the outputs is valid, and agrees with them."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator, ValidationError

import oracles_cli
import oracles_schema
from miliary.analysis import SUMMARY_SCHEMA
from miliary.case_files import CURVE_COLUMNS
from miliary.cohort.rows import CASE_COLUMNS
from miliary.compare.results import CHANGE_COLUMNS
from miliary.config import Config
from miliary.config.reading import ReadSettings
from miliary.io.case_places import RIND_COLUMNS
from miliary.io.reading import read_series
from miliary.io.series import find_inputs, series_columns
from miliary.io.tables import write_json
from miliary.nodules import NODULE_COLUMNS
from miliary.schemas import NAMES, load_schema

TABLES = {
    ("case", "nodules.csv"): NODULE_COLUMNS,
    ("case", "curves.csv"): CURVE_COLUMNS,
    ("case", "rinds.csv"): RIND_COLUMNS,
    ("cohort", "cases.csv"): CASE_COLUMNS,
    ("cohort", "series.csv"): tuple(series_columns([])),
    ("comparison", "changes.csv"): CHANGE_COLUMNS,
}


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    folder = oracles_cli.write_series(tmp_path_factory.mktemp("scan") / "dicom")
    return read_series(find_inputs([folder], ReadSettings())[0], ReadSettings())


def written(volume, tmp_path, n):
    """What `summary.json` holds: numbers rounded, what is not finite as null."""
    analysis = oracles_cli.fake_analyze(volume, Config(), n=n)
    return json.loads(write_json(tmp_path / "s.json", analysis.to_dict()).read_text("utf-8"))


def test_the_schema_is_a_valid_one_of_its_draft():
    schema = load_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"].endswith("draft/2020-12/schema")
    assert schema["$id"].rpartition(":")[2] == SUMMARY_SCHEMA.rpartition("-")[2]


@pytest.mark.parametrize("n", [0, 1, 30])
def test_a_summary_is_as_described_and_nothing_in_it_is_undescribed(volume, tmp_path, n):
    oracles_schema.check_summary(written(volume, tmp_path, n))


def _drop(summary):
    del summary["miliary"]["flag"]


def _retype(summary):
    summary["size"]["median_mm"] = "1.8 mm"


def _beyond(summary):
    summary["involvement"]["subpleural"]["p"] = 1.5


@pytest.mark.parametrize("spoil", [_drop, _retype, _beyond])
def test_a_spoilt_summary_is_refused(volume, tmp_path, spoil):
    summary = written(volume, tmp_path, 5)
    spoil(summary)
    with pytest.raises(ValidationError):
        Draft202012Validator(load_schema()).validate(summary)


def test_an_undescribed_key_is_named(volume, tmp_path):
    summary = written(volume, tmp_path, 5)
    summary["lungs"]["right"]["zones"][0]["colour"] = "blue"
    with pytest.raises(AssertionError, match=r"lungs\.right\.zones\[\]\.colour"):
        oracles_schema.check_summary(summary)


@pytest.mark.parametrize(("group", "url"), TABLES)
def test_tables_have_the_columns_described(group, url):
    (table,) = [table for table in load_schema(group)["tables"] if table["url"] == url]
    columns = table["tableSchema"]["columns"]
    assert tuple(column["name"] for column in columns) == TABLES[group, url]
    assert all(column["dc:description"] for column in columns)


def test_no_table_is_described_that_is_not_written():
    described = {
        (group, table["url"])
        for group in NAMES
        if group != "summary"
        for table in load_schema(group)["tables"]
    }
    assert described == set(TABLES)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=f"one of {', '.join(NAMES)}, got 'nodules'"):
        load_schema("nodules")
