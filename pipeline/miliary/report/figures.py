"""Charts of what was measured: curves, sizes, and how well this scan shows nodules."""

from __future__ import annotations

import numpy as np

from miliary.arrays import FloatArray
from miliary.findings import Calibration, Curve, Sensitivity, SizeSummary
from miliary.nodules import Nodules
from miliary.report.charts import (
    BLUE,
    GREY,
    INK,
    PALE,
    VERMILION,
    Band,
    Bars,
    Chart,
    Dash,
    Line,
    Mark,
    Marker,
    Rule,
)

_REGION_STYLES: tuple[tuple[str, Marker, Dash], ...] = (
    ("#d55e00", "s", "dashed"),
    ("#009e73", "^", "dashdot"),
    ("#cc79a7", "D", "dotted"),
    ("#56b4e9", "v", "dashed"),
    ("#a07a00", "P", "dashdot"),
    ("#7b3f9e", "s", "dotted"),
    ("#5a646e", "^", "dashed"),
    ("#2f6b2f", "D", "dashdot"),
)
_DISTANCES = {"pleura": "pleura", "fissure": "nearest fissure", "vessel": "nearest vessel"}
#: Interquartile ranges above the third quartile at which the histogram ends.
_TAIL = 6.0
_LABELS = {"L": "L(r) − r (mm)", "K": "K(r) / expected", "kmm": "k(r)"}
#: The whole of a share, with room for the line.
_SHARE = (-0.02, 1.02)


def curve_chart(curve: Curve) -> Chart:
    """Show a summary function beside its expectation and global envelope.

    Parameters
    ----------
    curve : Curve
        A distance distribution, L (shown as L(r) - r), K (over its expectation) or any other.

    Returns
    -------
    Chart
        What lies outside of the envelope is dotted.
    """
    r, observed, expected, low, high = _for_the_eye(curve)
    marks: list[Mark] = [
        Band(r, low, high, GREY, 0.4, "envelope"),
        Line(r, expected, INK, "dashed", label="expected"),
        Line(r, observed, BLUE, width=1.8, label="observed"),
    ]
    with np.errstate(invalid="ignore"):
        outside = (observed < low) | (observed > high)
    if outside.any():
        marks.append(Line(r[outside], observed[outside], VERMILION, "none", 0, "o", 3.2, "outside"))
    # In a distance distribution the lower right is free, in L(r) - r the corner that is far from
    # the curve is not known before.
    place = "lower right" if curve.function in {*_DISTANCES, "G"} else "best"
    if curve.function in _DISTANCES:
        where = f"distance to the {_DISTANCES[curve.function]} (mm)"
        return Chart(where, "share within", tuple(marks), _SHARE, legend=place)
    name = _LABELS.get(curve.function, f"{curve.function}(r)")
    return Chart("r (mm)", name, tuple(marks), legend=place)


def _for_the_eye(curve: Curve) -> tuple[FloatArray, ...]:
    """Give a curve as one can judge it: L(r) less r, K(r) over its expectation."""
    values = (curve.observed, curve.expected, curve.low, curve.high)
    if curve.function == "L":
        # L(r) of a random pattern is r itself.
        return curve.r_mm, *(value - curve.r_mm for value in values)
    if curve.function == "K":
        known = curve.expected > 0
        below = np.where(known, curve.expected, 1.0)
        return curve.r_mm, *(np.where(known, value / below, np.nan) for value in values)
    return curve.r_mm, *values


def size_chart(nodules: Nodules, size: SizeSummary) -> Chart:
    """Show the histogram of diameters beside the spread that measurement error alone would give.

    Parameters
    ----------
    nodules : Nodules
        Those that were measured.
    size : SizeSummary
        Their median.

    Returns
    -------
    Chart
        Empty where nothing was measured.
    """
    known = np.isfinite(nodules.diameter_mm)
    diameter, micro = nodules.diameter_mm[known], nodules.micronodule[known]
    if not len(diameter):
        return Chart("diameter (mm)", "nodules", counts=True, legend="")
    edges, beyond = _size_edges(diameter)
    shown = np.minimum(diameter, edges[-1])
    small, large = (np.histogram(shown[some], edges)[0].astype(float) for some in (micro, ~micro))
    most = float((small + large).max())
    marks = (
        Bars(edges, np.zeros_like(small), small, BLUE, False, "micronodules"),
        Bars(edges, small, small + large, PALE, True, "larger"),
        *_size_error(diameter, nodules.diameter_se_mm[known], size, edges),
    )
    curve = max((float(mark.y.max()) for mark in marks if isinstance(mark, Line)), default=0.0)
    return Chart(
        f"diameter (mm); last bar: {beyond} larger" if beyond else "diameter (mm)",
        "nodules",
        marks,
        # A curve of small errors towers over the bars; they are what the picture is about.
        (0.0, min(1.05 * max(most, curve), 1.5 * most)),
        counts=True,
        legend="upper right",
    )


def _size_edges(diameter_mm: FloatArray) -> tuple[FloatArray, int]:
    """Give bins of 0.1 mm or, where few nodules ask for it, wider ones, and how many lie beyond."""
    first, third = np.percentile(diameter_mm, [25, 75])
    width = max(0.1, 2 * (third - first) / len(diameter_mm) ** (1 / 3))
    # A vessel that passed for a nodule of 16 mm must not press all others into one bar.
    reach = max(third + _TAIL * (third - first), 1.5 * third)
    low, high = diameter_mm.min(), min(diameter_mm.max(), reach)
    width = max(width, (high - low) / 60)
    start = np.floor(low / width) * width
    edges: FloatArray = start + width * np.arange(np.ceil((high - start) / width) + 2)
    return edges, int(np.count_nonzero(diameter_mm > edges[-1]))


def _size_error(
    diameter: FloatArray, error: FloatArray, size: SizeSummary, edges: FloatArray
) -> list[Mark]:
    median = size.median_mm if size.median_mm is not None else float(np.median(diameter))
    marks: list[Mark] = [Rule(median, upright=True, label=f"median {median:.2f} mm")]
    error = error[np.isfinite(error) & (error > 0)]
    if len(error):
        at = np.linspace(edges[0], edges[-1], 200)
        # Equal nodules, each seen with its own error, would give this mixture of normal densities.
        spread = np.exp(-0.5 * ((at[:, None] - median) / error) ** 2) / error
        density = spread.mean(axis=1) / np.sqrt(2 * np.pi)
        count = density * len(diameter) * (edges[1] - edges[0])
        label = "equal nodules, error alone"
        marks.append(Line(at, count, VERMILION, width=1.5, label=label))
    return marks


def sensitivity_chart(calibration: Calibration) -> Chart:
    """Show the share of injected nodules that this scan gave back, by diameter and region.

    Parameters
    ----------
    calibration : Calibration
        What the injected nodules told.

    Returns
    -------
    Chart
        Empty where nothing was injected.
    """
    regions = list(dict.fromkeys(item.region for item in calibration.sensitivity))
    styles = iter(_REGION_STYLES * (len(regions) // len(_REGION_STYLES) + 1))
    marks: list[Mark] = []
    for region in sorted(regions, key=lambda name: name != "all"):
        rows = sorted(
            (item for item in calibration.sensitivity if item.region == region),
            key=lambda item: item.diameter_mm,
        )
        marks += _region_marks(region, rows, None if region == "all" else next(styles))
    legend = "best" if regions else ""
    return Chart("true diameter (mm)", "share found", tuple(marks), _SHARE, legend=legend)


def _region_marks(
    region: str, rows: list[Sensitivity], style: tuple[str, Marker, Dash] | None
) -> list[Mark]:
    diameter = np.array([item.diameter_mm for item in rows])
    value, low, high = (
        np.array([getattr(item, name) for item in rows], float) for name in ("value", "low", "high")
    )
    if style is not None:
        color, marker, dash = style
        return [Line(diameter, value, color, dash, 1, marker, 3.5, region)]
    label = "all, with 95 % interval"
    return [
        Band(diameter, low, high, BLUE, 0.18),
        Line(diameter, value, BLUE, width=1.8, marker="o", label=label),
    ]


def size_error_chart(calibration: Calibration) -> Chart:
    """Show bias and spread of the measured diameters against the true ones.

    Parameters
    ----------
    calibration : Calibration
        What the injected nodules told.

    Returns
    -------
    Chart
        Empty where nothing was injected.
    """
    bias, spread = dict(calibration.size_bias_mm), dict(calibration.size_sd_mm)
    diameter = np.array(sorted(set(bias) & set(spread)))
    error = np.array([bias[d] for d in diameter])
    sd = np.array([spread[d] for d in diameter])
    axes = "true diameter (mm)", "measured − true (mm)"
    marks: list[Mark] = [Rule(0.0, upright=False)]
    if not len(diameter):
        return Chart(*axes, tuple(marks), legend="")
    # Upright strokes are one line that breaks after each.
    breaks = np.full(len(diameter), np.nan)
    ends = np.column_stack([error - sd, error + sd, breaks]).ravel()
    marks.append(Line(np.repeat(diameter, 3), ends, BLUE, width=1.4))
    marks.append(Line(diameter, error, BLUE, width=1.4, marker="o"))
    reach = max(0.3, 1.1 * float(np.nanmax(np.abs(error) + sd, initial=0.0)))
    return Chart(*axes, tuple(marks), (-reach, reach), legend="")
