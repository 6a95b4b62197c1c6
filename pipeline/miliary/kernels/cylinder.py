"""Values on a closed surface, laid out by angle and height like the label of a bottle."""

from __future__ import annotations

import numpy as np

from miliary.arrays import FloatArray


def unroll(
    points_mm: FloatArray, values: FloatArray, *, n_heights: int, n_angles: int
) -> FloatArray:
    """Average values on a surface by height and by angle round its own middle at that height.

    Parameters
    ----------
    points_mm : (N, 3) float
        Places `(x, y, z)`.
    values : (N,) float
        Values there.
    n_heights, n_angles : int
        Cells of the map.

    Returns
    -------
    (n_heights, n_angles) float
        The lowest cells first. Angles start to the left of the picture (smallest x) and go by the
        front (smallest y) to the right and by the back round again. NaN where nothing lies.

    Raises
    ------
    ValueError
        For numbers of cells that are not above 0.
    """
    if n_heights < 1 or n_angles < 1:
        raise ValueError(f"a map must have cells, got {n_heights} x {n_angles}")
    result = np.full((n_heights, n_angles), np.nan)
    if not len(points_mm):
        return result
    x, y, z = np.asarray(points_mm, float).T
    low, height = z.min(), max(float(np.ptp(z)), 1e-9)
    row = np.minimum(((z - low) / height * n_heights).astype(int), n_heights - 1)
    for level in np.unique(row):
        at = row == level
        # The middle of the outline, not of the points: these crowd where the surface is steep.
        middle = (x[at].min() + x[at].max()) / 2, (y[at].min() + y[at].max()) / 2
        angle = np.arctan2(middle[1] - y[at], middle[0] - x[at])
        column = ((angle % (2 * np.pi)) / (2 * np.pi) * n_angles).astype(int) % n_angles
        n = np.bincount(column, minlength=n_angles)
        total = np.bincount(column, values[at], minlength=n_angles)
        result[level] = np.divide(total, n, out=np.full(n_angles, np.nan), where=n > 0)
    return result


def share_round(cells: FloatArray, least: float) -> FloatArray:
    """Give the part of the way round, at each height, along which a map reaches a limit.

    Parameters
    ----------
    cells : (H, A) float
        From `unroll`.
    least : float
        The limit.

    Returns
    -------
    (H,) float
        0 to 1; NaN where nothing is known at that height.
    """
    known = np.isfinite(cells)
    n = known.sum(axis=1)
    above = (np.where(known, cells, -np.inf) >= least).sum(axis=1)
    share: FloatArray = np.divide(above, n, out=np.full(len(cells), np.nan), where=n > 0)
    return share
