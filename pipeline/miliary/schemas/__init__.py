"""The layout of the files of a result, for whoever reads them: JSON schema and CSV on the Web."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

__all__ = ["NAMES", "load_schema"]

#: What is described: `summary.json` by JSON schema (draft 2020-12), the tables of a case folder,
#: an output folder and a comparison by CSVW.
NAMES = {
    "summary": "summary.schema.json",
    "case": "case.csvw.json",
    "cohort": "cohort.csvw.json",
    "comparison": "comparison.csvw.json",
}


def load_schema(name: str = "summary") -> dict[str, Any]:
    """Load the description of a file.

    Parameters
    ----------
    name : str
        `summary` for `summary.json`; `case` for the tables of a case folder, `cohort` for those
        beside the case folders, `comparison` for that of `miliary compare`.

    Returns
    -------
    dict
        A JSON schema (draft 2020-12) or a table group of CSV on the Web.

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, got {name!r}")
    text = resources.files(__package__).joinpath(NAMES[name]).read_text("utf-8")
    described: dict[str, Any] = json.loads(text)
    return described
