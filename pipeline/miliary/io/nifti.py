"""NIfTI files written slice by slice: no image of the whole grid is made.

NIfTI-1 as https://nifti.nimh.nih.gov/nifti-1 has it (`nifti1.h`). Most of a mask is nothing;
ISA-L packs it in a tenth of the time of zlib.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from isal import isal_zlib
from scipy.spatial.transform import Rotation

from miliary.arrays import AnyArray
from miliary.geometry import Geometry

#: Fields of the header that are not 0, at their offsets; all others are.
_HEADER = np.dtype(
    {
        "names": [
            "sizeof_hdr", "regular", "dim", "datatype", "bitpix", "pixdim", "vox_offset",
            "scl_slope", "xyzt_units", "qform_code", "sform_code", "quatern", "qoffset", "srow",
            "magic",
        ],
        "formats": [
            "<i4", "S1", "<8i2", "<i2", "<i2", "<8f4", "<f4",
            "<f4", "u1", "<i2", "<i2", "<3f4", "<3f4", "<(3,4)f4",
            "S4",
        ],
        "offsets": [0, 38, 40, 70, 72, 76, 108, 112, 123, 252, 254, 256, 268, 280, 344],
        "itemsize": 348,
    }
)  # fmt: skip

#: Codes of the kinds of voxels.
_KINDS = {"uint8": 2, "float32": 16, "uint16": 512}
#: Millimetres and seconds; coordinates of the scanner; four bytes that say that nothing follows.
_UNITS, _SCANNER, _NO_EXTENSION = 2 | 8, 1, bytes(4)
#: From 2 on ISA-L takes more time for no fewer bytes.
_LEVEL = 1
_GZIP = 16 + isal_zlib.MAX_WBITS


def write_nifti(
    path: str | Path, planes: Iterable[AnyArray], kind: np.dtype, geometry: Geometry
) -> Path:
    """Write an image, one slice after the other.

    Parameters
    ----------
    path : path
        Ends in `.nii.gz`.
    planes : iterable of (y, x) array
        The slices of the grid from the lowest z on, of that kind; each is needed until the
        next is asked for.
    kind : numpy.dtype
        uint8, uint16 or float32.
    geometry : Geometry
        The grid.

    Returns
    -------
    Path
        The file; the same image gives the same bytes, by the same ISA-L on the same processor.

    Raises
    ------
    OSError
        Where the disk is full.
    """
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    with Path(path).open("wb") as file:
        file.write(packer.compress(header_of(kind, geometry) + _NO_EXTENSION))
        for plane in planes:
            # As the header says, whatever the order of this machine is.
            file.write(packer.compress(np.ascontiguousarray(plane, kind.newbyteorder("<")).data))
        file.write(packer.flush())
    return Path(path)


def header_of(kind: np.dtype, geometry: Geometry) -> bytes:
    """Make the header of an image on a grid.

    Parameters
    ----------
    kind : numpy.dtype
        uint8, uint16 or float32.
    geometry : Geometry
        The grid.

    Returns
    -------
    bytes
        348 of them. Where voxels are is told twice, by a turn and by an affine, as readers
        take either; both are of the scanner.
    """
    header = np.zeros((), _HEADER)
    header["sizeof_hdr"], header["regular"], header["magic"] = _HEADER.itemsize, b"r", b"n+1"
    header["dim"] = (3, *geometry.shape[::-1], 1, 1, 1, 1)
    header["datatype"], header["bitpix"] = _KINDS[kind.name], 8 * kind.itemsize
    header["vox_offset"] = _HEADER.itemsize + len(_NO_EXTENSION)
    header["scl_slope"], header["xyzt_units"] = 1, _UNITS
    header["qform_code"] = header["sform_code"] = _SCANNER
    # NIfTI's world points to the right and to the front, DICOM's to the left and to the back;
    # its axes begin with x.
    to_ras = np.diag([-1.0, -1.0, 1.0])
    axes = to_ras @ geometry.axes[:, ::-1]
    handed = np.sign(np.linalg.det(axes))
    header["pixdim"] = (handed, *geometry.spacing_mm[::-1], 0, 0, 0, 0)
    header["qoffset"] = to_ras @ geometry.affine[:3, 3]
    # A turn has no mirror in it: the sign goes to pixdim, and the last axis is turned round.
    header["quatern"] = Rotation.from_matrix(axes * [1, 1, handed]).as_quat(canonical=True)[:3]
    header["srow"][:, :3] = axes * geometry.spacing_mm[::-1]
    header["srow"][:, 3] = header["qoffset"]
    return header.tobytes()
