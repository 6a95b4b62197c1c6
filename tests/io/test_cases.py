"""Case folders read back as records, and those that are none."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_cli
from miliary.case_folder import write_case
from miliary.compare import compare
from miliary.config import Config
from miliary.config.compare import CompareSettings
from miliary.errors import CaseFolderError
from miliary.io.cases import make_record, read_case, record_of
from miliary.volume import Volume


@pytest.fixture(scope="module")
def analysis():
    """A made-up case with 60 nodules, twelve of them below the operating point."""
    from miliary.geometry import Geometry

    grid = Geometry.aligned(oracles_cli.SHAPE, oracles_cli.SPACING_MM, (-130.0, -110.0, -300.0))
    made = oracles_cli.fake_analyze(
        Volume(np.zeros(oracles_cli.SHAPE, np.int16), grid, case="case-0a1b2c"), Config(), n=60
    )
    score = np.where(np.arange(60) % 5 == 0, 0.3, 0.9)
    return replace(made, nodules=replace(made.nodules, score=score))


@pytest.fixture
def folder(analysis, tmp_path, monkeypatch):
    monkeypatch.setattr("miliary.case_folder.render_report", oracles_cli.fake_page)
    return write_case(analysis, tmp_path / "case-0a1b2c")


def rewrite(folder, name, change):
    path = folder / name
    facts = json.loads(path.read_text("utf-8"))
    change(facts)
    path.write_text(json.dumps(facts), "utf-8")


def test_a_folder_gives_what_its_analysis_gives(analysis, folder):
    read, direct = read_case(folder), record_of(analysis)
    assert (read.name, read.flag, read.pattern) == ("case-0a1b2c", "present", "random")
    for name in ("name", "flag", "pattern", "extent", "kernel", "spacing_mm", "numerous_per_l",
                 "settings_hash", "slice_thickness_mm"):  # fmt: skip
        assert getattr(read, name) == getattr(direct, name)
    assert read.median_mm == pytest.approx(direct.median_mm, abs=1e-3)
    assert [row.region for row in read.sensitivity] == ["all"] * 6
    for one, other in zip(read.lungs, direct.lungs, strict=True):
        assert (one.side, one.count()) == (other.side, other.count())
        assert_allclose(one.diameter_mm, other.diameter_mm, atol=1e-3)
        assert_array_equal(one.zone, other.zone)
        assert_allclose(one.evaluable(), other.evaluable(), atol=0.01)


def test_only_what_the_operating_point_accepts_is_counted(analysis, folder):
    accepted = analysis.nodules.score >= analysis.config.detect.threshold
    assert sum(lung.count() for lung in read_case(folder).lungs) == accepted.sum() == 48
    (right, _) = read_case(folder).lungs
    assert right.count("upper") == np.sum(
        accepted & (analysis.nodules.lung == "right") & (analysis.nodules.zone == "upper")
    )


def test_zones_have_the_evaluable_volume_of_their_voxels(analysis, folder):
    anatomy = analysis.anatomy
    for label, lung in enumerate(read_case(folder).lungs, start=1):
        for zone, ml in lung.zones_ml:
            number = {"upper": 1, "middle": 2, "lower": 3}[zone]
            inside = (anatomy.evaluable_labels == label) & (anatomy.zone_labels == number)
            assert ml == pytest.approx(inside.sum() * anatomy.geometry.voxel_ml, abs=0.01)


def test_older_folders_tell_zones_by_their_density(folder):
    rewrite(folder, "summary.json", lambda facts: facts["lungs"]["right"].pop("zones"))
    (right, _) = read_case(folder).lungs
    assert dict(right.zones_ml) == {
        zone: pytest.approx(800.0) for zone in ("upper", "middle", "lower")
    }
    rewrite(folder, "summary.json", lambda facts: facts.pop("involvement"))
    assert read_case(folder).lungs[0].evaluable("upper") is None


def test_a_lung_that_was_not_found_is_left_out(folder):
    rewrite(folder, "summary.json", lambda facts: facts["lungs"].update(left=None))
    assert [lung.side for lung in read_case(folder).lungs] == ["right"]


def test_a_scan_in_which_nothing_was_found_is_a_record(analysis):
    nothing = oracles_cli.fake_analyze(analysis.volume, Config(), n=0)
    record = record_of(nothing)
    assert [lung.count() for lung in record.lungs] == [0, 0]
    assert record.median_mm is None


def test_a_scan_against_itself_shows_no_change_and_is_noticed(folder):
    comparison = compare([read_case(folder)] * 2, CompareSettings())
    assert {change.verdict for change in comparison.changes} == {"no change shown"}
    (warning,) = comparison.warnings
    assert "they may be one scan" in warning


def test_what_the_summary_leaves_open_stays_unknown(analysis):
    summary = analysis.to_dict()
    summary["acquisition"] = {}
    summary["miliary"] = {"flag": "absent"}
    summary["detection"] |= {"sensitivity": [], "size_bias_mm": []}
    record = make_record(summary, analysis.nodules.columns())
    assert record.spacing_mm is record.kernel is record.noise_hu is record.numerous_per_l is None
    assert record.sensitivity == ()


@pytest.mark.parametrize("what", ["missing", "empty", "foreign", "text", "list"])
def test_a_folder_of_somebody_else_is_refused(folder, tmp_path, what):
    place = tmp_path / "other"
    if what != "missing":
        shutil.copytree(folder, place)
    if what == "empty":
        (place / "provenance.json").unlink()
    texts = {"foreign": '{"tool": "another"}', "text": "no JSON", "list": "[1, 2]"}
    if what in texts:
        (place / "provenance.json").write_text(texts[what])
    with pytest.raises(CaseFolderError, match=r"`miliary run` wrote, got .*other, which has no"):
        read_case(place)


@pytest.mark.parametrize("schema", [None, "miliary-summary-2.0", "miliary-comparison-1.0"])
def test_another_layout_is_refused_and_a_later_minor_one_is_not(folder, schema):
    rewrite(folder, "summary.json", lambda facts: facts.update(schema=schema))
    with pytest.raises(CaseFolderError, match=f"layout miliary-summary-1.*, got {schema!r} in"):
        read_case(folder)
    rewrite(folder, "summary.json", lambda facts: facts.update(schema="miliary-summary-1.9"))
    assert read_case(folder).name == "case-0a1b2c"


def test_a_damaged_folder_is_refused(folder):
    nodules = (folder / "nodules.csv").read_text()
    (folder / "nodules.csv").write_text(nodules.replace("diameter_mm", "size"))
    with pytest.raises(CaseFolderError, match=r"must be whole, got .*KeyError 'diameter_mm'"):
        read_case(folder)
    (folder / "nodules.csv").unlink()
    with pytest.raises(CaseFolderError, match="FileNotFoundError"):
        read_case(folder)
    (folder / "nodules.csv").write_text(nodules)
    rewrite(folder, "summary.json", lambda facts: facts.update(lungs=[]))
    with pytest.raises(CaseFolderError, match="must be whole"):
        read_case(folder)
