"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
