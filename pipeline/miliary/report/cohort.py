"""The page of many cases: what failed first, then what was found, each row sortable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from miliary import __version__
from miliary.report.templating import content_security_policy, environment
from miliary.report.uris import data_uri

_STATUS_ORDER = {"failed": 0, "degraded": 1, "ok": 2}
_FLAGS = ("present", "indeterminate", "absent", "not_assessable")


def render_index(
    rows: Sequence[Mapping[str, str]], *, title: str, thumbnails: Mapping[str, bytes] | None = None
) -> str:
    """Write the page of a cohort.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of `cases.csv`; a missing cell counts as empty.
    title : str
        Heading of the page.
    thumbnails : mapping of str to bytes, or None
        Small WebP pictures by case; they become part of the page.

    Returns
    -------
    str
        A complete HTML page beside the case folders, to whose reports it links. Paths of the
        input are left to `cases.csv`: they often hold names.
    """
    cases = [_case(row, (thumbnails or {}).get(str(row.get("case")))) for row in rows]
    cases.sort(key=lambda case: (_STATUS_ORDER.get(case["status"], 0), case["case"]))
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            policy=content_security_policy("style.css", "sort.js"),
            version=__version__,
            title=title,
            failed=[case for case in cases if case["status"] == "failed"],
            cases=[case for case in cases if case["status"] != "failed"],
            counts=_counts(cases),
            pictured=any(case["thumbnail"] for case in cases),
        )
    )


def _case(row: Mapping[str, str], thumbnail: bytes | None) -> dict[str, Any]:
    names = (
        "case", "status", "code", "message", "miliary", "pattern", "nodules",
        "density_per_l", "diameter_median_mm", "diameter_cv", "seconds",
    )  # fmt: skip
    case: dict[str, Any] = {name: str(row.get(name) or "") for name in names}
    case["thumbnail"] = data_uri(thumbnail, "image/webp") if thumbnail else ""
    # Quoted whole: a case can be neither a scheme nor a way out of the folder.
    case["href"] = f"./{quote(case['case'], safe='')}/report.html"
    for name in ("nodules", "density_per_l", "diameter_median_mm", "diameter_cv", "seconds"):
        case[name] = _number(case[name])
    return case


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _counts(cases: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Count cases, flags and failures, leaving out flags that nobody has."""
    flags = Counter(case["miliary"] for case in cases if case["status"] != "failed")
    status = Counter(case["status"] for case in cases)
    named = [(flag, flags[flag]) for flag in _FLAGS if flags[flag]]
    return [
        ("cases", len(cases)),
        *named,
        *((name, status[name]) for name in ("degraded", "failed") if status[name]),
    ]
