"""Values of DICOM elements taken straight from their bytes.

pydicom would make an object of each value, which takes longer than to read the file.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword

#: Elements by tag, as pydicom has read them: most of them bytes still.
Elements = Mapping[int, Any]

#: Kinds of values that may be long; those of them that are wanted are sequences.
_LONG = {"SQ", "OB", "OW", "OB or OW", "OF", "OD", "OL", "OV", "UN", "UT", "UC", "UR", "LT"}

_FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "US or SS": "H"}


def tags_of(names: Iterable[str]) -> dict[str, int]:
    """Look up the tags of keywords.

    Parameters
    ----------
    names : iterable of str
        Keywords of the standard.

    Returns
    -------
    dict of str to int
        Tags by keyword.
    """
    tags = {}
    for name in names:
        tag = tag_for_keyword(name)
        if tag is None:
            raise ValueError(f"a keyword must be one of the standard, got {name!r}")
        tags[name] = int(tag)
    return tags


def is_short(tag: int) -> bool:
    """Tell whether values of a tag are short: text or numbers, neither bytes nor a sequence.

    Parameters
    ----------
    tag : int
        Any.

    Returns
    -------
    bool
        False for tags that are not in the standard.
    """
    try:
        return _vr_of(tag) not in _LONG
    except KeyError:
        return False


def elements_of(dataset: pydicom.Dataset) -> dict[int, Any]:
    """Give the elements of a data set without converting them.

    Parameters
    ----------
    dataset : pydicom.Dataset
        As read.

    Returns
    -------
    dict of int to element
        By tag.
    """
    return {int(element.tag): element for element in dataset.elements()}


def items(elements: Elements, tag: int) -> list[pydicom.Dataset]:
    """Give the items of a sequence.

    Parameters
    ----------
    elements : Elements
        Of one data set.
    tag : int
        The sequence.

    Returns
    -------
    list of pydicom.Dataset
        None where it is absent or empty.
    """
    element = elements.get(tag)
    if element is None:
        return []
    if not isinstance(element, pydicom.DataElement):
        element = pydicom.dataelem.convert_raw_data_element(element)
    return list(element.value or []) if element.VR == "SQ" else []


def text(elements: Elements, tag: int) -> str:
    """Give a value as text.

    Parameters
    ----------
    elements : Elements
        Of one data set.
    tag : int
        Of any element but a sequence.

    Returns
    -------
    str
        Without padding; values are separated by backslashes; empty where absent.
    """
    return "\\".join(values(elements, tag))


def values(elements: Elements, tag: int) -> list[str]:
    """Give the values of an element as texts.

    Parameters
    ----------
    elements : Elements
        Of one data set.
    tag : int
        Of any element but a sequence.

    Returns
    -------
    list of str
        None where it is absent or empty.
    """
    element = elements.get(tag)
    value = None if element is None else element.value
    if value is None or value == b"" or value == "":
        return []
    if isinstance(value, bytes):
        return _decoded(element, value, tag)
    several = value if isinstance(value, list | tuple | pydicom.multival.MultiValue) else [value]
    return [str(part).strip(" \0") for part in several]


def number(elements: Elements, tag: int) -> float | None:
    """Give a value as a number.

    Parameters
    ----------
    elements : Elements
        Of one data set.
    tag : int
        Of an element with one value.

    Returns
    -------
    float or None
        None where it is absent or empty, NaN where it is there and no finite number.
    """
    found = values(elements, tag)
    if not found or not found[0]:
        return None
    try:
        value = float(found[0])
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def numbers(elements: Elements, tag: int, n: int) -> tuple[float, ...] | None:
    """Give a fixed count of numbers.

    Parameters
    ----------
    elements : Elements
        Of one data set.
    tag : int
        Of the element.
    n : int
        How many there must be.

    Returns
    -------
    (n,) float or None
        None where they are not that many finite numbers.
    """
    try:
        found = tuple(float(value) for value in values(elements, tag))
    except ValueError:
        return None
    return found if len(found) == n and all(map(math.isfinite, found)) else None


def _decoded(element: Any, value: bytes, tag: int) -> list[str]:
    vr = element.VR
    # Implicit files do not say it, and "unknown" says nothing.
    if vr in (None, "UN"):
        vr = _vr_of(tag)
    code = _FORMATS.get(vr)
    if code:
        size = struct.calcsize(code)
        order = "<" if element.is_little_endian else ">"
        whole = value[: len(value) // size * size]
        return [str(part) for part in struct.unpack(f"{order}{len(whole) // size}{code}", whole)]
    try:
        found = value.decode("utf-8")
    except UnicodeDecodeError:
        found = value.decode("latin-1")
    return [part.strip(" \0") for part in found.split("\\")]


_VRS: dict[int, str] = {}


def _vr_of(tag: int) -> str:
    if tag not in _VRS:
        _VRS[tag] = str(dictionary_VR(tag))
    return _VRS[tag]
