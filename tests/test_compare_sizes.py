"""Sizes in a comparison: of all nodules that are there, not of those that a scan shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from miliary.compare import compare
from miliary.compare.rates import make_pair
from miliary.findings import Sensitivity
from oracles_compare import CLOSE, SETTINGS, about, change, make_case, make_lung


def sized(name, diameter_mm, n=100):
    """A scan that shows 1 mm rarely and 3 mm mostly, with nodules of one diameter."""
    steep = (Sensitivity("all", 1.0, 0.2, 0.18, 0.22), Sensitivity("all", 3.0, 0.8, 0.72, 0.88))
    lung = make_lung("right", n, diameter_mm=diameter_mm)
    return make_case(name, right=lung, left=0), steep


def test_sensitivity_is_read_for_the_sizes_of_each_scan():
    scans = [replace(case, sensitivity=steep) for case, steep in (sized("a", 1.5), sized("b", 2.5))]
    assert change(compare(scans, SETTINGS), "right").density.ratio == pytest.approx(
        0.35 / 0.65, rel=3 * CLOSE
    )
    # Three nodules tell no size of their own: that of the other scan is taken.
    case, steep = sized("a", 1.5, n=3)
    few = [replace(case, sensitivity=steep), scans[1]]
    at = [told.value for told in rates_at(few)]
    assert at[0] == at[1] == pytest.approx(0.65, abs=0.03)
    case, _ = sized("b", 2.5, n=3)
    none = [few[0], replace(case, sensitivity=steep)]
    at = [told.diameter_mm for told in compare(none, SETTINGS).sensitivity]
    assert at == [SETTINGS.usual_diameter_mm] * 2


def rates_at(scans):
    """The sensitivities by which two scans are held against each other."""
    return make_pair(tuple(scans), 0, 1, SETTINGS).sensitivity


def test_a_scan_that_shows_the_larger_ones_is_not_taken_for_one_of_larger_ones(rng):
    """One population, of which the poorer scan shows the upper part."""
    d = 1.9 * np.exp(0.15 * rng.standard_normal(1200))

    def seen(name, level):
        def p(size):
            return 1 / (1 + np.exp(-level - 8 * np.log(size / 2)))

        found = d[rng.random(len(d)) < p(d)]
        lung = replace(
            make_lung("right", len(found)),
            diameter_mm=found + 0.1 * rng.standard_normal(len(found)),
        )
        at = np.linspace(1.0, 3.0, 21)
        rows = tuple(
            Sensitivity("all", s, v, 0.97 * v, v + 0.03 * (1 - v))
            for s, v in zip(at, p(at), strict=True)
        )
        case = make_case(name, right=lung, left=0)
        return replace(case, sensitivity=rows, size_sd_mm=((1.0, 0.1), (3.0, 0.1)), injected=400)

    good, poor = seen("a", 2.0), seen("b", -1.0)
    medians = [np.median(case.lung("right").diameter_mm) for case in (good, poor)]
    assert medians[1] - medians[0] > 0.07
    told = compare([good, poor], SETTINGS)
    assert change(told, "right").count.ratio == pytest.approx(1.0, abs=0.08)
    # Read at the larger median, the poorer scan would be credited with finding more.
    assert about(told, "right").diameter_change_mm == pytest.approx(0.0, abs=0.05)


def test_a_change_of_size_is_shown():
    grown = make_lung("right", 100, diameter_mm=2.2)
    told = about(compare([make_case("a"), make_case("b", right=grown)], SETTINGS), "right")
    assert told.diameter_change_mm == pytest.approx(0.3, abs=0.02)
    assert 0 < told.diameter_low_mm < 0.3 < told.diameter_high_mm
    assert "The median diameter changed by +0.3" in told.sentence
    # Few balls leave the bias unsure that was taken out of the diameters.
    unsure = [
        replace(case, injected=20, size_sd_mm=((1.2, 0.4), (3.0, 0.4)))
        for case in (make_case("a"), make_case("b", right=grown))
    ]
    told = about(compare(unsure, SETTINGS), "right")
    assert told.diameter_low_mm < 0 < told.diameter_high_mm
    assert "No change of the median diameter is shown" in told.sentence
    few = make_case("b", right=make_lung("right", 19))
    assert about(compare([make_case("a"), few], SETTINGS), "right").diameter_change_mm is None
