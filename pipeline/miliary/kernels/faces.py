"""Faces between the voxels of a mask and those outside of it."""

from __future__ import annotations

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray

#: Slices in which faces are looked for at a time: what differs stays in the cache.
_SECTIONS = 8


def find_faces(mask: BoolArray, axis: int, n: int) -> FloatArray:
    """Choose places on the surface of a mask, evenly spread over its faces across one axis.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        The object; the border of the image is no surface.
    axis : int
        0, 1 or 2.
    n : int
        Most places to give.

    Returns
    -------
    (M, 3) float
        Indices half-way between a voxel of the mask and one outside it, M <= n.
    """
    places = _changes(np.asarray(mask, bool), axis)
    # Slice by slice across the axis: a few faces sorted cost less than a mask turned round.
    order = [axis, *(other for other in range(3) if other != axis)]
    turned = [mask.shape[side] for side in order]
    flat = np.sort(np.ravel_multi_index([places[side] for side in order], turned))
    chosen = flat[np.linspace(0, len(flat) - 1, min(n, len(flat))).astype(np.intp)]
    index = np.column_stack(np.unravel_index(chosen, turned))
    faces = np.empty(index.shape)
    faces[:, order] = index
    faces[:, axis] += 0.5
    return faces


def _changes(mask: BoolArray, axis: int) -> IntArray:
    """Voxels (3, N) of which only one of it and the next along an axis is of a mask."""
    step = int(np.prod(mask.shape[axis + 1 :]))
    found = [np.empty((3, 0), np.intp)]
    for start in range(0, len(mask), _SECTIONS):
        # Of the next part the first slice: it is beyond the last of this.
        part = mask[start : start + _SECTIONS + (axis == 0)]
        # As one long row; the last voxel along the axis has none of its own row next to it.
        row = part.reshape(-1)
        differs = np.flatnonzero(row[step:] != row[: len(row) - step])
        places = np.array(np.unravel_index(differs, part.shape))
        places = places[:, places[axis] < part.shape[axis] - 1]
        places[0] += start
        found.append(places)
    return np.concatenate(found, axis=1)
