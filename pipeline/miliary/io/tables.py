"""Tables and plain data: CSV, JSON, and markups for 3D Slicer."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from miliary.arrays import AnyArray
from miliary.nodules import Nodules

#: Decimals of a column by the end of its name; other floats keep six significant digits.
_DECIMALS = {"_mm": 3, "_hu": 1, "_ml": 2, "seconds": 1}
_SIGNIFICANT = 6

#: A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)


def write_csv(path: str | Path, columns: Mapping[str, AnyArray | Sequence[Any]]) -> Path:
    """Write a table; NaN and None become empty cells.

    Parameters
    ----------
    path : path
        The file.
    columns : mapping of str to (N,) array or sequence
        Columns by name, all of one length.

    Returns
    -------
    Path
        The file.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns must be of one length, got {lengths}")
    # As a list: one by one, numbers of an array are made in ten times the time.
    plain = ((n, v.tolist() if isinstance(v, np.ndarray) else v) for n, v in columns.items())
    cells = [[_cell(value, name) for value in values] for name, values in plain]
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*cells, strict=True))
    return Path(path)


def read_csv(path: str | Path) -> dict[str, list[str]]:
    """Read a table as text, as `write_csv` or a spreadsheet wrote it.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of str to list of str
        Columns by name; empty cells are empty text. A guard before a formula is taken off.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        rows = [[_unguarded(cell) for cell in row] for row in reader if row]
    return {name: [row[i] if i < len(row) else "" for row in rows] for i, name in enumerate(names)}


def format_row(row: Mapping[str, Any], names: Iterable[str]) -> str:
    """Format one row as `write_csv` does, in one line.

    Parameters
    ----------
    row : mapping of str to value
        Cells by column; what is missing is empty.
    names : iterable of str
        The columns.

    Returns
    -------
    str
        With its line break at the end, and none within.
    """
    text = io.StringIO()
    cells = [_cell(row.get(name), name) for name in names]
    csv.writer(text, lineterminator="\n").writerow([" ".join(c.splitlines()) for c in cells])
    return text.getvalue()


def parse_row(line: str, names: Sequence[str]) -> dict[str, str]:
    """Read one row of `format_row` back.

    Parameters
    ----------
    line : str
        One line.
    names : sequence of str
        The columns.

    Returns
    -------
    dict of str to str
        Cells by column.
    """
    (cells,) = csv.reader([line])
    return dict(zip(names, map(_unguarded, cells), strict=True))


def iterate_csv(path: str | Path) -> Iterator[dict[str, str]]:
    """Read a table row by row, for tables that may be long.

    Parameters
    ----------
    path : path
        The file; where there is none, there are no rows.

    Yields
    ------
    dict of str to str
        Cells by column, as `read_csv` gives them. A last line without its line break, of a
        process that was killed while it wrote, is left out.
    """
    if not Path(path).is_file():
        return
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(line for line in file if line.endswith("\n"))
        names = next(reader, [])
        for row in reader:
            if row:
                yield dict(zip(names, map(_unguarded, row), strict=False))


def numbers(cells: Iterable[str]) -> AnyArray:
    """Turn the cells of a column into numbers.

    Parameters
    ----------
    cells : iterable of str
        As read by `read_csv`.

    Returns
    -------
    (N,) float
        NaN for empty cells.
    """
    return np.array([float(cell) if cell else np.nan for cell in cells], float)


def write_json(path: str | Path, data: Any) -> Path:
    """Write plain data; NaN, infinities and None become null.

    Parameters
    ----------
    path : path
        The file.
    data : mapping, sequence, array, str, number or None
        Nested as wanted; numbers are rounded as in tables, by the name of their key.

    Returns
    -------
    Path
        The file.
    """
    text = json.dumps(_plain(data, ""), indent=1, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")
    return Path(path)


def write_markups(path: str | Path, nodules: Nodules) -> Path:
    """Write the centres of nodules as markups that 3D Slicer opens over the scan.

    Parameters
    ----------
    path : path
        Ends in `.mrk.json`.
    nodules : Nodules
        One control point each; its label is the nodule's number, its description the size.

    Returns
    -------
    Path
        The file.
    """
    points = [
        {
            "id": str(number),
            "label": str(number),
            "description": _size_text(float(diameter)),
            "position": [round(float(value), 3) for value in point],
            "positionStatus": "defined",
            "selected": True,
            "locked": True,
            "visibility": True,
        }
        for number, point, diameter in zip(
            range(1, len(nodules) + 1), nodules.points_mm, nodules.diameter_mm, strict=True
        )
    ]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "labelFormat": "%N",
        "controlPoints": points,
    }
    # Without indents: those cost ten times the time, and Slicer does not need them.
    text = json.dumps({"@schema": _MARKUPS_SCHEMA, "markups": [markup]}, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")
    return Path(path)


def _size_text(diameter_mm: float) -> str:
    return f"{diameter_mm:.2f} mm" if math.isfinite(diameter_mm) else ""


def _cell(value: Any, name: str) -> str:
    plain = _scalar(value, name)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    text = str(plain)
    return f"'{text}" if isinstance(plain, str) and text.startswith(_FORMULA) else text


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _plain(data: Any, name: str) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _plain(value, str(key)) for key, value in data.items()}
    if isinstance(data, np.ndarray):
        data = data.tolist()
    if isinstance(data, list | tuple):
        return [_plain(value, name) for value in data]
    return _scalar(data, name)


def _scalar(value: Any, name: str) -> bool | int | float | str | None:
    """Give a value as plain Python, floats rounded, what is not finite as None."""
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, float):
        return value if value is None or isinstance(value, bool | int | str) else str(value)
    if not math.isfinite(value):
        return None
    decimals = _decimals(name)
    if decimals is None:
        return float(f"{value:.{_SIGNIFICANT}g}") + 0.0
    return round(value, decimals) + 0.0


@functools.lru_cache
def _decimals(name: str) -> int | None:
    return next((n for end, n in _DECIMALS.items() if name.endswith(end)), None)
