"""What goes beside `cases.csv` at the end of a run: series, page, description, Parquet."""

from __future__ import annotations

import heapq
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import miliary
from miliary.cohort.rows import CASE_COLUMNS
from miliary.cohort.tables import tell_full_disk
from miliary.errors import UsageError
from miliary.io.case_places import THUMBNAIL, is_case_folder, replace_file
from miliary.io.series import series_columns
from miliary.io.tables import format_row, iterate_csv, write_json
from miliary.report.cohort import render_index

if TYPE_CHECKING:
    from miliary.io.series import SeriesInfo

#: The version of BIDS whose words `dataset_description.json` uses.
_BIDS_VERSION = "1.9.0"

_STATUS_ORDER = {"failed": 0, "degraded": 1, "ok": 2}

#: Columns of `cases.csv` that are numbers.
_NUMBERS = ("nodules", "density_per_l", "diameter_median_mm", "diameter_cv", "seconds", "peak_mb")


def write_series_table(path: Path, infos: Sequence[SeriesInfo]) -> None:
    """Write `series.csv`; rows of earlier runs stay where their case is there.

    Parameters
    ----------
    path : Path
        The table.
    infos : sequence of SeriesInfo
        Every series found.
    """
    columns = series_columns(infos)
    seen = set(columns["study"])
    # Of an earlier study all series stay, if one of them became a case that is there.
    kept = {
        row["study"]
        for row in iterate_csv(path)
        if row.get("study", "") not in seen and is_case_folder(path.parent / row.get("case", ""))
    }

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(format_row({name: name for name in columns}, columns))
            for cells in zip(*columns.values(), strict=True):
                file.write(format_row(dict(zip(columns, cells, strict=True)), columns))
            for row in iterate_csv(path):
                if row.get("study") in kept:
                    file.write(format_row(row, columns))

    with tell_full_disk(path):
        replace_file(path, write)


def write_page(out: Path, *, most: int) -> None:
    """Write `index.html` and `dataset_description.json`.

    Parameters
    ----------
    out : Path
        The output folder, with its `cases.csv`.
    most : int
        Cases on the page; failed ones come first.
    """
    n_rows = sum(1 for _ in iterate_csv(out / "cases.csv"))
    numbered = enumerate(iterate_csv(out / "cases.csv"))
    first = heapq.nsmallest(
        most, numbered, key=lambda item: (_STATUS_ORDER.get(item[1]["status"], 0), item[0])
    )
    title = "Cases"
    if n_rows > most:
        title = f"{most} of {n_rows} cases, failed ones first; cases.csv has all"
    rows = [row for _, row in first]
    page = render_index(rows, title=title, thumbnails=_thumbnails(out, rows))
    with tell_full_disk(out / "index.html"):
        replace_file(out / "index.html", lambda path: path.write_text(page, encoding="utf-8"))
        replace_file(
            out / "dataset_description.json", lambda path: write_json(path, _description())
        )


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


def check_parquet() -> None:
    """Refuse to promise a table that cannot be written.

    Raises
    ------
    UsageError
        Where pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise UsageError(
            "--parquet needs the package pyarrow, got none; pip install 'miliary[parquet]'"
        )


def write_parquet(table: Path) -> Path:
    """Write `cases.parquet` beside `cases.csv`, block by block.

    Parameters
    ----------
    table : Path
        `cases.csv`.

    Returns
    -------
    Path
        The new table: numbers as numbers, empty cells as null.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    kinds = {name: pa.float64() if name in _NUMBERS else pa.string() for name in CASE_COLUMNS}
    options = csv.ConvertOptions(column_types=kinds, null_values=[""], strings_can_be_null=True)

    def write(path: Path) -> None:
        with (
            csv.open_csv(table, convert_options=options) as blocks,
            parquet.ParquetWriter(path, blocks.schema) as writer,
        ):
            for block in blocks:
                writer.write_batch(block)

    with tell_full_disk(table.with_suffix(".parquet")):
        replace_file(table.with_suffix(".parquet"), write)
    return table.with_suffix(".parquet")
