"""`cases.csv` as it grows: nothing lost however a run ends, and long tables in little memory."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys

import pytest

from miliary.cohort.events import EventLog
from miliary.cohort.pages import check_parquet, write_page, write_parquet
from miliary.cohort.rows import CASE_COLUMNS
from miliary.cohort.tables import CaseTable
from miliary.errors import UsageError

#: Measured: 60 MB for 100,000 rows, of which 25 MB are their names and places; the rows alone,
#: as dictionaries, would take 200 MB.
MOST_MB = 110


def row(case, status="ok", **cells):
    known = {"case": case, "source": f"in/{case}", "status": status, "nodules": 12}
    return dict.fromkeys(CASE_COLUMNS) | known | cells


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def cases(path):
    return [item["case"] for item in rows(path)]


def test_rows_stand_in_the_order_of_the_run_whatever_their_order_of_coming(tmp_path):
    table = CaseTable(tmp_path / "cases.csv", ["a", "b", "c"])
    for case in "cab":
        table.add(row(case))
    assert cases(tmp_path / "cases.csv")[0] == "c"
    table.close(write=True)
    assert cases(tmp_path / "cases.csv") == ["a", "b", "c"]
    assert [path.name for path in tmp_path.iterdir()] == ["cases.csv"]


def test_a_case_has_one_row_and_the_last_counts(tmp_path):
    table = CaseTable(tmp_path / "cases.csv", ["a"])
    table.add(row("a", "failed", code="E_X"))
    table.add(row("a", message="two\nlines, and a comma"))
    assert table.earlier("a")["message"] == "two lines, and a comma"
    assert [item["status"] for item in table.mine()] == ["ok"]
    table.close(write=True)
    assert [item["status"] for item in rows(tmp_path / "cases.csv")] == ["ok"]


def test_what_a_killed_run_had_not_put_in_yet_is_taken_up(tmp_path):
    table = CaseTable(tmp_path / "cases.csv", ["a", "b", "c"])
    table.add(row("a"))
    # As if writing the table had taken an hour.
    table._took = 3600.0
    table.add(row("b"))
    table._journal.close()
    assert cases(tmp_path / "cases.csv") == ["a"]
    journal = tmp_path / ".cases.csv.journal"
    journal.write_bytes(journal.read_bytes() + b"c,in/c,ok,half a li")
    again = CaseTable(tmp_path / "cases.csv", ["a", "b", "c"])
    assert [again.earlier(case).get("status") for case in "abc"] == ["ok", "ok", None]
    assert list(again.mine()) == []
    again.close(write=True)
    assert cases(tmp_path / "cases.csv") == ["a", "b"]


def test_rows_of_other_inputs_stay_while_their_folder_does(tmp_path):
    table = CaseTable(tmp_path / "cases.csv", ["gone", "there"])
    table.add(row("gone"))
    table.add(row("there"))
    table.close(write=True)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "provenance.json").write_text("{}")
    table = CaseTable(tmp_path / "cases.csv", ["new"])
    table.add(row("new"))
    table.close(write=True)
    assert cases(tmp_path / "cases.csv") == ["new", "there"]


def test_a_table_of_something_else_is_refused(tmp_path):
    (tmp_path / "cases.csv").write_text("patient,age\na,3\n")
    with pytest.raises(UsageError, match="holds another cases"):
        CaseTable(tmp_path / "cases.csv", [])


#: Writes a table of many rows as a run does, and prints how much more memory that took.
_MANY = """
import resource, sys
from pathlib import Path
import miliary.cohort.tables as tables
from miliary.cohort.rows import CASE_COLUMNS
n, path = int(sys.argv[1]), Path(sys.argv[2])
# The disk is not what is tested.
tables.os.fsync = lambda _: None
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
table = tables.CaseTable(path, [f"case-{i:010d}" for i in range(n)])
blank = dict.fromkeys(CASE_COLUMNS, "some cell")
for i in reversed(range(n)):
    table.add(blank | {"case": f"case-{i:010d}", "status": "ok", "nodules": i})
table.close(write=True)
print(peak() - before)
"""


def test_100_000_rows_are_written_in_little_memory(tmp_path):
    path = tmp_path / "cases.csv"
    done = subprocess.run(
        [sys.executable, "-c", _MANY, "100000", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert float(done.stdout) < MOST_MB
    found = rows(path)
    assert len(found) == 100_000
    assert [int(item["nodules"]) for item in found] == list(range(100_000))


def test_the_page_of_a_long_table_shows_failures_first_and_says_what_it_leaves_out(tmp_path):
    table = CaseTable(tmp_path / "cases.csv", [f"case-{i}" for i in range(30)])
    for i in range(30):
        table.add(row(f"case-{i}", "failed" if i == 27 else "ok", code="E_X"))
    table.close(write=True)
    write_page(tmp_path, most=5)
    page = (tmp_path / "index.html").read_text()
    assert "5 of 30 cases, failed ones first; cases.csv has all" in page
    assert all(f"case-{i}<" in page for i in (0, 1, 2, 3, 27))
    assert "case-20" not in page


def test_parquet_is_promised_only_where_it_can_be_written(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="--parquet needs the package pyarrow"):
        check_parquet()


def test_parquet_holds_what_the_table_holds(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = CaseTable(tmp_path / "cases.csv", ["a", "b"])
    table.add(row("a", density_per_l=1.5))
    table.add(row("b", "failed", nodules=None, code="E_X"))
    table.close(write=True)
    found = parquet.read_table(write_parquet(tmp_path / "cases.csv")).to_pydict()
    assert tuple(found) == CASE_COLUMNS
    assert found["nodules"] == [12.0, None]
    assert found["density_per_l"] == [1.5, None]
    assert found["code"] == [None, "E_X"]


def test_the_log_has_a_line_an_event_and_goes_on_after_half_a_line(tmp_path):
    path = tmp_path / "log.jsonl"
    with EventLog(path) as log:
        log.tell("run", cases=2)
        log.tell("case", case="a", status="ok")
    path.write_bytes(path.read_bytes() + b'{"time": "20')
    with EventLog(path) as log:
        log.tell("end")
        log.forget()
    lines = path.read_text().splitlines()
    told = [json.loads(line) for line in (*lines[:2], lines[3])]
    assert [item["event"] for item in told] == ["run", "case", "end"]
    assert told[1]["case"] == "a"
    with EventLog(tmp_path / "new.jsonl") as log:
        log.forget()
    assert not (tmp_path / "new.jsonl").exists()
