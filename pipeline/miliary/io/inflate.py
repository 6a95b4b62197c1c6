"""A deflated data set as a file that is inflated while it is read, and never held as a whole."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian

_STEP = 1 << 16


def deflated_from(start: bytes) -> int:
    """Find where the deflated part of a DICOM file begins.

    Parameters
    ----------
    start : bytes
        The beginning of the file, a kilobyte or more.

    Returns
    -------
    int
        Its place; 0 for a file that is not deflated.

    Raises
    ------
    ValueError
        Where the file does not say.
    """
    if DeflatedExplicitVRLittleEndian.encode() not in start[:1024]:
        return 0
    # The length of the group-2 elements stands in their first element.
    if start[132:136] != b"\x02\x00\x00\x00":
        raise ValueError("a deflated file must state the length of its file meta information")
    return 144 + int.from_bytes(start[140:144], "little")


def open_inflated(file: BinaryIO, begin: int, max_bytes: int) -> BinaryIO:
    """Open the data set of a deflated file.

    Parameters
    ----------
    file : binary file
        The whole file.
    begin : int
        Where the deflated part begins.
    max_bytes : int
        Most that is inflated.

    Returns
    -------
    binary file
        Inflated while it is read.
    """
    return io.BufferedReader(Inflated(file, begin, max_bytes), _STEP)


class Inflated(io.RawIOBase):
    """The inflated content of a deflated file, from a given place on.

    A bomb of 1 MB that inflates to gigabytes costs time up to the cap, and no memory. Going back
    begins anew.

    Parameters
    ----------
    file : binary file
        The deflated one.
    begin : int
        Where the deflated part begins.
    max_bytes : int
        Most that is inflated before it is given up.
    """

    def __init__(self, file: BinaryIO, begin: int, max_bytes: int) -> None:
        super().__init__()
        self._file, self._begin, self._max_bytes = file, begin, max_bytes
        self._restart()

    def readable(self) -> bool:
        """Tell that it can be read.

        Returns
        -------
        bool
            True.
        """
        return True

    def seekable(self) -> bool:
        """Tell that one can go to any place in it.

        Returns
        -------
        bool
            True.
        """
        return True

    def tell(self) -> int:
        """Give the place in the inflated content.

        Returns
        -------
        int
            Bytes from its beginning.
        """
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place.

        Parameters
        ----------
        offset : int
            Bytes from the beginning or from here.
        whence : int
            `io.SEEK_SET` or `io.SEEK_CUR`.

        Returns
        -------
        int
            The place reached: the end where it lies beyond.
        """
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end of inflated content is not known before it")
        target = offset + (self._place if whence == io.SEEK_CUR else 0)
        if target < self._place:
            self._restart()
        while self._place < target and self._filled():
            n = min(len(self._ready), target - self._place)
            del self._ready[:n]
            self._place += n
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read what comes next.

        Parameters
        ----------
        buffer : writable buffer
            To fill.

        Returns
        -------
        int
            Bytes filled in; 0 at the end.
        """
        if not self._filled():
            return 0
        n = min(len(self._ready), len(buffer))
        buffer[:n] = self._ready[:n]
        del self._ready[:n]
        self._place += n
        return n

    def _filled(self) -> bool:
        """Inflate on until there is something; tell whether there is."""
        while not self._ready and not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._file.read(_STEP)
            if not packed:
                raise EOFError("a deflated file must not break off")
            self._ready += self._unpacker.decompress(packed, _STEP)
            if self._place + len(self._ready) > self._max_bytes:
                raise OSError(f"an inflated file must be at most {self._max_bytes} bytes")
        return bool(self._ready)

    def _restart(self) -> None:
        self._file.seek(self._begin)
        self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        self._ready = bytearray()
        self._place = 0
