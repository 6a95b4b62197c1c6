"""Pictures show each thing where it is, the patient's right at the left."""

from __future__ import annotations

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.config.report import ReportSettings
from miliary.report import maps
from miliary.report.panels import make_scenes
from miliary.report.scenes import cividis
from miliary.report.svg_scene import draw_scene

SETTINGS = ReportSettings()
#: Straight lines between every sixteenth colour leave the table by so many steps of 255, at a
#: kink near its dark end; by one step on average.
CLOSE, USUAL = 12, 1.0


def test_the_density_shown_is_that_of_the_analysis_averaged_over_depth(make_analysis):
    analysis = make_analysis(4000)
    scene = maps.show_density(analysis, SETTINGS)
    expected = maps.front_mean(1000 * analysis.spatial.density.per_ml)
    # The head is at the top.
    assert_array_equal(scene.pixels, cividis(expected[::-1] / scene.top_per_l))
    assert scene.top_per_l == np.percentile(expected[np.isfinite(expected)], 98)


def test_colours_are_those_of_cividis():
    shares = np.linspace(0, 1, 200)
    expected = mpl.colormaps["cividis"](shares)[:, :3] * 255
    assert_allclose(cividis(shares), expected, atol=CLOSE)
    assert np.abs(cividis(shares) - expected).mean() < USUAL
    assert_array_equal(
        cividis(np.array([np.nan, -1.0, 2.0])), [[0] * 3, [0, 34, 78], [254, 232, 56]]
    )


def test_a_mean_over_depth_leaves_out_what_is_not_known():
    values = np.array([[[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]])
    assert_allclose(maps.front_mean(values), [[2.0, np.nan]])


def test_the_density_lies_over_the_nodules(make_analysis):
    analysis = make_analysis(1)
    z, y, x = np.rint(analysis.anatomy.geometry.to_index(analysis.nodules.points_mm))[0].astype(int)
    per_ml = np.where(np.isfinite(analysis.spatial.density.per_ml), 0.0, np.nan)
    per_ml[z // 2, y // 2, x // 2] = 1.0
    spatial = replace(analysis.spatial, density=replace(analysis.spatial.density, per_ml=per_ml))
    scene = maps.show_density(replace(analysis, spatial=spatial), SETTINGS)
    left, top, width, height = scene.place_mm
    bright = scene.pixels.astype(int).sum(axis=2)
    row, column = np.unravel_index(bright.argmax(), bright.shape)
    at_x = left + (column + 0.5) / bright.shape[1] * width
    at_y = top + (row + 0.5) / bright.shape[0] * height
    dot = maps.show_nodules(analysis, SETTINGS).dots_mm[0]
    # One voxel of the map, which has twice the size of the scan's.
    assert_allclose([at_x, at_y], dot, atol=2 * 3.4)


def test_every_nodule_is_a_dot_on_the_lungs(make_analysis):
    scene = maps.show_nodules(make_analysis(37), SETTINGS)
    assert len(scene.dots_mm) == 37
    assert (scene.dots_mm >= 0).all()
    assert (scene.dots_mm <= scene.size_mm).all()
    dots, *_ = make_scenes([scene]).axes[0].collections
    assert_array_equal(dots.get_offsets(), scene.dots_mm)
    assert draw_scene(scene).count("h0") == 37


def test_the_head_is_at_the_top(make_analysis):
    analysis = make_analysis(2)
    scene = maps.show_nodules(analysis, SETTINGS)
    heights = analysis.nodules.points_mm[:, 2]
    assert np.argmax(heights) == np.argmin(scene.dots_mm[:, 1])


def test_lobes_are_named_and_what_is_left_out_is_in_the_legend(make_analysis):
    analysis = make_analysis(0)
    airless = np.where(analysis.anatomy.lung_labels == 2, 1, 0).astype(np.uint8)
    anatomy = replace(analysis.anatomy, airless_labels=airless)
    scene = maps.show_anatomy(replace(analysis, anatomy=anatomy), SETTINGS, "coronal")
    assert {"RUL", "RLL"} <= {name.text for name in scene.names}
    legend = {key.text for key in scene.keys}
    assert legend == {"aerated lung", "hemithorax", "rind or effusion"}
    drawn = draw_scene(scene)
    assert all(f">{text}</text>" in drawn for text in legend | {"RUL", "RLL", "R", "L"})
    figure = make_scenes([scene])
    assert {text.get_text() for text in figure.legends[0].get_texts()} == legend


def test_a_name_lies_in_its_lobe_and_outlines_round_their_lung(make_analysis):
    analysis = make_analysis(0)
    scene = maps.show_anatomy(analysis, SETTINGS, "axial")
    filled = np.count_nonzero(analysis.anatomy.lung_labels, axis=(1, 2))
    pixel_mm = analysis.anatomy.geometry.spacing_mm[1:]
    level = analysis.anatomy.lobe_labels[filled.argmax()]
    for name in scene.names:
        row, column = (np.array([name.down_mm, name.right_mm]) / pixel_mm).astype(int)
        assert level[row, column] == maps.LOBES[name.text]
    lung = np.argwhere(analysis.anatomy.lung_labels[filled.argmax()] == 1)
    (line,) = scene.outlines[0].parts
    # An outline runs half-way to the next pixel.
    assert_allclose(line.min(axis=0), lung.min(axis=0)[::-1] * pixel_mm[::-1])
    assert_allclose(line.max(axis=0), (lung.max(axis=0)[::-1] + 1) * pixel_mm[::-1])


@pytest.mark.parametrize(("plane", "rows"), [("coronal", 47), ("axial", 56)])
def test_a_plane_is_right_side_up(make_analysis, plane, rows):
    scene = maps.show_anatomy(make_analysis(0), SETTINGS, plane)
    assert scene.pixels.shape[:2] == (rows, 77)
    # The right lung, of smaller x, stands at the left; tints tell it from the left one.
    tinted = np.ptp(scene.pixels.astype(int), axis=2) > 20
    assert tinted[:, :38].any()
    assert not tinted[:, 39:].any()


def test_pictures_of_nothing_are_pictures(make_analysis):
    empty = make_analysis(0)
    none = replace(empty, spatial=replace(empty.spatial, density=None))
    for scene in (
        maps.show_nodules(empty, SETTINGS),
        maps.show_density(empty, SETTINGS),
        maps.show_density(none, SETTINGS),
    ):
        assert "data:image/jpeg;base64,/9j/" in draw_scene(scene)
