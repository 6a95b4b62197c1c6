"""What changed over time, as figures: nodules, volumes, sizes, and maps of the rind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from miliary.anatomy import SIDES
from miliary.compare.results import Comparison
from miliary.compare.rows import RindMeasure
from miliary.report.charts import BLUE, GREY, INK, VERMILION

_INCH, _DPI = (3.6, 2.6), 170
_STYLES = {"right": (BLUE, "o", "-"), "left": (VERMILION, "s", "--")}


def plot_courses(comparison: Comparison) -> Iterator[tuple[Figure, str, str]]:
    """Draw the courses of one patient.

    Parameters
    ----------
    comparison : Comparison
        The scans.

    Yields
    ------
    figure, title, caption
        One at a time, those for which there is something to draw.
    """
    at, label = _times(comparison)
    if comparison.densities:
        figure, axes = _panel(label, "nodules a litre")
        for side in SIDES:
            rows = [row for row in comparison.densities if row.lung == side]
            values = [row.per_l for row in rows]
            reach = [
                [row.per_l - row.low for row in rows],
                [row.high - row.per_l for row in rows],
            ]
            _line(axes, [at[row.scan] for row in rows], values, side, reach)
        _finish(axes, at)
        yield figure, "Nodules a litre", "Corrected for what each scan misses and mistakes."
    for title, unit, of in (
        ("Aerated lung", "ml", "volume_ml"),
        ("Rind or effusion", "ml", "rind_ml"),
        ("Evaluable part of the hemithorax", "share", "evaluable_share"),
    ):
        figure, axes = _panel(label, unit)
        drawn = False
        for side in SIDES:
            pairs = [
                (when, getattr(lung, of))
                for when, case in zip(at, comparison.cases, strict=True)
                if (lung := case.side(side)) is not None and getattr(lung, of) is not None
            ]
            drawn |= any(value > 0 for _, value in pairs)
            _line(axes, [when for when, _ in pairs], [value for _, value in pairs], side)
        if drawn:
            _finish(axes, at)
            yield figure, title, "As measured in each scan."


def plot_rinds(comparison: Comparison) -> Iterator[tuple[Figure, str, str]]:
    """Draw the thickness of the rind round each lung, a map a scan.

    Parameters
    ----------
    comparison : Comparison
        The scans.

    Yields
    ------
    figure, title, caption
        One a lung with a rind and scan.
    """
    seen: dict[tuple[str, int], RindMeasure] = {}
    for change in comparison.rinds:
        for number, rind in ((change.earlier, change.before), (change.later, change.now)):
            if rind is not None and rind.map_mm is not None:
                seen[change.lung, number] = rind
    top = max(
        (cell or 0.0 for rind in seen.values() for row in rind.map_mm or () for cell in row),
        default=1.0,
    )
    for (side, number), rind in sorted(seen.items()):
        yield (
            _map(rind, max(top, 1.0)),
            f"{side.capitalize()} rind, scan {number + 1}",
            f"Thickness in mm: {rind.mean_mm:.1f} on average, up to {rind.largest_mm:.1f}; "
            f"{rind.circumference or 0:.0%} of the way round is involved.",
        )


def _map(rind: RindMeasure, top: float) -> Figure:
    cells = np.array(
        [[np.nan if cell is None else cell for cell in row] for row in rind.map_mm or ()]
    )
    figure = Figure(figsize=_INCH, dpi=_DPI)
    axes = figure.add_axes((0.13, 0.2, 0.7, 0.72))
    image = axes.imshow(
        cells,
        origin="lower",
        aspect="auto",
        extent=(0, 360, 0, 100),
        cmap="cividis",
        vmin=0,
        vmax=top,
    )
    axes.set_xticks([0, 90, 180, 270, 360], ["right", "front", "left", "back", "right"])
    axes.set_ylabel("height (%)", fontsize=9, color=INK)
    axes.tick_params(labelsize=8, length=3, color=GREY, labelcolor=INK)
    bar = figure.colorbar(image, cax=figure.add_axes((0.86, 0.2, 0.025, 0.72)))
    bar.ax.tick_params(labelsize=8, labelcolor=INK)
    return figure


def _times(comparison: Comparison) -> tuple[list[float], str]:
    days = comparison.days
    if any(day is None for day in days):
        return [float(k + 1) for k in range(len(days))], "scan"
    return [float(day or 0) for day in days], "days since the first scan"


def _panel(label: str, unit: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_INCH, dpi=_DPI)
    figure.patch.set_alpha(0)
    axes = figure.add_axes((0.17, 0.185, 0.8, 0.76))
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(labelsize=8, length=3, color=GREY, labelcolor=INK)
    axes.set_xlabel(label, fontsize=9, color=INK)
    axes.set_ylabel(unit, fontsize=9, color=INK)
    return figure, axes


def _line(
    axes: Axes,
    at: list[float],
    values: list[float],
    side: str,
    reach: list[list[float]] | None = None,
) -> None:
    color, marker, line = _STYLES[side]
    if at:
        axes.errorbar(
            at, values, reach, fmt=marker + line, color=color, ms=4.5, lw=1.6, capsize=3,
            label=f"{side} lung",
        )  # fmt: skip


def _finish(axes: Axes, at: list[float]) -> None:
    axes.set_ylim(bottom=0)
    axes.set_xticks(sorted(set(at)))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.legend(loc="best", fontsize=7.5, frameon=False)
