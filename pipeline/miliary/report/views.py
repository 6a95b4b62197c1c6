"""What the page shows, made ready for its template: nothing here computes a result anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from miliary.analysis import Analysis
from miliary.findings import Criterion, Curve, Sensitivity
from miliary.report.words import (
    describe_curve,
    interval,
    is_known,
    label,
    number,
    p_value,
    percent,
    ratio,
    short,
    with_unit,
)

_FUNCTIONS = {
    "K": "pair function K(r)",
    "L": "L(r) minus r",
    "g": "pair correlation g(r)",
    "G": "nearest-neighbour function G(r)",
    "F": "empty-space function F(r)",
    "J": "J(r)",
    "kmm": "mark correlation of the sizes",
}
_LUNG_ORDER = {"both": 0, "right": 1, "left": 2}
#: Diameter for which the sensitivity is named first: the limit of a micronodule.
_NAMED_MM = 2.0


@dataclass(frozen=True)
class Fact:
    """One of the few numbers at the top of the page.

    Parameters
    ----------
    name, value, remark : str
        What it is, how much, and what is to be known with it.
    """

    name: str
    value: str
    remark: str


@dataclass(frozen=True)
class Picture:
    """An image with the words that stand for it.

    Parameters
    ----------
    uri : str
        Data URI; empty where there is nothing to show.
    title, caption, alt : str
        Heading, sentence below, and what the image shows for who cannot see it.
    """

    uri: str
    title: str
    caption: str
    alt: str


def key_facts(analysis: Analysis) -> list[Fact]:
    """Choose the numbers that a reader wants first.

    Parameters
    ----------
    analysis : Analysis
        One case.

    Returns
    -------
    list of Fact
        Six of them, whether or not anything was found.
    """
    size, spatial = analysis.size, analysis.spatial
    n = len(analysis.accepted)
    litres = sum(lung.evaluable_ml for lung in analysis.anatomy.lungs) / 1000
    quartiles = interval(*size.iqr_mm) + " mm hold the middle half" if size.iqr_mm else ""
    spread = interval(size.cv_low, size.cv_high, percent)
    named = named_sensitivity(analysis.calibration.sensitivity)
    return [
        Fact("Nodules", number(n), f"in {number(litres, 2)} L of evaluable lung"),
        Fact("Per litre", number(n / litres if litres else None), "as found, not corrected"),
        Fact("Median diameter", with_unit(size.median_mm, "mm"), quartiles),
        Fact("Spread of size (CV)", percent(size.cv_corrected), _ends(spread)),
        Fact(
            "Random placement",
            _known(spatial.csr_p, f"p {_equals(spatial.csr_p)}"),
            f"Clark–Evans {ratio(spatial.clark_evans)}" if is_known(spatial.clark_evans) else "",
        ),
        Fact(
            f"Sensitivity at {short(named.diameter_mm if named else _NAMED_MM)} mm",
            percent(named.value if named else None),
            interval(named.low, named.high, percent) if named else "not calibrated",
        ),
    ]


def _known(value: float | None, words: str) -> str:
    return words if is_known(value) else "not assessable"


def _ends(words: str) -> str:
    return "" if words == "–" else f"{words}, error taken out"


def _equals(value: float | None) -> str:
    written = p_value(value)
    return written if written.startswith("<") else f"= {written}"


def named_sensitivity(rows: Sequence[Sensitivity]) -> Sensitivity | None:
    """Find the sensitivity to name first: over the whole lung, nearest to 2 mm.

    Parameters
    ----------
    rows : sequence of Sensitivity
        By region and diameter.

    Returns
    -------
    Sensitivity or None
        None where the scan was not calibrated.
    """
    whole = [row for row in rows if row.region == "all" and is_known(row.value)]
    return min(whole, key=lambda row: abs(row.diameter_mm - _NAMED_MM), default=None)


def summarise_criteria(criteria: Sequence[Criterion]) -> str:
    """Say in one sentence which criteria are met.

    Parameters
    ----------
    criteria : sequence of Criterion
        Those of the verdict.

    Returns
    -------
    str
        Counts, and the names of those that are not met or cannot be judged.
    """
    if not criteria:
        return "No criterion was judged."
    met = sum(item.met is True for item in criteria)
    parts = [f"{met} of {len(criteria)} criteria met"]
    for state, words in ((False, "not met"), (None, "not assessable")):
        names = [label(item.name) for item in criteria if item.met is state]
        if names:
            parts.append(f"{words}: {', '.join(names)}")
    return "; ".join(parts) + "."


def chosen_curves(curves: Sequence[Curve], functions: Sequence[str]) -> list[Curve]:
    """Find the curves of some functions, the two lungs together before each alone.

    Parameters
    ----------
    curves : sequence of Curve
        All of them.
    functions : sequence of str
        Names of the functions, in the order wanted.

    Returns
    -------
    list of Curve
        Those with any finite value.
    """
    ordered = sorted(curves, key=lambda curve: _LUNG_ORDER.get(curve.lung, 9))
    return [
        curve
        for function in functions
        for curve in ordered
        if curve.function == function and any(is_known(value) for value in curve.observed)
    ]


def curve_alt(curve: Curve) -> str:
    """Say in words what a panel with a curve shows.

    Parameters
    ----------
    curve : Curve
        The curve drawn.

    Returns
    -------
    str
        A sentence or two.
    """
    lung = {"both": "both lungs"}.get(curve.lung, f"{curve.lung} lung")
    name = _FUNCTIONS.get(curve.function, f"distances to {curve.function}")
    return f"{name}, {lung}: observed curve, expected curve and envelope. {describe_curve(curve)}"


def all_notes(analysis: Analysis) -> list[str]:
    """Gather the notes of every step, each sentence once.

    Parameters
    ----------
    analysis : Analysis
        One case.

    Returns
    -------
    list of str
        Sentences in the order of the steps, those of the whole analysis first.
    """
    groups: list[Iterable[str]] = [
        analysis.notes,
        analysis.volume.notes,
        analysis.anatomy.notes,
        *(lung.notes for lung in analysis.anatomy.lungs),
        (analysis.size.sentence,),
        analysis.spatial.notes,
    ]
    return list(dict.fromkeys(note for group in groups for note in group if note))
