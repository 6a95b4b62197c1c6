"""The patient's place in the grid of a scan, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from miliary.arrays import FloatArray
from miliary.geometry import Geometry
from miliary.phantom.spec import PhantomSpec

#: Middle of an adult's chest, (z, y, x) in chest mm: it lies in the middle of the field of view.
_MIDDLE = np.array([122.0, 6.0, 0.0])

#: Breathing out, the chest gets flatter by this part of what the lungs lose in height.
_FLATTER = 0.3


#: Smaller parts of a coordinate come from rounding.
_NO_TURN = 1e-12

Axes = tuple[FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Frame:
    """An affine map from chest coordinates to grid points, both `(z, y, x)` in mm.

    Parameters
    ----------
    matrix : (3, 3) float
        Turn, size and breath.
    origin_mm : (3,) float
        Grid point of the chest's own zero.
    turn : (3, 3) float
        The turn alone.
    """

    matrix: FloatArray
    origin_mm: FloatArray
    turn: FloatArray

    @classmethod
    def of(cls, spec: PhantomSpec) -> Frame:
        """Put the middle of the chest into the middle of the field of view.

        Parameters
        ----------
        spec : PhantomSpec
            Grid, size and breath.

        Returns
        -------
        Frame
            The map.
        """
        breath = spec.chest.breath
        size = spec.chest_scale * np.array([breath, 1 - _FLATTER * (1 - breath), 1.0])
        turn = Rotation.from_euler("xyz", spec.scanner.rotation_deg, degrees=True).as_matrix()
        matrix = turn * size
        field_mm = (np.array(spec.scanner.shape) - 1) * spec.scanner.spacing_mm
        return cls(matrix, field_mm / 2 - matrix @ _MIDDLE, turn)

    def to_grid(self, chest_zyx: FloatArray) -> FloatArray:
        """Convert (..., 3) chest coordinates to grid points.

        Parameters
        ----------
        chest_zyx : (..., 3) float
            Chest mm.

        Returns
        -------
        (..., 3) float
            Grid points in mm.
        """
        points: FloatArray = np.asarray(chest_zyx, float) @ self.matrix.T + self.origin_mm
        return points

    def to_chest(self, grid_mm: FloatArray) -> FloatArray:
        """Convert (..., 3) grid points to chest coordinates.

        Parameters
        ----------
        grid_mm : (..., 3) float
            Grid points in mm.

        Returns
        -------
        (..., 3) float
            Chest mm.
        """
        inverse = np.linalg.inv(self.matrix)
        points: FloatArray = (np.asarray(grid_mm, float) - self.origin_mm) @ inverse.T
        return points

    def axes(self, lines_mm: tuple[FloatArray, FloatArray, FloatArray]) -> Axes:
        """Give the chest coordinates of the voxels of a part of a grid.

        Parameters
        ----------
        lines_mm : tuple of three (n,) float
            Grid coordinates of its voxels along z, y and x.

        Returns
        -------
        tuple of three float32 arrays
            z, y and x in chest mm, of shapes that broadcast to the part: thin ones where the
            grid is not turned.
        """
        lines = [
            (line - origin).reshape([-1 if b == a else 1 for b in range(3)])
            for a, (line, origin) in enumerate(zip(lines_mm, self.origin_mm, strict=True))
        ]

        def coordinate(row: FloatArray) -> FloatArray:
            parts = [w * line for w, line in zip(row, lines, strict=True) if abs(w) > _NO_TURN]
            return np.asarray(sum(parts[1:], parts[0]), np.float32)

        z, y, x = (coordinate(row) for row in np.linalg.inv(self.matrix))
        return z, y, x

    def geometry(self, spec: PhantomSpec) -> Geometry:
        """Give the grid's place in the world, whose zero is the chest's and whose axes are too.

        Parameters
        ----------
        spec : PhantomSpec
            The grid.

        Returns
        -------
        Geometry
            Turned where the grid is.
        """
        affine = np.eye(4)
        # Rows of the world are (x, y, z), columns of the index (z, y, x).
        affine[:3, :3] = (self.turn.T * spec.scanner.spacing_mm)[::-1]
        affine[:3, 3] = (self.turn.T @ -self.origin_mm)[::-1]
        return Geometry(spec.scanner.shape, affine)
