"""Fixtures: the command line with an analysis that takes no time, and small scans for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import oracles_cli
from miliary import case_folder
from miliary.cli import cohort as cohort_module
from miliary.cli.main import main
from miliary.cohort import attempt, case


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command in this process; what it prints is taken at the file descriptors."""

    def call(*words: object) -> Ended:
        capfd.readouterr()
        words = [str(word) for word in words]
        if words[:1] == ["run"] and "--jobs" not in words:
            # Here, where a test can put things in place of others.
            words += ["--jobs", "1"]
        status = main(words)
        return Ended(status, *capfd.readouterr())

    return call


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Analyse without analysing, here and in workers."""
    monkeypatch.setattr(case, "analyze", oracles_cli.fake_analyze)
    monkeypatch.setattr(case_folder, "render_report", oracles_cli.fake_page)
    monkeypatch.setattr(attempt, "call_apart", oracles_cli.call_here)
    monkeypatch.setattr(cohort_module, "run_apart", oracles_cli.fake_run_apart)


@pytest.fixture(scope="session")
def one_scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one series."""
    folder = tmp_path_factory.mktemp("one")
    oracles_cli.write_series(folder / "dicom")
    return folder


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients: two sound, one with a slice missing."""
    folder = tmp_path_factory.mktemp("cohort")
    for seed in (1, 2, 3):
        oracles_cli.write_series(folder / f"patient-{seed}", seed=seed)
    (folder / "patient-2" / "0010.dcm").unlink()
    return folder
