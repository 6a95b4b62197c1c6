"""Steps are timed and told of, with the share of the work before them."""

from __future__ import annotations

from miliary.clock import Clock


def test_steps_are_told_with_what_is_done_and_timed_one_after_the_other(monkeypatch):
    now, told = iter([10.0, 12.0, 12.0, 15.5]), []
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = Clock({"lungs": 0.25, "detect": 0.75}, lambda step, share: told.append((step, share)))
    clock("detect")
    clock("lungs")
    assert clock.stop() == (("detect", 2.0), ("lungs", 3.5))
    assert told == [("detect", 0.0), ("lungs", 0.75)]


def test_a_step_beside_others_has_its_own_time_and_ends_none(monkeypatch):
    now, told = iter([0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 7.0, 10.0, 14.0]), []
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    shares = {"lungs": 0.2, "detect": 0.5, "vessels": 0.1, "measure": 0.2}
    clock = Clock(shares, lambda step, share: told.append((step, round(share, 9))))
    clock("lungs")
    clock.end()
    beside = clock.beside("detect")
    clock("vessels")
    with beside:
        clock.end()
    clock("measure")
    assert clock.stop() == (("lungs", 1.0), ("detect", 4.0), ("vessels", 2.0), ("measure", 4.0))
    assert told == [("lungs", 0.0), ("detect", 0.2), ("vessels", 0.7), ("measure", 0.8)]


def test_nobody_needs_to_be_told():
    clock = Clock({"lungs": 1.0}, None)
    clock("lungs")
    assert clock.stop()[0][0] == "lungs"


def test_without_a_step_there_is_nothing_to_tell():
    assert Clock({}, None).stop() == ()
