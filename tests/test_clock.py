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


def test_a_step_that_is_taken_up_again_is_told_once_and_timed_in_all(monkeypatch):
    now, told = iter([10.0, 12.0, 12.0, 15.5, 15.5, 15.75]), []
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = Clock({"lungs": 0.25, "detect": 0.75}, lambda step, _: told.append(step))
    for step in ("detect", "lungs", "detect"):
        clock(step)
    assert clock.stop() == (("detect", 2.25), ("lungs", 3.5))
    assert told == ["detect", "lungs"]


def test_nobody_needs_to_be_told():
    clock = Clock({"lungs": 1.0}, None)
    clock("lungs")
    assert clock.stop()[0][0] == "lungs"


def test_without_a_step_nothing_is_timed():
    assert Clock({}, None).stop() == ()
