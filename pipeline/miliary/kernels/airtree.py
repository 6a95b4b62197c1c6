"""The trachea and the large bronchi, as air on a coarse grid."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from miliary.arrays import BoolArray, FloatArray
from miliary.kernels.regions import bounding_box, components, label_parts, members

#: Joins voxels within an axial slice only.
_IN_PLANE = np.zeros((3, 3, 3), int)
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)
#: A disc fills 0.79 of its bounding box; an oval across it, or a star, fills less.
_LEAST_FILLED = 0.5
#: Longest side of a section's box over the shortest.
_MOST_OBLONG = 2.5
#: Sections of the main bronchi have at least this area.
_BRONCHUS_MM2 = 25.0


def find_tube(
    air: BoolArray,
    spacing_mm: FloatArray,
    *,
    middle_x: float,
    reach_mm: float,
    area_mm2: tuple[float, float],
    min_length_mm: float,
) -> BoolArray:
    """Find an upright tube of air near the midline: the trachea above its bifurcation.

    Axial sections of air that are small and compact are joined along z; the longest chain of
    them is the tube.

    Parameters
    ----------
    air : (Z, Y, X) bool
        Air inside the body.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    middle_x : float
        Index of the midline.
    reach_mm : float
        How far from the midline a section's centre may lie.
    area_mm2 : (float, float)
        Smallest and largest area of a section.
    min_length_mm : float
        Length that the tube must have along z.

    Returns
    -------
    (Z, Y, X) bool
        The tube; empty when there is none.
    """
    # What goes on farther than this beside the reach is too wide for a compact section.
    margin_mm = reach_mm + np.sqrt(_MOST_OBLONG / _LEAST_FILLED * area_mm2[1]) / 2
    columns = _around(middle_x, margin_mm / spacing_mm[2], air.shape[2])
    labels, n_labels = ndimage.label(air[..., columns], _IN_PLANE)
    boxes = ndimage.find_objects(labels)
    pixels = np.bincount(labels.ravel(), minlength=n_labels + 1)[1:]
    area = pixels * spacing_mm[1] * spacing_mm[2]
    extent = np.array([[s.stop - s.start for s in box[1:]] for box in boxes]).reshape(-1, 2)
    centre = np.array([columns.start + (box[2].start + box[2].stop - 1) / 2 for box in boxes])
    sides = extent * spacing_mm[1:]
    compact = pixels >= _LEAST_FILLED * extent.prod(axis=1)
    compact &= sides.max(axis=1) <= _MOST_OBLONG * sides.min(axis=1)
    suits = (
        (area >= area_mm2[0])
        & (area <= area_mm2[1])
        & compact
        & (np.abs(centre - middle_x) * spacing_mm[2] <= reach_mm)
    )
    chains, _ = label_parts(np.concatenate([[False], suits])[labels])
    spans = ndimage.find_objects(chains)
    lengths = [(box[0].stop - box[0].start) * spacing_mm[0] for box in spans]
    if not lengths or max(lengths) < min_length_mm:
        return np.zeros(air.shape, bool)
    tube = np.zeros(air.shape, bool)
    tube[..., columns] = chains == int(np.argmax(lengths)) + 1
    return tube


def grow_air(
    hu: FloatArray,
    seed: BoolArray,
    inside: BoolArray,
    *,
    thresholds_hu: tuple[float, ...],
    max_voxels: float,
    max_growth: float,
) -> BoolArray:
    """Grow a seed through ever denser air, until it bursts into the lung.

    Parameters
    ----------
    hu : (Z, Y, X) float32
        Hounsfield units.
    seed : (Z, Y, X) bool
        Part of the airways.
    inside : (Z, Y, X) bool
        Where it may grow.
    thresholds_hu : tuple of float
        Upper limits of air, increasing.
    max_voxels : float
        An airway tree is not larger.
    max_growth : float
        From one threshold to the next it grows at most by this factor.

    Returns
    -------
    (Z, Y, X) bool
        The seed and the largest tree before a leak.
    """
    # Cropped: most of the image is denser than any of the thresholds, or outside.
    box = bounding_box(seed | ((hu < max(thresholds_hu)) & inside))
    whole = np.zeros_like(seed)
    whole[box] = _grow_cropped(
        hu[box], seed[box], inside[box], thresholds_hu, max_voxels, max_growth
    )
    return whole


def _grow_cropped(
    hu: FloatArray,
    seed: BoolArray,
    inside: BoolArray,
    thresholds_hu: tuple[float, ...],
    max_voxels: float,
    max_growth: float,
) -> BoolArray:
    tree = seed
    for threshold in thresholds_hu:
        grown = seed | _joined((hu < threshold) & inside, seed)
        n_before, n_after = np.count_nonzero(tree), np.count_nonzero(grown)
        if n_after > max_voxels or (tree is not seed and n_after > max_growth * n_before):
            break
        tree = grown
    return tree


def find_fork(air: BoolArray, spacing_mm: FloatArray) -> float | None:
    """Find where a tube of air divides on its way down: the carina.

    Parameters
    ----------
    air : (Z, Y, X) bool
        An airway tree; z upwards.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    float or None
        Slice of the lowest section of the undivided tube; None where there is no fork.
    """
    used = np.flatnonzero(air.any(axis=(1, 2)))
    if len(used) == 0:
        return None
    box = bounding_box(air)
    first, used = int(used[0]), used - used[0]
    labels, n_labels = ndimage.label(air[box], _IN_PLANE)
    area = np.bincount(labels.ravel(), minlength=n_labels + 1) * spacing_mm[1] * spacing_mm[2]
    # The trachea is followed from above: bronchi that rise beside it do not count.
    top = labels[used[-1]]
    here = top == np.argmax(np.where(np.isin(np.arange(len(area)), top), area, 0)[1:]) + 1
    for z in range(used[-1] - 1, used[0] - 1, -1):
        below = np.unique(labels[z][here])
        below = below[(below > 0) & (area[below] >= _BRONCHUS_MM2)]
        if len(below) >= 2:
            return float(first + z + 1)
        if len(below) == 0:
            return None
        here = labels[z] == below[0]
    return None


def find_gas(
    hu: FloatArray,
    inside: BoolArray,
    *,
    gas_hu: float,
    soft_hu: float,
    voxels: tuple[float, float],
    min_soft_share: float,
) -> BoolArray:
    """Find pockets of pure gas walled by soft tissue: stomach and bowel, not lung or bullae.

    Parameters
    ----------
    hu : (Z, Y, X) float32
        Hounsfield units.
    inside : (Z, Y, X) bool
        Where to look.
    gas_hu, soft_hu : float
        Gas is below the first, soft tissue above the second.
    voxels : (float, float)
        Smallest and largest pocket.
    min_soft_share : float
        Share of a pocket's surroundings that must be soft tissue.

    Returns
    -------
    (Z, Y, X) bool
        The pockets, without the mixed voxels on their walls.
    """
    labels, sizes = components((hu < gas_hu) & inside)
    found = np.zeros(hu.shape, bool)
    for label in np.flatnonzero((sizes >= voxels[0]) & (sizes <= voxels[1])):
        # Walls are mixed over one or two voxels; soft tissue is judged behind them.
        box = bounding_box(labels == label, (4, 4, 4))
        pocket = labels[box] == label
        rim = ndimage.binary_dilation(pocket, iterations=2)
        behind = ndimage.binary_dilation(rim, iterations=2) & ~rim
        if np.mean(hu[box][behind] > soft_hu) >= min_soft_share:
            found[box] |= pocket
    return found


def _around(middle: float, reach: float, n: int) -> slice:
    """Indices no farther from a place than the reach, as far as the image goes."""
    return slice(max(int(middle - reach), 0), min(int(middle + reach) + 2, n))


def _joined(mask: BoolArray, seed: BoolArray) -> BoolArray:
    """Components of a mask that hold a voxel of the seed."""
    labels, n_labels = label_parts(mask)
    touched = np.zeros(n_labels + 1, bool)
    touched[labels[seed]] = True
    touched[0] = False
    return members(labels, touched)
