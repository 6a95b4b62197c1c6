"""Shares of blurred shapes: half-spaces, sheets and tubes seen through a Gaussian point spread."""

from __future__ import annotations

import numpy as np
from scipy import special

from miliary.arrays import FloatArray, IntArray
from miliary.phantom.capsules import Capsules, thick_capsules, thin_capsules
from miliary.phantom.discs import COLUMNS, disc_table
from miliary.phantom.tubes import Tubes

#: From this radius in sigmas the blur of a tube's edge is that of the edge's own direction.
_THICK = 1.8

#: Voxels computed at once, which a core's cache holds, and tubes: fewer are more alike in size.
_BATCH, _MOST_TUBES = 150_000, 256


def edge_share(depth_mm: FloatArray, sigma_mm: FloatArray | float) -> FloatArray:
    """Share of a half-space blurred by a Gaussian, by the depth inside it.

    Parameters
    ----------
    depth_mm : (...) float
        Depth inside the half-space, negative outside.
    sigma_mm : (...) float
        Standard deviation of the point spread across the edge.

    Returns
    -------
    (...) float32
        Shares, 0 to 1.
    """
    in_sigmas = np.asarray(depth_mm / np.asarray(sigma_mm, np.float32), np.float32)
    share: FloatArray = special.ndtr(in_sigmas)
    return share


def blurred_sheet(
    distance_mm: FloatArray, thickness_mm: FloatArray | float, sigma_mm: FloatArray | float
) -> FloatArray:
    """Share of a plane sheet blurred by a Gaussian, by the distance from its middle.

    Parameters
    ----------
    distance_mm : (...) float
        Distances from the sheet's middle, on either side.
    thickness_mm : (...) float
        Its thickness, 0 or more.
    sigma_mm : (...) float
        Standard deviation of the point spread across the sheet.

    Returns
    -------
    (...) float32
        Shares, 0 to 1: their integral over the distance is the thickness.
    """
    per_mm = np.float32(1.0) / np.asarray(sigma_mm, np.float32)
    half = np.float32(0.5) * np.asarray(thickness_mm, np.float32) * per_mm
    # Beyond the sheet both terms are small, and so is what float32 loses in their difference.
    away = np.abs(np.asarray(distance_mm, np.float32) * per_mm)
    share: FloatArray = special.ndtr(half - away)
    share -= special.ndtr(-half - away)
    return share


def draw_tubes(
    image: FloatArray,
    tubes: Tubes,
    spacing_mm: tuple[float, float, float],
    psf_sigma_mm: tuple[float, float, float],
) -> None:
    """Draw blurred tubes into an image of shares, in place; the largest share of a voxel stays.

    Parameters
    ----------
    image : (z, y, x) float32
        Shares so far, contiguous.
    tubes : Tubes
        What to draw; parts outside of the image are cut off.
    spacing_mm : (3,) float
        Voxel size along z, y and x in mm.
    psf_sigma_mm : (3,) float
        Standard deviation of the point spread along z, y and x in mm, positive.
    """
    if not image.flags.c_contiguous:
        raise ValueError(f"the image must be contiguous, got strides {image.strides}")
    spacing = np.asarray(spacing_mm, float)
    sigma = np.asarray(psf_sigma_mm, float)
    # A tube's cross-section is blurred by no more than the largest deviation.
    reach = tubes.radius_mm[:, None] + 5.0 * sigma.max()
    low = np.minimum(tubes.start_mm, tubes.end_mm) - reach
    high = np.maximum(tubes.start_mm, tubes.end_mm) + reach
    far = (np.array(image.shape) - 1) * spacing
    near = ((high >= 0) & (low <= far)).all(axis=1)
    thick = tubes.radius_mm > _THICK * sigma.max()
    for rows, prepare in ((near & ~thick, thin_capsules), (near & thick, thick_capsules)):
        if rows.any():
            part = Tubes(tubes.start_mm[rows], tubes.end_mm[rows], tubes.radius_mm[rows])
            _draw(image, prepare(part, sigma).divided(spacing), spacing)


def _draw(image: FloatArray, capsules: Capsules, spacing: FloatArray) -> None:
    """Draw pieces in batches of boxes of like size."""
    ends = capsules.start_mm + capsules.way_mm
    low = np.minimum(capsules.start_mm, ends) - capsules.reach_mm
    high = np.maximum(capsules.start_mm, ends) + capsules.reach_mm
    first = np.clip(np.ceil(low / spacing), 0, image.shape).astype(np.intp)
    last = np.clip(np.floor(high / spacing) + 1, 0, image.shape).astype(np.intp)
    size = last - first
    visible = np.flatnonzero((size > 0).all(axis=1))
    order = visible[np.lexsort(tuple(size[visible].T))]
    begin = 0
    while begin < len(order):
        ahead = size[order[begin : begin + _MOST_TUBES]]
        together = np.maximum.accumulate(ahead).prod(axis=1) * np.arange(1, len(ahead) + 1)
        stop = begin + max(1, int(np.searchsorted(together, _BATCH)))
        rows = order[begin:stop]
        box = size[rows].max(axis=0)
        # Boxes made larger than needed still lie in the image.
        origin = np.minimum(first[rows], np.array(image.shape) - box)
        _draw_batch(image, capsules.take(rows), origin, box, spacing)
        begin = stop


def _draw_batch(
    image: FloatArray, capsules: Capsules, origin: IntArray, box: IntArray, spacing: FloatArray
) -> None:
    """Draw pieces, each in a box of its own."""
    _, ny, nx = image.shape
    z, y, x = (origin[:, a, None] + np.arange(box[a]) for a in range(3))
    columns = capsules.columns((z * spacing[0], y * spacing[1], x * spacing[2]))
    seen = columns < COLUMNS
    drawn = np.flatnonzero(seen)
    line = (z[:, :, None] * ny + y[:, None, :])[..., None] * nx
    index = (line + x[:, None, None, :]).reshape(-1).take(drawn)
    # Rounding may leave a place on the axis a little below 0.
    cell = np.maximum(columns.reshape(-1).take(drawn), 0).astype(np.intp)
    counted = np.count_nonzero(seen.reshape(len(capsules), -1), axis=1)
    cell += np.repeat(capsules.row * COLUMNS, counted)
    np.maximum.at(image.reshape(-1), index, disc_table().share.reshape(-1).take(cell))
