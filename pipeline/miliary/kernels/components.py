"""How large the bright thing is that a place belongs to, at several levels of brightness.

Rays see 5 mm far; a component goes as far as it is bright. A nodule stands alone at every level
below its own, a vessel belongs to a tree.
"""

from __future__ import annotations

import cc3d
import numpy as np

from miliary.arrays import FloatArray, IntArray

#: What a place below the level gets: log volume and log extent of nothing.
NOTHING = (-3.0, -1.0)


def component_sizes(
    image: FloatArray, voxel_zyx: IntArray, spacing_mm: FloatArray, levels_hu: tuple[float, ...]
) -> FloatArray:
    """Size of the component above each level that holds each place.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Smoothed image, below every level outside of the lungs.
    voxel_zyx : (N, 3) int
        Places.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    levels_hu : tuple of L float
        Levels.

    Returns
    -------
    (N, 2 L) float32
        For each level the logarithm of the component's volume (mm3) and of the diagonal of its
        bounding box (mm); `NOTHING` where the place is not above the level.
    """
    places, spacing = tuple(np.asarray(voxel_zyx).T), np.asarray(spacing_mm, float)
    columns = np.empty((len(voxel_zyx), 2 * len(levels_hu)), np.float32)
    for k, level in enumerate(levels_hu):
        labels, n = cc3d.connected_components(image > level, connectivity=26, return_N=True)
        of_place = labels[places]
        volume = np.bincount(labels.ravel(), minlength=n + 1)[of_place] * spacing.prod()
        extent = _extents(labels, n, spacing)[of_place]
        above = of_place > 0
        columns[:, 2 * k] = np.where(above, np.log(volume), NOTHING[0])
        columns[:, 2 * k + 1] = np.where(above, np.log(extent), NOTHING[1])
    return columns


def _extents(labels: IntArray, n: int, spacing: FloatArray) -> FloatArray:
    """Diagonal of the bounding box of every label (n + 1,) in mm."""
    boxes = cc3d.statistics(labels, no_slice_conversion=True)["bounding_boxes"].astype(float)
    sides = (boxes[: n + 1, 1::2] - boxes[: n + 1, 0::2] + 1) * spacing
    diagonal: FloatArray = np.linalg.norm(sides, axis=1)
    return diagonal
