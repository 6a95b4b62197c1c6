"""Numbers and sentences as a reader sees them."""

from __future__ import annotations

import numpy as np
import pytest

from miliary.findings import Curve
from miliary.report import words

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "–"),
        (NAN, "–"),
        (float("inf"), "–"),
        (0, "0"),
        (3, "3"),
        (12345, "12\u202f345"),
        (84.23, "84.2"),
        (1.867, "1.87"),
        (0.0123456, "0.0123"),
        (-3.4, "−3.40"),
        (np.float32(2.5), "2.50"),
    ],
)
def test_numbers_keep_three_digits(value, written):
    assert words.number(value) == written


def test_limits_end_without_zeros():
    assert [words.short(v) for v in (0.05, 2.5, 100, 120.0, None)] == [
        "0.05",
        "2.5",
        "100",
        "120",
        "–",
    ]


def test_shares_and_ratios():
    assert [words.percent(v) for v in (0.5, 0.0449, 0, 1, NAN)] == [
        "50\u00a0%",
        "4.5\u00a0%",
        "0\u00a0%",
        "100\u00a0%",
        "–",
    ]
    assert [words.ratio(v) for v in (1.4, None)] == ["1.40", "–"]


def test_p_values_stop_at_a_thousandth():
    assert [words.p_value(v) for v in (0.0002, 0.0312, 0.34, None)] == [
        "< 0.001",
        "0.031",
        "0.34",
        "–",
    ]


def test_intervals_with_unknown_ends():
    assert words.interval(1, 2.5) == "1 to 2.50"
    assert words.interval(None, NAN) == "–"
    assert words.interval(0.1, None, words.percent) == "10\u00a0% to –"


def test_plain_text_of_any_value():
    values = (True, None, "", (1, 2.5), [], NAN, "a")
    assert [words.text(v) for v in values] == ["yes", "–", "–", "1, 2.5", "–", "–", "a"]


def test_the_headline_names_the_lungs():
    assert words.headline("present", "right") == "Miliary pattern present, right lung"
    assert words.headline("not_assessable", None) == "Not assessable"


def curve(observed: list[float], function: str = "L") -> Curve:
    n = len(observed)
    return Curve(
        function,
        "both",
        np.arange(n) * 0.5,
        np.array(observed),
        np.zeros(n),
        -np.ones(n),
        np.ones(n),
    )


def test_a_curve_inside_its_envelope_is_said_to_be():
    assert words.describe_curve(curve([NAN, 0, 0.5, -1, 1])) == "Inside its envelope throughout."


def test_a_curve_outside_is_placed_and_explained():
    assert words.describe_curve(curve([0, 2, 2, 0, -3])) == (
        "More close pairs than at random (above the envelope at 0.5 to 1 mm); "
        "fewer close pairs than at random (below the envelope at 2 mm)."
    )


def test_a_curve_of_nothing_is_not_assessable():
    assert words.describe_curve(curve([NAN, NAN])) == "Not assessable."
    empty = curve([0.0, 0.0])
    bare = Curve(
        "L", "both", empty.r_mm, empty.observed, empty.expected, empty.low * NAN, empty.high
    )
    assert words.describe_curve(bare) == "No envelope."
