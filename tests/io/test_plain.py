"""Elements taken straight from the beginning of a file, against pydicom's reading of it."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import ENCODED_VR, data_element_generator
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from miliary.config.reading import ReadSettings
from miliary.io import dicom_file, plain
from miliary.io.headers import _WANTED
from miliary.io.plain import plain_elements
from miliary.io.series import find_inputs
from miliary.io.tags import values

PATIENT, ROWS = 0x00100020, 0x00280010


def explicit(tag, vr, value):
    """One element, written by hand."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    if vr in (b"SQ", b"OW", b"UN"):
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


HEAD = (
    explicit(0x00080060, b"CS", b"CT")
    + explicit(PATIENT, b"LO", b"ab12")
    + explicit(0x00280009, b"UN", b"unknown?")
    + explicit(ROWS, b"US", b"\x00\x02")
)
PIXELS = explicit(0x7FE00010, b"OW", b"\x01\x02\x03\x04")


def read(head, *, begin=0, implicit=False, wanted=(PATIENT, ROWS)):
    return plain_elements(head, begin, implicit, wanted, lambda group: group == 0x7FE0)


def test_what_is_wanted_is_read_up_to_the_pixels():
    elements, place = read(b"xxx" + HEAD + PIXELS, begin=3)
    assert elements == {PATIENT: ("LO", b"ab12", True), ROWS: ("US", b"\x00\x02", True)}
    assert place == 3 + len(HEAD)
    assert (values(elements, PATIENT), values(elements, ROWS)) == (["ab12"], ["512"])


def test_kinds_of_values_are_those_that_pydicom_knows():
    assert {kind.encode() for kind in EXPLICIT_VR_LENGTH_32} == plain._LONG
    assert {kind for kind in ENCODED_VR if len(kind) == 2} == plain._LONG | plain._SHORT


def made_up():
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID = "Phantom^Ämil", ""
    dataset.Rows, dataset.PixelSpacing, dataset.ImageType = 19, [0.7, 0.8], ["ORIGINAL", "AXIAL"]
    dataset.PixelPaddingValue, dataset.KVP = 63536, "120"
    dataset.add_new(0x00091010, "UT", "private " * 20)
    # Of defined length, and not wanted: passed over.
    dataset.ReferencedImageSequence = Sequence([Dataset()])
    dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    dataset.add_new(0x7FE00010, "OW", bytes(64))
    return dataset


@pytest.mark.parametrize("implicit", [False, True])
def test_values_are_those_that_pydicom_reads(implicit):
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = implicit, True
    dataset = made_up()
    dataset["PixelPaddingValue"].VR = "US"
    write_dataset(file, dataset)
    content = file.getvalue()
    elements, place = read(content, implicit=implicit, wanted=_WANTED)
    theirs = {
        int(element.tag): element
        for element in data_element_generator(
            io.BytesIO(content), implicit, True, specific_tags=list(_WANTED),
            stop_when=lambda tag, *_: tag == 0x7FE00010,
        )
    }  # fmt: skip
    theirs.pop(0x00080005, None)
    assert len(elements) == 7
    assert {tag: values(elements, tag) for tag in elements} == {
        tag: values(theirs, tag) for tag in theirs
    }
    assert content[place : place + 4] == b"\xe0\x7f\x10\x00"


SEQUENCE = 0x00081140
OPEN = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)


@pytest.mark.parametrize(
    "head",
    [
        explicit(SEQUENCE, b"SQ", b"") + HEAD + PIXELS,
        OPEN + HEAD + PIXELS,
        explicit(0x00080060, b"??", b"CT") + HEAD + PIXELS,
        explicit(0x00080060, b"\x02\x00", b"CT") + HEAD + PIXELS,
        HEAD + struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + PIXELS,
        HEAD + struct.pack("<HH2sH", 0xFFFE, 0xE00D, b"UL", 0) + PIXELS,
        HEAD + explicit(0x00280011, b"US", b"\x00\x02")[:9],
        HEAD,
        b"",
    ],
    ids=["wanted sequence", "length left open", "unknown kind", "no kind", "mark", "mark of a kind",
         "cut off", "no pixels", "nothing"],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_others(head):
    assert read(head, wanted=(PATIENT, SEQUENCE)) is None


def test_a_sequence_of_an_implicit_file_is_left_to_others_where_it_is_wanted():
    head = struct.pack("<HHI", 0x0008, 0x1140, 0) + struct.pack("<HHI", 0x7FE0, 0x0010, 4) + PIXELS
    assert read(head, implicit=True, wanted=(SEQUENCE,)) is None
    assert read(head, implicit=True, wanted=(PATIENT,)) == ({}, 8)


def test_the_slices_of_the_sample_are_plain(monkeypatch):
    """Or reading them would take twice as long."""
    monkeypatch.setattr(dicom_file, "data_element_generator", None)
    sample = Path(__file__).parents[2] / "sample_data" / "dicom"
    (info,) = find_inputs([sample], ReadSettings())
    assert (info.code, info.n_slices) == ("OK", sum(1 for path in sample.iterdir()))
