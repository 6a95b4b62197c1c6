"""The pages in a real browser: nothing asked for, nothing complained of, everything works."""

from __future__ import annotations

import pytest

import browser
from browser import opened, window
from miliary.report.cohort import render_index
from miliary.report.page import render_report
from miliary.report.thumbnail import render_thumbnail

__all__ = ["opened", "window"]

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="needs chromium")


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
    assert page.run("document.documentElement.outerHTML.length") < 3_000_000
