"""The figures of a case, each a matplotlib Figure that stands alone, in a paper as on the page.

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
from matplotlib.ticker import MaxNLocator
from PIL import Image
from scipy import ndimage

from miliary.analysis import Analysis
from miliary.arrays import FloatArray
from miliary.config.report import ReportSettings
from miliary.findings import Calibration, Curve, Sensitivity, SizeSummary
from miliary.nodules import Nodules
from miliary.report.slabs import data_uri, frame_lungs

BLUE, PALE, VERMILION, INK, GREY = "#0072b2", "#9ccbe6", "#d55e00", "#2b3137", "#8b949e"
_REGION_STYLES = (
    ("#d55e00", "s", "--"),
    ("#009e73", "^", "-."),
    ("#cc79a7", "D", ":"),
    ("#56b4e9", "v", "--"),
    ("#a07a00", "P", "-."),
)
_PANEL_INCH = (3.6, 2.6)
_DPI = 170
_DISTANCES = {"pleura": "pleura", "fissure": "nearest fissure", "vessel": "nearest vessel"}
_LUNGS = {"both": "both lungs", "right": "right lung", "left": "left lung"}
#: Pixel of the coronal density map: fine beside its smoothing of 10 mm.
_MAP_MM = 2.0
#: Share of the median depth below which a line of sight holds too little lung for a density.
_MAP_LEAST_DEPTH = 0.2
#: Thousands of dots pack badly: 3,000 take 230 kB without loss, 110 kB so.
_PHOTO_QUALITY = 82
#: Height of the strip below a picture that holds its scale, as a share of the whole.
_STRIP = 0.12


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
    figure, panels = _panels(max(len(curves), 1))
    for axes, curve in zip(panels, curves, strict=False):
        _draw_curve(axes, curve)
        if len(curves) > 1:
            axes.set_title(_LUNGS.get(curve.lung, curve.lung), fontsize=9, loc="left", color=INK)
    return figure


def _draw_curve(axes: Axes, curve: Curve) -> None:
    # L(r) of a random pattern is r itself: its difference from r is what an eye can judge.
    base = curve.r_mm if curve.function == "L" else np.zeros(len(curve.r_mm))
    low, high, observed = curve.low - base, curve.high - base, curve.observed - base
    axes.fill_between(curve.r_mm, low, high, color=GREY, alpha=0.4, lw=0, label="envelope")
    axes.plot(curve.r_mm, curve.expected - base, "--", color=INK, lw=1, label="expected")
    axes.plot(curve.r_mm, observed, color=BLUE, lw=1.8, label="observed")
    with np.errstate(invalid="ignore"):
        outside = (observed < low) | (observed > high)
    if outside.any():
        dots = curve.r_mm[outside], observed[outside]
        axes.plot(*dots, "o", color=VERMILION, ms=3.2, label="outside")
    if curve.function in _DISTANCES:
        axes.set_xlabel(f"distance to the {_DISTANCES[curve.function]} (mm)")
        axes.set_ylabel("share within")
        axes.set_ylim(-0.02, 1.02)
    else:
        axes.set_xlabel("r (mm)")
        axes.set_ylabel("L(r) − r (mm)" if curve.function == "L" else f"{curve.function}(r)")
    # In a distance distribution the lower right is free, in L(r) - r the corner that is far from
    # the curve is not known before.
    place = "lower right" if curve.function in {*_DISTANCES, "G"} else "best"
    axes.legend(loc=place, fontsize=7.5, frameon=False, handlelength=1.6, labelspacing=0.25)


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
    figure, (axes,) = _panels(1)
    known = np.isfinite(nodules.diameter_mm)
    diameter, micro = nodules.diameter_mm[known], nodules.micronodule[known]
    axes.set_xlabel("diameter (mm)")
    axes.set_ylabel("nodules")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if not len(diameter):
        return figure
    edges = _size_edges(diameter)
    small, _ = np.histogram(diameter[micro], edges)
    large, _ = np.histogram(diameter[~micro], edges)
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
    axes.legend(loc="upper right", fontsize=7.5, frameon=False, handlelength=1.6)
    return figure


def _size_edges(diameter_mm: FloatArray) -> FloatArray:
    """Give bins of 0.1 mm or, where few nodules or long tails ask for it, wider ones."""
    low, high = diameter_mm.min(), diameter_mm.max()
    quartiles = np.percentile(diameter_mm, [25, 75])
    width = max(0.1, 2 * (quartiles[1] - quartiles[0]) / len(diameter_mm) ** (1 / 3))
    width = max(width, (high - low) / 60)
    first = np.floor(low / width) * width
    edges: FloatArray = first + width * np.arange(np.ceil((high - first) / width) + 2)
    return edges


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
    figure, (axes,) = _panels(1)
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
    figure, (axes,) = _panels(1)
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


def plot_coronal_nodules(analysis: Analysis, settings: ReportSettings) -> Figure:
    """Draw every nodule over the lungs as seen from the front.

    Parameters
    ----------
    analysis : Analysis
        One case.
    settings : ReportSettings
        The border round the lungs.

    Returns
    -------
    matplotlib.figure.Figure
        Depth of the lungs in grey, a dot a nodule; the patient's right at the left.
    """
    depth_mm, x_mm, z_mm, extent = _front_view(analysis, settings)
    figure, axes = _picture(extent)
    top = max(float(depth_mm.max()), 1.0)
    axes.imshow(depth_mm, cmap="gray", extent=extent, origin="lower", vmin=0, vmax=1.8 * top)
    size = 13.0 if len(x_mm) < 800 else 6.0
    axes.scatter(x_mm, z_mm, s=size, c="#ffb000", alpha=0.85, edgecolors="black", linewidths=0.4)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    middle = extent[1] / 2
    rule = figure.add_axes((0.015, 0.0, 0.97, _STRIP))
    rule.set_axis_off()
    rule.set(xlim=extent[:2], ylim=(0, 1))
    rule.plot([middle - 25, middle + 25], [0.62, 0.62], color="white", lw=2, solid_capstyle="butt")
    rule.text(middle, 0.45, "50 mm", color="white", fontsize=8, ha="center", va="top")
    return figure


def plot_coronal_density(analysis: Analysis, settings: ReportSettings) -> Figure:
    """Draw the smoothed number of nodules per litre of evaluable lung, as seen from the front.

    Parameters
    ----------
    analysis : Analysis
        One case.
    settings : ReportSettings
        The border round the lungs and the smoothing.

    Returns
    -------
    matplotlib.figure.Figure
        A map with its scale; the patient's right at the left.
    """
    depth_mm, x_mm, z_mm, extent = _front_view(analysis, settings)
    n_z, n_x = depth_mm.shape
    ranges = [extent[2:], extent[:2]]
    counts, _, _ = np.histogram2d(z_mm, x_mm, bins=(n_z, n_x), range=ranges)
    sigma = settings.smooth_mm / _MAP_MM
    litres = ndimage.gaussian_filter(depth_mm.astype(float), sigma) * _MAP_MM**2 * 1e-6
    smooth = ndimage.gaussian_filter(counts, sigma)
    least = _MAP_LEAST_DEPTH * float(np.median(depth_mm[depth_mm > 0])) if depth_mm.any() else 1.0
    shown = depth_mm > least
    per_l = np.full(depth_mm.shape, np.nan)
    np.divide(smooth, litres, out=per_l, where=shown & (litres > 0))
    figure, axes = _picture(extent)
    # Where lung is thin a single nodule makes a peak: it should not set the scale.
    top = max(float(np.nanpercentile(per_l, 98)), 1e-3) if shown.any() else 1.0
    image = axes.imshow(per_l, cmap="cividis", extent=extent, origin="lower", vmin=0, vmax=top)
    strip = figure.add_axes((0.22, 0.62 * _STRIP, 0.56, 0.16 * _STRIP))
    bar = figure.colorbar(image, cax=strip, orientation="horizontal")
    bar.locator = MaxNLocator(4)
    bar.ax.tick_params(colors="white", labelsize=8, length=2, pad=2)
    bar.outline.set_visible(False)
    figure.text(0.2, 0.7 * _STRIP, "per litre", color="white", fontsize=8, ha="right", va="center")
    return figure


def _front_view(
    analysis: Analysis, settings: ReportSettings
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[float, float, float, float]]:
    """Give the depth of evaluable lung (z, x), the nodules' x and z, and the extent, in mm."""
    frame = frame_lungs(analysis, settings)
    spacing = frame.spacing_mm
    inside = analysis.anatomy.evaluable_labels[frame.box]
    depth = np.count_nonzero(inside, axis=1).astype(np.float32) * np.float32(spacing[1])
    extent = (0.0, float(depth.shape[1] * spacing[2]), 0.0, float(depth.shape[0] * spacing[0]))
    n_z, n_x = max(round(extent[3] / _MAP_MM), 1), max(round(extent[1] / _MAP_MM), 1)
    zoomed = ndimage.zoom(depth, (n_z / depth.shape[0], n_x / depth.shape[1]), order=1)
    at_mm = (frame.index_zyx + 0.5) * spacing
    return np.maximum(zoomed, 0), at_mm[:, 2], at_mm[:, 0], extent


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    """Make a row of plain panels on no background, for pages that are light or dark."""
    figure = Figure(figsize=(_PANEL_INCH[0] * n, _PANEL_INCH[1]), dpi=_DPI)
    figure.patch.set_alpha(0)
    panels = []
    width, height = 1 / n, 0.78 if n == 1 else 0.715
    for place in range(n):
        axes = figure.add_axes((place * width + 0.155 * width, 0.185, 0.815 * width, height))
        axes.patch.set_alpha(0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
        axes.tick_params(labelsize=8, length=3, color=GREY, labelcolor=INK)
        axes.xaxis.label.set(fontsize=9, color=INK)
        axes.yaxis.label.set(fontsize=9, color=INK)
        panels.append(axes)
    return figure, panels


def _picture(extent: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    """Make one black panel for an image of this extent, with the sides of the patient named."""
    ratio = float(np.clip(extent[3] / extent[1], 0.4, 1.6))
    inches = (_PANEL_INCH[0], _PANEL_INCH[0] * 0.97 * ratio / (1 - _STRIP))
    figure = Figure(figsize=inches, dpi=_DPI)
    figure.patch.set_facecolor("black")
    axes = figure.add_axes((0.015, _STRIP, 0.97, 1 - _STRIP))
    axes.set_axis_off()
    for place, side in ((0.01, "R"), (0.99, "L")):
        axes.text(
            place,
            0.99,
            side,
            color="white",
            fontsize=9,
            va="top",
            ha="left" if side == "R" else "right",
            transform=axes.transAxes,
        )
    return figure, axes


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
        `data:image/webp;base64,...`, without metadata.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    packed = io.BytesIO()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    if photo:
        pixels.convert("RGB").save(packed, "WEBP", quality=_PHOTO_QUALITY, method=3)
    else:
        # Half the size of matplotlib's PNG, for the same pixels.
        pixels.save(packed, "WEBP", lossless=True, quality=20, method=1)
    return data_uri(packed.getvalue(), "image/webp")
