"""Fixtures that every test may use."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import oracles_schema

_SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261121)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real scans and reference values; tests that need it are skipped without it."""
    if not _SHARED.is_dir():
        pytest.skip("needs ../shared")
    return _SHARED


@pytest.fixture(autouse=True)
def _summaries_are_as_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold every `summary.json` that a test writes against the schema in the package."""
    case_files = sys.modules.get("miliary.case_files")
    if case_files is None:
        return
    write_json = case_files.write_json

    def write_and_check(path: Path, data: object) -> Path:
        written: Path = write_json(path, data)
        if written.name == case_files.SUMMARY:
            oracles_schema.check_file(written)
        return written

    monkeypatch.setattr(case_files, "write_json", write_and_check)
