"""Tubes as pieces with a form of their own that tells the blurred share at a place."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.phantom.discs import COLUMNS, disc_table
from miliary.phantom.tubes import Tubes

#: Most pieces that a long oblique tube is divided into, so that their boxes are small.
_MOST_PIECES = 12


@dataclass(frozen=True, eq=False)
class Capsules:
    """Pieces of tubes that know the column of the table of discs at any place.

    A place is `away` from the start. The column of a thin piece is `away' across away + over²`,
    where `over` is how far `away . along` lies outside of 0 to `length`. That of a thick one is
    found from the distance to its edge, and `across` says nothing.

    Parameters
    ----------
    start_mm, way_mm : (N, 3) float
        Start, and way to the end, of the axes `(z, y, x)`.
    reach_mm : (N, 3) float
        How far they are seen beyond their axes.
    radius_mm : (N,) float
        Radii.
    row : (N,) int
        Rows of the table.
    across : (N, 3, 3) float
        Quadratic forms.
    along : (N, 3) float
        Directions, of unit length in thick pieces.
    length : (N,) float
        Lengths as `along` measures them.
    edge_sigma_mm : tuple of float
        Point spread along z, y and x for thick pieces; empty for thin ones.
    """

    start_mm: FloatArray
    way_mm: FloatArray
    reach_mm: FloatArray
    radius_mm: FloatArray
    row: IntArray
    across: FloatArray
    along: FloatArray
    length: FloatArray
    edge_sigma_mm: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: IntArray) -> Capsules:
        """Take some of the pieces.

        Parameters
        ----------
        rows : (M,) int
            Which.

        Returns
        -------
        Capsules
            These.
        """
        names = [item.name for item in fields(self) if item.name != "edge_sigma_mm"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def divided(self, spacing_mm: FloatArray) -> Capsules:
        """Divide pieces so that the boxes around them are smallest together.

        Each place sees the nearest piece as it would see the whole.

        Parameters
        ----------
        spacing_mm : (3,) float
            Voxel size.

        Returns
        -------
        Capsules
            As many or more.
        """
        parts = np.arange(1, _MOST_PIECES + 1)
        margin = 2 * self.reach_mm + spacing_mm
        boxes = (np.abs(self.way_mm)[:, :, None] / parts + margin[:, :, None]).prod(axis=1)
        best = (boxes * parts).argmin(axis=1) + 1
        pieces = self.take(np.repeat(np.arange(len(self)), best))
        n = np.repeat(best, best)
        number = np.arange(len(n)) - np.repeat(np.cumsum(best) - best, best)
        way_mm = pieces.way_mm / n[:, None]
        start_mm = pieces.start_mm + number[:, None] * way_mm
        return replace(pieces, start_mm=start_mm, way_mm=way_mm, length=pieces.length / n)

    def columns(self, place_mm: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
        """Find the columns of the table of discs in a box of each piece.

        Parameters
        ----------
        place_mm : three of (N, nz), (N, ny) and (N, nx) float
            Where the voxels of the boxes are along z, y and x.

        Returns
        -------
        (N, nz, ny, nx) float32
            Columns with fractions; the piece is not seen from `COLUMNS` on.
        """
        z, y, x = (
            (place - self.start_mm[:, a, None]).astype(np.float32)
            for a, place in enumerate(place_mm)
        )
        if self.edge_sigma_mm:
            return _thick_columns(self, z, y, x)
        return _thin_columns(self, z, y, x)


def _directions(tubes: Tubes, sigma: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors (N, 3) along tubes, their lengths (N,), and their blurs' covariance (N, 3, 3).

    The covariance is that of the spread across the tube beside that along it: a long tube does
    not show how the two go together.
    """
    way = tubes.end_mm - tubes.start_mm
    length = np.sqrt((way**2).sum(axis=1))
    unit = way / np.maximum(length, 1e-9)[:, None]
    unit[length < 1e-9] = (1.0, 0.0, 0.0)
    outer = unit[:, :, None] * unit[:, None, :]
    flat = np.eye(3) - outer
    along2 = (unit**2 * sigma**2).sum(axis=1)
    return unit, length, flat @ np.diag(sigma**2) @ flat + along2[:, None, None] * outer


def thin_capsules(tubes: Tubes, sigma: FloatArray) -> Capsules:
    """Prepare tubes whose cross-section is mostly blur.

    Each is drawn as a round disc seen in a sheared space, where the blur is round as well: its
    area and its second moments along both axes of the cross-section are those of a disc blurred
    by the given spread. With the same spread along both this is the blurred disc itself.

    Parameters
    ----------
    tubes : Tubes
        The tubes.
    sigma : (3,) float
        Standard deviation of the point spread along z, y and x in mm.

    Returns
    -------
    Capsules
        One for each tube.
    """
    table = disc_table()
    unit, length, second = _directions(tubes, sigma)
    quarter = tubes.radius_mm**2 / 4
    second += quarter[:, None, None] * np.eye(3)
    along2 = (unit[:, :, None] * second * unit[:, None, :]).sum(axis=(1, 2))
    # What the disc has of the second moment; the rest is blur.
    share = quarter / np.sqrt(np.linalg.det(second) / along2)
    radius = np.sqrt(4 * share / (1 - share))
    row = table.row(radius)
    # The form in columns of the table; the nearest radius in it is met by scaling all lengths.
    scale = table.columns_per_squared[row] * (table.radius[row] / radius) ** 2 / (1 - share)
    ends = np.sqrt(scale / along2)
    across = np.linalg.inv(second) * scale[:, None, None]
    across -= (unit * ends[:, None])[:, :, None] * (unit * ends[:, None])[:, None, :]
    reach = np.sqrt(np.diagonal(second, axis1=1, axis2=2) * (COLUMNS / scale)[:, None])
    way_mm = tubes.end_mm - tubes.start_mm
    along, length = unit * ends[:, None], length * ends
    return Capsules(tubes.start_mm, way_mm, reach, tubes.radius_mm, row, across, along, length)


def thick_capsules(tubes: Tubes, sigma: FloatArray) -> Capsules:
    """Prepare tubes whose edges matter most: these are blurred as the spread is across them.

    Parameters
    ----------
    tubes : Tubes
        The tubes.
    sigma : (3,) float
        Standard deviation of the point spread along z, y and x in mm.

    Returns
    -------
    Capsules
        One for each tube.
    """
    table = disc_table()
    unit, length, second = _directions(tubes, sigma)
    along2 = (unit**2 * sigma**2).sum(axis=1)
    row = table.row(tubes.radius_mm / (np.linalg.det(second) / along2) ** 0.25)
    reach = tubes.radius_mm + (table.outer - table.radius)[row] * sigma.max()
    return Capsules(
        tubes.start_mm,
        tubes.end_mm - tubes.start_mm,
        np.repeat(reach[:, None], 3, axis=1),
        tubes.radius_mm,
        row,
        second,
        unit,
        length,
        tuple(sigma.tolist()),
    )


def _narrow(values: AnyArray) -> FloatArray:
    """Numbers of each piece as (N, 1, 1) float32."""
    return values.astype(np.float32)[:, None, None]


def _thin_columns(forms: Capsules, z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Columns (N, z, y, x) of the table by quadratic forms: every temporary costs."""
    form, along = forms.across, forms.along
    z, y = z[:, :, None], y[:, None, :]
    plane = _narrow(form[:, 0, 0]) * z * z + _narrow(form[:, 1, 1]) * y * y
    plane += _narrow(2 * form[:, 0, 1]) * z * y
    slope = _narrow(2 * form[:, 0, 2]) * z + _narrow(2 * form[:, 1, 2]) * y
    x = x[:, None, None, :]
    columns: FloatArray = slope[..., None] * x
    columns += plane[..., None]
    columns += _narrow(form[:, 2, 2])[..., None] * x * x
    over = (_narrow(along[:, 0]) * z + _narrow(along[:, 1]) * y)[..., None] + (
        _narrow(along[:, 2])[..., None] * x
    )
    nearest = np.maximum(over, np.float32(0))
    np.minimum(nearest, _narrow(forms.length)[..., None], out=nearest)
    over -= nearest
    over *= over
    columns += over
    return columns


def _thick_columns(forms: Capsules, z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Columns (N, z, y, x) of the table by the distance from the edge, in sigmas across it."""
    table = disc_table()
    z, y, x = z[:, :, None, None], y[:, None, :, None], x[:, None, None, :]
    uz, uy, ux = (_narrow(forms.along[:, a])[..., None] for a in range(3))
    along = np.maximum(z * uz + y * uy + x * ux, 0)
    np.minimum(along, _narrow(forms.length)[..., None], out=along)
    z, y, x = z - along * uz, y - along * uy, x - along * ux
    squares = [np.square(away) for away in (z, y, x)]
    distance2 = squares[0] + squares[1] + squares[2] + np.float32(1e-6)
    variances = [np.float32(sigma**2) for sigma in forms.edge_sigma_mm]
    blur2 = (
        sum(variance * square for variance, square in zip(variances, squares, strict=True))
        / distance2
    )
    np.maximum(blur2, min(variances), out=blur2)
    blur = np.sqrt(blur2)
    # The blur along a bent edge shifts it inwards; the table's shift is that of a round blur.
    beside2 = np.float32(sum(variances)) - _narrow((forms.along**2) @ variances)[..., None] - blur2
    radius = _narrow(forms.radius_mm)[..., None]
    outside = (np.sqrt(distance2) - radius + beside2 / (2 * radius)) / blur
    disc = table.radius[forms.row]
    away = np.maximum(outside + _narrow(disc - 0.5 / disc)[..., None], 0)
    columns: FloatArray = np.square(away)
    columns *= _narrow(table.columns_per_squared[forms.row])[..., None]
    return columns
