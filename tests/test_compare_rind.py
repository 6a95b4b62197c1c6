"""The diseased side, the order of scans, and patients told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from miliary.compare import CaseRecord, LungRecord, RindRecord
from miliary.compare.order import check_one_patient, days_since_first, in_order
from miliary.compare.rind import compare_rinds, measure_rind
from miliary.config.compare import CompareSettings
from miliary.errors import UsageError

SETTINGS = CompareSettings()


def encased(thickness_mm, ml, *, part=1.0):
    """A round lung, its rind so thick on a part of the way round."""
    k = np.arange(6000)
    angle, height = (k * 0.618034 % 1) * 2 * np.pi, k / 6000
    points = np.column_stack([-40 * np.cos(angle), -40 * np.sin(angle), 150 * height])
    thick = np.where(angle < part * 2 * np.pi, thickness_mm, 0.0)
    return LungRecord(
        "left", 900.0, 800.0, np.empty(0), np.empty(0, "<U6"),
        excluded=(("rind or effusion", ml), ("mass or consolidation", 5.0)),
        hemithorax_ml=900.0 + ml, rind=RindRecord(points, thick),
    )  # fmt: skip


def test_a_rind_is_measured_by_volume_thickness_and_way_round():
    told = measure_rind(encased(12.0, 400.0, part=0.5), SETTINGS)
    assert told.volume_ml == 400.0
    assert told.mean_mm == pytest.approx(6.0, rel=0.01)
    assert told.largest_mm == 12.0
    assert told.circumference == pytest.approx(0.5, abs=0.02)
    assert told.evaluable_share == pytest.approx(800 / 1300)
    assert len(told.map_mm) == SETTINGS.rind_heights
    assert len(told.map_mm[0]) == SETTINGS.rind_angles


def case(lung, name="a", **facts):
    return CaseRecord(name, (lung,) if lung else (), **facts)


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (encased(8.0, 300.0), encased(12.0, 420.0), "thicker"),
        (encased(12.0, 420.0), encased(8.0, 300.0), "thinner"),
        (encased(8.0, 300.0), encased(8.5, 310.0), "no change shown"),
        # A smaller lung has less surface: less volume, as thick.
        (encased(8.0, 300.0), encased(8.4, 240.0), "no change shown"),
        (encased(0.0, 0.0), encased(8.0, 300.0), "new"),
        (None, encased(8.0, 300.0), "not assessable"),
    ],
)
def test_what_became_of_a_rind(before, now, verdict):
    (told,) = compare_rinds((case(before), case(now)), (0, 1), SETTINGS)
    assert told.verdict == verdict
    assert verdict in told.sentence


def test_no_rind_is_no_row():
    assert compare_rinds((case(encased(0.0, 0.0)),) * 2, (0, 1), SETTINGS) == []


def test_days_are_told_from_the_first_even_where_the_shift_wraps():
    cases = [case(None, n, patient="ab12", day=day) for n, day in (("a", 999_990), ("b", 20))]
    assert days_since_first(cases) == (0, 30)
    ordered, rank, note = in_order(cases[::-1])
    assert [c.name for c in ordered] == ["a", "b"]
    assert rank == (1, 0)
    assert "it is a, b" in note
    other = replace(cases[1], patient="cd34")
    assert days_since_first([cases[0], other]) == (None, None)
    assert "order given" in in_order([cases[0], replace(cases[1], day=None)])[2]


def test_other_patients_are_refused_unless_forced():
    same = [case(None, name, patient="ab12") for name in "ab"]
    assert check_one_patient(same, force=False) == ""
    other = [same[0], replace(same[1], patient="cd34")]
    with pytest.raises(UsageError, match="must be of one patient, got 2"):
        check_one_patient(other, force=False)
    assert "because of --force" in check_one_patient(other, force=True)
    assert "their headers are not known" in check_one_patient([same[0], case(None)], force=False)


def test_septa_of_the_affected_side_stand_beside_those_of_the_other():
    left, right = encased(8.0, 300.0), replace(encased(0.0, 0.0), side="right", rind=None)
    seen = replace(left, septa_cm2_per_ml=0.9)
    cases = [
        CaseRecord(n, (replace(right, septa_cm2_per_ml=0.2), x))
        for n, x in (("a", left), ("b", seen))
    ]
    (told,) = compare_rinds((cases[0], cases[1]), (0, 1), SETTINGS)
    assert (told.before.septa_cm2_per_ml, told.now.septa_cm2_per_ml) == (None, 0.9)
    assert (
        "not assessable, then 0.9 cm2 a ml in the left lung; 0.2 cm2 a ml, then 0.2"
        in told.sentence
    )
    (told,) = compare_rinds((case(left), case(left)), (0, 1), SETTINGS)
    assert (
        "Septa that are seen: not assessable in the left lung; not assessable in the right"
        in told.sentence
    )
