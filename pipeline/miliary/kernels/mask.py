"""The shape of a voxel window: its set covariance, coarser copies, and the border distance."""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from scipy import fft

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.kernels.distances import close_gaps
from miliary.kernels.slabs import n_threads

#: Padded sizes above this take float32 transforms: half the memory, and counts of the size of a
#: lung off by at most 4 in 1.19e7 (measured on a mask of 4.8 litres). Below it they are exact.
_EXACT_SIZE = 2**20


@dataclass(frozen=True, eq=False)
class LagTable:
    """Set covariance `C(h) = |W ∩ (W + h)|` of a union of voxels, at whole-voxel lags.

    Parameters
    ----------
    covariance_mm3 : (2 Kz + 1, 2 Ky + 1, 2 Kx + 1) float64
        `C` at lags of -K..K voxels along each axis.
    voxel_mm : (3,) float
        Size of the voxels.
    """

    covariance_mm3: FloatArray
    voxel_mm: FloatArray

    def at(self, lags_mm: FloatArray) -> FloatArray:
        """Give the covariance at any lag inside the table, by trilinear interpolation.

        Two boxes overlap by a product of triangles, so this is exact for voxels, and no
        approximation.

        Parameters
        ----------
        lags_mm : (P, 3) float
            Lags in mm; those beyond the table take the value at its rim.

        Returns
        -------
        (P,) float64
            Covariance in mm³.
        """
        size = np.array(self.covariance_mm3.shape)
        place = np.asarray(lags_mm, float) / self.voxel_mm + size // 2
        place = np.clip(place, 0, size - 1)
        low = np.minimum(place.astype(np.intp), np.maximum(size - 2, 0))
        part = place - low
        table = self.covariance_mm3.ravel()
        strides = np.array([size[1] * size[2], size[2], 1])
        # An axis of one lag has no upper neighbour: its step is 0.
        steps = np.where(size > 1, strides, 0)
        first = low @ strides
        value = np.zeros(len(place))
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, part, 1.0 - part), axis=1)
            value += weight * table[first + int(np.dot(corner, steps))]
        return value

    def isotropic(self, radii_mm: FloatArray, *, n_directions: int) -> FloatArray:
        """Give the covariance at a distance, averaged over directions.

        Parameters
        ----------
        radii_mm : (R,) float
            Distances inside the table.
        n_directions : int
            Directions of the average, spread evenly over a half sphere.

        Returns
        -------
        (R,) float64
            Mean covariance in mm³.
        """
        radii_mm = np.asarray(radii_mm, float)
        directions = half_sphere(n_directions)
        lags = radii_mm[:, None, None] * directions
        mean: FloatArray = self.at(lags.reshape(-1, 3)).reshape(len(radii_mm), -1).mean(axis=1)
        return mean


def half_sphere(n_directions: int) -> FloatArray:
    """Spread directions evenly over a half sphere: covariance is the same at h and -h.

    Parameters
    ----------
    n_directions : int
        How many.

    Returns
    -------
    (n_directions, 3) float64
        Unit vectors on a golden spiral, the first component above 0.
    """
    rank = np.arange(n_directions)
    height = (rank + 0.5) / n_directions
    angle = rank * np.pi * (3.0 - np.sqrt(5.0))
    ring = np.sqrt(1.0 - height**2)
    return np.stack([height, ring * np.cos(angle), ring * np.sin(angle)], axis=1)


def set_covariance(
    filled: AnyArray, voxel_mm: FloatArray, *, max_lag_mm: float, capacity: int
) -> LagTable:
    """Count by FFT what a window shares with itself, moved.

    Parameters
    ----------
    filled : (z, y, x) bool or int
        How much of each voxel is window: 0 to `capacity`. Crop it to the window first.
    voxel_mm : (3,) float
        Size of these voxels.
    max_lag_mm : float
        The longest lag that will be asked for.
    capacity : int
        Value of a full voxel: 1 for a mask, the number of fine voxels in a coarse one.

    Returns
    -------
    LagTable
        Exact for a mask; for coarse voxels, `C` of the window blurred by one voxel, which is
        lower than the truth at lags below a voxel (1 % at two fine voxels in one).

    Raises
    ------
    ValueError
        Without any voxel, or with a longest lag that is not above 0.
    """
    if 0 in filled.shape or not max_lag_mm > 0:
        raise ValueError(
            "set_covariance needs voxels and max_lag_mm above 0, "
            f"got shape {filled.shape} and {max_lag_mm}"
        )
    voxel_mm = np.asarray(voxel_mm, float)
    shape = np.array(filled.shape)
    reach = np.ceil(max_lag_mm / voxel_mm).astype(int) + 1
    # Lags beyond the window's own size are 0, so no more padding than that is needed.
    padded = [
        fft.next_fast_len(int(n + min(k, n)), real=True) for n, k in zip(shape, reach, strict=True)
    ]
    dtype = np.float64 if np.prod(padded) <= _EXACT_SIZE else np.float32
    spectrum = fft.rfft(filled.astype(dtype), padded[2], axis=2, workers=2)
    # Axis by axis: there only where the window is, and back only where lags are asked for, which
    # leaves half of the work.
    for axis in (1, 0):
        spectrum = fft.fft(spectrum, padded[axis], axis=axis, overwrite_x=True, workers=2)
    # In place: at full resolution each copy of a lung's spectrum is 0.2 GB.
    real, imaginary = spectrum.real, spectrum.imag
    real *= real
    imaginary *= imaginary
    real += imaginary
    imaginary[...] = 0.0
    del real, imaginary
    inside = np.minimum(reach, shape - 1)
    for axis in (0, 1):
        spectrum = fft.ifft(spectrum, axis=axis, overwrite_x=True, workers=2)
        spectrum = spectrum.take(_lags(inside[axis], padded[axis]), axis=axis)
    shared = fft.irfft(spectrum, padded[2], axis=2, overwrite_x=True, workers=2)
    shared = shared.take(_lags(inside[2], padded[2]), axis=2)
    counts = np.pad(np.rint(shared.astype(np.float64)), [(k, k) for k in reach - inside])
    return LagTable(counts * (np.prod(voxel_mm) / capacity**2), voxel_mm)


def _lags(reach: int, period: int) -> IntArray:
    """Where the lags -reach..reach stand in a periodic array; those longer than a window are 0."""
    return np.arange(-reach, reach + 1) % period


def coarse_counts(mask: BoolArray, factors: tuple[int, ...]) -> IntArray:
    """Count the voxels of a mask in blocks.

    Parameters
    ----------
    mask : (z, y, x) bool
        A mask.
    factors : (3,) int
        Voxels a block takes along each axis; blocks that reach over the end count what is there.

    Returns
    -------
    (Z, Y, X) uint8 or int32
        Voxels in each block.
    """
    # Adding slices is several times faster than reduceat; small counts fit in a byte.
    counts: IntArray = np.asarray(mask, bool).view(np.uint8)
    kind: type[np.integer] = np.uint8 if np.prod(factors) < 256 else np.int32
    for axis, factor in enumerate(factors):
        front = (slice(None),) * axis
        # The first of a block is there, the others may be missing at the end.
        blocks: IntArray = counts[(*front, slice(0, None, factor))].astype(kind)
        for first in range(1, factor):
            part = counts[(*front, slice(first, None, factor))]
            blocks[(*front, slice(part.shape[axis]))] += part
        counts = blocks
    return counts


def border_distance(mask: BoolArray, voxel_mm: FloatArray, *, hole_mm: float) -> FloatArray:
    """Measure how deep voxels lie in a window whose narrow holes do not count as border.

    Vessels cut a lung window into sponge: with their walls as border, nearly every point would
    be nearer to a border than to its neighbour, and Kaplan-Meier curves would rest on nothing.

    Parameters
    ----------
    mask : (z, y, x) bool
        The window; what lies outside the array is outside the window.
    voxel_mm : (3,) float
        Size of the voxels.
    hole_mm : float
        Holes and clefts no wider than twice this are closed first; 0 closes none.

    Returns
    -------
    (z, y, x) float32
        Distance from voxel centres to the border, half a voxel short of the nearest centre
        outside; 0 outside.
    """
    anisotropy = tuple(float(size) for size in voxel_mm)
    closed = close_gaps(mask, hole_mm, np.asarray(voxel_mm, float)) if hole_mm > 0 else mask
    # Each line is one thread's, so none changes them.
    depth: FloatArray = edt.edt(
        np.ascontiguousarray(closed, bool).view(np.uint8),
        anisotropy=anisotropy,
        black_border=True,
        parallel=n_threads(),
    )
    depth -= np.float32(min(anisotropy) / 2)
    return np.maximum(depth, 0, out=depth)
