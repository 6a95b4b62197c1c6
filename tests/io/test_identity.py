"""Paths are shown without what names a patient, and as plain text."""

from __future__ import annotations

import pytest

from miliary.io.identity import hashed, masked_path, printable

SECRETS = ("MRN-778812", "Müller^José An", "19571103", "", "77")


@pytest.mark.parametrize(
    "part",
    [
        "MULLER_JOSE", "jose.1", "scan of müller", "an", "mrn 778812", "778812", "b1957-11-03",
        "03111957", "11.03.1957", "1.2.840.113619.2.55.3", "2.25.315255796112233445",
    ],
)  # fmt: skip
def test_parts_of_a_path_that_tell_are_hidden(part):
    shown = masked_path(f"thin/{part}/ct", SECRETS)
    assert shown == f"thin/#{hashed(part, digits=8)}/ct"


@pytest.mark.parametrize("part", ["anterior", "77b", "lung 1.25", "19", "phantom", "IM0001.dcm"])
def test_other_parts_of_a_path_are_shown(part):
    assert masked_path(f"{part}/x", SECRETS) == f"{part}/x"


def test_a_hidden_file_keeps_its_ending():
    assert masked_path("jose.nii.gz", SECRETS).endswith(".nii.gz")


def test_names_that_are_no_text_are_shown_as_text():
    assert printable("a\x1b[31m\n\udcff\u202e=b") == "a?[31m???=b"
    assert masked_path("x\x1b]0;y\x07", ()) == "x?]0;y?"
