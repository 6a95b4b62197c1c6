"""Paths are shown without what names a patient, and as plain text."""

from __future__ import annotations

import pytest

from miliary.io.identity import hashed, masked_path, patient_mark, printable, shifted_day

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


def test_marks_tell_patients_apart_and_days_keep_their_distance(monkeypatch):
    someone, other = ("ZQ7784512", "Doe^Jane"), ("ZQ7784513", "Doe^Jane")
    assert len(patient_mark(someone)) == 4
    assert patient_mark(someone) == patient_mark(("zq7784512 ", "Doe^J")) != patient_mark(other)
    # Without an id the name tells; without both nothing does.
    assert patient_mark(("", "Doe^Jane")) != patient_mark(("", "Doe^John")) != ""
    assert patient_mark(("", "")) == ""
    first, later = (shifted_day(day, someone) for day in (738_000, 738_060))
    assert (later - first) % 1_000_000 == 60
    assert first != shifted_day(738_000, other)
    assert shifted_day(None, someone) is shifted_day(738_000, ("", "")) is None
    monkeypatch.setenv("MILIARY_CASE_KEY", "another")
    assert first != shifted_day(738_000, someone)
