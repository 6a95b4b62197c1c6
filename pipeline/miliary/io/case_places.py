"""Case folders from outside: whether one is whole, what a dead process left, how one appears."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

SUMMARY, PROVENANCE, REPORT = "summary.json", "provenance.json", "report.html"
THUMBNAIL = "thumbnail.webp"

#: The columns of `rinds.csv`, in their order.
RIND_COLUMNS = ("lung", "x_mm", "y_mm", "z_mm", "thickness_mm")

#: What `provenance.json` says for a folder to be one of ours.
TOOL = "miliary"

#: Hidden name beside a case folder: of which case, new or old, of which process.
_PARTIAL = re.compile(r"\.(?P<case>.+)\.(?P<kind>new|old)-(?P<pid>\d+)-[0-9a-f]{8}")


def is_case_folder(folder: Path) -> bool:
    """Tell whether a folder is a whole case that this tool wrote.

    Parameters
    ----------
    folder : Path
        Any path.

    Returns
    -------
    bool
        True where its provenance says so.
    """
    return bool(read_provenance(folder))


def read_provenance(folder: Path) -> dict[str, Any]:
    """Read the provenance of a case folder.

    Parameters
    ----------
    folder : Path
        Any path.

    Returns
    -------
    dict
        Empty where the folder is none of ours.
    """
    try:
        found = json.loads((folder / PROVENANCE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(found, dict) and found.get("tool") == TOOL
    return found if ours else {}


def partial_name(folder: Path, kind: str) -> Path:
    """Name a hidden folder beside a case folder.

    Parameters
    ----------
    folder : Path
        The case folder.
    kind : str
        `new` while it is filled, `old` for what it takes the place of.

    Returns
    -------
    Path
        It tells the process, and is like no other.
    """
    return folder.with_name(f".{folder.name}.{kind}-{os.getpid()}-{uuid.uuid4().hex[:8]}")


def swap_in(partial: Path, folder: Path) -> None:
    """Put a new folder in its place, on the disk whole before it can be seen.

    Parameters
    ----------
    partial : Path
        The new one, beside its place.
    folder : Path
        Its place; what is there stays until the new one stands.
    """
    for path in partial.iterdir():
        sync(path)
    sync(partial)
    old = partial_name(folder, "old")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(old)
    try:
        partial.rename(folder)
    except BaseException:
        # Where another worker, given up for lost, has put its result there meanwhile: let it be.
        if not is_case_folder(folder):
            if old.exists():
                old.rename(folder)
            raise
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and put it there: nobody ever sees half of it.

    Parameters
    ----------
    path : Path
        The file.
    write : callable
        Writes to the path that it is given.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(partial)
        sync(partial)
        os.replace(partial, path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(folder: Path, *, cases: Container[str], pid: int | None = None) -> None:
    """Remove what killed processes left half-written beside case folders.

    Parameters
    ----------
    folder : Path
        The output folder. An older result that one had moved away, and put nothing in place of,
        goes back.
    cases : container of str
        Names of the case folders.
    pid : int or None
        The process; any unless given.
    """
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            match = _PARTIAL.fullmatch(entry.name)
            if match is None or match["case"] not in cases or pid not in (None, int(match["pid"])):
                continue
            place, partial = folder / match["case"], Path(entry.path)
            if match["kind"] == "old" and not place.exists() and is_case_folder(partial):
                partial.rename(place)
            else:
                shutil.rmtree(partial, ignore_errors=True)


def sync(path: Path) -> None:
    """Force a file or folder to the disk, so that a power cut finds it whole.

    Parameters
    ----------
    path : Path
        It exists.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
