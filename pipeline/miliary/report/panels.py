"""Charts and pictures by matplotlib, of which each stands alone, in a paper or a notebook.

They are drawn without pyplot, so that no state is shared and nothing needs a display. The page of
a case draws the same by `svg` and `svg_scene`, without matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from PIL import Image

from miliary.report.charts import AMBER, GREY, INK, Band, Chart, Line, Mark, Rule
from miliary.report.scenes import Key, Scene, cividis
from miliary.report.slabs import jpeg_uri
from miliary.report.uris import data_uri

_PANEL_INCH = (3.6, 2.6)
_DPI = 170
#: Of a picture, and colours of a figure of lines and words.
_PHOTO_QUALITY = 82
_COLOURS = 64
#: Height of the strip below a picture that holds its scale.
_STRIP_INCH = 0.42
#: Above so many nodules dots are smaller.
_MANY = 800
_DASHES = {"full": "-", "dashed": "--", "dashdot": "-.", "dotted": ":", "none": ""}


def make_panels(n: int, *, columns: int = 6) -> tuple[Figure, list[Axes]]:
    """Make rows of plain panels on no background, for pages that are light or dark.

    Parameters
    ----------
    n : int
        Number of panels.
    columns : int
        Most panels in a row.

    Returns
    -------
    figure : matplotlib.figure.Figure
        With nothing drawn in it.
    panels : list of Axes
        Row by row.
    """
    n_columns, n_rows = min(n, columns), -(-n // columns)
    figure = Figure(figsize=(_PANEL_INCH[0] * n_columns, _PANEL_INCH[1] * n_rows), dpi=_DPI)
    figure.patch.set_alpha(0)
    panels = []
    width, height = 1 / n_columns, 1 / n_rows
    tall = 0.78 if n == 1 else 0.715
    for place in range(n):
        left, below = place % columns * width, (n_rows - 1 - place // columns) * height
        axes = figure.add_axes(
            (left + 0.155 * width, below + 0.185 * height, 0.815 * width, tall * height)
        )
        axes.patch.set_alpha(0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
        # Ticks are what a figure takes most of its time for.
        axes.locator_params(nbins=5)
        axes.tick_params(labelsize=8, length=3, color=GREY, labelcolor=INK)
        axes.xaxis.label.set(fontsize=9, color=INK)
        axes.yaxis.label.set(fontsize=9, color=INK)
        panels.append(axes)
    return figure, panels


def draw_chart(axes: Axes, chart: Chart, *, title: str = "", legend: bool = True) -> None:
    """Draw a chart into a panel.

    Parameters
    ----------
    axes : Axes
        An empty panel.
    chart : Chart
        What to show.
    title : str
        Above it; none where empty.
    legend : bool
        Whether it has one.
    """
    for mark in chart.marks:
        _draw_mark(axes, mark)
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    if chart.counts:
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if chart.y_limits is not None:
        axes.set_ylim(chart.y_limits)
    if title:
        axes.set_title(title, fontsize=9, loc="left", color=INK)
    if legend and chart.legend:
        axes.legend(
            loc=chart.legend, fontsize=7.5, frameon=False, handlelength=2.0, labelspacing=0.25
        )


def _draw_mark(axes: Axes, mark: Mark) -> None:
    label = mark.label or None
    if isinstance(mark, Line):
        axes.plot(
            mark.x, mark.y, _DASHES[mark.dash], color=mark.color, lw=mark.width,
            marker=mark.marker, ms=mark.size, label=label,
        )  # fmt: skip
    elif isinstance(mark, Rule):
        across = axes.axvline if mark.upright else axes.axhline
        across(mark.at, color=INK, lw=1, ls="--", label=label)
    elif isinstance(mark, Band):
        axes.fill_between(
            mark.x, mark.low, mark.high, color=mark.color, alpha=mark.alpha, lw=0, label=label
        )
    else:
        axes.bar(
            mark.edges[:-1], mark.top - mark.bottom, np.diff(mark.edges), mark.bottom,
            align="edge", color=mark.color, hatch="////" if mark.hatched else None,
            edgecolor="white", lw=0.6, label=label,
        )  # fmt: skip


def make_scenes(scenes: Sequence[Scene]) -> Figure:
    """Draw pictures on black beside each other.

    Parameters
    ----------
    scenes : sequence of Scene
        At least one.

    Returns
    -------
    matplotlib.figure.Figure
        With a strip below for scale and legend.
    """
    n, width = len(scenes), _PANEL_INCH[0]
    ratios = [
        float(np.clip(height / wide, 0.4, 1.6))
        for wide, height in (scene.size_mm for scene in scenes)
    ]
    tall = max(ratios) * width
    figure = Figure(figsize=(n * width, tall + _STRIP_INCH), dpi=_DPI)
    figure.patch.set_facecolor("black")
    below = _STRIP_INCH / (tall + _STRIP_INCH)
    for place, scene in enumerate(scenes):
        axes = figure.add_axes(((place + 0.01) / n, below, 0.98 / n, 1 - below))
        axes.set_axis_off()
        _draw_scene(axes, scene)
        if scene.top_per_l is not None:
            strip = (place + 0.22) / n, 0.62 * below, 0.56 / n, 0.16 * below
            _draw_scale(figure, figure.add_axes(strip), scene.top_per_l)
    keys = dict.fromkeys(key for scene in scenes for key in scene.keys)
    if keys:
        figure.legend(
            handles=[_handle(key) for key in keys], loc="lower center", ncols=3, fontsize=7.5,
            frameon=False, labelcolor="white", handlelength=1.6,
        )  # fmt: skip
    return figure


def _draw_scene(axes: Axes, scene: Scene) -> None:
    left, top, width, height = scene.place_mm
    axes.imshow(scene.pixels, extent=(left, left + width, top + height, top))
    for outline in scene.outlines:
        for part in outline.parts:
            axes.plot(*part.T, "--" if outline.dashed else "-", color="white", lw=0.7)
    if len(scene.dots_mm):
        size = 13.0 if len(scene.dots_mm) < _MANY else 6.0
        x_mm, y_mm = scene.dots_mm.T
        axes.scatter(x_mm, y_mm, s=size, c=AMBER, alpha=0.85, edgecolors="black", linewidths=0.4)
    axes.set(xlim=(0, scene.size_mm[0]), ylim=(scene.size_mm[1], 0))
    white: dict[str, Any] = {"color": "white", "fontsize": 8, "ha": "center", "va": "center"}
    for name in scene.names:
        axes.text(name.right_mm, name.down_mm, name.text, weight="bold", **white)
    ground = {"facecolor": "black", "edgecolor": "none", "pad": 1.5, "alpha": 0.6}
    for place, side, edge in ((0.012, "R", "left"), (0.988, "L", "right")):
        words = white | {"ha": edge, "va": "top", "fontsize": 9}
        axes.text(place, 0.985, side, bbox=ground, transform=axes.transAxes, **words)
    if scene.ruler_mm:
        share = scene.ruler_mm / scene.size_mm[0] / 2
        rule: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False}
        axes.plot([0.5 - share, 0.5 + share], [-0.04] * 2, color="white", lw=2, **rule)
        axes.text(0.5, -0.065, f"{scene.ruler_mm:g} mm", **white, **rule)


def _draw_scale(figure: Figure, strip: Axes, top: float) -> None:
    """Draw a bar of colours with numbers below."""
    strip.imshow(cividis(np.linspace(0, 1, 256))[None], extent=(0, top, 0, 1), aspect="auto")
    strip.xaxis.set_major_locator(MaxNLocator(4))
    strip.yaxis.set_visible(False)
    strip.spines[:].set_visible(False)
    strip.tick_params(colors="white", labelsize=8, length=2, pad=2)
    left, low, _, height = strip.get_position().bounds
    figure.text(
        left - 0.02, low + height / 2, "per litre", color="white", fontsize=8, ha="right",
        va="center",
    )  # fmt: skip


def _handle(key: Key) -> Line2D | Patch:
    color = np.array(key.color) / 255
    if key.kind == "patch":
        return Patch(color=color, label=key.text)
    width = 2.5 if key.kind == "thick" else 1
    dash = "--" if key.kind == "dashed" else "-"
    return Line2D([], [], color=color, lw=width, ls=dash, label=key.text)


def figure_uri(figure: Figure, *, photo: bool = False) -> str:
    """Render a figure into a data URI.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Any figure.
    photo : bool
        Whether it is rather an image than lines and words, which bear no loss.

    Returns
    -------
    str
        `data:image/...;base64,...`, without metadata.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    if photo:
        return jpeg_uri(np.asarray(canvas.buffer_rgba())[..., :3].copy(), _PHOTO_QUALITY)
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    packed = io.BytesIO()
    # Half the size of a WebP picture without loss, in a third of the time, and the same to the
    # eye: lines and words of five colours, and what smooths their edges.
    pixels.quantize(_COLOURS, Image.Quantize.FASTOCTREE).save(packed, "PNG")
    return data_uri(packed.getvalue(), "image/png")
