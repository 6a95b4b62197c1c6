"""Many cases by one code path: here, in worker processes, and with workers that die."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

import oracles_cli
from miliary.cli.batch import run_cases


def collect(tasks, *, jobs):
    results = {}
    run_cases(tasks, oracles_cli.square_or_die, jobs=jobs, scheduler=None,
              on_done=lambda task, result: results.update({task[0]: result}))  # fmt: skip
    return results


def test_one_job_stays_in_this_process_and_loses_only_what_fails():
    pids = []
    run_cases([1, 2], lambda _: os.getpid(), jobs=1, scheduler=None,
              on_done=lambda _, pid: pids.append(pid))  # fmt: skip
    assert pids == [os.getpid()] * 2
    results = collect([(2, "live"), (3, "raise"), (4, "live")], jobs=1)
    assert (results[2], results[4]) == (4, 16)
    assert isinstance(results[3], ValueError)


def test_nothing_to_do_starts_nothing():
    assert collect([], jobs=2) == {}


def test_a_worker_that_dies_loses_its_task_only():
    tasks = [(number, "live") for number in range(6)] + [(7, "die"), (8, "raise")]
    results = collect(tasks[6:] + tasks[:6], jobs=2)
    assert {number: results[number] for number in range(6)} == {n: n * n for n in range(6)}
    assert type(results[7]).__name__ == "KilledWorker"
    assert str(results[8]) == "no luck with 8"
    assert len(results) == 8


@pytest.mark.usefixtures("fast")
def test_two_jobs_give_what_one_gives(command, cohort, tmp_path):
    for jobs in (1, 2):
        ended = command("run", cohort, "--out", tmp_path / str(jobs), "--jobs", jobs)
        assert ended.status == 2
        assert ended.out == f"{tmp_path / str(jobs) / 'index.html'}\n"
    one, two = (
        {path.relative_to(tmp_path / str(jobs)): path for path in (tmp_path / str(jobs)).rglob("*")}
        for jobs in (1, 2)
    )
    assert one.keys() == two.keys()
    for name, path in one.items():
        # Times differ, and memory.
        if path.is_file() and name.name not in ("provenance.json", "cases.csv", "index.html"):
            assert path.read_bytes() == two[name].read_bytes(), name
    assert untimed(tmp_path / "1") == untimed(tmp_path / "2")


def untimed(out):
    with (out / "cases.csv").open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


#: Runs a cohort with an analysis that never ends, in two workers.
_ENDLESS = """
import sys, time
import oracles_cli
from miliary.cli import run
from miliary.cli.main import main
if __name__ == "__main__":
    run.run_case = oracles_cli.write_half_and_hang
    sys.exit(main(["run", sys.argv[1], "--out", sys.argv[2], "--jobs", "2"]))
"""


def test_an_interrupt_ends_the_workers_and_leaves_nothing_half_written(cohort, tmp_path):
    script, out = tmp_path / "endless.py", tmp_path / "out"
    script.write_text(_ENDLESS)
    paths = os.pathsep.join(path for path in sys.path if path)
    started = subprocess.Popen(
        [sys.executable, str(script), str(cohort), str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": paths}, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while len(list(out.glob(".case-*"))) < 2:
            assert time.monotonic() < deadline, started.poll()
            time.sleep(0.1)
        # As Ctrl-C does: to the whole group of processes.
        os.killpg(started.pid, signal.SIGINT)
        _, told = started.communicate(timeout=60)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
    assert started.returncode == 130, told
    assert "interrupted after 1 of 3 cases" in told
    assert list(out.glob(".*")) == []
    assert list(out.glob("case-*")) == []
