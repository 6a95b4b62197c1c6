"""Lung without air: consolidated or collapsed, as far as the other lung tells where it belongs."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from miliary.anatomy import RIGHT, SIDES
from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.lungs import LungSettings
from miliary.kernels.distances import close_gaps, deeper_than, depth_inside, within
from miliary.kernels.filters import smooth
from miliary.kernels.regions import block_mean, components, stretch
from miliary.lungs.coarse import CoarseLungs
from miliary.lungs.ribs import BONE_HU, mirrored

#: Blur of the coarse grid, in mm.
_BLUR_MM = 0.8
#: Organs are told from each other on a grid this many times coarser.
_FACTORS = (2, 2, 2)
#: Part of a block that is tissue: a sheet of fat between two organs keeps them apart.
_SOLID_SHARE = 0.9
#: Blocks between the middles of two parts, and the blur of the depth that they are found in.
_APART, _DEPTH_BLUR = 5, 1.0
#: Blocks that touch with faces, edges or corners, in blocks.
_NEXT = 1.8
#: Share of both lungs' air that is usually in the right one: R 53 % in CIP's reference lung and
#: in nlst-low-dose.
_RIGHT_SHARE = 0.53


def find_collapse(
    found: CoarseLungs, rinds: dict[int, BoolArray], settings: LungSettings
) -> dict[int, BoolArray]:
    """Find tissue that takes the place of lung.

    Only where one side holds much less air than the other. The other lung, mirrored, says where
    lung should be; the soft tissue there is cut at its waists, and of the parts those are lung
    that lie in that place for the most, that do not go on outside of it, and that do not lie
    under the lung as liver and spleen do.

    Parameters
    ----------
    found : CoarseLungs
        Lungs on the coarse grid.
    rinds : dict of int to (z, y, x) bool
        The rind of each side that has one.
    settings : LungSettings
        Limits.

    Returns
    -------
    dict of int to (z, y, x) bool
        Masks of those sides where some was found.
    """
    grid, result = found.grid, {}
    volumes = {
        side: float(np.count_nonzero(found.sides[side])) if side in found.sides else 0.0
        for side in SIDES.values()
    }
    for side, rind in rinds.items():
        volumes[side] += float(np.count_nonzero(rind))
    for side in SIDES.values():
        other = 3 - side
        usual = _RIGHT_SHARE / (1 - _RIGHT_SHARE) if side == RIGHT else 1 / _RIGHT_SHARE - 1
        if volumes[side] >= settings.collapse_ratio * usual * volumes[other]:
            continue
        place = mirrored(found.sides[other] | rinds.get(other, np.False_), found.middle_x)
        filled = np.logical_or.reduce([*found.sides.values(), *rinds.values()])
        place &= ~filled
        hu = smooth(grid.hu, _BLUR_MM, grid.spacing_mm)
        bone = close_gaps(hu > BONE_HU, settings.rib_closing_mm, grid.spacing_mm)
        soft = (hu > settings.rind_hu) & ~bone & ~filled & ~found.never
        own = found.sides.get(side, np.zeros_like(soft))
        rind = rinds.get(side, np.zeros_like(soft))
        # Above the other lung's apex there are neck and armpit.
        soft[int(np.flatnonzero(found.sides[other].any(axis=(1, 2)))[-1]) + 1 :] = False
        mask = _lung_like(soft, place, own, rind, found, settings)
        if np.count_nonzero(mask) * grid.voxel_ml >= settings.collapse_ml:
            result[side] = mask
    return result


def _lung_like(
    soft: BoolArray,
    place: BoolArray,
    own: BoolArray,
    rind: BoolArray,
    found: CoarseLungs,
    settings: LungSettings,
) -> BoolArray:
    """Parts of the tissue that are lung, on the coarse grid."""
    spacing = found.grid.spacing_mm
    solid = block_mean(soft, _FACTORS) >= _SOLID_SHARE
    parts = _cut_at_waists(solid, spacing * _FACTORS)
    n = int(parts.max())
    if n == 0:
        return np.zeros_like(soft)
    expected = block_mean(place, _FACTORS) > 0.5
    air = block_mean(own, _FACTORS) > 0.5
    above = np.logical_or.accumulate(air[::-1], axis=0)[::-1] & ~air
    sizes = np.maximum(np.bincount(parts.ravel(), minlength=n + 1), 1)

    def share(where: BoolArray) -> FloatArray:
        return np.bincount(parts.ravel(), where.ravel(), n + 1) / sizes

    held = share(expected)
    chosen = _with_leaning(parts, held >= settings.collapse_share, held, settings)
    beside = block_mean(own | rind, _FACTORS) > 0.5
    # Parts that hang together are judged together: a lobe has several middles.
    groups, _ = components(chosen[parts])
    kept = np.zeros_like(solid)
    for group in range(1, int(groups.max()) + 1):
        mask = groups == group
        border = within(mask, _NEXT, np.ones(3)) & ~mask
        if beside.any() and np.mean(beside[border]) < settings.collapse_touch:
            continue
        goes_on = np.mean(solid[border]) > settings.collapse_open
        if not (goes_on and np.mean(above[mask]) > settings.collapse_below):
            kept |= mask
    if not kept.any():
        return np.zeros_like(soft)
    grown = stretch(kept, _FACTORS, soft.shape)
    # Blocks that hold some fat were left out: their tissue comes back.
    grown = (grown | within(grown, 2.0 * float(spacing.max()), spacing)) & soft
    filled: BoolArray = close_gaps(grown, settings.collapse_closing_mm, spacing)
    # Air in its bronchi is not aerated lung; lung proper is thicker.
    reach_mm = settings.collapse_closing_mm
    proper = within(deeper_than(own, reach_mm, spacing), reach_mm + float(spacing.max()), spacing)
    filled &= ~(own & proper) & ~found.never
    return filled


def _with_leaning(
    parts: IntArray, strong: BoolArray, held: FloatArray, settings: LungSettings
) -> BoolArray:
    """Add parts that lie less well in place, but have much surface in common with such ones."""
    strong[0] = False
    near = within(strong[parts], _NEXT, np.ones(3))
    surface = within(parts == 0, _NEXT, np.ones(3))
    surface |= near
    n = len(held)
    touching = np.bincount(parts.ravel(), near.ravel(), n)
    outer = np.bincount(parts.ravel(), surface.ravel(), n)
    leans = touching >= settings.collapse_lean * np.maximum(outer, 1)
    chosen: BoolArray = strong | (leans & (held >= settings.collapse_weak_share))
    chosen[0] = False
    return chosen


def _cut_at_waists(solid: BoolArray, spacing_mm: FloatArray) -> IntArray:
    """Part tissue into bodies round the places that lie deepest in it."""
    depth = depth_inside(solid, spacing_mm)
    depth[~np.isfinite(depth)] = 0.0
    depth = ndimage.gaussian_filter(depth, _DEPTH_BLUR)
    peaks = peak_local_max(depth, min_distance=_APART, labels=solid.astype(np.uint8))
    markers = np.zeros(solid.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parts: IntArray = watershed(-depth, markers, mask=solid)
    return parts
