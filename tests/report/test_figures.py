"""The charts show the numbers they are given, and bear having none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.findings import Calibration
from miliary.report import figures
from miliary.report.charts import Bars, Chart, Line
from miliary.report.panels import figure_uri
from miliary.report.plots import plot_chart, plot_curves, plot_functions
from miliary.report.svg import chart_uri


def named(chart: Chart, label: str) -> Line:
    return next(m for m in chart.marks if isinstance(m, Line) and m.label == label)


def n_shown(chart: Chart) -> float:
    bars = [mark for mark in chart.marks if isinstance(mark, Bars)]
    return sum(float((mark.top - mark.bottom).sum()) for mark in bars)


def test_l_is_drawn_as_its_difference_from_r(make_analysis):
    curve = next(c for c in make_analysis().spatial.curves if c.function == "L")
    chart = figures.curve_chart(curve)
    assert_allclose(named(chart, "observed").y, curve.observed - curve.r_mm)
    assert_allclose(named(chart, "expected").y, 0, atol=1e-12)
    assert chart.y_label == "L(r) − r (mm)"


def test_points_outside_of_the_envelope_are_dotted(make_analysis):
    for curve in make_analysis().spatial.curves:
        outside = (curve.observed < curve.low) | (curve.observed > curve.high)
        dots = [m for m in figures.curve_chart(curve).marks if m.label == "outside"]
        assert sum(len(mark.x) for mark in dots) == outside.sum()


def test_the_histogram_holds_every_nodule(make_analysis):
    analysis = make_analysis(200)
    assert n_shown(figures.size_chart(analysis.nodules, analysis.size)) == 200


def test_equal_nodules_with_equal_errors_fill_the_curve_of_error_alone(make_analysis):
    analysis = make_analysis(200)
    chart = figures.size_chart(analysis.nodules, analysis.size)
    curve, width = chart.marks[-1], np.diff(chart.marks[0].edges)[0]
    # The curve is a histogram of as many nodules: same area, but for tails cut off.
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(200 * width, rel=0.02)


def test_what_is_far_larger_is_counted_in_the_last_bar(make_analysis):
    analysis = make_analysis(200)
    diameter = analysis.nodules.diameter_mm.copy()
    diameter[:3] = (16.0, 22.0, 40.0)
    nodules = replace(analysis.nodules, diameter_mm=diameter)
    chart = figures.size_chart(nodules, analysis.size)
    assert n_shown(chart) == 200
    assert chart.limits()[0][1] < 10
    assert chart.x_label == "diameter (mm); last bar: 3 larger"


def test_k_is_drawn_over_its_expectation(make_analysis):
    curve = make_analysis().spatial.curves[-1]
    double = replace(curve, function="K", observed=2 * curve.expected)
    chart = figures.curve_chart(double)
    drawn = named(chart, "observed").y
    assert_allclose(drawn[np.isfinite(drawn)], 2)
    assert chart.y_label == "K(r) / expected"


def test_sensitivity_names_every_region(make_analysis):
    chart = figures.sensitivity_chart(make_analysis().calibration)
    names = [mark.label for mark in chart.marks if mark.label]
    assert names == ["all, with 95 % interval", "subpleural", "perivascular", "interior"]


def test_no_two_regions_look_alike(make_analysis):
    rows = make_analysis().calibration.sensitivity
    regions = ("all", "subpleural", "fissural", "perivascular", "interior", "upper", "middle")
    many = tuple(replace(rows[0], region=region) for region in (*regions, "lower"))
    chart = figures.sensitivity_chart(replace(make_analysis().calibration, sensitivity=many))
    looks = [(m.color, m.marker, m.dash) for m in chart.marks if isinstance(m, Line)]
    assert len(set(looks)) == len(looks) == 8


def test_an_error_bar_reaches_one_deviation_both_ways(make_analysis):
    calibration = make_analysis().calibration
    bars = figures.size_error_chart(calibration).marks[1]
    spread = dict(calibration.size_sd_mm)
    ends = bars.y.reshape(-1, 3)
    assert_allclose(ends[:, 1] - ends[:, 0], [2 * spread[d] for d in bars.x[::3]])
    assert np.isnan(ends[:, 2]).all()


def test_charts_of_nothing_are_pictures(make_analysis):
    empty = make_analysis(0)
    nothing = Calibration((), (), (), 0)
    for chart in (
        figures.size_chart(empty.nodules, empty.size),
        figures.sensitivity_chart(nothing),
        figures.size_error_chart(nothing),
    ):
        assert figure_uri(plot_chart(chart)).startswith("data:image/png;base64,iVBOR")
        assert chart_uri(chart).startswith("data:image/svg+xml;base64,")
    assert len(plot_curves([]).axes) == len(plot_functions([]).axes) == 1
