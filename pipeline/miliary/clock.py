"""Times the steps of an analysis and reports them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

#: Told the name of the step that begins and the share of the work that is done.
Progress = Callable[[str, float], None]


class Clock:
    """Called with the name of each step as it begins.

    Parameters
    ----------
    shares : mapping of str to float
        Steps in any order, and the share of the time each usually takes.
    progress : callable or None
        Told of each step.
    """

    def __init__(self, shares: Mapping[str, float], progress: Progress | None) -> None:
        self._shares, self._progress = shares, progress
        self._started: list[tuple[str, float]] = []

    def __call__(self, step: str) -> None:
        done = sum(self._shares[name] for name, _ in self._started)
        self._started.append((step, time.perf_counter()))
        if self._progress is not None:
            self._progress(step, done)

    def stop(self) -> tuple[tuple[str, float], ...]:
        """End the last step.

        Returns
        -------
        tuple of (step, seconds)
            In the order of their beginning.
        """
        ends = [start for _, start in self._started[1:]] + [time.perf_counter()]
        return tuple(
            (name, end - start) for (name, start), end in zip(self._started, ends, strict=True)
        )
