"""Tables of a benchmark: printed, and kept in `benchmarks/results/` for the validation page.

A benchmark makes one `Results`, adds its tables, and calls `keep` at the end of a run that counts
(`--keep` of its command line). What is kept says how it was made: command, commit, versions.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
LIBRARIES = ("numpy", "scipy", "scikit-image", "SimpleITK", "pydicom")


@dataclass
class Results:
    """What one part of a benchmark measured.

    Parameters
    ----------
    name : str
        Name of the file, such as `detection-sensitivity`.
    says : str
        One or two sentences: what was measured, on what.
    """

    name: str
    says: str
    tables: list[dict[str, object]] = field(default_factory=list)

    def table(self, title: str, heads: list[str], rows: list[list[str]], note: str = "") -> None:
        """Print a table, and remember it with what must be said of it."""
        print_table(title, heads, rows)
        if note:
            print(note)
        self.tables.append({"title": title, "heads": heads, "rows": rows, "note": note})

    def asked(self, rows: list[tuple[str, str, str, bool]]) -> None:
        """Add what was asked of this part: what, the limit, what was measured, and whether met."""
        told = [[*words, "yes" if met else "**no**"] for *words, met in rows]
        self.table("What was asked", ["what", "asked", "measured", "met"], told)

    def keep(self) -> Path:
        """Write `benchmarks/results/NAME.json`."""
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{self.name}.json"
        content = {"name": self.name, "says": self.says, "made": made(), "tables": self.tables}
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        return path


def made() -> dict[str, object]:
    """Say how this run was made."""
    command = ["scripts/bench", Path(sys.argv[0]).stem, *sys.argv[1:]]
    commit = ("git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*")
    told = subprocess.run(commit, capture_output=True, text=True, cwd=FOLDER.parent, check=False)
    return {
        "command": shlex.join(command),
        "commit": told.stdout.strip(),
        "day": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def print_table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    """Print rows under their heads, as Markdown."""
    print(f"\n{title}\n")
    widths = [max(len(str(row[k])) for row in [heads, *rows]) for k in range(len(heads))]
    for row in [heads, ["-" * width for width in widths], *rows]:
        cells = [str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("| " + " | ".join(cells) + " |", flush=True)
