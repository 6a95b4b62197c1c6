"""Stored values as Hounsfield units: rescaled slice by slice, what was not scanned taken out."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.io.headers import SliceHeader
from miliary.io.layout import PixelLayout

#: What was not scanned, and the lowest value kept.
OUTSIDE_HU = -1024
_INT16_MAX = 32767

#: Tally of values: bins of 10 HU from -1100, what lies beyond counted at the ends.
_FIRST_HU, _BIN_HU, _N_BINS = -1100, 10, 421
TALLY_EDGES_HU = _FIRST_HU + _BIN_HU * np.arange(_N_BINS - 1)
#: Some 64 pixels both ways are enough to see where the values lie.
_TALLY_SIDE, _MAX_TALLY_STEP = 64, 8


def fill_hu(stored: AnyArray, header: SliceHeader, out: IntArray) -> IntArray:
    """Turn the stored values of a slice into HU.

    Parameters
    ----------
    stored : (rows, columns) int
        As decoded; bits beyond those stored may be set.
    header : SliceHeader
        Its rescale and padding.
    out : (rows, columns) int16
        Is filled; -1024 where nothing was scanned.

    Returns
    -------
    (len(TALLY_EDGES_HU) + 1,) int
        How many of a sample of the scanned pixels lie in each bin.
    """
    slope = 1.0 if header.slope is None else header.slope
    intercept = 0.0 if header.intercept is None else header.intercept
    outside = _outside(stored, header)
    values = _meant(stored, header.pixels)
    if slope == 1.0 and intercept.is_integer() and abs(intercept) < 2**30:
        hu = values.astype(np.int32)
        hu += np.int32(intercept)
    else:
        hu = np.rint(values * np.float32(slope) + np.float32(intercept))
    tally = tally_of(hu, outside)
    np.clip(hu, OUTSIDE_HU, _INT16_MAX, out=hu)
    out[...] = hu
    if outside is not None:
        out[outside] = OUTSIDE_HU
    return tally


def _meant(stored: AnyArray, layout: PixelLayout) -> AnyArray:
    """Keep the bits that hold the value: scanners put overlays or rubbish into the others."""
    bits = 8 * stored.dtype.itemsize
    # Decoders of compressed frames give whole numbers of their own width.
    if not layout.is_native or layout.stored >= bits:
        return stored
    below = layout.high_bit + 1 - layout.stored
    above = bits - layout.stored - max(below, 0)
    unsigned = stored.view(stored.dtype.str.replace("i", "u"))
    shifted = unsigned << stored.dtype.type(above).astype(unsigned.dtype)
    if layout.signed:
        shifted = shifted.view(stored.dtype)
    meant: AnyArray = shifted >> shifted.dtype.type(bits - layout.stored)
    return meant


def _outside(stored: AnyArray, header: SliceHeader) -> AnyArray | None:
    if header.padding is None:
        return None
    low, high = sorted(_as_stored(value, stored.dtype) for value in header.padding)
    outside: AnyArray = stored == low if low == high else (stored >= low) & (stored <= high)
    return outside if outside.any() else None


def _as_stored(value: int, kind: np.dtype) -> int:
    """Read padding as the pixels are read: it may be written with the wrong sign."""
    bits = 8 * kind.itemsize
    # 63536 stands for -2000 in 16 bits.
    value &= (1 << bits) - 1
    signed = np.issubdtype(kind, np.signedinteger)
    return value - (1 << bits) if signed and value >= 1 << (bits - 1) else value


def tally_of(hu: FloatArray | IntArray, outside: AnyArray | None = None) -> IntArray:
    """Count a sample of the pixels of a slice by their values.

    Parameters
    ----------
    hu : (rows, columns) float or int
        Values.
    outside : (rows, columns) bool or None
        Pixels not to count.

    Returns
    -------
    (len(TALLY_EDGES_HU) + 1,) int
        Pixels in each bin.
    """
    step = slice(None, None, min(max(min(hu.shape) // _TALLY_SIDE, 1), _MAX_TALLY_STEP))
    sample = hu[step, step]
    if outside is not None:
        sample = sample[~outside[step, step]]
    bins = np.floor_divide(sample - _FIRST_HU, _BIN_HU) + 1
    numbered = np.clip(bins, 0, _N_BINS - 1).astype(np.intp).ravel()
    counted: IntArray = np.bincount(numbered, minlength=_N_BINS)
    return counted


def is_beyond_hu(tally: IntArray) -> bool:
    """Tell whether most of a slice has values that no tissue and no air has.

    Parameters
    ----------
    tally : (len(TALLY_EDGES_HU) + 1,) int
        Of the slice.

    Returns
    -------
    bool
        True above 3,090 HU, where metal alone is, in more than half of it.
    """
    return bool(2 * tally[-1] > tally.sum())


def check_hu(tally: IntArray, settings: ReadSettings) -> None:
    """Refuse values that are plainly not in HU.

    Parameters
    ----------
    tally : (len(TALLY_EDGES_HU) + 1,) int
        Of the scanned pixels of a volume.
    settings : ReadSettings
        Ranges of air and tissue, and the least share of each.

    Raises
    ------
    SeriesError
        Where there is no air or no tissue.
    """
    total = int(tally.sum())
    for name, (low, high) in (("air or lung", settings.air_hu), ("tissue", settings.tissue_hu)):
        first, last = np.searchsorted(TALLY_EDGES_HU, (low, high), side="right")
        share = float(tally[first:last].sum()) / max(total, 1)
        if share < settings.least_share:
            raise SeriesError(
                f"a CT of the chest must have {name} in {low:.0f} to {high:.0f} HU, got "
                f"{share:.2%} of the scanned pixels; the values are not in HU, or the rescale "
                "tags are wrong",
                code="E_NOT_HU",
            )
