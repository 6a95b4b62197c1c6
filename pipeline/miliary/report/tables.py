"""The tables of the page, row by row: regions, preferences, anatomy, acquisition, parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from miliary.analysis import Analysis
from miliary.anatomy import LOBES, ZONES, Lung
from miliary.config import Config
from miliary.findings import Preference, Share, ZoneDensity
from miliary.report.words import is_known, number, percent, with_unit
from miliary.report.words import text as plain

#: Ratios that the ends of the ratio plot stand for: four times fewer, four times more.
_RATIO_REACH = 4.0
_LUNG_ORDER = {"both": 0, "right": 1, "left": 2}
_REGION_ORDER = {name: place for place, name in enumerate((*ZONES, *LOBES))}
#: Below and above which value nodules lie where the probability is under or over a half.
_ENDS = {
    "pleura": ("near the pleura", "far from the pleura"),
    "fissure": ("near fissures", "far from fissures"),
    "vessel": ("near vessels", "far from vessels"),
    "height": ("in the lower lung", "in the upper lung"),
    "depth": ("in front", "behind"),
    "side": ("on the left", "on the right"),
}


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


def ratio_bar(ratio: float | None, low: float | None, high: float | None) -> Bar | None:
    """Place a ratio and its interval on the ratio plot.

    Parameters
    ----------
    ratio, low, high : float or None
        Observed over expected, with its interval.

    Returns
    -------
    Bar or None
        Clipped to the scale; None where there is no ratio.
    """
    if ratio is None or not is_known(ratio):
        return None
    ends = (low if is_known(low) else ratio, high if is_known(high) else ratio)
    return Bar(_ratio_place(ratio), _ratio_place(ends[0]), _ratio_place(ends[1]))


def _ratio_place(ratio: float | None) -> float:
    if not ratio or ratio <= 0:
        return 0.0
    place = 50 * (1 + math.log(ratio) / math.log(_RATIO_REACH))
    return round(min(max(place, 0.0), 100.0), 1)


def share_rows(shares: Sequence[Share]) -> list[tuple[Share, Bar | None]]:
    """Give the shells, each with its ratio on the ratio plot.

    Parameters
    ----------
    shares : sequence of Share
        In the order to be shown.

    Returns
    -------
    list of (Share, Bar or None)
        None where there is no ratio.
    """
    return [(share, ratio_bar(share.ratio, share.low, share.high)) for share in shares]


def region_rows(regions: Sequence[ZoneDensity]) -> list[tuple[ZoneDensity, Bar | None]]:
    """Order zones or lobes, each with its ratio on the ratio plot.

    Parameters
    ----------
    regions : sequence of ZoneDensity
        Any order.

    Returns
    -------
    list of (ZoneDensity, Bar or None)
        By lung, from the head down; None where there is no ratio.
    """
    ordered = sorted(
        regions,
        key=lambda item: (_LUNG_ORDER.get(item.lung, 9), _REGION_ORDER.get(item.zone, 99)),
    )
    return [(item, ratio_bar(item.ratio, item.ratio_low, item.ratio_high)) for item in ordered]


def preference_rows(found: Sequence[Preference]) -> list[tuple[Preference, Bar | None, str]]:
    """Give each preference with its place on a scale from 0 to 1, and in words.

    Parameters
    ----------
    found : sequence of Preference
        In the order to be shown.

    Returns
    -------
    list of (Preference, Bar or None, str)
        None where it is not known.
    """
    return [(item, _auc_bar(item), _preference_words(item)) for item in found]


def _auc_bar(item: Preference) -> Bar | None:
    if item.auc is None or not is_known(item.auc):
        return None
    ends = [end if end is not None else item.auc for end in (item.low, item.high)]
    at, low, high = (round(100 * value, 1) for value in (item.auc, *ends))
    return Bar(at, low, high)


def _preference_words(item: Preference) -> str:
    if item.low is None or item.high is None:
        return "not assessable"
    below, above = _ENDS.get(item.covariate, ("at low values", "at high values"))
    if item.low > 0.5:
        return f"more {above}"
    return f"more {below}" if item.high < 0.5 else "no preference shown"


def lung_rows(analysis: Analysis) -> list[tuple[Lung, str]]:
    """Give each lung with its rind in words.

    Parameters
    ----------
    analysis : Analysis
        One case.

    Returns
    -------
    list of (Lung, str)
        Thickness of the rind: mean, and the middle half over the surface; `none` without one.
    """
    rows = []
    for lung in analysis.anatomy.lungs:
        rind = next((r for r in analysis.anatomy.rinds if r.side == lung.side), None)
        words = "none" if lung.rind_mm is None else f"{number(lung.rind_mm, 2)} mm"
        if rind is not None and len(rind.thickness_mm):
            first, third = np.percentile(rind.thickness_mm, [25, 75])
            words += f" ({number(first, 2)} to {number(third, 2)})"
        rows.append((lung, words))
    return rows


def fissure_rows(analysis: Analysis) -> list[tuple[str, str, str, str, str]]:
    """Tell how well each fissure is seen.

    Parameters
    ----------
    analysis : Analysis
        One case.

    Returns
    -------
    list of (name, confidence, share seen, area, used)
        Every fissure that was looked for.
    """
    least = analysis.config.fissures.min_confidence
    return [
        (
            fissure.name.replace("_", " "),
            f"{fissure.confidence:.2f}",
            percent(fissure.completeness),
            f"{number(fissure.area_cm2)} cm²",
            plain(fissure.confidence >= least),
        )
        for fissure in analysis.anatomy.fissures
    ]


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
        ("Slice thickness", with_unit(made.slice_thickness_mm, "mm")),
        ("Kernel", plain(made.kernel)),
        ("Scanner", " ".join(filter(None, (made.manufacturer, made.model))) or "–"),
        ("Tube voltage", with_unit(made.kvp, "kV")),
        ("Exposure", with_unit(made.exposure_mas, "mAs")),
        ("Contrast agent", plain(made.contrast_agent)),
        ("Noise in the lungs", with_unit(quality.noise_hu, "HU")),
        ("Point spread, full width at half maximum (z, y, x)", f"{blur} mm, {origin}"),
        (
            "Nodules are measured through",
            f"{number(quality.nodule_blur, 3)} times as wide a spread",
        ),
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
