"""What several commands share: messages, options, output."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from miliary.errors import EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from miliary.config import Config


class Parser(argparse.ArgumentParser):
    """A parser that leaves with the status and the sentence of the contract."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and leave.

        Parameters
        ----------
        message : str
            What argparse found.
        """
        self.print_usage(sys.stderr)
        say(f"{message}; see `{self.prog} --help`", kind="error")
        raise SystemExit(EXIT_USAGE)


def say(message: str, *, kind: str = "") -> None:
    """Tell the user something on standard error.

    Parameters
    ----------
    message : str
        A sentence.
    kind : str
        `error`, `warning`, or nothing.
    """
    print(f"miliary: {kind}: {message}" if kind else f"miliary: {message}", file=sys.stderr)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--set`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a TOML file that names what differs"
    )
    # One word a --set: `--set a.b=1 INPUT` must not swallow the input.
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="table.key=value",
        dest="overrides",
        help="change one setting; may be given more than once",
    )


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the inputs and `--allow`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="a folder (any depth, many patients), DICOM files, a DICOMDIR tree, a zip, NIfTI, "
        "NRRD or MHA",
    )
    parser.add_argument(
        "--allow",
        default="",
        metavar="missing,variable,tilt",
        help="resample series with missing slices, uneven distances or gantry tilt instead of "
        "refusing them; their cases are stamped as degraded",
    )


def load_options(args: argparse.Namespace) -> Config:
    """Read the configuration that the options ask for.

    Parameters
    ----------
    args : argparse.Namespace
        With `config` and `overrides`, and with `allow` and `viewer` where the command has them.

    Returns
    -------
    Config
        The effective one.
    """
    from miliary.config import load_config
    from miliary.config.reading import ALLOWED

    allowed = [word.strip() for word in getattr(args, "allow", "").split(",") if word.strip()]
    for word in allowed:
        if word not in ALLOWED:
            raise UsageError(f"--allow must be any of {', '.join(ALLOWED)}, got {word!r}")
    overrides = [f"read.allow={json.dumps(allowed)}"] if allowed else []
    if getattr(args, "viewer", False):
        overrides.append("report.viewer=true")
    return load_config(args.config, [*overrides, *args.overrides])


def check_inputs(inputs: list[Path]) -> None:
    """Refuse a command line that names a path which does not exist.

    Parameters
    ----------
    inputs : list of Path
        As given.

    Raises
    ------
    UsageError
        Naming the first that does not exist.
    """
    for path in inputs:
        if not path.exists():
            raise UsageError(
                f"an input must be a folder or a file, got {path}, which does not exist; "
                "check the path"
            )


@contextlib.contextmanager
def output_folder(folder: Path) -> Iterator[Path]:
    """Make a folder, and take it away again when nothing was put into it.

    Parameters
    ----------
    folder : Path
        May exist.

    Yields
    ------
    Path
        The folder.

    Raises
    ------
    UsageError
        Where it cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UsageError(
            f"the output must be a folder that can be written to, got {folder}: {error.strerror}"
        ) from error
    finally:
        # An empty folder promises results that are none; `rmdir` spares one with something in it.
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


@contextlib.contextmanager
def data_only_on_stdout() -> Iterator[None]:
    """Send to standard error what libraries and their processes print on standard output.

    Yields
    ------
    None
        Meanwhile file descriptor 1 is the one of standard error; child processes inherit it.
    """
    sys.stdout.flush()
    # Compiled libraries and child processes write to the descriptor, not to `sys.stdout`.
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def align(rows: list[list[str]]) -> str:
    """Lay out a table with aligned columns.

    Parameters
    ----------
    rows : list of list of str
        The first is the heading; cells without line breaks.

    Returns
    -------
    str
        One line a row; the last column is not padded.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
