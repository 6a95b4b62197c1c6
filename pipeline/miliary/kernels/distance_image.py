"""Distances of all voxels of a large image in two bytes each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from miliary.arrays import AnyArray, BoolArray, FloatArray

#: The code of infinite distances, in every table.
INFINITE = np.uint16(2**16 - 1)
#: Steps in a millimetre where codes are steps: a power of two, so that limits such as 2.5 mm are
#: whole numbers of them.
STEPS_PER_MM = 256
#: What these stand for; the longest distance is one step less than 256 mm.
STEPS_MM: FloatArray = np.append(np.arange(INFINITE, dtype=np.float32) / STEPS_PER_MM, np.inf)
STEPS_MM = STEPS_MM.astype(np.float32)


@dataclass(frozen=True, eq=False)
class DistanceImage(NDArrayOperatorsMixin):
    """An image of distances in mm, read as an array of float32 is, in half of its memory.

    What a voxel holds is a code, and a table tells its distance. Codes increase with distance, so
    that images of one table are joined as they are (`numpy.minimum`). Cheap are comparisons with a
    number, values at some voxels, and parts with all three axes, which are images again without a
    copy. All else that an array can do (`image - 1`, `image.max()`, `image != 2`) is done by an
    array of all values, made for it.

    Parameters
    ----------
    codes : (Z, Y, X) uint16
        Codes of distances; the highest stands for infinite.
    table_mm : (65536,) float32
        Distance that each code stands for, never decreasing; the last is infinite. Steps of 1/256
        mm unless given.
    """

    codes: NDArray[np.uint16]
    table_mm: FloatArray = field(default_factory=lambda: STEPS_MM)

    @classmethod
    def unknown(cls, shape: tuple[int, ...]) -> DistanceImage:
        """Make an image of infinite distances.

        Parameters
        ----------
        shape : (3,) int
            Its shape.

        Returns
        -------
        DistanceImage
            Of memory of its own.
        """
        return cls(np.full(shape, INFINITE))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image."""
        return self.codes.shape

    @property
    def size(self) -> int:
        """Number of its voxels."""
        return self.codes.size

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one voxel to the next."""
        return self.codes.strides

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Kind of the values that it gives."""
        return np.dtype(np.float32)

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.codes)

    def __getitem__(self, key: Any) -> Any:
        """Give a part along all three axes as an image, anything else as values in mm."""
        codes = self.codes[key]
        if np.ndim(codes) == 3:
            return DistanceImage(codes, self.table_mm)
        # Not by an index array: that takes twice as long.
        return self.table_mm.take(codes, mode="clip")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        """Give all values in mm."""
        if copy is False:
            raise ValueError("values in mm must be made anew, got copy=False; leave it out")
        values: AnyArray = self.table_mm.take(self.codes, mode="clip")
        return values if dtype is None else values.astype(dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Calculate with all values in mm."""
        return getattr(ufunc, method)(*map(_as_array, inputs), **options)

    def __getattr__(self, name: str) -> Any:
        """Give what arrays have besides, of all values in mm."""
        # NumPy and pickle ask for their own protocols, and before there are any codes.
        if name.startswith("_") or name in ("codes", "table_mm"):
            raise AttributeError(f"an image of distances must have what is asked for, got {name}")
        return getattr(np.asarray(self), name)

    def __lt__(self, limit_mm: Any) -> BoolArray:
        """Where distances are less."""
        if not _is_limit(limit_mm):
            apart: BoolArray = np.less(np.asarray(self), limit_mm)
        else:
            apart = self.codes <= self._last_below(limit_mm)
        return apart

    def __le__(self, limit_mm: Any) -> BoolArray:
        """Where distances are no more."""
        if not _is_limit(limit_mm):
            apart: BoolArray = np.less_equal(np.asarray(self), limit_mm)
        else:
            apart = self.codes <= self._last_to(limit_mm)
        return apart

    def __gt__(self, limit_mm: Any) -> BoolArray:
        """Where distances are more."""
        if not _is_limit(limit_mm):
            apart: BoolArray = np.greater(np.asarray(self), limit_mm)
        else:
            apart = self.codes > self._last_to(limit_mm)
        return apart

    def __ge__(self, limit_mm: Any) -> BoolArray:
        """Where distances are no less."""
        if not _is_limit(limit_mm):
            apart: BoolArray = np.greater_equal(np.asarray(self), limit_mm)
        else:
            apart = self.codes > self._last_below(limit_mm)
        return apart

    def _last_below(self, limit_mm: Any) -> int:
        """Give the last code of a distance below a limit; -1 where there is none."""
        # By comparisons of single values, which are those of the image: a search by NumPy would
        # first make a copy of the table for every limit of another kind.
        return bisect_left(self.table_mm, limit_mm) - 1

    def _last_to(self, limit_mm: Any) -> int:
        """Give the last code of a distance of no more than a limit; -1 where there is none."""
        return bisect_right(self.table_mm, limit_mm) - 1


#: Distances of either kind, to be asked and read alike.
Distances = FloatArray | DistanceImage


def in_steps(distance_mm: FloatArray) -> NDArray[np.uint16]:
    """Round distances to steps.

    Parameters
    ----------
    distance_mm : (...) float32
        Distances in mm, not negative; infinite ones stay so.

    Returns
    -------
    (...) uint16
        Steps.
    """
    steps = distance_mm * np.float32(STEPS_PER_MM)
    infinite = np.isinf(steps)
    np.rint(steps, out=steps)
    np.minimum(steps, np.float32(INFINITE - 1), out=steps)
    np.copyto(steps, np.float32(INFINITE), where=infinite)
    return steps.astype(np.uint16)


def ends_of_codes(codes: NDArray[np.uint16], table_mm: FloatArray) -> tuple[float, ...]:
    """Give the least and the highest finite distance.

    Parameters
    ----------
    codes : (N,) uint16
        Codes of some voxels.
    table_mm : (65536,) float32
        What they stand for.

    Returns
    -------
    tuple of two float
        In mm; empty where no distance is finite.
    """
    low, high = int(codes.min(initial=INFINITE)), int(codes.max(initial=0))
    if low == INFINITE:
        return ()
    if high == INFINITE:
        # The last code is followed by 0, the others stay in their order.
        high = int((codes + np.uint16(1)).max()) - 1
    return float(table_mm[low]), float(table_mm[high])


def _as_array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, DistanceImage) else value


def _is_limit(value: Any) -> bool:
    """Whether codes can be compared with it: one number, and not NaN, which none is near to."""
    return np.ndim(value) == 0 and not np.isnan(value)
