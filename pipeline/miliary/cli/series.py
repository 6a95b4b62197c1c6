"""List every series found, which one is chosen, and why (reads headers only)."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from miliary.cli.common import (
    add_config_options,
    add_reading_options,
    align,
    check_inputs,
    load_options,
)
from miliary.errors import EXIT_DONE

if TYPE_CHECKING:
    from miliary.io.series import SeriesInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary series`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    add_reading_options(parser)
    parser.add_argument("--csv", action="store_true", help="print series.csv instead of a table")
    add_config_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run `miliary series`.

    Parameters
    ----------
    args : argparse.Namespace
        As parsed.

    Returns
    -------
    int
        Exit status.
    """
    config = load_options(args)
    check_inputs(args.inputs)
    from miliary.io.series import find_inputs

    infos = find_inputs(args.inputs, config.read)
    sys.stdout.write(_csv(infos) if args.csv else align(_table(infos)) + "\n")
    return EXIT_DONE


def _csv(infos: tuple[SeriesInfo, ...]) -> str:
    from miliary.io.series import series_columns
    from miliary.io.tables import write_csv

    with tempfile.TemporaryDirectory() as folder:
        return write_csv(Path(folder) / "series.csv", series_columns(infos)).read_text("utf-8")


def _table(infos: tuple[SeriesInfo, ...]) -> list[list[str]]:
    rows = [
        ["chosen", "case", "source", "slices", "size", "spacing_mm", "kernel", "code", "reason"]
    ]
    for info in infos:
        spacing = " x ".join(f"{length:.4g}" for length in info.spacing_mm or ())
        rows.append(
            [
                "yes" if info.chosen else "no",
                info.case,
                info.source,
                str(info.n_slices),
                f"{info.rows} x {info.columns}",
                spacing or "-",
                info.kernel or "-",
                info.code,
                info.reason,
            ]
        )
    # A header may hold anything: no line breaks or control characters reach the terminal.
    return [["".join(c if c.isprintable() else " " for c in cell) for cell in row] for row in rows]
