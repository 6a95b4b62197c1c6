"""What cases need and what there is."""

from __future__ import annotations

import pytest

from miliary.cohort import needs
from miliary.config import Config
from miliary.config.run import RunSettings
from miliary.io.series import find_inputs


def test_the_need_follows_the_size_of_the_series(one_scan):
    (info,) = find_inputs([one_scan], Config().read)
    settings = RunSettings(base_mb=100.0, voxel_bytes=2.0)
    assert needs.need_mb(info, settings) == 100 + 2 * 24 * 40 * 56 / 2**20


def test_the_limit_is_the_share_but_enough_for_the_need_and_not_more_than_there_is(monkeypatch):
    monkeypatch.setattr(needs, "machine_mb", lambda: 8000.0)
    assert needs.limit_mb(1000, 4000, RunSettings()) == 4000
    assert needs.limit_mb(3000, 4000, RunSettings()) == 4500
    assert needs.limit_mb(9000, 4000, RunSettings()) == 8000
    assert needs.limit_mb(9000, 4000, RunSettings(memory_mb=700.0)) == 700


@pytest.mark.parametrize(("memory_mb", "jobs"), [(100, 1), (999, 1), (2000, 2), (6000, 3)])
def test_no_more_cases_at_once_than_cores_and_memory_bear(monkeypatch, memory_mb, jobs):
    monkeypatch.setattr(needs, "n_cores", lambda: 3)
    assert needs.jobs_for([5000, 1000, 1000, 1000, 1000], memory_mb) == jobs


def test_nothing_to_do_wants_one_job():
    assert needs.jobs_for([], 1000) == 1


def test_cores_are_shared(monkeypatch):
    monkeypatch.delenv("MILIARY_THREADS", raising=False)
    monkeypatch.setattr(needs, "n_cores", lambda: 8)
    assert [needs.threads_each(n) for n in (1, 3, 8, 20)] == [8, 2, 1, 1]
    monkeypatch.setenv("MILIARY_THREADS", "3")
    assert needs.threads_each(8) == 3


def test_the_machine_has_memory_and_some_of_it_is_free():
    assert 0 < needs.free_mb() <= needs.machine_mb()


def test_a_limit_of_a_group_counts(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text(f"{300 << 20}\n")
    monkeypatch.setattr(needs, "_GROUPS", tmp_path)
    assert needs.machine_mb() == 300
    (tmp_path / "memory.max").write_text("max\n")
    assert needs.machine_mb() > 300
