"""The scan in three planes: what is packed is what was scanned, and keys and mouse move in it."""

from __future__ import annotations

import base64
import io
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import browser
from browser import opened, window
from miliary.config.report import ReportSettings
from miliary.report.slabs import Frame, frame_lungs
from miliary.report.viewer import (
    block_factors,
    block_mean,
    merge_labels,
    pack,
    render_viewer,
    to_grey,
)

__all__ = ["opened", "window"]

needs_chromium = pytest.mark.skipif(browser.PROGRAM is None, reason="needs chromium")

SETTINGS = ReportSettings()
SHAPE, SPACING_MM = (19, 23, 29), (1.25, 0.7, 0.8)
#: The page rounds grey to steps of 5.5 HU, and WebP loses some more of noise of 25 HU.
GREY_HU = 30.0


def make_frame(hu):
    return Frame(hu, (slice(None),) * 3, np.array(SPACING_MM), np.empty((0, 3)), np.empty(0))


def scene_of(page):
    return json.loads(page.scripts[0])


def test_a_scan_that_is_small_enough_is_not_averaged(rng):
    frame = make_frame(rng.normal(size=SHAPE))
    assert_array_equal(block_factors(frame, np.prod(SHAPE)), 1)


def test_the_finest_axis_is_averaged_first(rng):
    frame = make_frame(rng.normal(size=SHAPE))
    assert_array_equal(block_factors(frame, np.prod(SHAPE) - 1), [1, 2, 1])
    assert_array_equal(block_factors(frame, np.prod(SHAPE) // 4), [1, 2, 2])


def test_blocks_are_averaged_as_a_loop_does(rng):
    hu, factors, rows, columns = rng.normal(0, 400, SHAPE), np.array([3, 2, 4]), 11, 7
    for level in range(SHAPE[0] // 3):
        expected = [
            [
                hu[3 * level : 3 * level + 3, 2 * j : 2 * j + 2, 4 * i : 4 * i + 4].mean()
                for i in range(columns)
            ]
            for j in range(rows)
        ]
        found = block_mean(hu, level, factors, (rows, columns))
        assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_grey_steps_are_as_the_page_says():
    hu = np.array([-3000.0, -1100.0, -1094.5, -600.0, 302.5, 900.0, np.nan])
    assert to_grey(hu).tolist() == [0, 0, 1, 91, 255, 255, 200]


def test_labels_hold_everything_that_is_known(make_analysis):
    analysis = make_analysis()
    anatomy = analysis.anatomy
    lungs = anatomy.lung_labels
    vessel, airway, fissure = (np.roll(lungs > 0, shift, axis=2) for shift in (1, 2, 3))
    airless = np.where(np.roll(lungs, 4, axis=1) > 0, 1, 0).astype(np.uint8)
    lobes = np.where(lungs == 1, 3, np.where(lungs == 2, 4, 0)).astype(np.uint8)
    anatomy = replace(
        anatomy, vessel_mask=vessel, airway_mask=airway, fissure_mask=fissure,
        airless_labels=airless, lobe_labels=lobes,
    )  # fmt: skip
    frame = frame_lungs(analysis, SETTINGS)
    merged = merge_labels(anatomy, frame)
    assert_array_equal(merged & 7, lobes[frame.box])
    side = (merged >> 3) & 3
    assert_array_equal(side == 3, ((airless > 0) & (lungs == 0))[frame.box])
    assert_array_equal(np.where(side == 3, 0, side), lungs[frame.box])
    for bit, mask in ((32, vessel), (64, airway), (128, fissure)):
        assert_array_equal((merged & bit) > 0, mask[frame.box])


@pytest.mark.parametrize("megavoxels", [100, 0.02])
def test_what_is_packed_can_be_unpacked(make_analysis, megavoxels):
    analysis = make_analysis()
    frame = frame_lungs(analysis, SETTINGS)
    # Half a voxel of a small scan cannot be had by millions of whole ones.
    settings = replace(SETTINGS, viewer_megavoxels=megavoxels)
    packed = pack(frame, analysis.anatomy, settings)
    assert np.prod(packed.shape) <= 1e6 * megavoxels
    assert (packed.factors.max() > 1) == (megavoxels < 1)
    assert_allclose(packed.spacing_mm, frame.spacing_mm * packed.factors)
    slices = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("L"))
        for text in packed.slices
    ]
    assert np.shape(slices) == packed.shape
    shape = packed.shape[1:]
    wanted = [to_grey(block_mean(frame.hu, z, packed.factors, shape)) for z in range(len(slices))]
    off = np.subtract(slices, wanted, dtype=float)[:: 16 if packed.shape[0] > 16 else None]
    assert 5.5 * np.sqrt(np.mean(off**2)) == pytest.approx(packed.loss_hu, rel=1e-4)
    assert packed.loss_hu < GREY_HU
    labels = np.frombuffer(zlib.decompress(base64.b64decode(packed.labels)), np.uint8)
    step = tuple(slice(0, n * f, f) for n, f in zip(packed.shape, packed.factors, strict=True))
    assert_array_equal(labels.reshape(packed.shape), merge_labels(analysis.anatomy, frame)[step])


@pytest.mark.parametrize("megavoxels", [100, 0.02])
def test_nodules_lie_where_the_table_says(make_analysis, read_page, megavoxels):
    analysis = make_analysis(40)
    report = replace(analysis.config.report, viewer_megavoxels=megavoxels)
    analysis = replace(analysis, config=replace(analysis.config, report=report))
    scene = scene_of(read_page(render_viewer(analysis)))
    index = np.array([row[1:4] for row in scene["nodules"]])
    affine = np.array(scene["affine"])
    # Places are written to a hundredth of a voxel, which may be 10 mm wide here.
    tolerance_mm = 0.006 * max(scene["spacing_mm"])
    assert_allclose(
        index @ affine[:, :3].T + affine[:, 3], analysis.accepted.points_mm, atol=tolerance_mm
    )


@pytest.mark.parametrize("n", [0, 3000])
def test_the_page_asks_for_nothing_and_says_what_it_holds(make_analysis, read_page, n):
    page = read_page(render_viewer(make_analysis(n)))
    assert "Holds images of the patient" in page.visible
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert page.all("link") == page.all("img") == []
    assert all("src" not in script for script in page.all("script"))
    assert len(scene_of(page)["nodules"]) == n


def test_it_starts_in_the_larger_lung(make_analysis, read_page):
    analysis = make_analysis(5)
    start = scene_of(read_page(render_viewer(analysis)))["start"]
    labels = analysis.anatomy.lung_labels[frame_lungs(analysis, analysis.config.report).box]
    assert labels[tuple(start)] == 1 + np.bincount(labels.ravel())[1:].argmax()


@pytest.fixture
def viewer(opened, make_analysis):
    """The page of a case, unpacked, with the case."""
    analysis = make_analysis(60)
    page = opened(render_viewer(analysis))
    page.wait("document.body.dataset.ready === 'yes'")
    return page, analysis


def place(page):
    """What the page says of the place of the cross, after it was drawn."""
    # Two frames: what was asked for before the first is drawn by the second.
    page.run(
        "window.drawn = 0; requestAnimationFrame(() => requestAnimationFrame(() => drawn = 1))"
    )
    page.wait("window.drawn === 1")
    page.wait("document.getElementById('place').textContent !== ''")
    return page.run("document.getElementById('place').textContent").replace("\u2212", "-")


def level(page, plane):
    return int(page.run(f"document.querySelectorAll('.level input')[{plane}].value"))


def colour(page):
    """How much redder than blue, or bluer, the pixels of the axial plane are."""
    place(page)
    return page.run(
        """(() => { const c = document.querySelector('canvas');
        const to = document.createElement('canvas');
        to.width = c.width; to.height = c.height;
        const ink = to.getContext('2d', { willReadFrequently: true });
        ink.drawImage(c, 0, 0);
        const v = ink.getImageData(0, 0, c.width, c.height).data;
        let sum = 0;
        for (let i = 0; i < v.length; i += 4) { sum += Math.abs(v[i] - v[i + 2]); }
        return sum / v.length })()"""
    )


@needs_chromium
def test_keys_turn_slices_and_jump_to_nodules(viewer):
    page, analysis = viewer
    before = level(page, 0)
    page.press("ArrowDown")
    page.wait(f"document.querySelector('.level input').value == '{before + 1}'")
    page.press("ArrowUp")
    page.wait(f"document.querySelector('.level input').value == '{before}'")
    for number in (1, 2):
        page.press("n")
        page.wait(f"/nodule {number}:/.test(document.getElementById('place').textContent)")
        told = place(page)
        found = [float(part.split()[1]) for part in told.split(" mm")[0].split(",")]
        # The cross stands on whole voxels.
        assert_allclose(
            found,
            analysis.accepted.points_mm[number - 1],
            atol=0.51 * analysis.volume.geometry.spacing_mm.max() + 0.05,
        )
    page.press("p")
    page.wait("/nodule 1:/.test(document.getElementById('place').textContent)")


@needs_chromium
def test_the_value_at_the_cross_is_that_of_the_scan(viewer):
    page, analysis = viewer
    scene = json.loads(page.run("document.getElementById('scene').textContent"))
    z, y, x = scene["start"]
    frame = frame_lungs(analysis, analysis.config.report)
    told = place(page)
    assert float(told.split("about ")[1].split(" HU")[0]) == pytest.approx(
        float(frame.hu[z, y, x]), abs=4 * GREY_HU
    )
    assert "right lung" in told or "left lung" in told


@needs_chromium
def test_masks_colour_the_lungs(viewer):
    page, _ = viewer
    page.run("document.getElementById('rings').click()")
    plain = colour(page)
    page.press("m")
    assert page.run("document.getElementById('masks').value") == "lungs"
    # A quarter of a tint over a third of the picture; what was coloured before is the cross.
    assert colour(page) > plain + 1


@needs_chromium
def test_the_list_jumps_zoom_enlarges_and_a_phone_is_not_overrun(viewer, window, tmp_path):
    page, analysis = viewer
    assert page.run("document.querySelectorAll('#nodules button').length") == len(analysis.accepted)
    order = "(() => { const s = document.getElementById('order'); s.value = 'large'; "
    page.run(order + "s.dispatchEvent(new Event('change')) })()")
    page.run("document.querySelector('#nodules button').click()")
    largest = 1 + int(analysis.accepted.diameter_mm.argmax())
    page.wait(f"/nodule {largest}:/.test(document.getElementById('place').textContent)")
    for _ in range(4):
        page.press("+")
    place(page)
    window.resize(390, 844, mobile=True)
    assert page.run("document.documentElement.scrollWidth") <= 390
    shown = "[...document.querySelectorAll('.pane')].filter(p => p.offsetParent).length"
    assert page.run(shown) == 1
    assert page.picture(tmp_path / "viewer.png").stat().st_size > 10_000
