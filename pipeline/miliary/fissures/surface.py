"""What a fissure is made of: points on sheets, and a surface as a height over a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import BoolArray, FloatArray
from miliary.kernels.heights import read_heights


@dataclass(frozen=True, eq=False)
class Evidence:
    """Points on sheets in one lung.

    Parameters
    ----------
    points_mm : (N, 3) float
        Grid points `(z, y, x)` on the middle of a sheet.
    normals : (N, 3) float
        Unit normals of any sign.
    weights : (N,) float
        0 to 1.
    """

    points_mm: FloatArray
    normals: FloatArray
    weights: FloatArray

    def take(self, which: BoolArray) -> Evidence:
        """Keep some of the points.

        Parameters
        ----------
        which : (N,) bool
            Those to keep.

        Returns
        -------
        Evidence
            In the same order.
        """
        return Evidence(self.points_mm[which], self.normals[which], self.weights[which])

    def __len__(self) -> int:
        return len(self.weights)


@dataclass(frozen=True, eq=False)
class Surface:
    """A height in mm at the nodes of a plane.

    Parameters
    ----------
    axes : (3, 3) float
        Unit vectors `(z, y, x)` of the plane's two axes and of the height.
    origin_mm : (2,) float
        First node along the plane's axes.
    step_mm : float
        Distance of the nodes.
    heights_mm : (P, Q) float
        Coordinate along the height's axis.
    """

    axes: FloatArray
    origin_mm: FloatArray
    step_mm: float
    heights_mm: FloatArray

    def nodes(self, points_mm: FloatArray) -> FloatArray:
        """Give the places of grid points on the plane.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points `(z, y, x)`.

        Returns
        -------
        (N, 2) float
            In units of nodes.
        """
        return (points_mm @ self.axes[:2].T - self.origin_mm) / self.step_mm

    def offsets_mm(self, points_mm: FloatArray) -> FloatArray:
        """Measure how far points lie beyond the surface, at right angles to it.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points `(z, y, x)`.

        Returns
        -------
        (N,) float
            Positive where the height is larger than the surface's.
        """
        nodes = self.nodes(points_mm)
        away: FloatArray = points_mm @ self.axes[2] - self.at(nodes)
        return away * read_heights(self.cosines(), nodes)

    def at(self, nodes: FloatArray) -> FloatArray:
        """Read the surface's height.

        Parameters
        ----------
        nodes : (N, 2) float
            Places in units of nodes.

        Returns
        -------
        (N,) float
            Coordinate along the height's axis.
        """
        return read_heights(self.heights_mm, nodes)

    def node_points_mm(self) -> FloatArray:
        """Give the surface's points at its nodes.

        Returns
        -------
        (P * Q, 3) float
            Grid points `(z, y, x)`.
        """
        plane = self.origin_mm + self.step_mm * np.indices(self.heights_mm.shape).reshape(2, -1).T
        return np.column_stack([plane, self.heights_mm.ravel()]) @ self.axes

    def node_areas_mm2(self) -> FloatArray:
        """Area of the surface that belongs to each node.

        Returns
        -------
        (P, Q) float
            Larger where the surface is steep.
        """
        return self.step_mm**2 / self.cosines()

    def slopes(self) -> tuple[FloatArray, FloatArray]:
        """Slope of the surface along both axes of the plane.

        Returns
        -------
        tuple of two (P, Q) float
            Without a unit.
        """
        along: FloatArray = np.gradient(self.heights_mm, self.step_mm, axis=0)
        across: FloatArray = np.gradient(self.heights_mm, self.step_mm, axis=1)
        return along, across

    def cosines(self) -> FloatArray:
        """Cosine of the angle between normal and height.

        Returns
        -------
        (P, Q) float
            1 where the surface is level.
        """
        along, across = self.slopes()
        cosines: FloatArray = 1 / np.sqrt(1 + along**2 + across**2)
        return cosines

    def agreement(self, evidence: Evidence) -> FloatArray:
        """Say how well sheets face the way of the surface beside them.

        Parameters
        ----------
        evidence : Evidence
            Points with normals.

        Returns
        -------
        (N,) float
            Cosine of the angle between the normals, 0 to 1.
        """
        nodes = self.nodes(evidence.points_mm)
        along, across = (read_heights(slope, nodes) for slope in self.slopes())
        first, second, height = (evidence.normals @ axis for axis in self.axes)
        product = height - along * first - across * second
        cosine: FloatArray = np.abs(product) / np.sqrt(1 + along**2 + across**2)
        return cosine
