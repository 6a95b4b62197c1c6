"""Times the steps of an analysis and reports them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

#: Told the name of the step that begins and the share of the work that is done.
Progress = Callable[[str, float], None]


class Clock:
    """Called with the name of each step as it begins, and again where one is taken up once more.

    Parameters
    ----------
    shares : mapping of str to float
        Steps in any order, and the share of the time each usually takes.
    progress : callable or None
        Told of each step as it first begins.
    """

    def __init__(self, shares: Mapping[str, float], progress: Progress | None) -> None:
        self._shares, self._progress = shares, progress
        self._seconds: dict[str, float] = {}
        self._now, self._since = "", 0.0

    def __call__(self, step: str) -> None:
        self._end()
        if step not in self._seconds:
            done = sum(self._shares[name] for name in self._seconds)
            self._seconds[step] = 0.0
            if self._progress is not None:
                self._progress(step, done)
        self._now, self._since = step, time.perf_counter()

    def stop(self) -> tuple[tuple[str, float], ...]:
        """End the last step.

        Returns
        -------
        tuple of (step, seconds)
            In the order of their beginning.
        """
        self._end()
        return tuple(self._seconds.items())

    def _end(self) -> None:
        if self._now:
            self._seconds[self._now] += time.perf_counter() - self._since
        self._now = ""
