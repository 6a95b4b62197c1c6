"""`cases.csv` as it grows, on the disk and not in memory."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from miliary.cohort.rows import CASE_COLUMNS
from miliary.errors import CaseFolderError, UsageError
from miliary.io.case_places import PROVENANCE, replace_file
from miliary.io.tables import format_row, iterate_csv, parse_row

#: `cases.csv` is written anew only when this many times the duration of that has passed, so that
#: a run of 100,000 cases does not spend its time on it; the journal has what it lacks.
_REST = 50

_HEADING = format_row({name: name for name in CASE_COLUMNS}, CASE_COLUMNS).encode()


class CaseTable:
    """`cases.csv` as it grows; rows of earlier runs stay in it, as long as their case is there.

    Rows go to a journal beside it as they come, each on the disk before the next; whatever ends
    the run, the next one takes up what the journal holds.

    Parameters
    ----------
    path : Path
        The table.
    cases : sequence of str
        The cases of this run, in the order of their rows.

    Raises
    ------
    UsageError
        Where the table is one of something else.
    """

    def __init__(self, path: Path, cases: Sequence[str]) -> None:
        self.path = path
        self._journal_path = path.with_name(f".{path.name}.journal")
        self._order = {case: index for index, case in enumerate(cases)}
        self._places: dict[str, tuple[int, int]] = {}
        self._mine: set[str] = set()
        self._written, self._took = float("-inf"), 0.0
        with tell_full_disk(path):
            replace_file(self._journal_path, self._take_over)
            self._journal = self._journal_path.open("r+b")
        self._journal.seek(0, os.SEEK_END)

    def _take_over(self, path: Path) -> None:
        """Copy what earlier runs have left; where a case comes twice, the later row counts."""
        with path.open("wb") as file:
            file.write(_HEADING)
            for row in chain(_rows(self.path), _rows(self._journal_path)):
                case = row["case"]
                # Rows of what neither is asked for now nor has left a folder are of another input.
                if case in self._order or (self.path.parent / case / PROVENANCE).is_file():
                    self._append(file, row)

    def _append(self, file: BinaryIO, row: Mapping[str, Any]) -> None:
        line = format_row(row, CASE_COLUMNS).encode()
        self._places[row["case"]] = file.tell(), len(line)
        file.write(line)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add the row of a case.

        Parameters
        ----------
        row : dict
            `CASE_COLUMNS`.
        """
        with tell_full_disk(self.path):
            self._append(self._journal, row)
            self._journal.flush()
            # A case that was told as done must stay so after a power cut.
            os.fsync(self._journal.fileno())
        self._mine.add(row["case"])
        if time.monotonic() - self._written > _REST * self._took:
            self.write()

    def earlier(self, case: str) -> dict[str, str]:
        """Give the row that a case has so far.

        Parameters
        ----------
        case : str
            Its name.

        Returns
        -------
        dict
            Empty where it has none.
        """
        if case not in self._places:
            return {}
        (row,) = self._read([case])
        return row

    def mine(self) -> Iterator[dict[str, str]]:
        """Read the rows of this run back, in order.

        Yields
        ------
        dict
            Only cases that are done or failed by now.
        """
        yield from self._read(case for case in self._order if case in self._mine)

    def write(self) -> None:
        """Write `cases.csv`: rows of this run first, then those that stay."""
        started = time.monotonic()
        order = sorted(self._places, key=lambda case: self._order.get(case, len(self._order)))

        def copy(path: Path) -> None:
            with path.open("wb") as file, self._journal_path.open("rb") as journal:
                file.write(_HEADING)
                for case in order:
                    offset, length = self._places[case]
                    journal.seek(offset)
                    file.write(journal.read(length))

        with tell_full_disk(self.path):
            replace_file(self.path, copy)
        self._written = time.monotonic()
        self._took = self._written - started

    def close(self, *, write: bool) -> None:
        """Write `cases.csv` for the last time; the journal goes.

        Parameters
        ----------
        write : bool
            Whether there is anything to write.
        """
        if write:
            self.write()
        self._journal.close()
        self._journal_path.unlink(missing_ok=True)

    def _read(self, cases: Iterable[str]) -> Iterator[dict[str, str]]:
        with self._journal_path.open("rb") as journal:
            for case in cases:
                offset, length = self._places[case]
                journal.seek(offset)
                yield parse_row(journal.read(length).decode(), CASE_COLUMNS)


@contextlib.contextmanager
def tell_full_disk(path: Path) -> Iterator[None]:
    """Turn what the system says of a file that cannot be written into a sentence.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    None
        Meanwhile.

    Raises
    ------
    CaseFolderError
        Instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise CaseFolderError(
            f"{path.name} must be writable, got {error.strerror}; free some space and go on with "
            "--resume"
        ) from error


def _rows(path: Path) -> Iterator[dict[str, str]]:
    for row in iterate_csv(path):
        if "status" not in row or "case" not in row:
            raise UsageError(
                f"the output folder must be new or one of `miliary run`, got {path.parent}, which "
                f"holds another {path.name}; name another --out"
            )
        yield row
