"""How a setting is declared: a dataclass field that carries its unit, source and meaning.

The dataclasses are the schema and the one home of every limit and default. `configs/default.toml`
is written from them by `miliary config`, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(default: Any, doc: str, *, unit: str = "", source: str = "") -> Any:
    """Declare a setting of a configuration section.

    Parameters
    ----------
    default : bool, int, float, str or tuple of these
        Its default; the type that a user's value must have follows from the annotation.
    doc : str
        What it means, in one line.
    unit : str
        Unit, where it has one.
    source : str
        Where the number comes from: a reference, or a measurement of ours and where it is told.

    Returns
    -------
    dataclasses.Field
        For use in a frozen dataclass.
    """
    return field(default=default, metadata={"doc": doc, "unit": unit, "source": source})
