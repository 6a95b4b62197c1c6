"""Steps are timed and told of, with the share of the work before them."""

from __future__ import annotations

import pytest

from miliary.clock import Clock


def test_steps_are_told_with_what_is_done_and_timed_one_after_the_other(monkeypatch):
    now, told = iter([10.0, 12.0, 15.5]), []
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = Clock({"lungs": 0.25, "detect": 0.75}, lambda step, share: told.append((step, share)))
    clock("detect")
    clock("lungs")
    assert clock.stop() == (("detect", 2.0), ("lungs", 3.5))
    assert told == [("detect", 0.0), ("lungs", 0.75)]


def test_nobody_needs_to_be_told():
    clock = Clock({"lungs": 1.0}, None)
    clock("lungs")
    assert clock.stop()[0][0] == "lungs"


def test_without_a_step_there_is_nothing_to_stop():
    with pytest.raises(ValueError, match="longer"):
        Clock({}, None).stop()
