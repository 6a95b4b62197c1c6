"""The voxels round each of many places, gathered once for all steps of a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray

#: Width over which the weight of the voxels round a ball falls off.
_RIM_MM = 0.1

#: Weight of voxels outside of the image: next to none, yet what lies there alone can be solved.
_UNKNOWN = 1e-3


def ball_offsets(reach_mm: float, spacing: FloatArray) -> IntArray:
    """List the voxels within a reach of a voxel.

    Parameters
    ----------
    reach_mm : float
        How far.
    spacing : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (P, 3) int
        Offsets.
    """
    half = np.ceil(reach_mm / spacing).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-h, h + 1) for h in half), indexing="ij"), -1)
    offsets = grid.reshape(-1, 3)
    near: IntArray = offsets[((offsets * spacing) ** 2).sum(axis=1) <= reach_mm**2]
    return near


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The voxels that each of many fits looks at.

    Parameters
    ----------
    values : (N, P) float
        Image in HU.
    places : (N, P, 3) float
        Their grid points.
    taking_part : (N, P) float
        How far each takes part, 0 to 1.
    """

    values: FloatArray
    places: FloatArray
    taking_part: FloatArray

    @classmethod
    def of(
        cls,
        image: AnyArray,
        inside: BoolArray | None,
        start: FloatArray,
        spacing: FloatArray,
        offsets: IntArray,
    ) -> Neighbourhood:
        """Gather what lies round places.

        Parameters
        ----------
        image : (Z, Y, X) int16 or float32
            Image in HU.
        inside : (Z, Y, X) bool or None
            Where given, voxels outside hardly take part.
        start : (N, 3) float
            Places as grid points.
        spacing : (3,) float
            Voxel size along z, y and x.
        offsets : (P, 3) int
            Voxels round the nearest one that are looked at, of `ball_offsets`.

        Returns
        -------
        Neighbourhood
            What is known of takes part in full, what lies beyond next to nothing.
        """
        voxels = np.rint(start / spacing).astype(int)[:, None] + offsets
        z, y, x = np.moveaxis(np.clip(voxels, 0, np.array(image.shape) - 1), -1, 0)
        known = ((voxels >= 0) & (voxels < image.shape)).all(axis=-1)
        if inside is not None:
            known &= inside[z, y, x]
        return cls(image[z, y, x].astype(float), voxels * spacing, np.where(known, 1.0, _UNKNOWN))

    def near(self, centre_mm: FloatArray, radius_mm: FloatArray, margin_mm: float) -> Neighbourhood:
        """Let only voxels near the balls take part, falling softly to 0 at the margin around them.

        Parameters
        ----------
        centre_mm : (N, 3) float
            Centres of the balls as grid points.
        radius_mm : (N,) float
            Their radii.
        margin_mm : float
            Width of the margin.

        Returns
        -------
        Neighbourhood
            The same voxels.
        """
        offset = self.places - centre_mm[:, None]
        outside = np.sqrt((offset**2).sum(axis=-1)) - radius_mm[:, None]
        steepness = np.clip((outside - margin_mm) / _RIM_MM, -50, 50)
        return replace(self, taking_part=self.taking_part / (1.0 + np.exp(steepness)))

    def take(self, rows: IntArray) -> Neighbourhood:
        """Give some of the fits.

        Parameters
        ----------
        rows : (M,) int
            Which.

        Returns
        -------
        Neighbourhood
            Those, in that order.
        """
        return Neighbourhood(self.values[rows], self.places[rows], self.taking_part[rows])
