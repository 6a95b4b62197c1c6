"""A process that decodes compressed frames: `python -m miliary.io.decode_worker MEGABYTES`.

Decoders are the part of reading that damaged or hostile files crash, hang, or make take all
memory. Here only this process suffers; and several of them use several cores, which threads do
not: the JPEG-LS decoder keeps the interpreter lock.

It reads requests on standard input and answers on standard output, see `Decoders`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID, CTImageStorage

from miliary.arrays import AnyArray

#: Beginnings of the JPEG syntaxes of which pydicom cannot decode some, and SimpleITK can: lossy
#: and lossless JPEG, JPEG 2000 and its high-throughput kind. All end a frame with the same mark.
_FALLBACK = tuple(f"1.2.840.10008.1.2.4.{end}" for end in ("5", "7", "9", "20"))
_END_MARK = b"\xff\xd9"


def decode_frame(frame: bytes, packing: dict[str, Any]) -> AnyArray:
    """Decode one frame to its stored values, by pydicom, or by SimpleITK where that cannot.

    Parameters
    ----------
    frame : bytes
        As coded.
    packing : dict
        `syntax`, `rows`, `columns`, `allocated`, `stored`, `high_bit`, `signed`.

    Returns
    -------
    (rows, columns) int
        Stored values.

    Raises
    ------
    Exception
        Of many kinds, for a damaged frame.
    """
    dataset, syntax = _bare(frame, packing), UID(packing["syntax"])
    if str(syntax).startswith(_FALLBACK) and not _pydicom_decodes(dataset, syntax):
        decoded = _by_simpleitk(dataset, frame)
    else:
        decoded, _ = get_decoder(syntax).as_array(dataset, index=0, raw=True)
    if decoded.shape != (packing["rows"], packing["columns"]):
        raise ValueError("the decoded frame must have the size that the header states")
    return decoded


def _bare(frame: bytes, packing: dict[str, Any]) -> pydicom.Dataset:
    """Make the least data set that decoders take: nothing in it can rescale or invert."""
    bare = pydicom.Dataset()
    bare.Rows, bare.Columns = packing["rows"], packing["columns"]
    bare.SamplesPerPixel, bare.PhotometricInterpretation = 1, "MONOCHROME2"
    bare.BitsAllocated, bare.BitsStored = packing["allocated"], packing["stored"]
    bare.HighBit, bare.PixelRepresentation = packing["high_bit"], int(packing["signed"])
    bare.SOPClassUID, bare.SOPInstanceUID = CTImageStorage, "2.25.1"
    bare.PixelData = encapsulate([frame])
    bare["PixelData"].VR = "OB"
    bare.file_meta = pydicom.dataset.FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = UID(packing["syntax"])
    return bare


def _pydicom_decodes(dataset: pydicom.Dataset, syntax: UID) -> bool:
    """Tell whether pydicom has a decoder for these pixels; its own for JPEG stops at 8 bits."""
    try:
        available = bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False
    return available and (dataset.BitsStored <= 8 or not str(syntax).startswith(_FALLBACK[0]))


def _by_simpleitk(dataset: pydicom.Dataset, frame: bytes) -> AnyArray:
    """Decode by SimpleITK, which wants a file."""
    import SimpleITK as sitk  # noqa: N813

    # It makes pixels up where a stream breaks off; a whole stream ends with its mark.
    if not frame.rstrip(b"\0").endswith(_END_MARK):
        raise ValueError("the coded frame breaks off")
    with tempfile.TemporaryDirectory(prefix="miliary-") as folder:
        path = Path(folder, "slice.dcm")
        dataset.save_as(path, enforce_file_format=True)
        image = sitk.ReadImage(str(path))
    decoded: AnyArray = sitk.GetArrayFromImage(image)
    return decoded.reshape(decoded.shape[-2:])


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    while size := requests.read(4):
        packing = json.loads(requests.read(int.from_bytes(size, "big")))
        frame = requests.read(packing["bytes"])
        try:
            decoded = np.ascontiguousarray(decode_frame(frame, packing))
        except BaseException as error:  # noqa: BLE001 - a decoder in Rust raises no Exception
            told = type(error).__name__.encode()[:255]
            answers.write(b"!" + len(told).to_bytes(1, "big") + told)
        else:
            kind = decoded.dtype.str.encode()
            answers.write(b"=" + len(kind).to_bytes(1, "big") + kind)
            answers.write(decoded.data)
        answers.flush()


def _limit_memory(megabytes: float) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        most = int(megabytes * 2**20)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    _limit_memory(float(sys.argv[1]))
    warnings.simplefilter("ignore")
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, answers)
