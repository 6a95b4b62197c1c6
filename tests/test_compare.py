"""What changed between scans of one patient: rates, sizes, words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from miliary.compare import compare
from miliary.compare.results import CHANGE_COLUMNS
from miliary.config.compare import CompareSettings
from miliary.errors import UsageError
from oracles_compare import CLOSE, SETTINGS, about, change, flat, make_case, make_lung


def test_equal_scans_show_no_change():
    comparison = compare([make_case("a"), make_case("b")], SETTINGS)
    assert len(comparison.changes) == 2 * 4 + 1
    for found in comparison.changes:
        assert found.verdict == "no change shown"
        assert found.density.ratio == pytest.approx(1.0, rel=CLOSE)
        assert found.density.low < 1 < found.density.high
    assert comparison.warnings == ()
    assert about(comparison, "right").newly_involved is False


def test_three_times_as_many_are_found_in_the_lung_that_has_them():
    comparison = compare([make_case("a"), make_case("b", right=300)], SETTINGS)
    right = change(comparison, "right")
    assert right.verdict == "more"
    assert right.density.ratio == pytest.approx(3.0, rel=CLOSE)
    assert right.density.low < 3 < right.density.high
    assert change(comparison, "right", "upper").verdict == "more"
    assert change(comparison, "left").verdict == "no change shown"
    assert change(comparison, "both").density.ratio == pytest.approx(2.0, rel=CLOSE)
    assert change(comparison, "both").verdict == "more"


def test_fewer_is_more_read_backwards():
    scans = [make_case("a"), make_case("b", right=300)]
    forth, back = (change(compare(order, SETTINGS), "right") for order in (scans, scans[::-1]))
    assert back.verdict == "fewer"
    assert back.density.ratio * forth.density.ratio == pytest.approx(1, rel=CLOSE)


def test_the_sensitivity_of_each_scan_is_taken_out():
    scans = [make_case("a", sensitivity=0.4), make_case("b", right=200, sensitivity=0.8)]
    comparison = compare(scans, SETTINGS)
    right = change(comparison, "right")
    assert right.verdict == "no change shown"
    assert right.raw.low > 1.5
    assert right.density.ratio == pytest.approx(1.0, rel=CLOSE)
    # Unsure sensitivities make the ratio unsure.
    known, unsure = (
        change(compare([_sure(scan, half) for scan in scans], SETTINGS), "right").density
        for half in (0.005, 0.12)
    )
    assert unsure.high / unsure.low > 1.2 * known.high / known.low
    assert change(comparison, "left").verdict == "fewer"
    sentence = about(comparison, "right").sentence
    assert "Uncorrected it would be 2 times (1.6 to 2.5)" in sentence
    assert "the earlier scan finds 40%, the later 80%" in sentence


def _sure(scan, half):
    """The same scan, its sensitivity known to that half of an interval."""
    return replace(scan, sensitivity=flat(scan.sensitivity[0].value, half))


@pytest.mark.parametrize("sensitivity", [(), flat(0.05, 0.01), flat(0.3, 0.3)])
def test_scans_that_do_not_tell_how_well_they_show_are_not_judged(sensitivity):
    scans = [make_case("a"), replace(make_case("b", right=300), sensitivity=sensitivity)]
    comparison = compare(scans, SETTINGS)
    right = change(comparison, "right")
    assert right.density is right.count is None
    assert right.raw.ratio == pytest.approx(3.0, rel=CLOSE)
    assert right.verdict == "not assessable"
    assert about(comparison, "right").newly_involved is None
    assert "not known or too poor; 50 a litre found then, 150 now" in (
        about(comparison, "right").sentence
    )
    uncalibrated = [text for text in comparison.warnings if "Scan 2 was not calibrated" in text]
    assert bool(uncalibrated) == (sensitivity == ())


ENCASED = replace(
    make_lung("left", 0, 0.0), volume_ml=300.0, hemithorax_ml=900.0, excluded=(("rind", 600.0),)
)


@pytest.mark.parametrize("left", [None, ENCASED])
def test_a_lung_that_one_scan_lacks_leaves_the_other_to_be_judged(left):
    comparison = compare([make_case("a", left=left), make_case("b", right=300)], SETTINGS)
    gone = change(comparison, "left")
    assert (gone.verdict, gone.n_earlier, gone.per_l_earlier) == ("not assessable", None, None)
    assert (gone.n_later, gone.per_l_later) == (100, 50.0)
    assert gone.raw is None
    assert change(comparison, "right").verdict == "more"
    # A sum of different lungs is no change.
    assert "both" not in {c.lung for c in comparison.changes}
    told = about(comparison, "left")
    assert told.volume_ratio is told.newly_involved is told.diameter_change_mm is None
    assert told.sentence == (
        "Left lung, scan 1 to scan 2: not assessable, for it cannot be judged in scan 1 "
        f"({'not found' if left is None else '300 of 900 ml aerated, 600 ml of rind'})."
    )


def test_zones_of_unknown_volume_are_not_judged():
    known = make_lung("right", 100)
    bare = replace(known, zones_ml=known.zones_ml[:1])
    comparison = compare([make_case("a", right=bare), make_case("b")], SETTINGS)
    assert change(comparison, "right", "upper").verdict == "no change shown"
    lower = change(comparison, "right", "lower")
    assert (lower.verdict, lower.n_earlier, lower.per_l_earlier) == ("not assessable", 33, None)


def test_nothing_in_one_scan_or_both():
    empty = make_case("a", right=0, left=0, median_mm=None)
    comparison = compare([empty, make_case("b", right=300, left=0)], SETTINGS)
    right, left = change(comparison, "right"), change(comparison, "left")
    assert (right.verdict, right.per_l_earlier) == ("more", 0.0)
    assert np.isfinite([right.density.ratio, right.density.high]).all()
    assert left.verdict == "no change shown"
    assert left.density.low < 1 < left.density.high
    assert about(comparison, "left").diameter_change_mm is None


def test_a_lung_is_newly_involved_when_numerous_now_and_not_before():
    def told(before, now, settings=SETTINGS):
        scans = [make_case("a", right=before), make_case("b", right=now)]
        return about(compare(scans, settings), "right")

    new = told(20, 300)
    assert new.newly_involved is True
    assert new.sentence.startswith("Right lung, scan 1 to scan 2: more nodules, 1")
    assert "10 a litre found then, 150 now. The right lung is newly involved: nodules are" in (
        new.sentence
    )
    # Half a nodule stands for none: no ratio is without end.
    assert "times (" in told(0, 150).sentence
    assert told(150, 300).newly_involved is False
    assert told(10, 30).newly_involved is False
    # The limit is of nodules without the false ones.
    assert told(10, 86).newly_involved is True
    assert told(10, 86, replace(SETTINGS, false_per_l=12.0)).newly_involved is False
    assert told(90, 240).newly_involved is False
    assert told(90, 240, replace(SETTINGS, false_per_l=12.0)).newly_involved is True
    # Better seen is not newly involved.
    scans = [make_case("a", right=50, sensitivity=0.2), make_case("b", right=150, sensitivity=0.7)]
    assert about(compare(scans, SETTINGS), "right").newly_involved is False


def test_breath_is_not_taken_for_disease():
    shallow = make_lung("right", 300, 1500.0)
    comparison = compare([make_case("a", right=300), make_case("b", right=shallow)], SETTINGS)
    right = change(comparison, "right")
    assert right.density.low > 1
    assert right.count.ratio == pytest.approx(1.0, rel=CLOSE)
    assert right.explained_by == "breath or coverage"
    assert right.verdict == "no change shown"
    told = about(comparison, "right")
    assert told.volume_ratio == pytest.approx(0.75)
    assert "A litre holds more, but that goes with the evaluable volume, 75% of what" in (
        told.sentence
    )
    assert "Its volume is 75% of what it was." in told.sentence


def test_each_scan_is_held_against_the_one_before_and_the_first():
    scans = [make_case(name, right=n) for name, n in (("a", 100), ("b", 200), ("c", 400))]
    comparison = compare(scans, SETTINGS)
    pairs = list(dict.fromkeys((c.earlier, c.later) for c in comparison.changes))
    assert pairs == [(0, 1), (1, 2), (0, 2)]
    assert change(comparison, "right", later=2).density.ratio == pytest.approx(4.0, rel=CLOSE)
    assert len(comparison.lungs) == 6


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kernel": "B30f"}, "Scans 1 and 2 have different kernels: B60f, then B30f."),
        ({"kernel": None}, "different kernels: B60f, then unknown."),
        ({"slice_thickness_mm": 2.5}, "differ in slice thickness: 1.25 mm, then 2.5 mm."),
        ({"spacing_mm": (2.0, 0.7, 0.8)}, "differ in slice distance: 1 mm, then 2 mm."),
        ({"noise_hu": 60.0}, "Scans 1 and 2 differ in noise: 30 HU, then 60 HU."),
        ({"left": None}, "differ in lung volume: 4.4 l, then 2.2 l; density changes with it"),
        ({"settings_hash": "2"}, "analysed by different versions or with different settings."),
        ({"exposure_mas": 200.0}, "differ in exposure: 100 mAs, then 200 mAs."),
        ({"name": "a"}, "Scans 1 and 2 have the same name, a: they may be one scan."),
    ],
)
def test_what_else_may_have_changed_is_warned_of(changes, sentence):
    first = make_case("a", settings_hash="1", exposure_mas=100.0)
    second = make_case(**{"name": "b", "settings_hash": "1", "exposure_mas": 100.0} | changes)
    (warning,) = compare([first, second], SETTINGS).warnings
    assert sentence in warning


def test_small_differences_and_unknowns_are_not_warned_of():
    second = make_case("b", noise_hu=36.0, slice_thickness_mm=1.5, spacing_mm=None)
    assert compare([make_case("a", settings_hash="1"), second], SETTINGS).warnings == ()


@pytest.mark.parametrize("cases", [[], [make_case("a")]])
def test_one_scan_is_no_comparison(cases):
    with pytest.raises(UsageError, match=f"two cases or more, got {len(cases)}"):
        compare(cases, SETTINGS)


def test_intervals_cover_and_equal_lungs_are_rarely_called_changed(rng):
    """End to end: scans of one truth that differ in how well they show it, false ones among it."""
    truth, trials, calls, missed, covered = 150, 250, 0, 0, 0
    settings = CompareSettings(shift=0.0, shift_sd=0.0, model_sd=0.0, found_shared=0.0, draws=1000)
    for sensitivities in rng.uniform(0.5, 0.9, (trials, 2)):
        false = (
            settings.false_per_l
            * 2.0
            * np.exp(settings.false_sd * rng.standard_normal() - settings.false_sd**2 / 2)
        )
        scans = []
        for name, sensitivity in zip("ab", sensitivities, strict=True):
            told = rng.binomial(130, sensitivity) / 130
            half = 1.96 * np.sqrt(told * (1 - told) / 130)
            n = int(rng.binomial(truth, sensitivity) + rng.poisson(false))
            scans.append(replace(make_case(name, right=n), sensitivity=flat(told, half)))
        right = change(compare(scans, settings), "right")
        covered += right.density.low <= 1 <= right.density.high
        calls += right.verdict != "no change shown"
        missed += not right.density.low <= 1 <= right.density.high
    # Three standard errors of 250 trials at 0.95 are 0.041, here with false ones half alike.
    assert covered / trials == pytest.approx(0.95, abs=0.045)
    # A lung is one of two: some of those whose own interval misses are not called.
    assert 0.2 < calls / missed < 0.9


def test_false_positives_are_taken_out():
    """Three times as many nodules among 24 false ones look like less than three times."""
    scans = [make_case("a", right=94), make_case("b", right=234)]
    plain = change(compare(scans, SETTINGS), "right")
    right = change(compare(scans, replace(SETTINGS, false_per_l=12.0, false_sd=0.1)), "right")
    assert (right.false_earlier, right.false_later) == (24.0, 24.0)
    assert plain.density.ratio == pytest.approx(234 / 94, rel=CLOSE)
    assert right.density.ratio == pytest.approx(3.0, rel=CLOSE)


def test_a_ratio_to_nearly_none_is_told_by_its_lower_end():
    scans = [make_case("a", right=20), make_case("b", right=400)]
    told = about(compare(scans, replace(SETTINGS, false_per_l=12.0, false_sd=0.4)), "right")
    assert "more nodules, at least " in told.sentence
    assert told.newly_involved is True


def test_better_seen_is_named_as_that():
    scans = [make_case("a", right=50, sensitivity=0.3), make_case("b", right=133, sensitivity=0.8)]
    right = change(compare(scans, SETTINGS), "right")
    assert (right.verdict, right.explained_by) == ("no change shown", "image quality")
    grown = change(compare([make_case("a"), make_case("b", right=300)], SETTINGS), "right")
    assert grown.explained_by is None


def test_densities_of_each_scan_are_what_was_found_over_what_is_found():
    told = compare([make_case("a"), make_case("b", left=None)], SETTINGS).densities
    assert [(d.scan, d.lung) for d in told] == [(0, "right"), (0, "left"), (1, "right")]
    assert told[0].per_l == pytest.approx(50 / 0.7, rel=CLOSE)
    assert told[0].low < told[0].per_l < told[0].high


def test_the_table_has_its_columns_whatever_is_unknown():
    comparison = compare([make_case("a", left=None), make_case("b")], SETTINGS)
    columns = comparison.columns()
    assert tuple(columns) == CHANGE_COLUMNS == (
        "earlier", "later", "lung", "zone", "n_earlier", "n_later", "per_l_earlier",
        "per_l_later", "ratio_raw", "ratio", "low", "high", "verdict",
        "count_ratio", "count_low", "count_high", "false_earlier", "false_later", "explained_by",
    )  # fmt: skip
    assert columns["earlier"] == ["a"] * 8
    row = columns["lung"].index("left")
    assert [columns[name][row] for name in ("n_earlier", "ratio_raw", "ratio", "count_low")] == (
        [None] * 4
    )
    right = comparison.changes[0]
    assert (columns["ratio"][0], columns["low"][0]) == (right.density.ratio, right.density.low)


def test_the_whole_comparison_is_plain_data():
    told = compare([make_case("a", left=None), make_case("b")], SETTINGS).to_dict()
    assert told["schema"] == "miliary-comparison-1.0"
    assert [case["case"] for case in told["cases"]] == ["a", "b"]
    assert set(told["cases"][0]["lungs"]) == {"right"}
    assert told["cases"][1]["lungs"]["left"]["zones"][0] == {
        "zone": "all", "evaluable_ml": 2000.0, "n": 100,
    }  # fmt: skip
    assert told["cases"][0]["sensitivity"]["value"] == pytest.approx(0.7)
    assert told["changes"][0]["density"]["ratio"] == pytest.approx(1.0, rel=CLOSE)
