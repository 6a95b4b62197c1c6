"""A script in every text of a scan's headers comes out of every page as text."""

from __future__ import annotations

import pydicom
import pytest
from pydicom.datadict import DicomDictionary

import browser
import oracles_cli
from browser import opened, window
from command_line import command, fast
from miliary.report.page import render_report

__all__ = ["command", "fast", "opened", "window"]

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="needs chromium")

EVIL = "<script>alert(1)</script>"
TEXT_KINDS = {"SH", "LO", "ST", "LT", "UT", "UC", "PN", "UR", "AE"}
#: The reader refuses values in an unknown unit, whatever it is called.
KEPT = {"RescaleType"}


def every_text():
    """Tags of the data dictionary that hold text, but for those of the file's own header."""
    return [
        tag
        for tag, (kind, _, _, retired, keyword) in DicomDictionary.items()
        if kind in TEXT_KINDS and not retired and tag >> 16 >= 8 and keyword not in KEPT
    ]


def evil_series(folder, seed):
    """A scan with a script in every text that its headers can have."""
    oracles_cli.write_series(folder, seed=seed)
    tags = every_text()
    assert len(tags) > 600
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path)
        for tag in tags:
            dataset.add_new(tag, DicomDictionary[tag][0], EVIL)
        for element in dataset.iterall():
            if element.VR in TEXT_KINDS and element.keyword not in KEPT:
                element.value = EVIL
        dataset.save_as(path)


# pydicom warns of the values that are too long for their kind, which is the point.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_script_in_every_text_comes_out_as_text_on_every_page(
    opened, command, fast, monkeypatch, tmp_path
):
    monkeypatch.setattr(oracles_cli, "fake_page", render_report)
    for seed in (1, 2):
        evil_series(tmp_path / "in" / f"scan-{seed}", seed)
    out = tmp_path / "out"
    ran = command("run", tmp_path / "in", "--out", out, "--viewer", "--all-series", "--dicom")
    assert ran.status == 0, ran.err
    cases = sorted(path.parent for path in out.glob("*/report.html"))
    assert len(cases) == 2
    compared = command("compare", *cases, "--out", tmp_path / "compared")
    assert compared.status == 0, compared.err
    # The pages of one script each; the viewer's other elements of that name hold data.
    code = "[...document.scripts].filter(s => s.type === '' || /script|module/.test(s.type)).length"
    for path in (
        cases[0] / "report.html",
        cases[0] / "viewer.html",
        out / "index.html",
        tmp_path / "compared" / "comparison.html",
    ):
        page = opened(path)
        assert page.run(code) == 1, path.name
        assert page.run("document.querySelectorAll('img[src=x], iframe, object').length") == 0
        if path.name == "report.html":
            assert EVIL in page.run("document.body.innerText")
