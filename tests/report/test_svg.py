"""Charts as SVG: well-formed, true to the numbers, and safe whatever the words in them."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.report import figures
from miliary.report.charts import Band, Bars, Chart, Line, Rule, ticks
from miliary.report.svg import dots_of, draw_chart, path_of

SVG = "{http://www.w3.org/2000/svg}"
#: Coordinates are written with one digit.
CLOSE_PX = 0.06


def panel(chart: Chart) -> ElementTree.Element:
    """What the axes enclose."""
    inner = ElementTree.fromstring(draw_chart(chart)).find(f"{SVG}svg")
    assert inner is not None
    return inner


def points(way: str) -> np.ndarray:
    return np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", way), float)


def test_a_line_lies_where_its_numbers_say():
    x, y = np.array([2.0, 4.0, 10.0]), np.array([-1.0, 0.5, 3.0])
    inner = panel(Chart("x", "y", (Line(x, y, "#000"),), (-2.0, 3.0)))
    width, height = float(inner.get("width")), float(inner.get("height"))
    drawn = points(inner[0].get("d"))
    # 5 % of room at both ends of x; y goes down.
    expected = [(x - 2 + 0.4) / 8.8 * width, (3 - y) / 5 * height]
    assert_allclose(drawn.T, expected, atol=CLOSE_PX)


def test_a_line_breaks_where_it_is_not_known_and_a_band_falls_into_parts():
    x, y = np.arange(6.0), np.array([1.0, 2.0, np.nan, 3.0, np.inf, 4.0])
    assert path_of(np.column_stack([x, y])) == "M0.0 1.0L1.0 2.0M3.0 3.0M5.0 4.0"
    assert dots_of(np.column_stack([x, y])).count("h0") == 4
    (band,) = panel(Chart("", "", (Band(x, np.where(x == 2, np.nan, 0), x, "#000", 0.4),)))
    assert band.get("d").count("M") == band.get("d").count("Z") == 2
    assert len(points(band.get("d"))) == 2 * 5


def test_bars_stand_on_each_other_and_can_be_told_apart_without_colour():
    edges, low, top = np.array([0.0, 1, 2]), np.array([2.0, 0]), np.array([3.0, 4])
    bars = (
        Bars(edges, np.zeros(2), low, "#00f", False, "small"),
        Bars(edges, low, top, "#99f", True, "large"),
    )
    small, large = panel(Chart("", "", bars, (0.0, 4.0)))
    assert large.get("fill") == "url(#hatch)"
    # A bar without height is none.
    assert (small.get("d").count("Z"), large.get("d").count("Z")) == (1, 2)
    floors = [re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", mark.get("d")) for mark in (small, large)]
    assert floors[0][0][1] == floors[1][0][0]


def test_every_named_mark_stands_in_the_legend_and_rows_are_not_too_long(make_analysis):
    rows = make_analysis().calibration.sensitivity
    many = tuple(replace(rows[0], region=f"region number {k}") for k in range(9))
    chart = figures.sensitivity_chart(replace(make_analysis().calibration, sensitivity=many))
    words = ElementTree.fromstring(draw_chart(chart)).findall(f"{SVG}text")
    assert [word.text for word in words] == [f"region number {k}" for k in range(9)]
    assert len({word.get("y") for word in words}) > 2
    assert max(float(word.get("x")) for word in words) < 300
    assert not ElementTree.fromstring(draw_chart(replace(chart, legend=""))).findall(f"{SVG}text")


def test_words_are_never_read_as_elements():
    evil = '<script>alert("x")</script>'
    x = np.arange(3.0)
    marks = (Line(x, x, "#000", label=evil), Rule(1.0, upright=True, label=evil))
    root = ElementTree.fromstring(draw_chart(Chart(evil, evil, marks)))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg",
        "g",
        "path",
        "text",
    }
    assert sum(element.text == evil for element in root.iter()) == 4


def test_nothing_is_drawn_as_empty_axes():
    for chart in (Chart("r", "g(r)"), Chart("", "", (Line(np.empty(0), np.empty(0), "#000"),))):
        assert chart.limits() == ((0.0, 1.0), (0.0, 1.0))
        assert "nan" not in draw_chart(chart)
    unknown = Line(np.arange(3.0), np.full(3, np.nan), "#000", marker="s")
    assert "nan" not in draw_chart(Chart("", "", (unknown,)))


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0.0, 1.0, False, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (-0.37, 0.37, False, ["−0.2", "0", "0.2"]),
        (0.0, 3.0, True, ["0", "1", "2", "3"]),
        (0.0, 207.0, True, ["0", "50", "100", "150", "200"]),
        (1e5, 1.3e5, False, ["100000", "110000", "120000", "130000"]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(low, high, whole, expected):
    found = ticks(low, high, 5, whole=whole)
    assert [text for _, text in found] == expected
    assert all(low <= value <= high for value, _ in found)
    assert_array_equal(np.diff([value for value, _ in found]) > 0, True)
