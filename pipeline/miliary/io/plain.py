"""Elements of a DICOM file as nearly all scanners write them, taken straight from its beginning.

pydicom reads any file, in steps of eight bytes; four in five of the slices at hand need none of
that. What is in the least out of the ordinary is left to it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container
from typing import NamedTuple

from miliary.io.tags import is_short

#: Two-letter kinds of values whose length takes four bytes, and those whose length takes two.
_LONG = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_SHORT = frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS"),
        *(b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)

_EXPLICIT, _IMPLICIT = struct.Struct("<HH2sH"), struct.Struct("<HHI")
_LENGTH = struct.Struct("<I")

#: The group of marks between items of sequences.
_MARKS = 0xFFFE


class Plain(NamedTuple):
    """One element, with what `tags.values` asks of it.

    Parameters
    ----------
    VR : str or None
        Kind of its value, where the file says it.
    value : bytes
        As in the file.
    is_little_endian : bool
        Always.
    """

    VR: str | None
    value: bytes
    is_little_endian: bool = True


def plain_elements(
    head: bytes, begin: int, implicit: bool, wanted: Container[int], ends: Callable[[int], bool]
) -> tuple[dict[int, Plain], int] | None:
    """Read elements up to the first that is not to be read.

    Parameters
    ----------
    head : bytes
        The beginning of a file in little endian order.
    begin : int
        Where in it the first element is.
    implicit : bool
        Whether kinds of values are left out.
    wanted : container of int
        Tags to keep.
    ends : callable
        Tells of a group of tags whether it is beyond what is to be read.

    Returns
    -------
    (dict of int to Plain, int) or None
        The elements by tag, and where the first one beyond them begins. None where that is not in
        `head`, and where anything is not plain: a sequence that is wanted, a length left open, an
        unknown kind of value, marks of items.
    """
    elements: dict[int, Plain] = {}
    place = begin
    while place + 12 <= len(head):
        vr, start = b"", place + 8
        if implicit:
            group, element, length = _IMPLICIT.unpack_from(head, place)
        else:
            group, element, vr, length = _EXPLICIT.unpack_from(head, place)
            if vr in _LONG:
                (length,) = _LENGTH.unpack_from(head, start)
                start += 4
            elif vr not in _SHORT:
                return None
        if ends(group):
            return elements, place
        # A length left open is beyond any head.
        place = start + length
        if group == _MARKS or place > len(head):
            return None
        tag = group << 16 | element
        if tag in wanted:
            if vr == b"SQ" or not is_short(tag):
                return None
            elements[tag] = Plain(vr.decode("ascii") or None, head[start:place])
    return None
