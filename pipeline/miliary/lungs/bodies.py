"""Soft tissue round a lung cut into bodies, and which of them belong to its rind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.lungs import LungSettings
from miliary.kernels.distances import depth_inside
from miliary.kernels.regions import keep_large
from miliary.lungs.ribs import Ribs

#: Voxels between the middles of two bodies, and the blur of the depth that they are found in.
_APART, _DEPTH_BLUR = 3, 1.0
#: Dark specks of fewer voxels are noise, not fat.
_SPECK_VOXELS = 30
#: Attenuation that a rind has at least: of a thin one hardly a voxel is free of its edges.
_LEAST_LEVEL_HU = 20.0
#: Of the way from fat to the rind itself: thin sheets of fat are seen that are not quite dark.
_LEVEL_SHARE = 0.6
#: Labels of the contest between rind and organs.
_RIND, _ORGAN = 1, 2


@dataclass(frozen=True, eq=False)
class _Bodies:
    """Bodies of soft tissue.

    Parameters
    ----------
    labels : (z, y, x) int
        Bodies from 1 on.
    depth : (z, y, x) float32
        Blurred depth in the tissue in mm: necks between bodies are shallow.
    peak_mm : (N + 1,) float
        Depth of the deepest voxel of each.
    """

    labels: IntArray
    depth: FloatArray
    peak_mm: FloatArray

    def share(self, where: BoolArray) -> FloatArray:
        """Share of each body that lies somewhere."""
        n = len(self.peak_mm)
        sizes = np.maximum(np.bincount(self.labels.ravel(), minlength=n), 1)
        shares: FloatArray = np.bincount(self.labels.ravel(), where.ravel(), n) / sizes
        return shares


def choose_bodies(
    hu: FloatArray,
    soft: BoolArray,
    layer: BoolArray,
    away_mm: FloatArray,
    thick_mm: float,
    ribs: Ribs,
    spacing_mm: FloatArray,
    settings: LungSettings,
) -> BoolArray:
    """Choose the bodies of soft tissue that are rind.

    Rays from the lung tell of a layer, but they see neither where it ends at an organ of its own
    density, nor the sheets in which pleura lies on pleura where the lung has withdrawn. So the
    soft tissue inside the ribs is cut at its waists. A body is rind when most of it lies in that
    layer; or when it is as flat as a rind and either a good part of it lies in the layer, or it
    leans on the ribs and hangs together with a rind more widely than with an organ.

    Parameters
    ----------
    hu : (z, y, x) float32
        Smoothed Hounsfield units.
    soft : (z, y, x) bool
        Soft tissue that is neither lung nor bone.
    layer : (z, y, x) bool
        The layer that rays tell of.
    away_mm : (z, y, x) float
        Distance from the lung.
    thick_mm : float
        How thick the layer usually is.
    ribs : Ribs
        The inside of the ribs.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    settings : LungSettings
        Limits.

    Returns
    -------
    (z, y, x) bool
        Rind.
    """
    inside = soft & (ribs.depth_mm > 0)
    bodies = _cut(hu, inside, _threshold(hu, layer, away_mm, thick_mm, settings), spacing_mm)
    in_layer, peak = bodies.share(layer), bodies.peak_mm
    thickest_mm = max(settings.rind_thickest * thick_mm, settings.organ_least_mm)
    deep_mm = max(settings.rind_flat * thick_mm, settings.organ_least_mm)
    strong = (in_layer > settings.rind_in_layer) & (peak < thickest_mm)
    organ = (peak > thickest_mm) | ((peak > deep_mm) & (in_layer < settings.organ_in_layer))
    strong[0] = organ[0] = False
    organ &= ~strong
    won = bodies.share(_contest(bodies, strong, organ, inside) == _RIND) > 0.5
    near_ribs = ribs.costal & (ribs.depth_mm < settings.rind_ribs_mm)
    leans = won & (bodies.share(near_ribs) > settings.rind_on_ribs)
    leans |= in_layer > settings.organ_in_layer
    flat_mm = max(settings.rind_flat * thick_mm, settings.rind_least_mm)
    chosen = strong | (leans & ~organ & (peak < flat_mm))
    chosen[0] = False
    # What lies on an organ without a waist between them is as thick as elsewhere.
    on_organ = layer & organ[bodies.labels] & (away_mm < thick_mm)
    rind: BoolArray = chosen[bodies.labels] | on_organ
    return rind


def _threshold(
    hu: FloatArray, layer: BoolArray, away_mm: FloatArray, thick_mm: float, settings: LungSettings
) -> float:
    """Attenuation above which tissue is solid, from that of the rind itself."""
    within = layer & (away_mm > 0.3 * thick_mm) & (away_mm < 0.7 * thick_mm)
    level = float(np.median(hu[within])) if within.any() else _LEAST_LEVEL_HU
    return settings.rind_hu + _LEVEL_SHARE * (max(level, _LEAST_LEVEL_HU) - settings.rind_hu)


def _cut(hu: FloatArray, inside: BoolArray, threshold_hu: float, spacing_mm: FloatArray) -> _Bodies:
    """Cut tissue at its waists."""
    dark = ~(inside & (hu > threshold_hu))
    solid = ~keep_large(dark, _SPECK_VOXELS) & inside
    depth = depth_inside(solid, spacing_mm)
    depth[~np.isfinite(depth)] = 0.0
    blurred = ndimage.gaussian_filter(depth, _DEPTH_BLUR)
    peaks = peak_local_max(
        blurred, min_distance=_APART, labels=inside.astype(np.uint8), exclude_border=False
    )
    markers = np.zeros(inside.shape, np.int32)
    # Where there is no tissue, scikit-image gives an array of no known width.
    markers[tuple(peaks.reshape(-1, 3).T)] = np.arange(1, len(peaks) + 1)
    labels: IntArray = watershed(-blurred, markers, mask=inside)
    peak_mm = np.zeros(len(peaks) + 1)
    np.maximum.at(peak_mm, labels.ravel(), depth.ravel())
    return _Bodies(labels, blurred, peak_mm)


def _contest(bodies: _Bodies, rind: BoolArray, organ: BoolArray, inside: BoolArray) -> IntArray:
    """Give each voxel to rind or organs, whichever the wider waists lead to."""
    markers = np.zeros(inside.shape, np.int32)
    markers[rind[bodies.labels]] = _RIND
    markers[organ[bodies.labels]] = _ORGAN
    won: IntArray = watershed(-bodies.depth, markers, mask=inside)
    return won
