"""Case folders from outside: what killed processes left, and how a new one takes its place."""

from __future__ import annotations

import json

import pytest

from miliary.io import case_places
from miliary.io.case_places import is_case_folder, remove_leftovers, replace_file, swap_in

NEW, OLD = ".case-1.new-12-0a1b2c3d", ".case-1.old-12-4e5f6a7b"


def names(folder):
    return {path.name for path in folder.iterdir()}


def make_case(folder, told="here"):
    folder.mkdir()
    (folder / "provenance.json").write_text(json.dumps({"tool": "miliary", "told": told}))
    return folder


def test_leftovers_of_killed_processes_are_removed_and_no_others(tmp_path):
    for name in (NEW, OLD, ".case-12.new-12-0a1b2c3d", ".case-1.notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lungs.nii.gz").touch()
    remove_leftovers(tmp_path, cases={"case-1"}, pid=13)
    assert len(names(tmp_path)) == 4
    remove_leftovers(tmp_path, cases={"case-1"}, pid=12)
    assert names(tmp_path) == {".case-12.new-12-0a1b2c3d", ".case-1.notes"}


def test_a_whole_result_that_was_moved_away_for_nothing_goes_back(tmp_path):
    make_case(tmp_path / OLD)
    remove_leftovers(tmp_path, cases={"case-1"})
    assert names(tmp_path) == {"case-1"}
    assert is_case_folder(tmp_path / "case-1")


def test_nothing_is_left_over_where_there_is_no_folder(tmp_path):
    remove_leftovers(tmp_path / "none", cases={"case-1"})


def test_another_worker_that_was_first_is_let_be(tmp_path, monkeypatch):
    make_case(tmp_path / NEW, "mine")
    real = case_places.partial_name

    def meanwhile(folder, kind):
        make_case(folder, "theirs")
        monkeypatch.setattr(case_places, "partial_name", real)
        folder.rename(folder.with_name("theirs"))
        return real(folder, kind)

    monkeypatch.setattr(case_places, "partial_name", meanwhile)
    rename = type(tmp_path).rename

    def late(path, target):
        if path.name == NEW:
            (tmp_path / "theirs").replace(tmp_path / "case-1")
        return rename(path, target)

    monkeypatch.setattr(type(tmp_path), "rename", late)
    swap_in(tmp_path / NEW, tmp_path / "case-1")
    assert '"theirs"' in (tmp_path / "case-1" / "provenance.json").read_text()


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text("old")

    def half(partial):
        partial.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        replace_file(path, half)
    assert (path.read_text(), names(tmp_path)) == ("old", {"cases.csv"})
    replace_file(path, lambda partial: partial.write_text("new"))
    assert (path.read_text(), names(tmp_path)) == ("new", {"cases.csv"})
