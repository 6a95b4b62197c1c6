"""Compare the nodules found in a case with known ones."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miliary.cli.common import align
from miliary.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from miliary.arrays import FloatArray
    from miliary.score import Score

#: Centres farther apart than this do not belong together: below the 2.5 mm at which two nodules
#: must stay two, and above the error of place of a nodule of 3 mm.
_REACH_MM = 1.5

_PLACES = ("x_mm", "y_mm", "z_mm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `miliary score`.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the command.
    """
    parser.add_argument("case", type=Path, metavar="CASE", help="a case folder of `miliary run`")
    parser.add_argument(
        "truth",
        type=Path,
        metavar="TRUTH",
        help="a table with x_mm, y_mm, z_mm, diameter_mm, or a folder of `miliary phantom`",
    )
    parser.add_argument(
        "--reach",
        type=float,
        default=_REACH_MM,
        metavar="MM",
        help="largest distance of two centres that belong together (%(default)s mm)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(args: argparse.Namespace) -> int:
    """Run `miliary score`.

    Parameters
    ----------
    args : argparse.Namespace
        As parsed.

    Returns
    -------
    int
        Exit status.
    """
    if not args.reach > 0:
        raise UsageError(f"--reach must be above 0, got {args.reach}")
    facts = score_case(args.case, args.truth, args.reach)
    if args.json:
        print(json.dumps(facts, indent=1))
    else:
        flat = {key: value for key, value in facts.items() if key != "by_size"}
        print(align([[key, "-" if value is None else str(value)] for key, value in flat.items()]))
        print(align(_size_rows(facts["by_size"])))
    return EXIT_DONE


def score_case(case: Path, truth: Path, reach_mm: float = _REACH_MM) -> dict[str, Any]:
    """Compare a case folder with a truth table.

    Parameters
    ----------
    case : Path
        A case folder.
    truth : Path
        The table, or the folder that holds it as `truth.csv`.
    reach_mm : float
        Largest distance of centres that belong together.

    Returns
    -------
    dict
        Plain numbers by name; None where unknown.

    Raises
    ------
    UsageError
        Where one of the two is not what it must be.
    """
    from miliary.score import score

    summary = _summary(case)
    found = _table(case / "nodules.csv")
    known = _table(truth / "truth.csv" if truth.is_dir() else truth)
    lungs = [lung for lung in (summary.get("lungs") or {}).values() if lung]
    litres = sum(lung.get("volume_ml") or 0.0 for lung in lungs) / 1000
    result = score(*found, *known, reach_mm=reach_mm, lung_litres=litres or None)
    return {
        "miliary": (summary.get("miliary") or {}).get("flag"),
        "pattern": (summary.get("pattern") or {}).get("label"),
        "lung_litres": _rounded(litres or None),
    } | _facts(result)


def _facts(result: Score) -> dict[str, Any]:
    names = ("sensitivity", "false_per_litre", "place_mm", "size_bias_mm", "size_sd_mm")
    return {
        "true": result.n_true,
        "found": result.n_found,
        "matched": len(result.matches),
        **{name: _rounded(getattr(result, name)) for name in names},
        "by_size": [
            {
                "above_mm": group.low_mm,
                "to_mm": group.high_mm,
                "true": group.n,
                "found": group.found,
                "sensitivity": _rounded(group.sensitivity),
            }
            for group in result.by_size
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _size_rows(groups: list[dict[str, Any]]) -> list[list[str]]:
    heading = ["above_mm", "to_mm", "true", "found", "sensitivity"]
    return [heading, *([str(group[name]) for name in heading] for group in groups)]


def _summary(case: Path) -> dict[str, Any]:
    from miliary.io.case_places import SUMMARY, is_case_folder

    if not is_case_folder(case):
        raise UsageError(
            f"CASE must be a case folder of `miliary run`, got {case}; "
            "name the folder that holds summary.json"
        )
    summary: dict[str, Any] = json.loads((case / SUMMARY).read_text("utf-8"))
    return summary


def _table(path: Path) -> tuple[FloatArray, FloatArray]:
    """Read places (N, 3) and diameters (N,)."""
    import numpy as np

    from miliary.io.tables import numbers, read_csv

    try:
        columns = read_csv(path)
        values = [numbers(columns[name]) for name in (*_PLACES, "diameter_mm")]
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(
            f"a table of nodules must have x_mm, y_mm, z_mm and diameter_mm, got {path}: "
            f"{type(error).__name__} {error}"
        ) from error
    return np.stack(values[:3], axis=1), values[3]
