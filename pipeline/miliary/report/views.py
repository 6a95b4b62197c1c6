"""What the page shows, made ready for its template: nothing here computes a result anew."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from miliary.analysis import Analysis
from miliary.config import Config
from miliary.findings import Criterion, Curve, Sensitivity, Share, ZoneDensity
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
)
from miliary.report.words import text as plain

#: Ratios that the ends of the ratio plot stand for: four times fewer, four times more.
_RATIO_REACH = 4.0
_LUNG_ORDER = {"both": 0, "right": 1, "left": 2}
_ZONE_ORDER = {"upper": 0, "middle": 1, "lower": 2}
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


@dataclass(frozen=True)
class Bar:
    """A ratio with its interval, as places on a logarithmic scale from 0 to 100.

    Parameters
    ----------
    at, low, high : float
        Places; 50 is a ratio of 1.
    """

    at: float
    low: float
    high: float


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
        Fact("Median diameter", _unit(size.median_mm, "mm"), quartiles),
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


def _unit(value: float | None, unit: str) -> str:
    return f"{number(value)} {unit}" if is_known(value) else "–"


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


def ratio_bar(share: Share) -> Bar | None:
    """Place a ratio and its interval on the ratio plot.

    Parameters
    ----------
    share : Share
        Observed beside expected.

    Returns
    -------
    Bar or None
        Clipped to the scale; None where there is no ratio.
    """
    if not is_known(share.ratio) or share.ratio is None:
        return None
    low = share.low if is_known(share.low) else share.ratio
    high = share.high if is_known(share.high) else share.ratio
    return Bar(_ratio_place(share.ratio), _ratio_place(low), _ratio_place(high))


def _ratio_place(ratio: float | None) -> float:
    if not ratio or ratio <= 0:
        return 0.0
    place = 50 * (1 + math.log(ratio) / math.log(_RATIO_REACH))
    return round(min(max(place, 0.0), 100.0), 1)


def ordered_zones(zones: Sequence[ZoneDensity]) -> list[tuple[ZoneDensity, float]]:
    """Order zones by lung and height, each with the length of its bar.

    Parameters
    ----------
    zones : sequence of ZoneDensity
        Any order.

    Returns
    -------
    list of (ZoneDensity, float)
        Length from 0 to 100 of the densest zone.
    """
    top = max((zone.per_l or 0 for zone in zones if is_known(zone.per_l)), default=0)
    ordered = sorted(
        zones, key=lambda zone: (_LUNG_ORDER.get(zone.lung, 9), _ZONE_ORDER.get(zone.zone, 9))
    )
    return [
        (zone, round(100 * (zone.per_l or 0) / top, 1) if top and is_known(zone.per_l) else 0.0)
        for zone in ordered
    ]


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
    name = {"L": "L(r) minus r", "G": "nearest-neighbour function G(r)"}.get(
        curve.function, f"distances to {curve.function}"
    )
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


def acquisition_rows(analysis: Analysis) -> list[tuple[str, str]]:
    """List how the scan was made, and how good it is.

    Parameters
    ----------
    analysis : Analysis
        One case.

    Returns
    -------
    list of (name, value)
        Technical facts only; dashes where the headers are silent.
    """
    made, quality, geometry = (
        analysis.volume.acquisition,
        analysis.quality,
        analysis.volume.geometry,
    )
    blur = " × ".join(number(width, 3) for width in quality.psf_fwhm_mm)
    origin = "measured in this scan" if quality.psf_estimated else "configured, not measured"
    spacing = " × ".join(number(step, 3) for step in geometry.spacing_mm)
    return [
        ("Voxels (z, y, x)", " × ".join(str(n) for n in geometry.shape)),
        ("Spacing (z, y, x)", f"{spacing} mm"),
        ("Slice thickness", _unit(made.slice_thickness_mm, "mm")),
        ("Kernel", plain(made.kernel)),
        ("Scanner", " ".join(filter(None, (made.manufacturer, made.model))) or "–"),
        ("Tube voltage", _unit(made.kvp, "kV")),
        ("Exposure", _unit(made.exposure_mas, "mAs")),
        ("Contrast agent", plain(made.contrast_agent)),
        ("Noise in the lungs", _unit(quality.noise_hu, "HU")),
        ("Point spread, full width at half maximum (z, y, x)", f"{blur} mm, {origin}"),
    ]


def parameter_rows(config: Config) -> list[tuple[str, str, str, str]]:
    """List every setting with its value and meaning.

    Parameters
    ----------
    config : Config
        What the analysis was made with.

    Returns
    -------
    list of (name, value, unit, meaning)
        In the order of the sections.
    """
    return [
        (
            f"{section.name}.{item.name}",
            plain(getattr(getattr(config, section.name), item.name)),
            str(item.metadata.get("unit", "")),
            str(item.metadata.get("doc", "")),
        )
        for section in fields(config)
        for item in fields(getattr(config, section.name))
    ]


def flat_rows(facts: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Lay a nested mapping out as rows.

    Parameters
    ----------
    facts : mapping
        Values may be mappings, sequences, numbers, text or None.
    prefix : str
        Put before every name.

    Returns
    -------
    list of (name, value)
        Nested names joined by dots.
    """
    rows = []
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += flat_rows(value, f"{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            rows += flat_rows({str(i): item for i, item in enumerate(value, 1)}, f"{name}.")
        else:
            rows.append((name, plain(value)))
    return rows
