"""`--allow` turns a refusal into a case that is stamped as degraded."""

from __future__ import annotations

import csv

import pytest


def rows(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


#: The slices of the small patients lie 6 mm apart: one that is missing leaves 12 mm.
FAR = ("--set", "read.max_gap_mm=15")


@pytest.fixture
def gap(cohort):
    """The patient of the cohort with a slice missing."""
    return cohort / "patient-2"


@pytest.mark.usefixtures("fast")
def test_a_gap_is_refused_without_it_and_the_way_out_is_told(command, gap, tmp_path):
    ended = command("run", gap, "--out", tmp_path / "out", *FAR)
    (case,) = rows(tmp_path / "out" / "cases.csv")
    assert (ended.status, case["status"], case["code"]) == (3, "failed", "E_MISSING_SLICES")
    assert "--allow missing" in case["message"]


@pytest.mark.usefixtures("fast")
def test_a_gap_is_bridged_with_it_and_the_case_is_degraded(command, gap, tmp_path):
    ended = command("run", gap, "--out", tmp_path / "out", "--allow", "missing,tilt", *FAR)
    (case,) = rows(tmp_path / "out" / "cases.csv")
    assert (ended.status, case["status"], case["code"]) == (0, "degraded", "W_MISSING_SLICES")
    (series,) = rows(tmp_path / "out" / "series.csv")
    assert (series["chosen"], series["code"]) == ("true", "W_MISSING_SLICES")
    summary = (tmp_path / "out" / case["case"] / "summary.json").read_text()
    assert "interpolated" in summary


def test_the_list_of_series_takes_it_too(command, gap):
    (row,) = csv.DictReader(command("series", gap, "--csv").out.splitlines())
    assert (row["chosen"], row["code"]) == ("false", "E_MISSING_SLICES")
    words = ("series", gap, "--csv", "--allow", "missing", *FAR)
    (row,) = csv.DictReader(command(*words).out.splitlines())
    assert (row["chosen"], row["code"]) == ("true", "W_MISSING_SLICES")


def test_a_word_that_is_none_is_wrong_usage(command, gap):
    ended = command("series", gap, "--allow", "everything")
    assert ended.status == 1
    assert "missing, variable, tilt" in ended.err
