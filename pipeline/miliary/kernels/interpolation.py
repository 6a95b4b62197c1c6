"""Linear interpolation at the same many offsets around each of many points.

Read from the image where it lies, since points near each other share what is in the cache; only
where some reach over the border are neighbourhoods copied first. Indices and weights are made in
buffers that are used again. Beside
`scipy.ndimage.map_coordinates` it takes a third to a quarter of the time for 1840 offsets (thread
CPU time, one core).
"""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.kernels.patches import cut_cubes

#: Voxels of the neighbourhoods read at a time: 16 MB.
_AT_ONCE = 2**22


def points_at_once(offsets: FloatArray, most: int) -> int:
    """Tell how many points to read at a time, so that neighbourhoods of fine voxels fit too.

    Parameters
    ----------
    offsets : (K, 3) float
        Where to read around each point, in voxels.
    most : int
        As many where the neighbourhoods are small.

    Returns
    -------
    int
        1 to `most`.
    """
    _, size = _neighbourhood(np.asarray(offsets, float).reshape(-1, 3))
    return max(1, min(most, _AT_ONCE // int(size.prod())))


class Interpolator:
    """Reads an image around points, some at a time; one instance a thread.

    Parameters
    ----------
    image : (Z, Y, X) int16 or float32
        Image; beyond its border the outermost voxels go on.
    offsets : (K, 3) float
        Where to read around each point, in voxels.
    most : int
        Points read at a time; buffers grow with it.
    """

    def __init__(self, image: AnyArray, offsets: FloatArray, most: int) -> None:
        offsets = np.asarray(offsets, float).reshape(-1, 3)
        self._image = image
        self._low, self._size = _neighbourhood(offsets)
        self._offsets = np.ascontiguousarray((offsets - self._low).T, np.float32)
        # Single precision counts up to 2 to the 24th.
        span = int(self._size[0]) * image.shape[1] * image.shape[2]
        self._direct = image.flags.c_contiguous and span < 2**24
        self._buffers = np.empty((9, most, len(offsets)), np.float32)
        self._raw = np.empty((most, len(offsets)), image.dtype)
        self._places = np.empty((most, len(offsets)), np.intp)

    def around(self, index_zyx: FloatArray) -> FloatArray:
        """Read around some points.

        Parameters
        ----------
        index_zyx : (N, 3) float
            Points as indices, no more than `most`.

        Returns
        -------
        (N, K) float32
            Values, in a buffer that the next call uses again.
        """
        index = np.asarray(index_zyx, float).reshape(-1, 3)
        base = np.floor(index).astype(np.intp)
        fraction, first = (index - base).astype(np.float32), base + self._low
        whole: BoolArray = np.all((first >= 0) & (first + self._size <= self._image.shape), axis=1)
        if self._direct and whole.all():
            starts = np.ravel_multi_index(tuple(first.T), self._image.shape)
            return self._read(self._image, starts, fraction)
        depth, height, width = self._size.tolist()
        patches = cut_cubes(self._image, first, (depth, height, width))
        starts = np.arange(len(index)) * int(self._size.prod())
        return self._read(patches, starts, fraction)

    def _read(self, source: AnyArray, starts: IntArray, fraction: FloatArray) -> FloatArray:
        """Interpolate in an image, or a row of them, from one voxel of it a point on."""
        *_, height, width = source.shape
        strides = (height * width, width, 1)
        weights = self._weigh(starts, fraction, strides)
        return self._mix(source.reshape(-1), weights, strides)

    def _weigh(
        self, starts: IntArray, fraction: FloatArray, strides: tuple[int, ...]
    ) -> FloatArray:
        """Find the first of the eight voxels of every place, and its weights (3, N, K)."""
        n = len(fraction)
        weights, whole, place = self._buffers[:3, :n], self._buffers[3, :n], self._buffers[4, :n]
        # Single precision tells the voxels of one neighbourhood apart, but not those of an image
        # or of many neighbourhoods, so where it begins comes in as an integer.
        for axis, (weight, stride) in enumerate(zip(weights, strides, strict=True)):
            np.add(fraction[:, axis, None], self._offsets[axis], out=weight)
            np.floor(weight, out=whole)
            weight -= whole
            if axis == 0:
                np.multiply(whole, np.float32(stride), out=place)
            else:
                place += np.multiply(whole, np.float32(stride), out=whole) if stride > 1 else whole
        np.copyto(self._places[:n], place, casting="unsafe")
        self._places[:n] += starts[:, None]
        return weights

    def _mix(self, flat: AnyArray, weights: FloatArray, strides: tuple[int, ...]) -> FloatArray:
        """Interpolate between the eight voxels, axis by axis."""
        n = weights.shape[1]
        places = self._places[:n]
        spare: list[FloatArray] = list(self._buffers[3:, :n])

        def along(axis: int, start: int) -> FloatArray:
            if axis == 3:
                value: FloatArray = spare.pop()
                raw = value if flat.dtype == value.dtype else self._raw[:n]
                # Places are inside by construction; clipping is the mode without a check.
                np.take(flat[start:], places, out=raw, mode="clip")
                if raw is not value:
                    np.copyto(value, raw)
                return value
            value, after = along(axis + 1, start), along(axis + 1, start + strides[axis])
            after -= value
            after *= weights[axis]
            value += after
            spare.append(after)
            return value

        return along(0, 0)


def _neighbourhood(offsets: FloatArray) -> tuple[IntArray, IntArray]:
    """First voxel of what offsets need, from a point's base on, and its size along z, y and x."""
    # A point lies less than a voxel beyond its base, and the next voxel is read too.
    low = np.floor(offsets.min(axis=0)).astype(np.intp)
    high = np.floor(offsets.max(axis=0) + 1).astype(np.intp) + 1
    return low, high - low + 1
