"""The example scripts of the documentation run as they stand, and say what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "examples"

#: What each prints and writes.
PROMISED = {
    "01_one_scan": (
        "miliary: present; pattern: random",
        ["01_one_scan.png", "one-scan/report.html"],
    ),
    "02_patterns": ("random: ", ["02_patterns.png"]),
    "03_points": ("in pairs: p 0.005, crowded True", ["03_points.png"]),
    "04_batch": ("exit status 0", ["batch/cases.csv", "batch/index.html"]),
}


def test_every_example_is_tried():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
def test_an_example_runs(name, tmp_path):
    done = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", tmp_path],
        env={**os.environ, "MPLBACKEND": "Agg"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    says, files = PROMISED[name]
    assert says in done.stdout
    for file in files:
        # A table of two cases is some 300 bytes; every picture and page is far larger.
        least = 200 if file.endswith(".csv") else 5000
        assert (tmp_path / file).stat().st_size > least, file
