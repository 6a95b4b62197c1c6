"""Panels, colours and packing of the figures, of which each stands alone, in a paper as on a page.

They are drawn without pyplot, so that no state is shared and nothing needs a display. Observed
values are blue with a solid line, expectations dashed, envelopes grey, so that they can be told
apart without colour; the blue and the vermilion are those of Okabe and Ito.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from miliary.report.slabs import WEBP_METHOD, data_uri

BLUE, PALE, VERMILION, INK, GREY = "#0072b2", "#9ccbe6", "#d55e00", "#2b3137", "#8b949e"
AMBER = "#ffb000"
_PANEL_INCH = (3.6, 2.6)
_DPI = 170
#: Thousands of dots pack badly: 3,000 take 230 kB without loss, 110 kB so.
_PHOTO_QUALITY = 82
#: Of a figure of lines and words.
_COLOURS = 64
#: Height of the strip below a picture that holds its scale, as a share of the whole.
STRIP = 0.12


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


def make_picture(extent: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    """Make one black panel for an image, with the sides of the patient named.

    Parameters
    ----------
    extent : (4,) float
        Left, right, bottom and top in mm.

    Returns
    -------
    figure : matplotlib.figure.Figure
        With a strip below for a scale.
    axes : Axes
        For the image.
    """
    ratio = float(np.clip(extent[3] / extent[1], 0.4, 1.6))
    inches = (_PANEL_INCH[0], _PANEL_INCH[0] * 0.97 * ratio / (1 - STRIP))
    figure = Figure(figsize=inches, dpi=_DPI)
    figure.patch.set_facecolor("black")
    axes = figure.add_axes((0.015, STRIP, 0.97, 1 - STRIP))
    axes.set_axis_off()
    _name_sides(axes)
    return figure, axes


def make_planes(sizes_mm: Sequence[tuple[float, float]]) -> tuple[Figure, list[Axes]]:
    """Make black panels beside each other for slices of one width.

    Parameters
    ----------
    sizes_mm : sequence of (width, height)
        Of each slice.

    Returns
    -------
    figure : matplotlib.figure.Figure
        With a strip below for a legend.
    panels : list of Axes
        One a slice.
    """
    n, width = len(sizes_mm), _PANEL_INCH[0]
    tall = max(float(np.clip(height / wide, 0.4, 1.6)) for wide, height in sizes_mm) * width
    figure = Figure(figsize=(n * width, tall + 0.35), dpi=_DPI)
    figure.patch.set_facecolor("black")
    below = 0.35 / (tall + 0.35)
    panels = []
    for place in range(n):
        axes = figure.add_axes(((place + 0.01) / n, below, 0.98 / n, 1 - below))
        axes.set_axis_off()
        _name_sides(axes)
        panels.append(axes)
    return figure, panels


def _name_sides(axes: Axes) -> None:
    words: dict[str, Any] = {
        "color": "white",
        "fontsize": 9,
        "va": "top",
        "transform": axes.transAxes,
    }
    ground = {"facecolor": "black", "edgecolor": "none", "pad": 1.5, "alpha": 0.6}
    for place, side, edge in ((0.012, "R", "left"), (0.988, "L", "right")):
        axes.text(place, 0.985, side, ha=edge, bbox=ground, **words)


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
    packed = io.BytesIO()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    if photo:
        pixels.convert("RGB").save(packed, "WEBP", quality=_PHOTO_QUALITY, method=WEBP_METHOD)
        return data_uri(packed.getvalue(), "image/webp")
    # Half the size of a WebP picture without loss, in a third of the time, and the same to the
    # eye: lines and words of five colours, and what smooths their edges.
    pixels.quantize(_COLOURS, Image.Quantize.FASTOCTREE).save(packed, "PNG")
    return data_uri(packed.getvalue(), "image/png")
