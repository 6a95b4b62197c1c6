"""Figures of what was measured: curves, sizes, and how well this scan shows nodules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from miliary.arrays import FloatArray
from miliary.findings import Calibration, Curve, Sensitivity, SizeSummary
from miliary.nodules import Nodules
from miliary.report.panels import BLUE, GREY, INK, PALE, VERMILION, make_panels

_REGION_STYLES = (
    ("#d55e00", "s", "--"),
    ("#009e73", "^", "-."),
    ("#cc79a7", "D", ":"),
    ("#56b4e9", "v", "--"),
    ("#a07a00", "P", "-."),
)
_DISTANCES = {"pleura": "pleura", "fissure": "nearest fissure", "vessel": "nearest vessel"}
#: Interquartile ranges above the third quartile at which the histogram ends.
_TAIL = 6.0
_LUNGS = {"both": "both lungs", "right": "right lung", "left": "left lung"}
_LABELS = {"L": "L(r) − r (mm)", "K": "K(r) / expected", "kmm": "k(r)"}
_TITLES = {
    "K": "K: pairs within r",
    "L": "L: pairs within r, root",
    "g": "g: pairs at r",
    "G": "G: nearest neighbour within r",
    "F": "F: nodule within r of any place",
    "J": "J: (1 − G) / (1 − F)",
    "kmm": "k: likeness of sizes at r",
}


def plot_curves(curves: Sequence[Curve]) -> Figure:
    """Draw summary functions beside their expectation and global envelope, a panel each.

    Parameters
    ----------
    curves : sequence of Curve
        Distance distributions, L (drawn as L(r) - r) or any other function.

    Returns
    -------
    matplotlib.figure.Figure
        One row of panels; an empty panel where there is no curve.
    """
    figure, panels = make_panels(max(len(curves), 1))
    for axes, curve in zip(panels, curves, strict=False):
        _draw_curve(axes, curve)
        if len(curves) > 1:
            axes.set_title(_LUNGS.get(curve.lung, curve.lung), fontsize=9, loc="left", color=INK)
    return figure


def plot_functions(curves: Sequence[Curve]) -> Figure:
    """Draw several summary functions of the same nodules as small panels.

    Parameters
    ----------
    curves : sequence of Curve
        K (drawn over its expectation), g, F, G, J, the mark correlation, or any other.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels a row; an empty panel where there is no curve.
    """
    figure, panels = make_panels(max(len(curves), 1), columns=3)
    for place, (axes, curve) in enumerate(zip(panels, curves, strict=False)):
        _draw_curve(axes, curve, with_legend=place == 0)
        title = _TITLES.get(curve.function, curve.function)
        axes.set_title(title, fontsize=9, loc="left", color=INK)
    return figure


class CurvePanel:
    """A panel for one summary function after the other, with axes and ticks that are made once.

    These take a third of the time of a picture, of which a page has a dozen.
    """

    def __init__(self) -> None:
        self._figure, (self._axes,) = make_panels(1)

    def draw(self, curve: Curve) -> Figure:
        """Draw a curve in place of the one before.

        Parameters
        ----------
        curve : Curve
            As for `plot_curves`.

        Returns
        -------
        matplotlib.figure.Figure
            As `plot_curves` gives it, until the next curve is drawn.
        """
        axes, legend = self._axes, self._axes.get_legend()
        if legend is not None:
            for artist in (legend, *axes.lines, *axes.collections):
                artist.remove()
            # As if nothing had been drawn: limits follow what comes.
            axes.dataLim.set_points(np.array([[np.inf, np.inf], [-np.inf, -np.inf]]))
            axes.ignore_existing_data_limits = True
            axes.set(xlim=(0, 1), ylim=(0, 1))
            axes.autoscale(enable=True)
        _draw_curve(axes, curve)
        return self._figure


def _draw_curve(axes: Axes, curve: Curve, *, with_legend: bool = True) -> None:
    r, observed, expected, low, high = _for_the_eye(curve)
    axes.fill_between(r, low, high, color=GREY, alpha=0.4, lw=0, label="envelope")
    axes.plot(r, expected, "--", color=INK, lw=1, label="expected")
    axes.plot(r, observed, color=BLUE, lw=1.8, label="observed")
    with np.errstate(invalid="ignore"):
        outside = (observed < low) | (observed > high)
    if outside.any():
        axes.plot(r[outside], observed[outside], "o", color=VERMILION, ms=3.2, label="outside")
    if curve.function in _DISTANCES:
        axes.set_xlabel(f"distance to the {_DISTANCES[curve.function]} (mm)")
        axes.set_ylabel("share within")
        axes.set_ylim(-0.02, 1.02)
    else:
        axes.set_xlabel("r (mm)")
        axes.set_ylabel(_LABELS.get(curve.function, f"{curve.function}(r)"))
    if with_legend:
        # In a distance distribution the lower right is free, in L(r) - r the corner that is far
        # from the curve is not known before.
        place = "lower right" if curve.function in {*_DISTANCES, "G"} else "best"
        axes.legend(loc=place, fontsize=7.5, frameon=False, handlelength=1.6, labelspacing=0.25)


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


def plot_sizes(nodules: Nodules, size: SizeSummary) -> Figure:
    """Draw the histogram of diameters beside the spread that measurement error alone would give.

    Parameters
    ----------
    nodules : Nodules
        Those that were measured.
    size : SizeSummary
        Their median.

    Returns
    -------
    matplotlib.figure.Figure
        One panel; empty axes where nothing was measured.
    """
    figure, (axes,) = make_panels(1)
    known = np.isfinite(nodules.diameter_mm)
    diameter, micro = nodules.diameter_mm[known], nodules.micronodule[known]
    axes.set_xlabel("diameter (mm)")
    axes.set_ylabel("nodules")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if not len(diameter):
        return figure
    edges, beyond = _size_edges(diameter)
    shown = np.minimum(diameter, edges[-1])
    small, _ = np.histogram(shown[micro], edges)
    large, _ = np.histogram(shown[~micro], edges)
    bars: dict[str, Any] = {
        "width": np.diff(edges),
        "align": "edge",
        "edgecolor": "white",
        "lw": 0.6,
    }
    axes.bar(edges[:-1], small, color=BLUE, label="micronodules", **bars)
    axes.bar(edges[:-1], large, bottom=small, color=PALE, hatch="////", label="larger", **bars)
    _draw_size_error(axes, diameter, nodules.diameter_se_mm[known], size, edges)
    # A curve of small errors towers over the bars; they are what the picture is about.
    axes.set_ylim(0, min(axes.get_ylim()[1], 1.5 * (small + large).max()))
    if beyond:
        axes.set_xlabel(f"diameter (mm); last bar: {beyond} larger")
    axes.legend(loc="upper right", fontsize=7.5, frameon=False, handlelength=1.6)
    return figure


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


def _draw_size_error(
    axes: Axes, diameter: FloatArray, error: FloatArray, size: SizeSummary, edges: FloatArray
) -> None:
    median = size.median_mm if size.median_mm is not None else float(np.median(diameter))
    error = error[np.isfinite(error) & (error > 0)]
    axes.axvline(median, color=INK, lw=1, ls="--", label=f"median {median:.2f} mm")
    if not len(error):
        return
    at = np.linspace(edges[0], edges[-1], 200)
    # Equal nodules, each seen with its own error, would give this mixture of normal densities.
    spread = np.exp(-0.5 * ((at[:, None] - median) / error) ** 2) / error
    density = spread.mean(axis=1) / np.sqrt(2 * np.pi)
    count = density * len(diameter) * (edges[1] - edges[0])
    axes.plot(at, count, color=VERMILION, lw=1.5, label="equal nodules,\nerror alone")


def plot_sensitivity(calibration: Calibration) -> Figure:
    """Draw the share of injected nodules that this scan gave back, by diameter and region.

    Parameters
    ----------
    calibration : Calibration
        What the injected nodules told.

    Returns
    -------
    matplotlib.figure.Figure
        One panel; empty axes where nothing was injected.
    """
    figure, (axes,) = make_panels(1)
    regions = list(dict.fromkeys(item.region for item in calibration.sensitivity))
    styles = iter(_REGION_STYLES * (len(regions) // len(_REGION_STYLES) + 1))
    for region in sorted(regions, key=lambda name: name != "all"):
        rows = sorted(
            (item for item in calibration.sensitivity if item.region == region),
            key=lambda item: item.diameter_mm,
        )
        _draw_region(axes, region, rows, None if region == "all" else next(styles))
    axes.set_xlabel("true diameter (mm)")
    axes.set_ylabel("share found")
    axes.set_ylim(-0.02, 1.02)
    if regions:
        axes.legend(loc="best", fontsize=7.5, frameon=False, handlelength=2.4, labelspacing=0.25)
    return figure


def _draw_region(
    axes: Axes, region: str, rows: list[Sensitivity], style: tuple[str, str, str] | None
) -> None:
    diameter = [item.diameter_mm for item in rows]
    value = [item.value for item in rows]
    if style is None:
        low, high = [item.low for item in rows], [item.high for item in rows]
        axes.fill_between(diameter, low, high, color=BLUE, alpha=0.18, lw=0)
        axes.plot(diameter, value, "o-", color=BLUE, lw=1.8, ms=4, label="all, with 95 % interval")
        return
    color, marker, line = style
    axes.plot(diameter, value, line, marker=marker, color=color, lw=1, ms=3.5, label=region)


def plot_size_error(calibration: Calibration) -> Figure:
    """Draw bias and spread of the measured diameters against the true ones.

    Parameters
    ----------
    calibration : Calibration
        What the injected nodules told.

    Returns
    -------
    matplotlib.figure.Figure
        One panel; empty axes where nothing was injected.
    """
    figure, (axes,) = make_panels(1)
    bias, spread = dict(calibration.size_bias_mm), dict(calibration.size_sd_mm)
    diameter = np.array(sorted(set(bias) & set(spread)))
    error = np.array([bias[d] for d in diameter])
    sd = np.array([spread[d] for d in diameter])
    axes.axhline(0, color=INK, lw=1, ls="--")
    if len(diameter):
        axes.errorbar(diameter, error, sd, fmt="o-", color=BLUE, ecolor=BLUE, ms=4, lw=1.4)
        reach = max(0.3, 1.1 * float(np.nanmax(np.abs(error) + sd, initial=0.0)))
        axes.set_ylim(-reach, reach)
    axes.set_xlabel("true diameter (mm)")
    axes.set_ylabel("measured − true (mm)")
    return figure
