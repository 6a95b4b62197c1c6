"""Parts of a cohort, for array jobs: which cases are whose, and their tables joined."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from miliary.cohort.rows import CASE_COLUMNS
from miliary.errors import UsageError
from miliary.io.case_places import replace_file
from miliary.io.tables import format_row, iterate_csv

if TYPE_CHECKING:
    from miliary.io.series import SeriesInfo

_NAME = re.compile(r"cases\.(\d+)-of-(\d+)\.csv")


@dataclass(frozen=True, order=True)
class Shard:
    """One of several parts of a cohort.

    Parameters
    ----------
    index, n : int
        Which, from 1, of how many.
    """

    index: int = 1
    n: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `i/n`.

        Parameters
        ----------
        text : str
            As given with `--shard`.

        Returns
        -------
        Shard
            The part.

        Raises
        ------
        UsageError
            Where it is none.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"--shard must be i/n with i from 1 to n, got {text!r}")
        return cls(int(match[1]), int(match[2]))

    def holds(self, info: SeriesInfo) -> bool:
        """Tell whether a series is of this part.

        Parameters
        ----------
        info : SeriesInfo
            Any.

        Returns
        -------
        bool
            The same for all series of a study. It does not depend on what else there is: a scan
            that arrives between the starts of two parts moves no other.
        """
        # Not `hash()`, which differs from process to process.
        digest = hashlib.blake2b(info.study_key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.n == self.index - 1

    def name(self, name: str) -> str:
        """Name a file of this part.

        Parameters
        ----------
        name : str
            As of a whole run.

        Returns
        -------
        str
            `cases.2-of-8.csv` for `cases.csv`.
        """
        stem, dot, end = name.partition(".")
        return name if self.n == 1 else f"{stem}.{self.index}-of-{self.n}{dot}{end}"


def find_shards(out: Path) -> tuple[Shard, ...]:
    """Find the parts whose tables are in an output folder.

    Parameters
    ----------
    out : Path
        The folder.

    Returns
    -------
    tuple of Shard
        All of them, in order.

    Raises
    ------
    UsageError
        Where there are none, or some are missing, or they are parts of different divisions.
    """
    matches = [_NAME.fullmatch(path.name) for path in out.iterdir()]
    found = sorted(Shard(int(match[1]), int(match[2])) for match in matches if match)
    if not found:
        raise UsageError(
            f"the folder must hold what `miliary run --shard` wrote, got {out}, which has no "
            "cases.1-of-n.csv"
        )
    n = {shard.n for shard in found}
    if len(n) > 1:
        raise UsageError(
            f"all parts must be of one division, got parts of {', '.join(map(str, sorted(n)))}; "
            "remove the tables of the wrong one"
        )
    missing = sorted(set(range(1, found[0].n + 1)) - {shard.index for shard in found})
    if missing:
        raise UsageError(
            f"all {found[0].n} parts must have run, got none of {', '.join(map(str, missing))}; "
            "run them and merge again"
        )
    return tuple(found)


def merge_cases(out: Path, shards: Sequence[Shard]) -> None:
    """Join the tables of cases of all parts, in the order that one run would give.

    Parameters
    ----------
    out : Path
        The output folder.
    shards : sequence of Shard
        The parts.
    """
    _merge(out, "cases.csv", CASE_COLUMNS, shards)


def merge_series(out: Path, shards: Sequence[Shard]) -> None:
    """Join the tables of series of all parts.

    Parameters
    ----------
    out : Path
        The output folder.
    shards : sequence of Shard
        The parts.
    """
    first = next(_rows(out, "series.csv", shards), {})
    _merge(out, "series.csv", tuple(first), shards)


def _merge(out: Path, name: str, columns: Sequence[str], shards: Sequence[Shard]) -> None:
    def write(path: Path) -> None:
        seen: set[tuple[str, ...]] = set()
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(format_row({column: column for column in columns}, columns))
            for row in _rows(out, name, shards):
                # Of a case of two parts (their inputs differed) the first row counts.
                key = (row["case"],) if name == "cases.csv" else tuple(row.values())
                if key not in seen:
                    seen.add(key)
                    file.write(format_row(row, columns))

    replace_file(out / name, write)


def _rows(out: Path, name: str, shards: Sequence[Shard]) -> Iterator[dict[str, str]]:
    tables = [iterate_csv(out / shard.name(name)) for shard in shards]
    return heapq.merge(*tables, key=lambda row: (row.get("source", ""), row.get("case", "")))
