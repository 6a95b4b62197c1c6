"""Figures of place: nodules, their density and the anatomy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy import ndimage

from miliary.analysis import Analysis
from miliary.anatomy import LOBES, SIDES
from miliary.arrays import AnyArray, FloatArray, LabelArray
from miliary.config.report import ReportSettings
from miliary.report.panels import AMBER, STRIP, make_picture, make_planes
from miliary.report.slabs import apply_window, frame_lungs

#: Pixel of the depth of lung behind the nodules.
_DEPTH_MM = 2.0
#: Share of the median depth below which a line of sight holds too little lung for a mean.
_LEAST_DEPTH = 0.2
#: Where lung is thin a single nodule makes a peak, which should not set the scale.
_SCALE_PERCENTILE = 98
#: Neighbours differ in lightness too; each lobe is named in the picture as well.
_LOBE_COLORS = {
    "RUL": (86, 180, 233),
    "RML": (240, 228, 66),
    "RLL": (0, 114, 178),
    "LUL": (204, 121, 167),
    "LLL": (0, 158, 115),
}
_AIRLESS = {1: ("rind or effusion", (230, 159, 0)), 2: ("consolidation", (213, 94, 0))}
_TINT = 0.38


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
    frame = frame_lungs(analysis, settings)
    inside = analysis.anatomy.evaluable_labels[frame.box]
    depth = np.count_nonzero(inside, axis=1).astype(np.float32) * np.float32(frame.spacing_mm[1])
    extent = _front_extent(analysis, settings)
    n_z, n_x = max(round(extent[3] / _DEPTH_MM), 1), max(round(extent[1] / _DEPTH_MM), 1)
    zoomed = ndimage.zoom(depth, (n_z / depth.shape[0], n_x / depth.shape[1]), order=1)
    figure, axes = make_picture(extent)
    top = max(float(zoomed.max()), 1.0)
    axes.imshow(zoomed, cmap="gray", extent=extent, origin="lower", vmin=0, vmax=1.8 * top)
    z_mm, _, x_mm = ((frame.index_zyx + 0.5) * frame.spacing_mm).T
    size = 13.0 if len(x_mm) < 800 else 6.0
    axes.scatter(x_mm, z_mm, s=size, c=AMBER, alpha=0.85, edgecolors="black", linewidths=0.4)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    _draw_rule(figure, extent)
    return figure


def _draw_rule(figure: Figure, extent: tuple[float, float, float, float]) -> None:
    middle = extent[1] / 2
    rule = figure.add_axes((0.015, 0.0, 0.97, STRIP))
    rule.set_axis_off()
    rule.set(xlim=extent[:2], ylim=(0, 1))
    rule.plot([middle - 25, middle + 25], [0.62, 0.62], color="white", lw=2, solid_capstyle="butt")
    rule.text(middle, 0.45, "50 mm", color="white", fontsize=8, ha="center", va="top")


def plot_coronal_density(analysis: Analysis, settings: ReportSettings) -> Figure:
    """Draw the smoothed density of nodules, averaged from front to back.

    Parameters
    ----------
    analysis : Analysis
        One case.
    settings : ReportSettings
        The border round the lungs.

    Returns
    -------
    matplotlib.figure.Figure
        A map with its scale; the patient's right at the left. Black where there is no density.
    """
    extent = _front_extent(analysis, settings)
    figure, axes = make_picture(extent)
    density = analysis.spatial.density
    per_l, bounds = np.full((1, 1), np.nan), extent
    if density is not None:
        per_l = front_mean(1000.0 * density.per_ml)
        frame = frame_lungs(analysis, settings)
        start = np.array([part.start for part in frame.box]) * frame.spacing_mm
        # Grid points are voxel centres; the picture counts from the edge of its first voxel.
        low = density.first_mm - density.voxel_mm / 2 + frame.spacing_mm / 2 - start
        high = low + np.array(density.per_ml.shape) * density.voxel_mm
        bounds = (float(low[2]), float(high[2]), float(low[0]), float(high[0]))
    known = per_l[np.isfinite(per_l)]
    top = max(float(np.percentile(known, _SCALE_PERCENTILE)), 1e-3) if len(known) else 1.0
    image = axes.imshow(per_l, cmap="cividis", extent=bounds, origin="lower", vmin=0, vmax=top)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    strip = figure.add_axes((0.22, 0.62 * STRIP, 0.56, 0.16 * STRIP))
    bar = figure.colorbar(image, cax=strip, orientation="horizontal")
    bar.locator = MaxNLocator(4)
    bar.ax.tick_params(colors="white", labelsize=8, length=2, pad=2)
    bar.outline.set_visible(False)
    figure.text(0.2, 0.7 * STRIP, "per litre", color="white", fontsize=8, ha="right", va="center")
    return figure


def front_mean(values: FloatArray) -> FloatArray:
    """Average a map from front to back over what is known, where that is deep enough.

    Parameters
    ----------
    values : (z, y, x) float
        NaN where not known.

    Returns
    -------
    (z, x) float
        NaN where nothing is known along y, or less than a fifth of the usual depth.
    """
    known = np.isfinite(values)
    n = known.sum(axis=1)
    least = _LEAST_DEPTH * np.median(n[n > 0]) if n.any() else 1
    mean: FloatArray = np.full(n.shape, np.nan)
    np.divide(np.where(known, values, 0.0).sum(axis=1), n, out=mean, where=n >= least)
    return mean


def _front_extent(
    analysis: Analysis, settings: ReportSettings
) -> tuple[float, float, float, float]:
    """Width and height of the lungs' part of the scan, in mm."""
    frame = frame_lungs(analysis, settings)
    height, _, width = np.array(frame.hu.shape) * frame.spacing_mm
    return 0.0, float(width), 0.0, float(height)


def plot_anatomy(
    analysis: Analysis, settings: ReportSettings, planes: Sequence[str] = ("coronal", "axial")
) -> Figure:
    """Draw lungs, lobes, fissures and what is left out over the slices with most of the lungs.

    Parameters
    ----------
    analysis : Analysis
        One case.
    settings : ReportSettings
        The window.
    planes : sequence of str
        `coronal`, `axial` or both.

    Returns
    -------
    matplotlib.figure.Figure
        A slice a plane; the patient's right at the left, each lobe named.
    """
    anatomy = analysis.anatomy
    chest = anatomy.lung_labels
    if anatomy.hemithorax_labels is not None:
        chest = np.maximum(chest, anatomy.hemithorax_labels)
    spacing = anatomy.geometry.spacing_mm
    hu = analysis.volume.hu[anatomy.box]
    n_z, n_y, n_x = (float(length) for length in np.array(chest.shape) * spacing)
    heights = {"coronal": (1, n_z), "axial": (0, n_y)}
    figure, panels = make_planes([(n_x, heights[plane][1]) for plane in planes])
    images = {
        "lung": anatomy.lung_labels,
        "chest": chest,
        "lobe": anatomy.lobe_labels,
        "airless": anatomy.airless_labels,
        "fissure": anatomy.fissure_mask,
    }
    seen: dict[str, tuple[int, int, int]] = {}
    for axes, plane in zip(panels, planes, strict=True):
        axis, height = heights[plane]
        where = int(np.count_nonzero(chest, axis=(0, 2) if axis == 1 else (1, 2)).argmax())
        slices = {
            name: _cut(image, axis, where) for name, image in images.items() if image is not None
        }
        grey = apply_window(_cut(hu, axis, where), settings)
        seen |= _draw_plane(axes, grey, slices, (0.0, n_x, 0.0, height))
    _draw_legend(figure, seen, with_fissures=anatomy.fissure_mask is not None)
    return figure


def _cut(image: AnyArray, axis: int, where: int) -> AnyArray:
    """Give one slice, its lowest row the feet (coronal) or the back (axial)."""
    return image[where, ::-1] if axis == 0 else image[:, where]


def _draw_plane(
    axes: Axes,
    grey: LabelArray,
    slices: dict[str, AnyArray],
    extent: tuple[float, float, float, float],
) -> dict[str, tuple[int, int, int]]:
    """Draw one slice with its tints, outlines and names; gives the tints that need a legend."""
    color = np.repeat(grey[..., None], 3, axis=2).astype(float)
    pixel_mm = np.array([extent[3], extent[1]]) / grey.shape
    legend = {}
    tints = [("lobe", LOBES[name], name, tint) for name, tint in _LOBE_COLORS.items()]
    tints += [("airless", kind, name, tint) for kind, (name, tint) in _AIRLESS.items()]
    for image, label, name, tint in tints:
        if image not in slices or not (inside := slices[image] == label).any():
            continue
        color[inside] = (1 - _TINT) * color[inside] + _TINT * np.array(tint)
        if image == "lobe":
            _write_name(axes, inside, name, pixel_mm)
        else:
            legend[name] = tint
    if "fissure" in slices:
        color[slices["fissure"] > 0] = 255
    axes.imshow(color.astype(np.uint8), extent=extent, origin="lower")
    rows, columns = (
        (np.arange(n) + 0.5) * step for n, step in zip(grey.shape, pixel_mm, strict=True)
    )
    for name, line in (("lung", "solid"), ("chest", "dashed")):
        for side in SIDES.values():
            outline = slices[name] == side
            if 0 < np.count_nonzero(outline) < outline.size:
                axes.contour(
                    columns, rows, outline, [0.5], colors="white", linewidths=0.7, linestyles=line
                )
    return legend


def _write_name(axes: Axes, inside: AnyArray, name: str, pixel_mm: FloatArray) -> None:
    """Write a lobe's name at its deepest place in the slice."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=pixel_mm)[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    y, x = (np.array([row, column]) + 0.5) * pixel_mm
    axes.text(x, y, name, color="white", fontsize=8, weight="bold", ha="center", va="center")


def _draw_legend(
    figure: Figure, tints: dict[str, tuple[int, int, int]], *, with_fissures: bool
) -> None:
    handles: list[Patch | Line2D] = [
        Line2D([], [], color="white", lw=1, label="aerated lung"),
        Line2D([], [], color="white", lw=1, ls="--", label="hemithorax"),
    ]
    if with_fissures:
        handles.append(Line2D([], [], color="white", lw=2.5, label="fissure seen"))
    handles += [Patch(color=np.array(tint) / 255, label=name) for name, tint in tints.items()]
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=3,
        fontsize=7.5,
        frameon=False,
        labelcolor="white",
        handlelength=1.6,
    )
