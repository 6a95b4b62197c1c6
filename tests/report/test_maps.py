"""Maps show each thing where it is, the patient's right at the left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.config.report import ReportSettings
from miliary.report import maps
from miliary.report.panels import figure_uri

SETTINGS = ReportSettings()


def test_the_density_shown_is_that_of_the_analysis_averaged_over_depth(make_analysis):
    analysis = make_analysis(4000)
    figure = maps.plot_coronal_density(analysis, SETTINGS)
    shown = np.ma.filled(figure.axes[0].images[0].get_array().astype(float), np.nan)
    assert_allclose(shown, maps.front_mean(1000 * analysis.spatial.density.per_ml))


def test_a_mean_over_depth_leaves_out_what_is_not_known():
    values = np.array([[[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]])
    assert_allclose(maps.front_mean(values), [[2.0, np.nan]])


def test_the_density_lies_over_the_nodules(make_analysis):
    analysis = make_analysis(1)
    z, y, x = np.rint(analysis.anatomy.geometry.to_index(analysis.nodules.points_mm))[0].astype(int)
    per_ml = np.where(np.isfinite(analysis.spatial.density.per_ml), 0.0, np.nan)
    per_ml[z // 2, y // 2, x // 2] = 1.0
    spatial = replace(analysis.spatial, density=replace(analysis.spatial.density, per_ml=per_ml))
    image = (
        maps.plot_coronal_density(replace(analysis, spatial=spatial), SETTINGS).axes[0].images[0]
    )
    left, right, low, high = image.get_extent()
    row, column = np.unravel_index(np.nanargmax(image.get_array()), image.get_array().shape)
    at_x = left + (column + 0.5) / image.get_array().shape[1] * (right - left)
    at_z = low + (row + 0.5) / image.get_array().shape[0] * (high - low)
    dots = maps.plot_coronal_nodules(analysis, SETTINGS).axes[0].collections[0].get_offsets()
    # One voxel of the map, which has twice the size of the scan's.
    assert_allclose([at_x, at_z], np.asarray(dots)[0], atol=2 * 3.4)


def test_every_nodule_is_a_dot_on_the_lungs(make_analysis):
    axes = maps.plot_coronal_nodules(make_analysis(37), SETTINGS).axes[0]
    dots = np.asarray(axes.collections[0].get_offsets())
    assert len(dots) == 37
    assert (dots >= 0).all()
    assert (dots <= [axes.get_xlim()[1], axes.get_ylim()[1]]).all()


def test_lobes_are_named_and_what_is_left_out_is_in_the_legend(make_analysis):
    analysis = make_analysis(0)
    airless = np.where(analysis.anatomy.lung_labels == 2, 1, 0).astype(np.uint8)
    anatomy = replace(analysis.anatomy, airless_labels=airless)
    figure = maps.plot_anatomy(replace(analysis, anatomy=anatomy), SETTINGS)
    words = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"RUL", "RLL"} <= words
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {"aerated lung", "hemithorax", "rind or effusion"}


@pytest.mark.parametrize(("plane", "rows"), [("coronal", 47), ("axial", 56)])
def test_a_plane_alone_is_one_panel_right_side_up(make_analysis, plane, rows):
    analysis = make_analysis(0)
    (axes,) = maps.plot_anatomy(analysis, SETTINGS, [plane]).axes
    color = np.asarray(axes.images[0].get_array())
    assert color.shape[:2] == (rows, 77)
    # The right lung, of smaller x, stands at the left; tints tell it from the left one.
    tinted = np.ptp(color.astype(int), axis=2) > 20
    assert tinted[:, :38].any()
    assert not tinted[:, 39:].any()


def test_maps_of_nothing_are_figures(make_analysis):
    empty = make_analysis(0)
    none = replace(empty, spatial=replace(empty.spatial, density=None))
    for figure in (
        maps.plot_coronal_nodules(empty, SETTINGS),
        maps.plot_coronal_density(empty, SETTINGS),
        maps.plot_coronal_density(none, SETTINGS),
    ):
        assert figure_uri(figure, photo=True).startswith("data:image/webp;base64,UklGR")
