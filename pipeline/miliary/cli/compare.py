"""Say what changed between scans of one patient."""

from __future__ import annotations

import argparse
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from miliary.cli.common import (
    add_config_options,
    check_inputs,
    data_only_on_stdout,
    load_options,
    say,
)
from miliary.cli.compare_inputs import CASES, case_folders
from miliary.cli.run import Options
from miliary.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from miliary.compare import Comparison
    from miliary.config import Config

#: What a comparison writes.
FILES = ("comparison.json", "changes.csv", "comparison.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary compare`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    parser.add_argument(
        "earlier",
        type=Path,
        metavar="EARLIER",
        help="a case folder, or a folder of DICOM (or anything `miliary run` takes), which is "
        "analysed first",
    )
    parser.add_argument(
        "later",
        nargs="+",
        type=Path,
        metavar="LATER",
        help="the same of the same patient, later; where days are known, they give the order",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="new, empty, or of this command"
    )
    parser.add_argument(
        "--days", default="", metavar="N,N,...", help="day of each scan, in the order given"
    )
    parser.add_argument(
        "--force", action="store_true", help="compare although the headers name other patients"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="scans analysed side by side (%(default)s)"
    )
    add_config_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run `miliary compare`.

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
    inputs, days = [args.earlier, *args.later], _days(args.days)
    check_inputs(inputs)
    check_folder(args.out)
    # Results of the same scan, configuration and version are kept.
    folders = case_folders(inputs, args.out, config, Options(jobs=args.jobs, resume=True))
    found, page = _compared(folders, inputs, days, config, force=args.force)
    write_comparison(args.out, found, page)
    _tell(found)
    print(args.out)
    return EXIT_DONE


def _days(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise UsageError(f"--days must be whole numbers, got {text!r}; such as 0,60,120") from error


def _compared(
    folders: list[Path], inputs: list[Path], days: list[int], config: Config, *, force: bool
) -> tuple[Comparison, str]:
    """Compare case folders; gives the page as well."""
    from miliary.compare import compare
    from miliary.compare.order import check_one_patient, in_order
    from miliary.io.align_cases import align_cases
    from miliary.io.cases import read_case
    from miliary.io.views import read_views
    from miliary.report.comparison import render_comparison

    cases = [read_case(folder) for folder in folders]
    doubt = check_one_patient(cases, force=force)
    ordered, rank, note = in_order(cases, days)
    folders = [folders[k] for k in rank]
    found = compare(ordered, config.compare)
    warnings = tuple(text for text in (doubt, note) if text)
    found, aligned = align_cases(
        replace(found, warnings=(*warnings, *found.warnings)), folders, config.compare
    )
    scans = [path for path in inputs if path not in folders]
    with data_only_on_stdout():
        views = read_views(folders, scans, aligned, config.read)
    return found, render_comparison(found, views, config.report)


def _tell(found: Comparison) -> None:
    for warning in found.warnings:
        say(warning, kind="warning")
    for number, (case, day) in enumerate(zip(found.cases, found.days, strict=True), start=1):
        extent = f" ({case.extent})" if case.extent else ""
        when = "" if day is None else f", day {day}"
        print(
            f"Scan {number}: {case.name}{when}, miliary {case.flag}{extent}, "
            f"pattern {case.pattern}."
        )
    for part in (found.lungs, found.rinds, found.alignments):
        for item in part:
            if item.sentence:
                print(item.sentence)


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than a comparison.

    Parameters
    ----------
    folder : Path
        The folder to write to.

    Raises
    ------
    UsageError
        Where it is a file, or holds something that this command did not write.
    """
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if (folder.exists() and not folder.is_dir()) or held - {*FILES, CASES}:
        raise UsageError(
            f"--out must be new, empty, or the folder of an earlier comparison, got {folder}, "
            "which holds something else; name another"
        )


def write_comparison(folder: Path, comparison: Comparison, page: str) -> None:
    """Write the files of a comparison; none is replaced before all are written.

    Parameters
    ----------
    folder : Path
        New, empty, or one that holds nothing but an earlier comparison, which is replaced.
    comparison : Comparison
        What to write.
    page : str
        The page for readers.

    Raises
    ------
    UsageError
        Where the folder holds something else, or cannot be written.
    """
    from miliary.io.tables import write_csv, write_json

    folder = folder.resolve()
    check_folder(folder)
    partial = folder.with_name(f".{folder.name}.new-{uuid.uuid4().hex[:8]}")
    try:
        partial.mkdir(parents=True)
        write_json(partial / FILES[0], comparison.to_dict())
        write_csv(partial / FILES[1], comparison.columns())
        (partial / FILES[2]).write_text(page, "utf-8")
        folder.mkdir(exist_ok=True)
        for name in FILES:
            (partial / name).replace(folder / name)
    except OSError as error:
        raise UsageError(f"--out must be writable, got {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
