"""The command line with an analysis that takes no time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import miliary.analyze  # noqa: F401 - so that it can be replaced
import oracles_cli
from miliary import case_folder
from miliary.cli import run
from miliary.cli.main import main


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
        status = main([str(word) for word in words])
        return Ended(status, *capfd.readouterr())

    return call


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Analyse without analysing, here and in workers."""
    monkeypatch.setattr(sys.modules["miliary.analyze"], "analyze", oracles_cli.fake_analyze)
    monkeypatch.setattr(case_folder, "render_report", oracles_cli.fake_page)
    monkeypatch.setattr(run, "run_case", oracles_cli.fake_run_case)


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
