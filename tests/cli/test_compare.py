"""`miliary compare`: its files, its words, its statuses."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

import oracles_cli
from miliary.case_folder import write_case
from miliary.cli import compare as module
from miliary.cli.common import Parser
from miliary.config import Config
from miliary.errors import CaseFolderError, ConfigError, InputError, UsageError
from miliary.geometry import Geometry
from miliary.volume import Volume


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Three scans of a patient, each with more nodules."""
    out = tmp_path_factory.mktemp("cases")
    grid = Geometry.aligned(oracles_cli.SHAPE, oracles_cli.SPACING_MM, (-130.0, -110.0, -300.0))
    folders = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("miliary.case_folder.render_report", oracles_cli.fake_page)
        for name, n in (("case-1", 40), ("case-2", 160), ("case-3", 480)):
            volume = Volume(np.zeros(oracles_cli.SHAPE, np.int16), grid, case=name)
            made = oracles_cli.fake_analyze(volume, Config(), n=n)
            sure = replace(made, nodules=replace(made.nodules, score=np.full(n, 0.9)))
            folders.append(write_case(sure, out / name))
    return folders


def call(*words):
    parser = Parser()
    module.add_arguments(parser)
    return module.execute(parser.parse_args([str(word) for word in words]))


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_changes_are_written_and_told(cases, tmp_path, capsys):
    assert call(*cases, "--out", tmp_path / "out") == 0
    assert names(tmp_path) == {"out"}
    assert names(tmp_path / "out") == {"comparison.json", "changes.csv", "comparison.html"}
    with (tmp_path / "out" / "changes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["earlier"], row["later"]) for row in rows[::9]] == [
        ("case-1", "case-2"), ("case-2", "case-3"), ("case-1", "case-3"),
    ]  # fmt: skip
    both = [row for row in rows if row["lung"] == "both"]
    assert {row["verdict"] for row in both} == {"more"}
    assert float(both[0]["low"]) > 1
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [case["case"] for case in told["cases"]] == ["case-1", "case-2", "case-3"]
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "Scan 1: case-1, miliary present (bilateral), pattern random."
    assert out.splitlines()[-1] == str(tmp_path / "out")
    assert "Right lung, scan 1 to scan 2: more nodules" in out
    assert "Nothing tells whether case-1, case-2, case-3 and the others are of one patient" in err
    assert "The days of the scans are not known: they stand in the order given." in err


def test_warnings_go_to_standard_error(cases, tmp_path, capsys):
    assert call(cases[0], cases[0], "--out", tmp_path / "out") == 0
    assert "miliary: warning: Scans 1 and 2 have the same name" in capsys.readouterr().err


def test_settings_can_be_changed(cases, tmp_path):
    call(*cases[:2], "--out", tmp_path / "out", "--set", "compare.confidence=0.5")
    narrow = json.loads((tmp_path / "out" / "comparison.json").read_text())["changes"][0]["raw"]
    call(*cases[:2], "--out", tmp_path / "out")
    wide = json.loads((tmp_path / "out" / "comparison.json").read_text())["changes"][0]["raw"]
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]
    with pytest.raises(ConfigError, match="perhaps you meant 'confidence'"):
        call(*cases[:2], "--out", tmp_path / "out", "--set", "compare.confidense=0.5")


def test_a_comparison_is_replaced_and_an_empty_folder_filled(cases, tmp_path):
    (tmp_path / "out").mkdir()
    for _ in range(2):
        call(*cases[:2], "--out", tmp_path / "out")
        assert names(tmp_path / "out") == {"comparison.json", "changes.csv", "comparison.html"}
        assert names(tmp_path) == {"out"}


def test_a_folder_that_holds_something_else_is_refused(cases, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UsageError, match="--out must be new, empty, or the folder of"):
            call(*cases[:2], "--out", out)
    assert names(tmp_path) == {"notes.txt"}


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing_and_keeps_what_was_there(cases, tmp_path, monkeypatch, error):
    call(*cases[:2], "--out", tmp_path / "before")
    kept = (tmp_path / "before" / "changes.csv").read_bytes()

    def fail(*args):
        raise error

    monkeypatch.setattr("miliary.io.tables.write_csv", fail)
    for name in ("before", "new"):
        with pytest.raises(UsageError if isinstance(error, OSError) else KeyboardInterrupt):
            call(*cases, "--out", tmp_path / name)
    assert names(tmp_path) == {"before"}
    assert (tmp_path / "before" / "changes.csv").read_bytes() == kept


def test_what_is_no_case_is_refused(cases, tmp_path, capsys):
    with pytest.raises(UsageError, match="which does not exist"):
        call(cases[0], tmp_path / "missing", "--out", tmp_path / "out")
    with pytest.raises(InputError, match="the input must hold a CT"):
        call(cases[0], tmp_path, "--out", tmp_path / "out")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "summary.json").write_text("{}")
    with pytest.raises(CaseFolderError, match="must be a folder that `miliary run` wrote"):
        call(cases[0], tmp_path / "damaged", "--out", tmp_path / "out")
    shutil.rmtree(tmp_path / "damaged")
    with pytest.raises(SystemExit) as stop:
        call(cases[0], "--out", tmp_path / "out")
    assert stop.value.code == 1
    assert "required: LATER" in capsys.readouterr().err
    assert names(tmp_path) == set()


def test_the_page_asks_for_nothing_and_names_the_scans(cases, tmp_path):
    call(*cases, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "default-src 'none'" in html.unescape(page)
    assert not re.findall(r"(?:src|href)=[\"'](?!data:|#)", page)
    assert "Ratios by lung and zone" in page
    assert page.count("<figcaption>Scan 1:") == 5


def test_days_put_scans_in_order(cases, tmp_path, capsys):
    call(*cases, "--out", tmp_path / "out", "--days", "60,0,90")
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [case["case"] for case in told["cases"]] == ["case-2", "case-1", "case-3"]
    assert [case["day"] for case in told["cases"]] == [0, 60, 90]
    assert "were not given in the order of their days" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--days must be as many as scans, got 2 for 3"):
        call(*cases, "--out", tmp_path / "out", "--days", "0,1")
    with pytest.raises(UsageError, match="--days must be whole numbers, got 'soon'"):
        call(*cases, "--out", tmp_path / "out", "--days", "soon")


def test_scans_are_analysed_first(cases, tmp_path, monkeypatch, capsys):
    """From two DICOM folders of one patient, the later one named first."""
    monkeypatch.setattr(sys.modules["miliary.analyze"], "analyze", oracles_cli.fake_analyze)
    monkeypatch.setattr("miliary.case_folder.render_report", oracles_cli.fake_page)
    for seed, day in ((1, "20260301"), (2, "20260101")):
        tags = dict.fromkeys(("StudyDate", "AcquisitionDate", "SeriesDate"), day)
        oracles_cli.write_series(tmp_path / f"in-{seed}", seed, **tags)
    call(tmp_path / "in-1", tmp_path / "in-2", "--out", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [case["day"] for case in told["cases"]] == [0, 59]
    assert names(tmp_path / "out") == {"comparison.json", "changes.csv", "comparison.html", "cases"}
    assert "2026" not in (tmp_path / "out" / "comparison.json").read_text()
    oracles_cli.write_series(tmp_path / "other", 3, PatientID="SOMEONE-ELSE-1")
    with pytest.raises(UsageError, match="must be of one patient, got 2 different ones"):
        call(tmp_path / "in-1", tmp_path / "other", "--out", tmp_path / "out2")
    call(tmp_path / "in-1", tmp_path / "other", "--out", tmp_path / "out2", "--force")
    assert "The headers name 2 different patients" in capsys.readouterr().err
