"""Distances of all voxels of a large image in two bytes each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from miliary.arrays import AnyArray, BoolArray, FloatArray

#: Steps in a millimetre: a power of two, so that limits such as 2.5 mm are whole numbers of them.
STEPS_PER_MM = 256
#: What stands for infinite; the longest distance is one step less than 256 mm.
INFINITE = np.uint16(2**16 - 1)


@dataclass(frozen=True, eq=False)
class DistanceImage(NDArrayOperatorsMixin):
    """An image of distances in mm, read as an array of float32 is, in half of its memory.

    Rounded to 1/256 mm. Cheap are comparisons with a number, values at some voxels, and parts
    with all three axes, which are images again without a copy. All else that an array can do
    (`image - 1`, `image.max()`, `image != 2`) is done by an array of all values, made for it.

    Parameters
    ----------
    steps : (Z, Y, X) uint16
        Distances in steps of 1/256 mm; the highest number stands for infinite.
    """

    steps: NDArray[np.uint16]

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
        return self.steps.shape

    @property
    def size(self) -> int:
        """Number of its voxels."""
        return self.steps.size

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one voxel to the next."""
        return self.steps.strides

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Kind of the values that it gives."""
        return np.dtype(np.float32)

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.steps)

    def __getitem__(self, key: Any) -> Any:
        """Give a part along all three axes as an image, anything else as values in mm."""
        steps = self.steps[key]
        return DistanceImage(steps) if np.ndim(steps) == 3 else _in_mm(np.asarray(steps))[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        """Give all values in mm."""
        if copy is False:
            raise ValueError("values in mm must be made anew, got copy=False; leave it out")
        values = _in_mm(self.steps)
        return values if dtype is None else values.astype(dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Calculate with all values in mm."""
        return getattr(ufunc, method)(*map(_as_array, inputs), **options)

    def __getattr__(self, name: str) -> Any:
        """Give what arrays have besides, of all values in mm."""
        # NumPy and pickle ask for their own protocols, and before there are any steps.
        if name.startswith("_") or name == "steps":
            raise AttributeError(f"an image of distances must have what is asked for, got {name}")
        return getattr(np.asarray(self), name)

    def __lt__(self, limit_mm: Any) -> BoolArray:
        """Where distances are less."""
        if not _is_limit(limit_mm):
            apart: BoolArray = np.less(np.asarray(self), limit_mm)
        else:
            apart = self.steps < _first_from(limit_mm)
        return apart

    def __le__(self, limit_mm: Any) -> BoolArray:
        """Where distances are no more."""
        if not _is_limit(limit_mm):
            apart: BoolArray = np.less_equal(np.asarray(self), limit_mm)
        else:
            apart = self.steps <= _last_to(limit_mm)
        return apart

    def __gt__(self, limit_mm: Any) -> BoolArray:
        """Where distances are more."""
        if not _is_limit(limit_mm):
            apart: BoolArray = np.greater(np.asarray(self), limit_mm)
        else:
            apart = self.steps > _last_to(limit_mm)
        return apart

    def __ge__(self, limit_mm: Any) -> BoolArray:
        """Where distances are no less."""
        if not _is_limit(limit_mm):
            apart: BoolArray = np.greater_equal(np.asarray(self), limit_mm)
        else:
            apart = self.steps >= _first_from(limit_mm)
        return apart


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


def _in_mm(steps: NDArray[np.uint16]) -> FloatArray:
    values = np.asarray(steps * np.float32(1 / STEPS_PER_MM))
    values[steps == INFINITE] = np.inf
    return values


def _as_array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, DistanceImage) else value


def _is_limit(value: Any) -> bool:
    """Whether steps can be compared with it: one number, and not NaN, which none is near to."""
    return np.ndim(value) == 0 and not np.isnan(value)


def _first_from(limit_mm: float) -> int:
    """The first number of steps that is no less than a limit; finite limits part off infinite."""
    return int(np.ceil(np.clip(limit_mm * STEPS_PER_MM, -1, int(INFINITE))))


def _last_to(limit_mm: float) -> int:
    """The last number of steps that is no more than a limit."""
    if np.isposinf(limit_mm):
        return int(INFINITE)
    return int(np.floor(np.clip(limit_mm * STEPS_PER_MM, -1, int(INFINITE) - 1)))
