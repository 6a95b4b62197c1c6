"""Say what changed between scans of one patient."""

from __future__ import annotations

import argparse
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from miliary.cli.common import add_config_options, check_inputs, load_options, say
from miliary.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from miliary.compare import Comparison

#: What a folder of ours holds, and nothing else.
FILES = ("comparison.json", "changes.csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary compare`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    parser.add_argument("earlier", type=Path, metavar="EARLIER", help="the oldest case folder")
    parser.add_argument(
        "later",
        nargs="+",
        type=Path,
        metavar="LATER",
        help="case folders of the same patient, oldest first",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="new, empty, or of this command"
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
    folders = [args.earlier, *args.later]
    check_inputs(folders)
    from miliary.compare import compare
    from miliary.io.cases import read_case

    found = compare([read_case(folder) for folder in folders], config.compare)
    write_comparison(args.out, found)
    for warning in found.warnings:
        say(warning, kind="warning")
    for number, case in enumerate(found.cases, start=1):
        extent = f" ({case.extent})" if case.extent else ""
        print(f"Scan {number}: {case.name}, miliary {case.flag}{extent}, pattern {case.pattern}.")
    for lung in found.lungs:
        print(lung.sentence)
    print(args.out)
    return EXIT_DONE


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Write `comparison.json` and `changes.csv`; the folder appears whole or not at all.

    Parameters
    ----------
    folder : Path
        New, empty, or one that holds nothing but an earlier comparison, which is replaced.
    comparison : Comparison
        What to write.

    Raises
    ------
    UsageError
        Where the folder holds something else, or cannot be written.
    """
    from miliary.io.tables import write_csv, write_json

    folder = folder.resolve()
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if (folder.exists() and not folder.is_dir()) or held - set(FILES):
        raise UsageError(
            f"--out must be new, empty, or the folder of an earlier comparison, got {folder}, "
            "which holds something else; name another"
        )
    mark = uuid.uuid4().hex[:8]
    partial, old = (folder.with_name(f".{folder.name}.{kind}-{mark}") for kind in ("new", "old"))
    try:
        partial.mkdir(parents=True)
        write_json(partial / FILES[0], comparison.to_dict())
        write_csv(partial / FILES[1], comparison.columns())
        if held:
            folder.rename(old)
        try:
            # Takes the place of an empty folder as well.
            partial.replace(folder)
        except BaseException:
            if held:
                old.rename(folder)
            raise
    except OSError as error:
        raise UsageError(f"--out must be writable, got {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
