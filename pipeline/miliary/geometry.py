"""Where voxels are: the only place that converts between indices and world points.

Arrays are `[z, y, x]`. World points are `(x, y, z)` in mm in DICOM's patient system (LPS), at
voxel centres. Grid points are `(z, y, x)` in mm along the array's own axes from the centre of
its first voxel: the frame of the kernels, in which distances are those of the world.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import Box, FloatArray

#: Largest cosine between two axes that is still called orthogonal: 0.06 degrees.
_ORTHOGONAL_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Geometry:
    """The place of a voxel grid in the patient.

    Parameters
    ----------
    shape : (3,) int
        Voxels along z, y and x.
    affine : (4, 4) float
        Maps `(z, y, x, 1)` indices to `(x, y, z, 1)` world points in mm (LPS).
    """

    shape: tuple[int, int, int]
    affine: FloatArray

    def __post_init__(self) -> None:
        if not (self.spacing_mm > 0).all():
            raise ValueError(f"the axes of the grid must have a length, got {self.spacing_mm} mm")
        axes = self.axes
        overlap = np.abs(axes.T @ axes - np.eye(3)).max()
        if not overlap <= _ORTHOGONAL_TOLERANCE:
            raise ValueError(
                "the axes of the grid must be orthogonal, "
                f"got cosines up to {overlap:.3g}; resample a sheared grid first"
            )

    @classmethod
    def aligned(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Geometry:
        """Make the grid of an axial scan whose axes are the patient's.

        Parameters
        ----------
        shape : (3,) int
            Voxels along z, y and x.
        spacing_mm : (3,) float
            Voxel size along z, y and x.
        origin_mm : (3,) float
            World point `(x, y, z)` of the first voxel's centre.

        Returns
        -------
        Geometry
            The grid.
        """
        affine = np.zeros((4, 4))
        affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
        affine[:3, 3] = origin_mm
        affine[3, 3] = 1.0
        return cls(shape, affine)

    @property
    def spacing_mm(self) -> FloatArray:
        """Voxel size along z, y and x."""
        lengths: FloatArray = np.linalg.norm(self.affine[:3, :3], axis=0)
        return lengths

    @property
    def axes(self) -> FloatArray:
        """Unit world directions of the z, y and x axes, as the columns of a (3, 3) array."""
        columns: FloatArray = self.affine[:3, :3] / self.spacing_mm
        return columns

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def to_world(self, index_zyx: FloatArray) -> FloatArray:
        """Convert (N, 3) indices, whole or not, to (N, 3) world points.

        Parameters
        ----------
        index_zyx : (N, 3) float
            Indices into the array.

        Returns
        -------
        (N, 3) float
            World points `(x, y, z)` in mm.
        """
        index = np.asarray(index_zyx, float).reshape(-1, 3)
        world: FloatArray = index @ self.affine[:3, :3].T + self.affine[:3, 3]
        return world

    def to_index(self, points_mm: FloatArray) -> FloatArray:
        """Convert (N, 3) world points to (N, 3) fractional indices.

        Parameters
        ----------
        points_mm : (N, 3) float
            World points `(x, y, z)` in mm.

        Returns
        -------
        (N, 3) float
            Indices `(z, y, x)`, not rounded and not clipped to the grid.
        """
        offset = np.asarray(points_mm, float).reshape(-1, 3) - self.affine[:3, 3]
        index: FloatArray = np.linalg.solve(self.affine[:3, :3], offset.T).T
        return index

    def to_grid_mm(self, points_mm: FloatArray) -> FloatArray:
        """Convert (N, 3) world points to (N, 3) grid points.

        Parameters
        ----------
        points_mm : (N, 3) float
            World points `(x, y, z)` in mm.

        Returns
        -------
        (N, 3) float
            Grid points `(z, y, x)` in mm.
        """
        grid: FloatArray = self.to_index(points_mm) * self.spacing_mm
        return grid

    def crop(self, box: Box) -> Geometry:
        """Give the grid of `array[box]`.

        Parameters
        ----------
        box : tuple of three slices
            Bounds along z, y and x, with start and stop inside the grid and no step.

        Returns
        -------
        Geometry
            The grid of the part; world points of shared voxels are unchanged.
        """
        start = np.array([[bounds.start for bounds in box]], float)
        affine = self.affine.copy()
        affine[:3, 3] = self.to_world(start)[0]
        z, y, x = (bounds.stop - bounds.start for bounds in box)
        return Geometry((z, y, x), affine)
