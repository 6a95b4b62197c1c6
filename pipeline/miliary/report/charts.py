"""What a chart shows, apart from how it is drawn: `svg` draws it for a page, `panels` for a paper.

Observed values are blue with a solid line, expectations dashed, envelopes grey, so that they can be
told apart without colour; the blue and the vermilion are those of Okabe and Ito.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from miliary.arrays import FloatArray

BLUE, PALE, VERMILION, INK, GREY = "#0072b2", "#9ccbe6", "#d55e00", "#2b3137", "#8b949e"
AMBER = "#ffb000"

Dash = Literal["full", "dashed", "dashdot", "dotted", "none"]
Marker = Literal["", "o", "s", "^", "D", "v", "P"]
#: Part of a range that is left free at its ends.
_MARGIN = 0.05


@dataclass(frozen=True, eq=False)
class Line:
    """A line, or dots.

    Parameters
    ----------
    x, y : (N,) float
        Points; the line breaks where y is NaN.
    color : str
        As in HTML.
    dash : str
        `full`, `dashed`, `dashdot`, `dotted`, or `none` for dots alone.
    width : float
        Of the line, in points.
    marker : str
        Shape of the dots; none where empty.
    size : float
        Of the dots, in points.
    label : str
        In the legend; in none where empty.
    """

    x: FloatArray
    y: FloatArray
    color: str
    dash: Dash = "full"
    width: float = 1.0
    marker: Marker = ""
    size: float = 4.0
    label: str = ""


@dataclass(frozen=True, eq=False)
class Rule:
    """A dashed line across the whole chart.

    Parameters
    ----------
    at : float
        Where it crosses the axis.
    upright : bool
        Whether it crosses that of x.
    label : str
        In the legend; in none where empty.
    """

    at: float
    upright: bool
    label: str = ""


@dataclass(frozen=True, eq=False)
class Band:
    """What lies between two curves.

    Parameters
    ----------
    x, low, high : (N,) float
        The curves; the band breaks where one is NaN.
    color : str
        As in HTML.
    alpha : float
        0 to 1: how much it covers.
    label : str
        In the legend; in none where empty.
    """

    x: FloatArray
    low: FloatArray
    high: FloatArray
    color: str
    alpha: float
    label: str = ""


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars side by side.

    Parameters
    ----------
    edges : (N + 1,) float
        Where they begin and end.
    bottom, top : (N,) float
        From where to where each reaches.
    color : str
        As in HTML.
    hatched : bool
        Whether it is to be told apart without colour.
    label : str
        In the legend.
    """

    edges: FloatArray
    bottom: FloatArray
    top: FloatArray
    color: str
    hatched: bool
    label: str


Mark = Line | Rule | Band | Bars


@dataclass(frozen=True, eq=False)
class Chart:
    """One panel with two axes.

    Parameters
    ----------
    x_label, y_label : str
        What the axes are.
    marks : tuple of Line, Rule, Band or Bars
        What is drawn, one over the other.
    y_limits : (2,) tuple of float or None
        Ends of the axis; by what is drawn unless given.
    counts : bool
        Whether y has whole numbers only.
    legend : str
        Where matplotlib puts the legend, which a page has above the chart; none where empty.
    """

    x_label: str
    y_label: str
    marks: tuple[Mark, ...] = ()
    y_limits: tuple[float, float] | None = None
    counts: bool = False
    legend: str = "best"

    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Give the ends of both axes.

        Returns
        -------
        (low, high), twice
            Of x and y, with a margin round what is drawn; 0 and 1 where nothing is.
        """
        x = _range([part for mark in self.marks for part in _along(mark)])
        if self.y_limits is not None:
            return x, self.y_limits
        low, high = _range([part for mark in self.marks for part in _across(mark)])
        # Bars stand on the axis.
        return x, (max(low, 0.0) if any(isinstance(m, Bars) for m in self.marks) else low, high)


def _along(mark: Mark) -> Iterator[FloatArray]:
    if isinstance(mark, Rule):
        yield np.array([mark.at] if mark.upright else [])
    else:
        yield mark.edges if isinstance(mark, Bars) else mark.x


def _across(mark: Mark) -> Iterator[FloatArray]:
    if isinstance(mark, Rule):
        yield np.array([] if mark.upright else [mark.at])
    elif isinstance(mark, Bars):
        yield from (mark.bottom, mark.top)
    elif isinstance(mark, Band):
        yield from (mark.low, mark.high)
    else:
        yield mark.y


def _range(parts: list[FloatArray]) -> tuple[float, float]:
    values = np.concatenate([np.empty(0), *(np.asarray(part, float) for part in parts)])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    # One value alone still needs an axis.
    room = _MARGIN * (high - low) or max(abs(low), 1.0) * _MARGIN
    return low - room, high + room


def ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[tuple[float, str]]:
    """Choose round numbers along an axis.

    Parameters
    ----------
    low, high : float
        Its ends, low below high.
    most : int
        Steps there may be at most.
    whole : bool
        Whether they are to be whole numbers.

    Returns
    -------
    list of (float, str)
        Where, and as it is written.
    """
    least = (high - low) / most
    scale = 10.0 ** np.floor(np.log10(least))
    step = next(scale * round_one for round_one in (1, 2, 2.5, 5, 10) if scale * round_one >= least)
    if whole:
        step = max(float(np.ceil(step)), 1.0)
    places = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    # Adding 0 takes the sign off minus nothing.
    rounded = [round(float(place), 12) + 0.0 for place in places]
    return [(place, f"{place:g}".replace("-", "−")) for place in rounded]
