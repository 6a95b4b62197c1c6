"""Turning arrays, without interpolation, so that their axes point up, back and to the left."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from miliary.arrays import AnyArray, FloatArray
from miliary.geometry import Geometry


@dataclass(frozen=True)
class Turn:
    """A permutation of axes, followed by flips.

    Parameters
    ----------
    axes : (3,) int
        Which old axis becomes the new z, y and x.
    flipped : (3,) bool
        Whether the new axis then runs backwards.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def view(self, array: AnyArray) -> AnyArray:
        """Turn an array.

        Parameters
        ----------
        array : (3-d) array
            In the old order.

        Returns
        -------
        (3-d) array
            A view of it in the new order.
        """
        return array.transpose(self.axes)[self._steps()]

    def undone(self, array: AnyArray) -> AnyArray:
        """Turn an array back.

        Parameters
        ----------
        array : (3-d) array
            In the new order.

        Returns
        -------
        (3-d) array
            A view of it in the old order: writing to it fills the array.
        """
        return array[self._steps()].transpose(np.argsort(self.axes).tolist())

    def geometry(self, shape: tuple[int, ...], affine: FloatArray) -> Geometry:
        """Give the grid of the turned array.

        Parameters
        ----------
        shape : (3,) int
            Shape in the old order.
        affine : (4, 4) float
            Affine of the old order.

        Returns
        -------
        Geometry
            The same voxels at the same world points.
        """
        turned = affine.copy()
        turned[:3, :3] = affine[:3, self.axes]
        new_shape = [shape[axis] for axis in self.axes]
        for axis, backwards in enumerate(self.flipped):
            if backwards:
                turned[:3, 3] += turned[:3, axis] * (new_shape[axis] - 1)
                turned[:3, axis] *= -1
        # Minus zero, from flipped axes, is zero: it would show in tables.
        return Geometry((new_shape[0], new_shape[1], new_shape[2]), turned + 0.0)

    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if backwards else 1) for backwards in self.flipped)


def patient_turn(affine: FloatArray) -> Turn:
    """Find the turn that brings a grid's axes nearest to up, back and left.

    Parameters
    ----------
    affine : (4, 4) float
        Maps indices of the array to world points (LPS).

    Returns
    -------
    Turn
        After which each axis lies within 55 degrees of its own, and within 45 unless the grid is
        oblique to all three.
    """
    wanted = (2, 1, 0)
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    best = max(
        permutations(range(3)),
        key=lambda axes: sum(abs(cosines[w, a]) for w, a in zip(wanted, axes, strict=True)),
    )
    flipped = [bool(cosines[w, a] < 0) for w, a in zip(wanted, best, strict=True)]
    return Turn((best[0], best[1], best[2]), (flipped[0], flipped[1], flipped[2]))
