"""The tables and the page of a whole run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import miliary
from miliary.case_folder import is_case_folder
from miliary.cli.case import CASE_COLUMNS
from miliary.errors import CaseFolderError, UsageError
from miliary.io.series import series_columns
from miliary.io.tables import read_csv, write_csv, write_json
from miliary.report import THUMBNAIL, render_index

if TYPE_CHECKING:
    from miliary.io.series import SeriesInfo

#: The version of BIDS whose words `dataset_description.json` uses.
_BIDS_VERSION = "1.9.0"


class CaseTable:
    """`cases.csv` as it grows; rows of earlier runs whose case folder is there stay in it.

    Parameters
    ----------
    out : Path
        The output folder.
    cases : sequence of str
        The cases of this run, in the order of their rows.

    Raises
    ------
    UsageError
        Where the folder holds a `cases.csv` of something else.
    """

    def __init__(self, out: Path, cases: Sequence[str]) -> None:
        self._out, self._order = out, list(cases)
        self._rows: dict[str, dict[str, Any]] = {}
        before = _old_rows(out / "cases.csv")
        if any("status" not in row or "case" not in row for row in before):
            raise UsageError(
                f"the output folder must be new or one of `miliary run`, got {out}, which holds "
                "another cases.csv; name another --out"
            )
        self.before = {row["case"]: row for row in before}

    def add(self, row: dict[str, Any]) -> None:
        """Add the row of a case and write the table.

        Parameters
        ----------
        row : dict
            `CASE_COLUMNS`.
        """
        if row["seconds"] is None and row["status"] != "failed":
            # A case that was kept took its time in an earlier run.
            row = row | {"seconds": self.before.get(row["case"], {}).get("seconds")}
        self._rows[row["case"]] = row
        self._write()

    def mine(self) -> list[dict[str, Any]]:
        """Give the rows of this run, in order.

        Returns
        -------
        list of dict
            `CASE_COLUMNS`; only cases that are done or failed by now.
        """
        return [self._rows[case] for case in self._order if case in self._rows]

    def rows(self) -> list[dict[str, Any]]:
        """Give all rows: those of this run first, then those that stay.

        Returns
        -------
        list of dict
            `CASE_COLUMNS`.
        """
        return self.mine() + [
            row
            for case, row in self.before.items()
            if case not in self._rows and is_case_folder(self._out / case)
        ]

    def _write(self) -> None:
        rows = self.rows()
        columns = {name: [row.get(name) for row in rows] for name in CASE_COLUMNS}
        _write_whole(self._out / "cases.csv", columns)


def write_tables(out: Path, table: CaseTable, infos: Sequence[SeriesInfo]) -> None:
    """Write `series.csv`, `index.html` and `dataset_description.json`.

    Parameters
    ----------
    out : Path
        The output folder, with its `cases.csv`.
    table : CaseTable
        All rows.
    infos : sequence of SeriesInfo
        Every series found.
    """
    columns = series_columns(infos)
    seen, kept = set(columns["study"]), {row["case"] for row in table.rows()}
    old = _old_rows(out / "series.csv")
    studies = {row.get("study") for row in old if row.get("case") in kept}
    stays = [row for row in old if row.get("study") in studies - seen]
    _write_whole(
        out / "series.csv",
        {name: [*cells, *(row.get(name) for row in stays)] for name, cells in columns.items()},
    )
    rows = _old_rows(out / "cases.csv")
    page = render_index(rows, title="Cases", thumbnails=_thumbnails(out, rows))
    _replace(out / "index.html", lambda path: path.write_text(page, encoding="utf-8"))
    _replace(out / "dataset_description.json", lambda path: write_json(path, _description()))


def _thumbnails(out: Path, rows: Sequence[dict[str, str]]) -> dict[str, bytes]:
    """Read the small picture of each case that has one."""
    paths = {row["case"]: out / row["case"] / THUMBNAIL for row in rows if row["case"]}
    return {case: path.read_bytes() for case, path in paths.items() if path.is_file()}


def _description() -> dict[str, Any]:
    return {
        "Name": "Micronodules and their distribution in chest CT",
        "BIDSVersion": _BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "miliary", "Version": miliary.__version__}],
    }


def _old_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    columns = read_csv(path)
    cells = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in cells]


def _write_whole(path: Path, columns: dict[str, list[Any]]) -> None:
    _replace(path, lambda partial: write_csv(partial, columns))


def _replace(path: Path, write: Any) -> None:
    """Write a file beside its place and put it there: a reader never sees half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(partial)
        os.replace(partial, path)
    except OSError as error:
        raise CaseFolderError(
            f"{path.name} must be writable, got {error.strerror}; free some space and go on with "
            "--resume"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
