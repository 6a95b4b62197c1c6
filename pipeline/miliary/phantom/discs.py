"""Discs seen through a Gaussian: the cross-sections of all tubes, in a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from miliary.arrays import FloatArray, IntArray

#: Shares below this are not drawn: half a Hounsfield unit of a vessel.
FAINT = 5e-4

#: Columns of the table, in equal steps of the squared distance: shares are within 0.3 %.
COLUMNS = 2048

#: Radii in sigmas: from, to (wider discs have the edge of this one) and relative step. A radius
#: between two steps is met by changing the blur by 0.5 % at most.
_NARROWEST, _WIDEST, _STEP = 0.02, 16.0, 0.01


@dataclass(frozen=True, eq=False)
class DiscTable:
    """Shares of discs blurred by a unit Gaussian.

    Parameters
    ----------
    radius : (R,) float
        Radii in sigmas.
    outer : (R,) float
        Distance in sigmas where the share is too faint to be drawn.
    share : (R, D) float32
        Shares, in equal steps of the squared distance up to `outer`.
    """

    radius: FloatArray
    outer: FloatArray
    share: FloatArray

    @property
    def columns_per_squared(self) -> FloatArray:
        """Columns (R,) of the table to a step of 1 of the squared distance."""
        scale: FloatArray = self.share.shape[1] / self.outer**2
        return scale

    def row(self, radius: FloatArray) -> IntArray:
        """Look up the rows of the nearest radii.

        Parameters
        ----------
        radius : (...) float
            Radii in sigmas.

        Returns
        -------
        (...) int
            Rows.
        """
        within = np.clip(radius, _NARROWEST, _WIDEST)
        row: IntArray = np.rint(np.log(within / _NARROWEST) / _STEP).astype(np.intp)
        return np.minimum(row, len(self.radius) - 1)


@cache
def disc_table() -> DiscTable:
    """Tabulate the share of a disc blurred by a unit Gaussian.

    The integral of a shifted round Gaussian over a disc is the distribution function of the
    non-central chi-square with two degrees of freedom.

    Returns
    -------
    DiscTable
        Shares by radius and squared distance from the axis.
    """
    n_radii = int(np.log(_WIDEST / _NARROWEST) / _STEP) + 1
    radius = _NARROWEST * np.exp(_STEP * np.arange(n_radii))
    reach = np.arange(0.0, _WIDEST + 5.0, 0.02)
    faint = special.chndtr(radius[:, None] ** 2, 2.0, reach**2) < FAINT
    outer = np.maximum(reach[faint.argmax(axis=1)], 0.02)
    # The middle of each column, as the nearest one is looked up.
    part = (np.arange(COLUMNS) + 0.5) / COLUMNS
    squared = part * outer[:, None] ** 2
    share = special.chndtr(radius[:, None] ** 2, 2.0, squared).astype(np.float32)
    return DiscTable(radius, outer, share)


def blurred_disc(distance: FloatArray, radius: FloatArray, table: DiscTable) -> FloatArray:
    """Look up the share of a disc blurred by a unit Gaussian.

    Parameters
    ----------
    distance, radius : (...) float
        Distance from the axis and radius, in sigmas, of one shape.
    table : DiscTable
        What `disc_table` gives.

    Returns
    -------
    (...) float32
        Shares, 0 to 1; 0 where they are too faint to be drawn.
    """
    row = table.row(radius)
    # Beyond the table only the distance to the edge matters, within it its part of the radius.
    beyond = np.maximum(distance - np.maximum(radius - table.radius[-1], 0.0), 0.0)
    away = beyond * np.where(radius > table.radius[-1], 1.0, table.radius[row] / radius)
    column = (away**2 * table.columns_per_squared[row]).astype(np.intp)
    share: FloatArray = np.where(
        column < COLUMNS, table.share[row, np.minimum(column, COLUMNS - 1)], np.float32(0)
    )
    return share
