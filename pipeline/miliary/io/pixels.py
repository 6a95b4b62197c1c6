"""Pixels of slices as Hounsfield units: decoded, rescaled slice by slice, padding taken out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID, CTImageStorage

from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.config.reading import ReadSettings
from miliary.errors import SeriesError
from miliary.io.headers import PARSE_ERRORS, SliceHeader, dataset_of
from miliary.io.sources import Archive
from miliary.io.stack import name_of

#: What was not scanned, and the lowest value kept.
OUTSIDE_HU = -1024
_INT16_MAX = 32767

#: Tally of values: bins of 10 HU from -1100, what lies beyond counted at the ends.
TALLY_EDGES_HU = np.arange(-1100, 3100, 10)
#: Every 8th pixel both ways is enough to see where the values lie.
_TALLY_STEP = 8

#: Beginnings of the JPEG syntaxes of which pydicom cannot decode some, and SimpleITK can: lossy
#: and lossless JPEG, JPEG 2000 and its high-throughput kind. All end a frame with the same mark.
_FALLBACK = tuple(f"1.2.840.10008.1.2.4.{end}" for end in ("5", "7", "9", "20"))
_END_MARK = b"\xff\xd9"

#: Elements that say how stored values are packed: all that a decoder needs.
_PACKING = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)


@dataclass(frozen=True, eq=False)
class DecodedSlice:
    """One slice in HU.

    Parameters
    ----------
    hu : (rows, columns) int16
        Values, -1024 where nothing was scanned.
    tally : (len(TALLY_EDGES_HU) + 1,) int
        How many of a sample of the scanned pixels lie in each bin.
    """

    hu: IntArray
    tally: IntArray


def decode_file(
    headers: list[SliceHeader], archive: Archive, settings: ReadSettings
) -> list[DecodedSlice]:
    """Decode the wanted frames of one file.

    Parameters
    ----------
    headers : list of SliceHeader
        Slices of one file.
    archive : Archive
        Opens it.
    settings : ReadSettings
        For naming the file.

    Returns
    -------
    list of DecodedSlice
        In the order asked for.

    Raises
    ------
    SeriesError
        Where the pixels cannot be read, or are fewer than they should be.
    """
    try:
        with archive.open(headers[0].source) as file:
            dataset = dataset_of(file)
        return [_to_hu(_stored(dataset, header), header) for header in headers]
    except (*PARSE_ERRORS, RuntimeError) as error:
        syntax = UID(headers[0].transfer_syntax)
        raise SeriesError(
            f"pixels must be readable, got {type(error).__name__} in "
            f"{name_of(headers[0], settings)} ({syntax.name}); it is truncated, damaged or in a "
            "coding that is not supported",
            code="E_PIXELS",
        ) from error


def _stored(dataset: pydicom.Dataset, header: SliceHeader) -> IntArray:
    """Decode one frame to its stored values, by pydicom, or by SimpleITK where that cannot."""
    syntax = UID(header.transfer_syntax)
    if dataset.get("SamplesPerPixel", 1) != 1 or "PixelData" not in dataset:
        raise ValueError("a CT slice must hold pixel data of one sample a pixel")
    if str(syntax).startswith(_FALLBACK) and not _pydicom_decodes(dataset, syntax):
        frame = _by_simpleitk(dataset, header)
    else:
        frame, _ = get_decoder(syntax).as_array(dataset, index=header.frame, raw=True)
    if frame.shape != (header.rows, header.columns):
        raise ValueError("the decoded frame must have the size that the header states")
    stored: IntArray = frame
    return stored


def _pydicom_decodes(dataset: pydicom.Dataset, syntax: UID) -> bool:
    """Tell whether pydicom has a decoder for these pixels; its own for JPEG stops at 8 bits."""
    try:
        available = bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False
    eight_bits = int(dataset.get("BitsStored") or 16) <= 8
    return available and (eight_bits or not str(syntax).startswith(_FALLBACK[0]))


def _by_simpleitk(dataset: pydicom.Dataset, header: SliceHeader) -> AnyArray:
    """Decode by SimpleITK, which wants a file: a bare one, so that it cannot rescale or invert."""
    import SimpleITK as sitk  # noqa: N813

    frames = generate_frames(
        dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)
    )
    frame = next(part for index, part in enumerate(frames) if index == header.frame)
    # It makes pixels up where a stream breaks off; a whole stream ends with its mark.
    if not frame.rstrip(b"\0").endswith(_END_MARK):
        raise ValueError("the coded frame breaks off")
    bare = pydicom.Dataset()
    for name in _PACKING:
        setattr(bare, name, dataset[name].value)
    bare.PhotometricInterpretation = "MONOCHROME2"
    bare.SOPClassUID, bare.SOPInstanceUID = CTImageStorage, "2.25.1"
    bare.PixelData = encapsulate([frame])
    bare["PixelData"].VR = "OB"
    bare.file_meta = pydicom.dataset.FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = UID(header.transfer_syntax)
    with tempfile.TemporaryDirectory(prefix="miliary-") as folder:
        path = Path(folder, "slice.dcm")
        bare.save_as(path, enforce_file_format=True)
        image = sitk.ReadImage(str(path))
    decoded: AnyArray = sitk.GetArrayFromImage(image)
    return decoded.reshape(decoded.shape[-2:])


def _to_hu(stored: IntArray, header: SliceHeader) -> DecodedSlice:
    slope = 1.0 if header.slope is None else header.slope
    intercept = 0.0 if header.intercept is None else header.intercept
    outside = _outside(stored, header)
    if slope == 1.0 and float(intercept).is_integer():
        hu = stored.astype(np.int32) + int(intercept)
    else:
        hu = np.rint(stored * np.float32(slope) + np.float32(intercept))
    tally = tally_of(hu, outside)
    np.clip(hu, OUTSIDE_HU, _INT16_MAX, out=hu)
    if outside is not None:
        hu[outside] = OUTSIDE_HU
    return DecodedSlice(hu.astype(np.int16), tally)


def _outside(stored: IntArray, header: SliceHeader) -> AnyArray | None:
    if header.padding is None:
        return None
    # Padding is at times written with the wrong sign: 63536 stands for -2000 in 16 bits.
    bits = 8 * stored.dtype.itemsize
    padding = header.padding & ((1 << bits) - 1)
    if np.issubdtype(stored.dtype, np.signedinteger) and padding >= 1 << (bits - 1):
        padding -= 1 << bits
    outside: AnyArray = stored == padding
    return outside if outside.any() else None


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
    step = slice(None, None, _TALLY_STEP)
    sample = hu[step, step].ravel()
    if outside is not None:
        sample = sample[~outside[step, step].ravel()]
    counted = np.bincount(
        np.searchsorted(TALLY_EDGES_HU, sample, side="right"), minlength=len(TALLY_EDGES_HU) + 1
    )
    tally: IntArray = counted
    return tally


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
