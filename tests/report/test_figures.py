"""The figures show the numbers they are given, and bear having none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from miliary.findings import Calibration
from miliary.report import figures
from miliary.report.panels import figure_uri


def line(figure: Figure, name: str, panel: int = 0) -> np.ndarray:
    drawn = figure.axes[panel].get_lines()
    return next(one.get_ydata() for one in drawn if one.get_label() == name)


def test_l_is_drawn_as_its_difference_from_r(make_analysis):
    curve = next(c for c in make_analysis().spatial.curves if c.function == "L")
    figure = figures.plot_curves([curve])
    assert_allclose(line(figure, "observed"), curve.observed - curve.r_mm)
    assert_allclose(line(figure, "expected"), 0, atol=1e-12)
    assert figure.axes[0].get_ylabel() == "L(r) − r (mm)"


def test_each_curve_has_a_panel_and_those_outside_are_dotted(make_analysis):
    curves = make_analysis().spatial.curves
    figure = figures.plot_curves(curves)
    assert len(figure.axes) == len(curves)
    for panel, curve in zip(figure.axes, curves, strict=True):
        outside = ((curve.observed < curve.low) | (curve.observed > curve.high)).sum()
        dots = [len(one.get_xdata()) for one in panel.get_lines() if one.get_label() == "outside"]
        assert sum(dots) == outside


def test_a_panel_used_again_looks_like_a_new_one(make_analysis):
    curves = make_analysis().spatial.curves
    nothing = replace(
        curves[0],
        **{
            name: np.full(len(curves[0].r_mm), np.nan)
            for name in ("observed", "expected", "low", "high")
        },
    )
    panel = figures.CurvePanel()
    for curve in (*curves, nothing, *curves[::-1]):
        assert figure_uri(panel.draw(curve)) == figure_uri(figures.plot_curves([curve]))


def test_the_histogram_holds_every_nodule(make_analysis):
    analysis = make_analysis(200)
    axes = figures.plot_sizes(analysis.nodules, analysis.size).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 200


def test_equal_nodules_with_equal_errors_fill_the_curve_of_error_alone(make_analysis):
    analysis = make_analysis(200)
    figure = figures.plot_sizes(analysis.nodules, analysis.size)
    axes = figure.axes[0]
    curve = axes.get_lines()[-1]
    width = axes.patches[0].get_width()
    area = np.trapezoid(curve.get_ydata(), curve.get_xdata())
    # The curve is a histogram of as many nodules: same area, but for tails cut off.
    assert area == pytest.approx(200 * width, rel=0.02)


def test_what_is_far_larger_is_counted_in_the_last_bar(make_analysis):
    analysis = make_analysis(200)
    diameter = analysis.nodules.diameter_mm.copy()
    diameter[:3] = (16.0, 22.0, 40.0)
    nodules = replace(analysis.nodules, diameter_mm=diameter)
    axes = figures.plot_sizes(nodules, analysis.size).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 200
    assert axes.get_xlim()[1] < 10
    assert axes.get_xlabel() == "diameter (mm); last bar: 3 larger"


def test_k_is_drawn_over_its_expectation(make_analysis):
    curve = make_analysis().spatial.curves[-1]
    double = replace(curve, function="K", observed=2 * curve.expected)
    figure = figures.plot_functions([double])
    drawn = line(figure, "observed")
    assert_allclose(drawn[np.isfinite(drawn)], 2)
    assert figure.axes[0].get_ylabel() == "K(r) / expected"


def test_sensitivity_names_every_region(make_analysis):
    calibration = make_analysis().calibration
    axes = figures.plot_sensitivity(calibration).axes[0]
    names = [words.get_text() for words in axes.get_legend().get_texts()]
    assert names == ["all, with 95 % interval", "subpleural", "perivascular", "interior"]


def test_figures_of_nothing_are_figures(make_analysis):
    empty = make_analysis(0)
    nothing = Calibration((), (), (), 0)
    for figure in (
        figures.plot_curves([]),
        figures.plot_sizes(empty.nodules, empty.size),
        figures.plot_sensitivity(nothing),
        figures.plot_size_error(nothing),
        figures.plot_functions([]),
    ):
        assert figure_uri(figure).startswith("data:image/png;base64,iVBOR")
