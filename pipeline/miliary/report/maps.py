"""Pictures of place: nodules, their density and the anatomy."""

from __future__ import annotations

import contourpy
import numpy as np
from scipy import ndimage

from miliary.analysis import Analysis
from miliary.anatomy import LOBES, SIDES, Anatomy
from miliary.arrays import AnyArray, BoolArray, FloatArray, LabelArray
from miliary.config.report import ReportSettings
from miliary.report.scenes import Key, Name, Outline, Scene, cividis
from miliary.report.slabs import apply_window, count_along, frame_lungs

#: Pixel of the depth of lung behind the nodules.
_DEPTH_MM = 2.0
#: Brightness of the deepest lung: dots must stand out.
_DEEPEST = 255 / 1.8
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
_RULER_MM = 50.0
#: Pixels between those that are asked how deep in a lobe they are.
_NAME_STEP = 3
_NO_DOTS = np.empty((0, 2))


def show_nodules(analysis: Analysis, settings: ReportSettings) -> Scene:
    """Show every nodule over the lungs as seen from the front.

    Parameters
    ----------
    analysis : Analysis
        One case.
    settings : ReportSettings
        The border round the lungs.

    Returns
    -------
    Scene
        Depth of the lungs in grey, a dot a nodule.
    """
    frame = frame_lungs(analysis, settings)
    inside = analysis.anatomy.evaluable_labels[frame.box]
    depth = count_along(inside, axis=1) * np.float32(frame.spacing_mm[1])
    width, height = _front_size(frame.hu.shape, frame.spacing_mm)
    n_z, n_x = max(round(height / _DEPTH_MM), 1), max(round(width / _DEPTH_MM), 1)
    zoomed = ndimage.zoom(depth, (n_z / depth.shape[0], n_x / depth.shape[1]), order=1)[::-1]
    grey = zoomed * (_DEEPEST / max(float(zoomed.max()), 1.0))
    z_mm, _, x_mm = ((frame.index_zyx + 0.5) * frame.spacing_mm).T
    return Scene(
        (width, height),
        _as_color(np.rint(grey).astype(np.uint8)),
        (0.0, 0.0, width, height),
        np.column_stack([x_mm, height - z_mm]),
        ruler_mm=_RULER_MM,
    )


def show_density(analysis: Analysis, settings: ReportSettings) -> Scene:
    """Show the smoothed density of nodules, averaged from front to back.

    Parameters
    ----------
    analysis : Analysis
        One case.
    settings : ReportSettings
        The border round the lungs.

    Returns
    -------
    Scene
        A map with its scale; black where there is no density.
    """
    frame, density = frame_lungs(analysis, settings), analysis.spatial.density
    width, height = _front_size(frame.hu.shape, frame.spacing_mm)
    per_l, place = np.full((1, 1), np.nan), (0.0, 0.0, width, height)
    if density is not None:
        per_l = front_mean(1000.0 * density.per_ml)
        start = np.array([part.start for part in frame.box]) * frame.spacing_mm
        # Grid points are voxel centres; the picture counts from the edge of its first voxel.
        low = density.first_mm - density.voxel_mm / 2 + frame.spacing_mm / 2 - start
        tall, _, wide = np.array(density.per_ml.shape) * density.voxel_mm
        place = (float(low[2]), float(height - low[0] - tall), float(wide), float(tall))
    known = per_l[np.isfinite(per_l)]
    top = max(float(np.percentile(known, _SCALE_PERCENTILE)), 1e-3) if len(known) else 1.0
    return Scene((width, height), cividis(per_l[::-1] / top), place, _NO_DOTS, top_per_l=top)


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


def _front_size(shape: tuple[int, ...], spacing_mm: FloatArray) -> tuple[float, float]:
    """Width and height of the lungs' part of the scan from the front, in mm."""
    height, _, width = np.array(shape) * spacing_mm
    return float(width), float(height)


def _as_color(grey: LabelArray) -> LabelArray:
    return np.repeat(grey[..., None], 3, axis=2)


def show_anatomy(analysis: Analysis, settings: ReportSettings, plane: str) -> Scene:
    """Show lungs, lobes, fissures and what is left out over the slice with most of the lungs.

    Parameters
    ----------
    analysis : Analysis
        One case.
    settings : ReportSettings
        The window.
    plane : str
        `coronal` or `axial`.

    Returns
    -------
    Scene
        The slice, each lobe named.
    """
    anatomy = analysis.anatomy
    axis = {"axial": 0, "coronal": 1}[plane]
    sides = (anatomy.lung_labels, anatomy.hemithorax_labels)
    chest = count_along(*(labels for labels in sides if labels is not None), axis=2)
    where = int(chest.sum(axis=1 - axis).argmax())
    down_mm, right_mm = anatomy.geometry.spacing_mm[[1 - axis, 2]]
    slices = _cut_all(anatomy, axis, where)
    grey = apply_window(_cut(analysis.volume.hu[anatomy.box], axis, where), settings)
    pixel_mm = np.array([down_mm, right_mm])
    size = float(grey.shape[1] * right_mm), float(grey.shape[0] * down_mm)
    color, names, keys = _tinted(grey, slices, pixel_mm)
    outlines = tuple(
        Outline(_lines_round(slices[name] == side, pixel_mm), name == "chest")
        for name in ("lung", "chest")
        for side in SIDES.values()
    )
    legend = [Key("aerated lung", "line"), Key("hemithorax", "dashed")]
    legend += [Key("fissure seen", "thick")] if "fissure" in slices else []
    place = (0.0, 0.0, *size)
    return Scene(size, color, place, _NO_DOTS, outlines, tuple(names), (*legend, *keys))


def _cut_all(anatomy: Anatomy, axis: int, where: int) -> dict[str, AnyArray]:
    images = {
        "lung": anatomy.lung_labels,
        "chest": anatomy.hemithorax_labels,
        "lobe": anatomy.lobe_labels,
        "airless": anatomy.airless_labels,
        "fissure": anatomy.fissure_mask,
    }
    cuts = {name: _cut(image, axis, where) for name, image in images.items() if image is not None}
    # A hemithorax holds its lung, whatever else was found to be of it.
    return cuts | {"chest": np.maximum(cuts["lung"], cuts.get("chest", 0))}


def _cut(image: AnyArray, axis: int, where: int) -> AnyArray:
    """Give one slice, its first row the front (axial) or the head (coronal)."""
    return image[where] if axis == 0 else image[::-1, where]


def _tinted(
    grey: LabelArray, slices: dict[str, AnyArray], pixel_mm: FloatArray
) -> tuple[LabelArray, list[Name], list[Key]]:
    """Tint a slice; give it with the names in it and the tints that need a legend."""
    color = _as_color(grey)
    names, keys = [], []
    tints = [("lobe", LOBES[name], name, tint) for name, tint in _LOBE_COLORS.items()]
    tints += [("airless", kind, name, tint) for kind, (name, tint) in _AIRLESS.items()]
    for image, label, name, tint in tints:
        if image not in slices or not (inside := slices[image] == label).any():
            continue
        mixed = (1 - _TINT) * color[inside] + _TINT * np.array(tint)
        color[inside] = mixed.astype(np.uint8)
        if image == "lobe":
            names.append(_name_of(inside, name, pixel_mm))
        else:
            keys.append(Key(name, "patch", tint))
    if "fissure" in slices:
        color[slices["fissure"] > 0] = 255
    return color, names, keys


def _name_of(inside: BoolArray, name: str, pixel_mm: FloatArray) -> Name:
    """Name a lobe at its deepest place in the slice, or within a pixel or two of it."""
    coarse = np.pad(inside[::_NAME_STEP, ::_NAME_STEP], 1)
    depth = ndimage.distance_transform_edt(coarse, sampling=pixel_mm)[1:-1, 1:-1]
    place = np.array(np.unravel_index(depth.argmax(), depth.shape))
    down, right = (_NAME_STEP * place + 0.5) * pixel_mm
    return Name(float(right), float(down), name)


def _lines_round(inside: BoolArray, pixel_mm: FloatArray) -> tuple[FloatArray, ...]:
    """Draw lines half-way between what is inside and what is not; none where all is one."""
    if not 0 < np.count_nonzero(inside) < inside.size or min(inside.shape) < 2:
        return ()
    down, right = (
        (np.arange(n) + 0.5) * step for n, step in zip(inside.shape, pixel_mm, strict=True)
    )
    lines = contourpy.contour_generator(right, down, inside.astype(float)).lines(0.5)
    return tuple(np.asarray(line) for line in lines)
