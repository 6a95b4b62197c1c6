"""Folders made to do harm: nothing crashes, hangs, eats memory, or breaks out."""

from __future__ import annotations

import csv
import io
import os
import signal
from pathlib import Path

import pytest

import hostile_folders as hostile
import oracles_cli
import oracles_io as made

# pydicom warns when such tags are written.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Invalid value for VR"),
    pytest.mark.filterwarnings("ignore:The value length"),
    pytest.mark.filterwarnings("ignore:A value of type"),
]

#: A small scan takes nearly nothing: whatever is above this is the bomb.
MEMORY_MB, SECONDS = 400, 60


@pytest.fixture(autouse=True)
def no_hang():
    """End a test that hangs."""

    def stop(*_):
        pytest.fail(f"took over {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def memory_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


@pytest.fixture
def bounded(command, tmp_path):
    """Run `series --csv` and `run`, within the bounds of memory."""

    def call(folder: Path):
        reset = Path("/proc/self/clear_refs")
        if not os.access(reset, os.W_OK):
            pytest.skip("needs Linux, to see the peak of memory")
        command("series", folder)
        before = memory_mb("VmRSS")
        reset.write_text("5")
        listed = command("series", folder, "--csv")
        ran = command("run", folder, "--out", tmp_path / "out")
        assert memory_mb("VmHWM") - before < MEMORY_MB
        for ended in (listed, ran):
            assert "internal error" not in ended.err
            assert "E_INTERNAL" not in ended.err + ended.out
            assert "Traceback" not in ended.err
        return listed, ran

    return call


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def cases(tmp_path: Path) -> list[dict[str, str]]:
    return rows((tmp_path / "out" / "cases.csv").read_text())


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (hostile.rle_bomb, "E_PIXELS"),
        (hostile.jpeg_ls_bomb, "E_PIXELS"),
        (hostile.jpeg_2000_bomb, "E_PIXELS"),
        (hostile.liars, "E_PIXELS"),
        (hostile.huge, "E_PIXELS"),
        (hostile.deep, "E_MISSING_SLICES"),
        (hostile.deflated_bomb, "E_MISSING_SLICES"),
    ],
)
def test_a_bomb_is_refused_in_little_memory(bounded, tmp_path, make, code):
    make(tmp_path / "in")
    listed, ran = bounded(tmp_path / "in")
    (row,) = rows(listed.out)
    (case,) = cases(tmp_path)
    assert (case["status"], case["code"]) == ("failed", code)
    assert ran.status == 3
    assert row["chosen"] == ("true" if row["code"] == "OK" else "false")


def test_a_zip_bomb_is_not_unpacked(bounded, tmp_path):
    hostile.zip_bomb(tmp_path / "in")
    listed, _ = bounded(tmp_path / "in")
    assert [row["slices"] for row in rows(listed.out)] == ["19"]


def test_a_zip_writes_nowhere_and_its_names_are_not_used(bounded, tmp_path):
    hostile.zip_slip(tmp_path / "in")
    before = set(tmp_path.parent.rglob("*"))
    listed, _ = bounded(tmp_path / "in")
    new = set(tmp_path.parent.rglob("*")) - before
    assert all(tmp_path / "out" in (path, *path.parents) for path in new)
    (row,) = rows(listed.out)
    assert (row["source"], row["slices"]) == ("scan.zip", "19")


def test_links_pipes_and_what_cannot_be_read_are_passed_by(bounded, tmp_path):
    hostile.traps(made.write(tmp_path / "in").parent / "in")
    listed, _ = bounded(tmp_path / "in")
    (row,) = rows(listed.out)
    assert (row["slices"], row["chosen"]) == ("19", "true")


def test_twenty_thousand_files_are_gone_through(command, tmp_path):
    hostile.many(tmp_path / "in")
    listed = command("series", tmp_path / "in", "--csv")
    sound = [row for row in rows(listed.out) if row["chosen"] == "true"]
    assert [(row["source"], row["slices"]) for row in sound] == [("ct", "19")]


def holds_no_controls(text: str) -> None:
    harmful = [c for c in text if not (c.isprintable() or c.isspace() or c == "\xad")]
    assert not harmful, harmful[:5]


def holds_no_formula(text: str) -> None:
    for row in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "@", "\t", "\r")) for cell in row), row


def outputs(folder: Path) -> list[Path]:
    """Every file of text."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if path.suffix not in (".gz", ".webp")]


@pytest.mark.parametrize("kind", ["names", "tags"])
def test_names_and_tags_come_out_harmless(bounded, command, tmp_path, kind):
    if kind == "names":
        hostile.names(tmp_path / "in")
    else:
        oracles_cli.write_series(tmp_path / "in" / "a", **hostile.TAGS)
    listed, ran = bounded(tmp_path / "in")
    table = command("series", tmp_path / "in").out
    assert len(rows(listed.out)) == 1
    for text in (listed.out, table, ran.out.replace(str(tmp_path), ""), ran.err):
        holds_no_controls(text)
    holds_no_formula(listed.out)
    written = outputs(tmp_path / "out")
    assert written
    for path in written:
        text = path.read_text("utf-8")
        holds_no_controls(text)
        if path.suffix == ".csv":
            holds_no_formula(text)
        if path.suffix == ".html":
            assert hostile.MARKUP not in text
        assert str(path.relative_to(tmp_path)).isascii()
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"in", "out"}
