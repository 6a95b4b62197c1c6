"""Coarse fields of the phantom, and their values on its grid."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import numpy as np
from scipy import ndimage as ndi

from miliary.arrays import AnyArray, Box, FloatArray, IntArray
from miliary.kernels.slabs import filter_in_slabs

#: Smoothing before the gradient is taken, in coarse voxels, and the least length a mm: where the
#: field is flat, as deep in a lung, its quotient by the length is still bounded.
_SMOOTH, _LEAST = 0.8, 0.2

_Any = TypeVar("_Any", bound=AnyArray)


class Upsampler:
    """Linear interpolation of coarse fields onto parts of the phantom's grid.

    Parameters
    ----------
    step_mm : float
        Voxel size of the coarse fields, whose first voxel lies on the first of the phantom.
    shape : (3,) int
        Voxels of the phantom.
    spacing_mm : (3,) float
        Their size in mm.
    """

    def __init__(
        self,
        step_mm: float,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
    ) -> None:
        self._step_mm = step_mm
        self._places = [
            np.arange(n) * step / step_mm for n, step in zip(shape, spacing_mm, strict=True)
        ]

    def part(self, field: FloatArray, box: Box, shift_mm: float = 0.0) -> FloatArray:
        """Interpolate a field in a part of the phantom.

        Parameters
        ----------
        field : (z, y, x) float32
            A coarse field.
        box : tuple of three slices
            Which voxels of the phantom.
        shift_mm : float
            How much higher along z the values are taken.

        Returns
        -------
        (k, m, n) float32
            Values on the phantom's grid; beyond the field's borders those of the border.
        """
        z, y, x = (places[part] for places, part in zip(self._places, box, strict=True))
        below, rise = _between(z + shift_mm / self._step_mm, field.shape[0])
        rows, columns = _between(y, field.shape[1]), _between(x, field.shape[2])

        # Plane by plane: what is in the cache is quicker than fewer calls.
        @lru_cache(maxsize=2)
        def plane(k: int) -> FloatArray:
            coarse = field[k].astype(np.float32, copy=False)
            return _stretched(_stretched(coarse, columns, 1), rows, 0)

        values = np.empty((len(z), len(y), len(x)), np.float32)
        for value, k, share in zip(values, below.tolist(), rise, strict=True):
            low = plane(k)
            np.subtract(plane(k + 1), low, out=value)
            value *= share
            value += low
        return values

    def nearest(self, field: _Any, box: Box) -> _Any:
        """Look up the nearest values of a field in a part of the phantom.

        Parameters
        ----------
        field : (z, y, x) array
            A coarse field, such as labels.
        box : tuple of three slices
            Which voxels of the phantom.

        Returns
        -------
        (k, m, n) array
            Values on the phantom's grid.
        """
        z, y, x = (
            np.clip(np.rint(places[part]), 0, n - 1).astype(np.intp)
            for places, part, n in zip(self._places, box, field.shape, strict=True)
        )
        values: _Any = field[z][:, y][:, :, x]
        return values


def _between(places: FloatArray, n: int) -> tuple[IntArray, FloatArray]:
    """Index of the voxel before each place, and the share of the next one."""
    within = np.clip(places, 0, n - 1)
    low = np.minimum(within.astype(np.intp), n - 2)
    return low, (within - low).astype(np.float32)


def _stretched(plane: FloatArray, between: tuple[IntArray, FloatArray], axis: int) -> FloatArray:
    """Interpolate a plane along one of its axes."""
    low, part = between
    before, values = plane.take(low, axis), plane.take(low + 1, axis)
    values -= before
    values *= part if axis else part[:, None]
    values += before
    return values


def gradient_length(field: FloatArray, step_mm: float) -> FloatArray:
    """Length of the gradient of a coarse field, for turning it into a distance.

    Parameters
    ----------
    field : (z, y, x) float
        The field.
    step_mm : float
        Its voxel size.

    Returns
    -------
    (z, y, x) float32
        Lengths a mm, at least 0.2.
    """

    def length(part: AnyArray) -> FloatArray:
        for axis in range(3):
            part = ndi.gaussian_filter1d(part, _SMOOTH, axis)
        squared = np.zeros_like(part)
        for axis in range(3):
            steps = np.gradient(part, step_mm, axis=axis)
            squared += np.square(steps, out=steps)
        bounded: FloatArray = np.maximum(np.sqrt(squared, out=squared), np.float32(_LEAST))
        return bounded

    return filter_in_slabs(length, np.asarray(field, np.float32), halo=int(4 * _SMOOTH) + 2)
