"""Numbers and labels as a reader sees them: what is not known is a dash, never `nan`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from miliary.analysis.summary import outside_envelope
from miliary.findings import Curve

DASH = "–"
UNKNOWN = "not assessable"

_EXTENTS = {"bilateral": "both lungs", "right": "right lung", "left": "left lung"}
_HEADLINES = {
    "present": "Miliary pattern present",
    "absent": "No miliary pattern",
    "indeterminate": "Indeterminate",
    "not_assessable": "Not assessable",
}
#: What lying above or below the envelope means, for each function that the page shows.
_MEANINGS = {
    "L": ("more close pairs than at random", "fewer close pairs than at random"),
    "K": ("more close pairs than at random", "fewer close pairs than at random"),
    "g": ("more pairs so far apart than at random", "fewer pairs so far apart than at random"),
    "F": ("smaller gaps between nodules than at random", "larger gaps than at random"),
    "J": ("spread more evenly than at random", "more clustered than at random"),
    "kmm": ("near nodules larger than the average", "near nodules smaller than the average"),
    "G": ("nearest neighbours closer than at random", "nearest neighbours farther than at random"),
    "pleura": ("closer to the pleura than expected", "farther from the pleura than expected"),
    "fissure": ("closer to the fissures than expected", "farther from the fissures than expected"),
    "vessel": ("closer to vessels than expected", "farther from vessels than expected"),
}


def is_known(value: Any) -> bool:
    """Tell whether a value is a finite number.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    bool
        False for None, NaN, infinity and what is no number.
    """
    return isinstance(value, int | float | np.number) and math.isfinite(value)


def number(value: Any, digits: int = 3) -> str:
    """Write a number with so many significant digits, and at least all of its whole part.

    Parameters
    ----------
    value : float or None
        Any number.
    digits : int
        Significant digits.

    Returns
    -------
    str
        The number with a true minus sign; a dash where it is not known.
    """
    if not is_known(value):
        return DASH
    value = float(value)
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else _zeros(value)
    text = f"{value:,.{max(digits - whole, 0)}f}"
    if "." in text and abs(value) < 1e6 and float(value).is_integer():
        text = text.rstrip("0").rstrip(".")
    return text.replace(",", "\u202f").replace("-", "−")


def _zeros(value: float) -> int:
    """Count, as a negative number, the zeros after the point; at most 4, then digits end."""
    return 0 if value == 0 else max(math.floor(math.log10(abs(value))) + 1, -4)


def short(value: Any) -> str:
    """Write a number with up to three significant digits and no trailing zeros.

    Parameters
    ----------
    value : float or None
        A limit or a setting, which is exact as it stands.

    Returns
    -------
    str
        The number; a dash where it is not known.
    """
    written = number(value)
    return written.rstrip("0").rstrip(".") if "." in written else written


def ratio(value: Any) -> str:
    """Write a ratio.

    Parameters
    ----------
    value : float or None
        The ratio.

    Returns
    -------
    str
        Two decimals; a dash where it is not known.
    """
    return f"{float(value):.2f}" if is_known(value) else DASH


def percent(value: Any) -> str:
    """Write a share as a percentage.

    Parameters
    ----------
    value : float or None
        Share, 0 to 1.

    Returns
    -------
    str
        Whole percent; one decimal below 10 percent; a dash where it is not known.
    """
    if not is_known(value):
        return DASH
    share = 100 * float(value)
    # The blank is a no-break one: a sign alone on a line is hard to read.
    return f"{share:.0f}\u00a0%" if share >= 9.95 or share == 0 else f"{share:.1f}\u00a0%"


def p_value(value: Any) -> str:
    """Write a p-value.

    Parameters
    ----------
    value : float or None
        The p-value.

    Returns
    -------
    str
        Two or three decimals, `< 0.001` below that; a dash where it is not known.
    """
    if not is_known(value):
        return DASH
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def interval(low: Any, high: Any, write: Callable[[Any], str] = number) -> str:
    """Write an interval.

    Parameters
    ----------
    low, high : float or None
        Its ends.
    write : callable
        How to write each of them: `number`, `percent` or `ratio`.

    Returns
    -------
    str
        `low to high`; a dash where neither is known.
    """
    if not (is_known(low) or is_known(high)):
        return DASH
    return f"{write(low)} to {write(high)}"


def with_unit(value: Any, unit: str) -> str:
    """Write a number with its unit.

    Parameters
    ----------
    value : float or None
        Any number.
    unit : str
        Its unit.

    Returns
    -------
    str
        A dash alone where the number is not known.
    """
    return f"{number(value)} {unit}" if is_known(value) else DASH


def text(value: Any) -> str:
    """Write any value of a table of parameters or provenance.

    Parameters
    ----------
    value : object
        Text, number, truth value, sequence or None.

    Returns
    -------
    str
        A dash for what is not known or empty.
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value or DASH
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(text(item) for item in value) or DASH
    if isinstance(value, float | np.floating):
        return f"{value:.6g}" if math.isfinite(value) else DASH
    return DASH if value is None else str(value)


def label(name: str | None) -> str:
    """Write a label of the tables as words.

    Parameters
    ----------
    name : str or None
        A label such as `not_assessable`.

    Returns
    -------
    str
        With blanks for underscores; a dash for nothing.
    """
    return name.replace("_", " ") if name else DASH


def headline(flag: str, extent: str | None) -> str:
    """Say the verdict in a few words.

    Parameters
    ----------
    flag : str
        Flag of the verdict.
    extent : str or None
        Its extent.

    Returns
    -------
    str
        `Miliary pattern present, both lungs` and the like.
    """
    where = _EXTENTS.get(extent or "", extent)
    words = _HEADLINES.get(flag, label(flag))
    return f"{words}, {where}" if where else words


def describe_curve(curve: Curve) -> str:
    """Say where a curve leaves its envelope, and what that means.

    Parameters
    ----------
    curve : Curve
        Observed values with their envelope.

    Returns
    -------
    str
        One sentence.
    """
    above, below = _MEANINGS.get(curve.function, ("more than expected", "less than expected"))
    over, under = outside_envelope(curve)
    if not np.isfinite(curve.observed).any():
        return f"{UNKNOWN.capitalize()}."
    if not (np.isfinite(curve.low) & np.isfinite(curve.high)).any():
        return "No envelope."
    parts = [
        f"{meaning} ({side} the envelope at {_places(runs)})"
        for meaning, side, runs in ((above, "above", over), (below, "below", under))
        if runs
    ]
    if not parts:
        return "Inside its envelope throughout."
    sentence = "; ".join(parts)
    return sentence[0].upper() + sentence[1:] + "."


def _places(runs: list[list[float]]) -> str:
    """Name the widest three ranges in mm."""
    widest = sorted(sorted(runs, key=lambda run: run[0] - run[1])[:3])
    places = [short(a) if a == b else f"{short(a)} to {short(b)}" for a, b in widest]
    return ", ".join(places) + " mm"
