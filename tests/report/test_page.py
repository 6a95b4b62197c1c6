"""The page of a case: safe to open, true to its input, and complete whatever was found."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from miliary.analyze import Analysis
from miliary.findings import Calibration, Verdict
from miliary.report import page as page_module
from miliary.report.page import render_report

EVIL = '<script>alert("x")</script>'
PROVENANCE = {"versions": {"numpy": "2.4", "gone": None}, "runs": [{"seconds": float("nan")}]}
#: The size that the page must keep with 3,000 nodules.
MOST_BYTES = 3_000_000


def poison(part: Any) -> Any:
    """Put a script into every text of a result, however deep; arrays stay as they are."""
    if isinstance(part, str):
        return part + EVIL
    if isinstance(part, tuple):
        return tuple(poison(item) for item in part)
    if is_dataclass(part) and not isinstance(part, type):
        new = {item.name: poison(getattr(part, item.name)) for item in fields(part)}
        return replace(part, **new)
    return part


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Pages rendered once, by name."""
    return {}


@pytest.fixture
def usual_page(pages, make_analysis) -> str:
    """The page of the made-up case as it stands."""
    if not pages:
        pages["usual"] = render_report(make_analysis(), PROVENANCE)
    return pages["usual"]


def test_a_script_in_any_text_comes_out_as_text(read_page, usual_page, make_analysis):
    clean = read_page(usual_page)
    evil = poison(make_analysis(10))
    read = read_page(render_report(evil, {EVIL: EVIL, "nested": {EVIL: [EVIL]}}))
    assert len(read.scripts) == 1
    assert read.scripts == clean.scripts
    assert EVIL in read.visible
    assert not [name for _, attrs in read.elements for name in attrs if name.startswith("on")]


def test_the_policy_lets_in_only_the_pages_own_style_and_script(read_page, usual_page):
    read = read_page(usual_page)
    policy = next(a["content"] for a in read.all("meta") if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for inline in (read.scripts[0], read.styles[0]):
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not [attrs for _, attrs in read.elements if "style" in attrs]


def test_nothing_comes_from_outside_the_page(read_page, usual_page):
    read = read_page(usual_page)
    sources = [attrs["src"] for _, attrs in read.elements if attrs.get("src")]
    sources += [attrs["href"] for _, attrs in read.elements if attrs.get("href")]
    assert sources
    assert all(
        re.match(r"data:image/(svg\+xml|jpeg);base64,|#mip-", source or "") for source in sources
    )
    assert "url(" not in read.styles[0]
    assert "@import" not in read.styles[0]


def test_every_image_has_words_for_it(read_page, usual_page):
    read = read_page(usual_page)
    assert len(read.all("img")) >= 8
    assert all(len(image.get("alt") or "") > 10 for image in read.all("img"))
    drawings = [svg for svg in read.all("svg") if svg.get("aria-hidden") != "true"]
    assert all(svg.get("aria-label") for svg in drawings)


@pytest.mark.parametrize("n", [0, 1, 120])
def test_what_is_not_known_is_never_nan_or_none(read_page, make_analysis, n):
    quality = replace(make_analysis(0).quality, noise_hu=float("nan"))
    read = read_page(render_report(make_analysis(n, quality=quality), PROVENANCE))
    text = read.visible + " ".join(str(v) for _, attrs in read.elements for v in attrs.values())
    # Base64 may hold any letters: only whole words count.
    assert not re.findall(r"(?<![\w/+])(nan|NaN|None|inf)(?![\w/+=])", text)
    assert "Noise in the lungs – " in re.sub(r"\s+", " ", read.visible)


def test_the_page_tells_the_verdict_first_and_every_criterion(read_page, make_analysis):
    analysis = make_analysis()
    visible = read_page(render_report(analysis, PROVENANCE)).visible
    body = visible[visible.index("Miliary pattern present, both lungs") :]
    assert body.index("Miliary pattern present") < body.index("Why") < body.index("projections")
    assert "never a cause" in body
    for item in analysis.miliary.criteria:
        assert item.sentence in body
    assert "4 of 6 criteria met; not met: no vessel preference; not assessable: fissural." in body


def test_a_scan_without_nodules_has_a_page_that_says_so(read_page, make_analysis):
    read = read_page(render_report(make_analysis(0), PROVENANCE))
    assert "No miliary pattern" in read.visible
    assert "No nodule was found" in read.visible
    assert not read.all("circle")
    assert len(read.all("image")) > 5


def test_an_unassessable_scan_is_called_that(read_page, make_analysis):
    verdict = Verdict("not_assessable", None, ())
    nothing = Calibration((), (), (), 0)
    analysis = make_analysis(3, miliary=verdict, calibration=nothing)
    visible = read_page(render_report(analysis, {})).visible
    assert "Not assessable" in visible
    assert "No criterion was judged." in visible
    assert "This scan was not calibrated" in visible


def test_a_missing_fissure_is_said_and_a_found_one_drawn(read_page, make_analysis):
    analysis = make_analysis()
    without = read_page(render_report(analysis, PROVENANCE))
    fissure = replace(analysis.spatial.curves[-1], function="fissure")
    spatial = replace(analysis.spatial, curves=(*analysis.spatial.curves, fissure))
    drawn = read_page(render_report(replace(analysis, spatial=spatial), PROVENANCE))
    assert "Not assessable in this scan." in without.visible
    assert "Not assessable in this scan." not in drawn.visible
    assert len(drawn.all("img")) == len(without.all("img")) + 1


def test_nothing_of_the_patients_path_is_told(usual_page):
    assert "SMITH" not in usual_page


def test_every_nodule_is_ringed_and_numbered(make_analysis):
    analysis = make_analysis(150)
    page = render_report(analysis, PROVENANCE)
    section = page[page.index('id="slabs"') : page.index("From the front")]
    numbers = set(map(int, re.findall(r"<circle[^>]*><title>(\d+)</title>", section)))
    assert numbers == set(range(1, 151))


def test_the_same_case_gives_the_same_page(make_analysis):
    analysis = make_analysis(20)
    assert render_report(analysis, PROVENANCE) == render_report(analysis, PROVENANCE)


def test_the_input_is_not_changed(make_analysis):
    analysis = make_analysis(20)
    before = analysis.volume.hu.copy(), analysis.nodules.points_mm.copy()
    render_report(analysis, PROVENANCE)
    np.testing.assert_array_equal(analysis.volume.hu, before[0])
    np.testing.assert_array_equal(analysis.nodules.points_mm, before[1])


def test_pictures_that_pack_badly_are_made_coarser_then_smaller(make_analysis, rng, monkeypatch):
    noise = rng.integers(0, 255, (190, 260), dtype=np.uint8)
    sized = [replace(slab, pixels=noise) for slab in _slabs(make_analysis(0))[:3]]
    usual = sum(map(len, page_module._packed(sized, 70)))
    for share in (0.9, 0.3):
        monkeypatch.setattr(page_module, "_SLAB_BYTES", int(share * usual))
        assert sum(map(len, page_module._packed(sized, 70))) <= share * usual


def test_3000_nodules_stay_within_the_size_beside_the_largest_pictures(make_analysis):
    page = render_report(make_analysis(3000), PROVENANCE)
    slabs = sum(map(len, re.findall(r'<image id="mip-\d+" href="([^"]*)"', page)))
    # Room for as many panels again: this case lacks curves that others have.
    figures = sum(map(len, re.findall(r'src="(data:[^"]*)"', page)))
    assert slabs > 0
    assert len(page.encode()) - slabs + figures + page_module._SLAB_BYTES < MOST_BYTES


def test_a_scan_without_lungs_has_a_page(read_page, make_analysis):
    analysis = make_analysis(0)
    nothing = np.zeros_like(analysis.anatomy.lung_labels)
    anatomy = replace(analysis.anatomy, lung_labels=nothing, evaluable_labels=nothing, lungs=())
    visible = read_page(render_report(replace(analysis, anatomy=anatomy), PROVENANCE)).visible
    assert "No lung was found." in visible
    assert "in 0 L of evaluable lung" in visible


def _slabs(analysis: Analysis) -> list[Any]:
    frame = page_module.slabs.frame_lungs(analysis, analysis.config.report)
    return page_module.slabs.axial_slabs(frame, analysis.config.report)


def test_rings_have_the_numbers_of_the_table_where_all_candidates_are_kept(make_analysis):
    found = make_analysis(60)
    config = replace(found.config, detect=replace(found.config.detect, keep_all=True))
    score = np.where(np.arange(len(found.nodules)) % 3 == 1, 0.9, 0.1)
    kept = replace(found, config=config, nodules=replace(found.nodules, score=score))
    page = render_report(kept, PROVENANCE)
    rings = set(map(int, re.findall(r"<circle[^>]*><title>(\d+)</title>", page)))
    assert rings
    assert rings <= set(kept.accepted_numbers.tolist())
    assert max(rings) > len(kept.accepted)
