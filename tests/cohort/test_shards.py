"""Parts of a cohort: each case in one of them, and joined as if there had been none."""

from __future__ import annotations

import csv

import pytest

from miliary.cohort.shards import Shard, find_shards
from miliary.config import Config
from miliary.errors import UsageError
from miliary.io.series import find_inputs


def rows(path, *without):
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in without} for row in csv.DictReader(file)]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/", "a/b", "-1/3", "1/0"])
def test_a_part_must_be_one_of_so_many(text):
    with pytest.raises(UsageError, match="--shard must be i/n with i from 1 to n, got"):
        Shard.parse(text)


def test_each_series_is_in_one_part(cohort):
    infos = find_inputs([cohort], Config().read)
    for n in (1, 2, 5):
        assert [sum(Shard(i + 1, n).holds(info) for i in range(n)) for info in infos] == [1] * 3
    assert Shard.parse("2/8").name("cases.csv") == "cases.2-of-8.csv"
    assert Shard.parse("1/1").name("cases.csv") == "cases.csv"


@pytest.mark.usefixtures("fast")
def test_parts_joined_are_what_one_run_gives(command, cohort, tmp_path):
    assert command("run", cohort, "--out", tmp_path / "whole").status == 2
    parts = tmp_path / "parts"
    statuses = [
        command("run", cohort, "--out", parts, "--shard", f"{i}/3").status for i in (1, 2, 3)
    ]
    assert not (parts / "cases.csv").exists()
    ended = command("merge", parts)
    assert (ended.status, ended.out) == (2, f"{parts / 'index.html'}\n")
    assert "3 cases of 3 parts, 1 failed" in ended.err
    assert set(statuses) <= {0, 2, 3}
    timed = ("seconds", "peak_mb")
    for name in ("cases.csv", "series.csv"):
        assert rows(parts / name, *timed) == rows(tmp_path / "whole" / name, *timed)
    assert command("merge", parts).status == 2
    kept = command("run", cohort, "--out", parts, "--shard", "2/3", "--resume")
    assert " 0 done" in kept.err or ", kept" in kept.err


def test_a_part_that_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"which has no\s+cases.1-of-n.csv"):
        find_shards(tmp_path)
    for name in ("cases.1-of-3.csv", "cases.3-of-3.csv"):
        (tmp_path / name).write_text("case,status\n")
    with pytest.raises(UsageError, match="all 3 parts must have run, got none of 2"):
        find_shards(tmp_path)
    (tmp_path / "cases.2-of-2.csv").write_text("case,status\n")
    with pytest.raises(UsageError, match="of one division, got parts of 2, 3"):
        find_shards(tmp_path)


def test_merge_wants_a_folder(command, tmp_path):
    assert command("merge", tmp_path / "none").status == 1
