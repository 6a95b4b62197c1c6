"""Balls moved over masks of one bit a voxel: an eighth of the memory, 64 voxels a step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.kernels.slabs import over_slabs

#: Slices worked on at a time: with their neighbours they fit into a core's cache.
_SLAB = 32
#: Voxels exactly a radius away belong to the ball, however the division rounds.
_ROUNDING = 1e-6
_WORD = np.dtype("<u8")
_ONE, _LAST = _WORD.type(1), _WORD.type(63)


@dataclass(frozen=True, eq=False)
class Bits:
    """A mask, 64 voxels of a row a word, in a frame of empty voxels.

    Parameters
    ----------
    words : (Z, Y, W) uint64
        Rows with their frame, the first voxel in the lowest bit.
    shape : (3,) int
        Shape of the mask without the frame.
    frame : (3,) int
        Voxels of the frame on each side along z, y and x.
    """

    words: AnyArray
    shape: tuple[int, int, int]
    frame: tuple[int, int, int]

    @property
    def any(self) -> bool:
        """Whether there is a voxel in the mask."""
        return bool(self.words.any())

    def both(self, other: Bits) -> Bits:
        """Give what two masks have in common.

        Parameters
        ----------
        other : Bits
            A mask of the same shape and frame.

        Returns
        -------
        Bits
            Their intersection.
        """
        return Bits(self.words & other.words, self.shape, self.frame)

    def either(self, other: Bits) -> Bits:
        """Give what is in any of two masks.

        Parameters
        ----------
        other : Bits
            A mask of the same shape and frame.

        Returns
        -------
        Bits
            Their union.
        """
        return Bits(self.words | other.words, self.shape, self.frame)

    def without(self, other: Bits) -> Bits:
        """Give what is in this mask and not in another.

        Parameters
        ----------
        other : Bits
            A mask of the same shape and frame.

        Returns
        -------
        Bits
            The difference.
        """
        return Bits(self.words & ~other.words, self.shape, self.frame)

    def eroded(self, radius_mm: float, spacing_mm: FloatArray) -> Bits:
        """Erode the mask with a ball; the end of the frame does not erode.

        Parameters
        ----------
        radius_mm : float
            Radius of the ball.
        spacing_mm : (3,) float
            Voxel size along z, y and x.

        Returns
        -------
        Bits
            Voxels whose centre is farther than the radius from every centre outside the mask.
        """
        return self.flipped().grown(radius_mm, spacing_mm).flipped()

    def flipped(self) -> Bits:
        """Swap the mask and its background, frame included.

        Returns
        -------
        Bits
            Bits past the end of a row stay empty.
        """
        row = np.zeros(self.words.shape[2] * 64, bool)
        row[: self.shape[2] + 2 * self.frame[2]] = True
        valid = np.packbits(row, bitorder="little").view(_WORD)
        return Bits(~self.words & valid, self.shape, self.frame)

    def grown(self, radius_mm: float, spacing_mm: FloatArray) -> Bits:
        """Dilate the mask with a ball.

        Parameters
        ----------
        radius_mm : float
            Radius of the ball.
        spacing_mm : (3,) float
            Voxel size along z, y and x.

        Returns
        -------
        Bits
            Voxels whose centre is no farther than the radius from a centre of the mask.
        """
        rows = ball_rows(radius_mm, spacing_mm)
        reach = len(rows) - 1
        grown = np.empty_like(self.words)

        def work(start: int, stop: int) -> None:
            low, high = max(start - reach, 0), min(stop + reach, len(self.words))
            part = _grow(self.words[low:high], rows)
            grown[start:stop] = part[start - low : stop - low]

        over_slabs(work, len(self.words), max(_SLAB, 2 * reach))
        return Bits(grown, self.shape, self.frame)


def ball_rows(radius_mm: float, spacing_mm: FloatArray) -> list[list[int]]:
    """Give the rows along x that make up a ball.

    Parameters
    ----------
    radius_mm : float
        Radius of the ball.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    list of list of int
        For each step along z and each step along y from the middle on, the steps along x to the
        last voxel of the row.
    """
    dz, dy, dx = (float(step) for step in spacing_mm)
    rows = []
    for z in range(int(radius_mm / dz + _ROUNDING) + 1):
        left = max(radius_mm**2 - (z * dz) ** 2, 0.0)
        steps = range(int(np.sqrt(left) / dy + _ROUNDING) + 1)
        squares = [max(left - (y * dy) ** 2, 0.0) for y in steps]
        rows.append([int(np.sqrt(square) / dx + _ROUNDING) for square in squares])
    return rows


def blank_bits(shape: tuple[int, int, int]) -> Bits:
    """Make an empty mask without a frame.

    Parameters
    ----------
    shape : (3,) int
        Its shape.

    Returns
    -------
    Bits
        To be filled: `words` holds whole rows.
    """
    return Bits(np.zeros((*shape[:2], -(-shape[2] // 64)), _WORD), shape, (0, 0, 0))


def pack(
    mask: AnyArray, frame: tuple[int, int, int] = (0, 0, 0), *, where: np.uint8 | None = None
) -> Bits:
    """Pack a mask.

    Parameters
    ----------
    mask : (Z, Y, X) bool or uint8
        The mask, or an image of bits.
    frame : (3,) int
        Empty voxels to put round it, on each side along z, y and x.
    where : uint8 or None
        Of an image of bits: any of these makes a voxel one of the mask.

    Returns
    -------
    Bits
        The mask in its frame.
    """
    n_z, n_y, n_x = mask.shape
    deep, high, wide = frame
    n_words = -(-(n_x + 2 * wide) // 64)
    words = np.zeros((n_z + 2 * deep, n_y + 2 * high, n_words), _WORD)

    def work(start: int, stop: int) -> None:
        rows = np.zeros((stop - start, n_y, n_words * 64), bool)
        part = mask[start:stop]
        rows[..., wide : wide + n_x] = part if where is None else part & where
        packed = np.packbits(rows.ravel(), bitorder="little").view(_WORD)
        inner = words[deep + start : deep + stop, high : high + n_y]
        inner[...] = packed.reshape(inner.shape)

    over_slabs(work, n_z, _SLAB)
    return Bits(words, (n_z, n_y, n_x), frame)


def unpack(bits: Bits) -> BoolArray:
    """Unpack a mask, without its frame.

    Parameters
    ----------
    bits : Bits
        From `pack`.

    Returns
    -------
    (Z, Y, X) bool
        The mask.
    """
    deep, high, wide = bits.frame
    n_z, n_y, n_x = bits.shape
    mask = np.empty(bits.shape, bool)

    def work(start: int, stop: int) -> None:
        inner = np.ascontiguousarray(bits.words[deep + start : deep + stop, high : high + n_y])
        rows = np.unpackbits(inner.view(np.uint8).ravel(), bitorder="little")
        # Not -1: without voxels nothing tells what it would stand for.
        whole = rows.reshape(stop - start, n_y, 64 * inner.shape[2])
        mask[start:stop] = whole[..., wide : wide + n_x]

    over_slabs(work, n_z, _SLAB)
    return mask


def _grow(words: AnyArray, rows: list[list[int]]) -> AnyArray:
    """Dilate by a ball of rows: rows along x first, from them discs, from these the ball."""
    runs = [words]
    for _ in range(rows[0][0]):
        runs.append(_one_wider(runs[-1]))
    grown = np.zeros_like(words)
    for dz, disc_rows in enumerate(rows[: len(words)]):
        disc = runs[disc_rows[0]].copy() if len(disc_rows) > 1 else runs[disc_rows[0]]
        for dy, wide in enumerate(disc_rows[1 : words.shape[1]], start=1):
            disc[:, dy:] |= runs[wide][:, :-dy]
            disc[:, :-dy] |= runs[wide][:, dy:]
        grown[dz:] |= disc[: len(disc) - dz]
        grown[: len(disc) - dz] |= disc[dz:]
    return grown


def _one_wider(run: AnyArray) -> AnyArray:
    """Dilate by one voxel along x, from word to word too."""
    wider = run << _ONE
    wider |= run >> _ONE
    wider |= run
    # As one row of words: rows of few words, one by one, take three times as long.
    flat = wider.reshape(-1)
    carry = run >> _LAST
    carry[..., -1:] = 0
    flat[1:] |= carry.reshape(-1)[:-1]
    np.left_shift(run, _LAST, out=carry)
    carry[..., :1] = 0
    flat[:-1] |= carry.reshape(-1)[1:]
    return wider
