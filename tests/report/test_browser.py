"""The pages in a real browser: nothing asked for, nothing complained of, everything works."""

from __future__ import annotations

import itertools

import pydicom
import pytest

import browser
import oracles_cli
from miliary.case_folder import write_case
from miliary.config import Config
from miliary.config.reading import ReadSettings
from miliary.io.reading import read_series
from miliary.io.series import find_inputs
from miliary.report import render_index, render_report, render_thumbnail

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="needs chromium")

EVIL = "<script>alert(1)</script>"
TEXT_KINDS = {"SH", "LO", "ST", "LT", "UT", "UC", "PN"}


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    made = browser.Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture
def opened(window, tmp_path):
    """Open a page from a file; at the end nothing may have been said or asked for."""
    counter = itertools.count()
    window.complaints.clear()
    window.requests.clear()
    window.resize(1280, 900)

    def open_page(text):
        path = tmp_path / f"page{next(counter)}.html"
        path.write_text(text, encoding="utf-8")
        window.open(path)
        return window

    yield open_page
    assert window.complaints == []
    outside = [url for url in window.requests if not url.startswith(("data:", "file:"))]
    assert outside == []


def shown(page):
    return page.run("Array.from(document.querySelectorAll('.slab')).findIndex(s => s.offsetParent)")


def test_keys_buttons_and_small_pictures_walk_through_the_levels(opened, make_analysis):
    page = opened(render_report(make_analysis(), {}))
    n = page.run("document.querySelectorAll('.slab').length")
    first = shown(page)
    page.run("document.getElementById('level').focus()")
    page.press("ArrowRight")
    assert shown(page) == first + 1
    page.press("ArrowLeft")
    page.run("document.querySelector('[data-step=\"-1\"]').click()")
    assert shown(page) == first - 1
    page.run("document.querySelectorAll('[data-level]')[0].click()")
    assert page.run("document.getElementById('level-shown').textContent").endswith(f"of {n}")
    pressed = "document.querySelectorAll('[data-level]')[0].getAttribute('aria-pressed')"
    assert page.run(pressed) == "true"
    visible = "Array.from(document.querySelectorAll('.slab')).filter(s => s.offsetParent).length"
    assert page.run(visible) == 1


def test_a_phone_is_filled_and_not_overrun_in_light_and_dark(
    opened, window, make_analysis, tmp_path
):
    text = render_report(make_analysis(), {})
    window.resize(390, 844, mobile=True)
    for dark in (False, True):
        window.dark(dark)
        page = opened(text)
        window.resize(390, 844, mobile=True)
        assert page.run("document.documentElement.scrollWidth") <= 390
        ground = page.run("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") is not dark
        assert page.picture(tmp_path / "phone.png").stat().st_size > 20_000
    window.dark(False)
    assert page.print(tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_columns_of_a_cohort_sort_both_ways(opened, make_analysis):
    rows = [
        {"case": name, "status": "ok", "nodules": n, "miliary": "absent"}
        for name, n in (("a", "7"), ("b", ""), ("c", "90"))
    ]
    page = opened(
        render_index(rows, title="t", thumbnails={"a": render_thumbnail(make_analysis(9))})
    )
    names = (
        "Array.from(document.querySelectorAll('#cases tbody th')).map(c => c.textContent).join()"
    )
    head = "[...document.querySelectorAll('#cases thead th')].find(h => h.textContent == 'Nodules')"
    for expected in ("a,c,b", "c,a,b"):
        page.run(f"{head}.querySelector('button').click()")
        assert page.run(names) == expected
    assert page.run("document.querySelector('.thumb img').naturalWidth") > 50


def test_3000_nodules_are_shown(opened, make_analysis):
    page = opened(render_report(make_analysis(3000), {}))
    assert page.run("document.querySelectorAll('#slabs .rings circle').length") >= 3000


def evil_series(folder):
    """A scan with a script in every text of its headers."""
    oracles_cli.write_series(folder)
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path)
        for name in ("StudyDescription", "ConvolutionKernel", "ContrastBolusAgent", "StationName",
                     "ImageComments", "ProtocolName", "OperatorsName"):  # fmt: skip
            setattr(dataset, name, "")
        for element in dataset.iterall():
            # The reader refuses values in an unknown unit, whatever it is called.
            if element.VR in TEXT_KINDS and element.keyword != "RescaleType":
                element.value = EVIL
        dataset.save_as(path)
    return folder


# pydicom warns of the values that are too long for their kind, which is the point.
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_script_in_every_text_of_the_headers_comes_out_as_text(opened, tmp_path):
    (info,) = find_inputs([evil_series(tmp_path / "evil")], ReadSettings())
    volume = read_series(info, ReadSettings())
    analysis = oracles_cli.fake_analyze(volume, Config(), seed=1)
    folder = write_case(analysis, tmp_path / "case", series=info, dicom=True)
    page = opened((folder / "report.html").read_text("utf-8"))
    assert page.run("document.scripts.length") == 1
    assert EVIL in page.run("document.body.innerText")
    assert len((folder / "report.html").read_bytes()) < 3_000_000
