"""Distances of all voxels of a large image in two bytes each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miliary.arrays import AnyArray, BoolArray, FloatArray

#: Steps in a millimetre: a power of two, so that limits such as 2.5 mm are whole numbers of them.
STEPS_PER_MM = 256
#: What stands for infinite; the longest distance is one step less than 256 mm.
INFINITE = np.uint16(2**16 - 1)


@dataclass(frozen=True, eq=False)
class DistanceImage:
    """An image of distances in mm, read as an array of float32 is, in half of its memory.

    Rounded to 1/256 mm. What is told in mm must be asked for: comparisons with a number, and
    values at some voxels. A part with all three axes is an image again, without a copy.

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

    def __getitem__(self, key: Any) -> Any:
        """Give a part along all three axes as an image, anything else as values in mm."""
        steps = self.steps[key]
        return DistanceImage(steps) if np.ndim(steps) == 3 else _in_mm(np.asarray(steps))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        """Give all values in mm."""
        values = _in_mm(self.steps)
        return values if dtype is None else values.astype(dtype)

    def __eq__(self, other: object) -> Any:
        """Where distances are the same, as of any array."""
        return np.asarray(self) == other

    def __lt__(self, limit_mm: float) -> BoolArray:
        """Where distances are less."""
        less: BoolArray = self.steps < _first_from(limit_mm)
        return less

    def __le__(self, limit_mm: float) -> BoolArray:
        """Where distances are no more."""
        less: BoolArray = self.steps <= _last_to(limit_mm)
        return less

    def __gt__(self, limit_mm: float) -> BoolArray:
        """Where distances are more."""
        more: BoolArray = self.steps > _last_to(limit_mm)
        return more

    def __ge__(self, limit_mm: float) -> BoolArray:
        """Where distances are no less."""
        more: BoolArray = self.steps >= _first_from(limit_mm)
        return more


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


def _first_from(limit_mm: float) -> int:
    """The first number of steps that is no less than a limit; finite limits part off infinite."""
    return int(np.ceil(np.clip(limit_mm * STEPS_PER_MM, -1, int(INFINITE))))


def _last_to(limit_mm: float) -> int:
    """The last number of steps that is no more than a limit."""
    if np.isposinf(limit_mm):
        return int(INFINITE)
    return int(np.floor(np.clip(limit_mm * STEPS_PER_MM, -1, int(INFINITE) - 1)))
