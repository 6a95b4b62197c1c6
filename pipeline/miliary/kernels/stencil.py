"""First and second differences of an image at chosen voxels."""

from __future__ import annotations

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray


class Stencil:
    """Reads the neighbours of chosen voxels; the others cost nothing.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Smoothed image, contiguous.
    flat_index : (N,) int
        Voxels as indices into the flattened image, none of them on its border.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    """

    def __init__(self, image: FloatArray, flat_index: IntArray, spacing_mm: FloatArray) -> None:
        _, height, width = image.shape
        self._image, self._spacing = image, np.asarray(spacing_mm, float)
        self._steps = (height * width, width, 1)
        # From the foremost neighbour on, so that a neighbour is the same place in a shifted view.
        self._reach = sum(self._steps)
        self._first = np.asarray(flat_index) - self._reach

    @classmethod
    def anywhere(cls, image: FloatArray, flat_index: IntArray, spacing_mm: FloatArray) -> Stencil:
        """Read the neighbours of voxels that may lie on the border: there the image goes on flat.

        Parameters
        ----------
        image : (Z, Y, X) float32
            Smoothed image.
        flat_index : (N,) int
            Voxels as indices into the flattened image.
        spacing_mm : (3,) float
            Voxel size along z, y and x.

        Returns
        -------
        Stencil
            For these voxels.
        """
        image, flat_index = np.ascontiguousarray(image), np.asarray(flat_index)
        _, height, width = image.shape
        # Divisions by one number are quick; remainders are not.
        row = flat_index // width
        section = row // height
        place = section, row - section * height, flat_index - row * width
        sides = zip(place, image.shape, strict=True)
        if all(len(at) == 0 or (at.min() > 0 and at.max() < n - 1) for at, n in sides):
            return cls(image, flat_index, spacing_mm)
        framed = np.pad(image, 1, mode="edge")
        z, y, x = (at + 1 for at in place)
        return cls(framed, np.ravel_multi_index((z, y, x), framed.shape), spacing_mm)

    def take(self, rows: BoolArray | IntArray | slice) -> Stencil:
        """Choose among the voxels.

        Parameters
        ----------
        rows : (N,) bool, (M,) int or slice
            Which ones.

        Returns
        -------
        Stencil
            For those alone.
        """
        return Stencil(self._image, self._first[rows] + self._reach, self._spacing)

    def straight(self) -> FloatArray:
        """Second differences along the axes.

        Returns
        -------
        (3, N) float32
            Entries zz, yy and xx of each Hessian, per mm2.
        """
        entries = np.empty((3, len(self._first)), np.float32)
        twice = 2 * self._at(0)
        for entry, step, length in zip(entries, self._steps, self._spacing, strict=True):
            np.add(self._at(step), self._at(-step), out=entry)
            entry -= twice
            entry /= np.float32(length**2)
        return entries

    def mixed(self) -> FloatArray:
        """Second differences along two axes.

        Returns
        -------
        (3, N) float32
            Entries zy, zx and yx of each Hessian, per mm2.
        """
        entries = np.empty((3, len(self._first)), np.float32)
        for entry, (a, b) in zip(entries, ((0, 1), (0, 2), (1, 2)), strict=True):
            alike, unlike = self._steps[a] + self._steps[b], self._steps[a] - self._steps[b]
            np.add(self._at(alike), self._at(-alike), out=entry)
            entry -= self._at(unlike)
            entry -= self._at(-unlike)
            entry /= np.float32(4 * self._spacing[a] * self._spacing[b])
        return entries

    def gradient(self) -> FloatArray:
        """First differences along the axes.

        Returns
        -------
        (3, N) float32
            Per mm.
        """
        parts = [
            (self._at(step) - self._at(-step)) / np.float32(2 * length)
            for step, length in zip(self._steps, self._spacing, strict=True)
        ]
        return np.stack(parts)

    def _at(self, step: int) -> FloatArray:
        values: FloatArray = self._image.reshape(-1)[self._reach + step :].take(self._first)
        return values
