"""Many tasks by one code path: here, in worker processes, and with workers that die."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

import oracles_cli
from miliary.cohort.engine import Cluster, Watch, run_tasks


def collect(tasks, *, jobs, **wishes):
    results = {}
    watch = Watch(lambda task, result: results.update({task[0]: result}), print)
    run_tasks(tasks, oracles_cli.square_or_die, Cluster(jobs, deaths=1), watch, **wishes)
    return results


def test_one_job_stays_in_this_process_and_loses_only_what_fails():
    pids = []
    watch = Watch(lambda _, pid: pids.append(pid), print)
    run_tasks([1, 2], lambda *_: os.getpid(), Cluster(), watch)
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


def note_times(task, place):
    started = time.monotonic()
    place.tell({"event": "start", "case": task})
    time.sleep(0.3)
    return started, time.monotonic(), place.side_by_side, place.memory_mb, place.wanted()


def test_no_more_tasks_at_once_than_memory_bears():
    needs = {"a": 600.0, "b": 600.0, "c": 300.0, "d": 9000.0}
    spans, events = {}, []
    run_tasks(
        list(needs), note_times, Cluster(2, memory_mb=1000.0),
        Watch(lambda task, result: spans.update({task: result}), events.append),
        need_mb=needs.get,
    )  # fmt: skip
    together = {
        (one, other)
        for one in spans
        for other in spans
        if one < other and spans[one][0] < spans[other][1] and spans[other][0] < spans[one][1]
    }
    # The largest fits nowhere, and so runs alone.
    assert together <= {("a", "c"), ("b", "c")}
    assert [span[2:] for span in spans.values()] == [(2, 500.0, True)] * 4
    assert sorted(event["case"] for event in events if event["event"] == "start") == [*"abcd"]


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
    timed = ("provenance.json", "cases.csv", "index.html", "log.jsonl")
    for name, path in one.items():
        # Times differ, and memory.
        if path.is_file() and name.name not in timed:
            assert path.read_bytes() == two[name].read_bytes(), name
    assert untimed(tmp_path / "1") == untimed(tmp_path / "2")


def untimed(out):
    with (out / "cases.csv").open(newline="") as file:
        return [{**row, "seconds": "", "peak_mb": ""} for row in csv.DictReader(file)]


#: Runs a cohort with an analysis that never ends, in one or two workers.
_ENDLESS = """
import signal
import sys
import oracles_cli
from miliary.cli import cohort
from miliary.cli.main import main
if __name__ == "__main__":
    # A shell has what it starts in the background ignore Ctrl-C, and so would this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cohort.run_apart = oracles_cli.run_apart_and_hang
    sys.exit(main(["run", sys.argv[1], "--out", sys.argv[2], "--jobs", sys.argv[3]]))
"""


@pytest.mark.parametrize(("jobs", "by"), [(2, "ctrl-c"), (1, "ctrl-c"), (2, "sigterm")])
def test_an_interrupt_ends_the_workers_and_leaves_nothing_half_written(cohort, tmp_path, jobs, by):
    script, out = tmp_path / "endless.py", tmp_path / "out"
    script.write_text(_ENDLESS)
    paths = os.pathsep.join(path for path in sys.path if path)
    started = subprocess.Popen(
        [sys.executable, str(script), str(cohort), str(out), str(jobs)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": paths}, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while len(list(out.glob(".case-*"))) < jobs:
            assert time.monotonic() < deadline, started.poll()
            time.sleep(0.1)
        if by == "ctrl-c":
            # To the whole group of processes, as a terminal does.
            os.killpg(started.pid, signal.SIGINT)
        else:
            started.terminate()
        _, told = started.communicate(timeout=200)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
    assert started.returncode == 130, told
    assert "interrupted after 1 of 3 cases" in told
    assert "--resume" in told
    assert list(out.glob(".*")) == []
    assert list(out.glob("case-*")) == []
