"""Times the steps of an analysis and reports them."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

#: Told the name of the step that begins and the share of the work that is done.
Progress = Callable[[str, float], None]


@dataclass
class _Step:
    """A step, when it began, and when it ended; seconds of any clock."""

    name: str
    began: float
    ended: float = math.nan


class Clock:
    """Called with the name of each step as it begins, which ends the one before.

    Parameters
    ----------
    shares : mapping of str to float
        Steps in any order, and the share of the time each usually takes.
    progress : callable or None
        Told of each step.
    """

    def __init__(self, shares: Mapping[str, float], progress: Progress | None) -> None:
        self._shares, self._progress = shares, progress
        self._started: list[_Step] = []
        self._current: _Step | None = None

    def __call__(self, step: str) -> None:
        self.end()
        self._current = self._begin(step)

    def end(self) -> None:
        """End the step that was called last, if it has not ended."""
        if self._current is not None and math.isnan(self._current.ended):
            self._current.ended = time.perf_counter()

    def beside(self, step: str) -> AbstractContextManager[None]:
        """Tell of a step that is done beside others, and does not end them.

        Parameters
        ----------
        step : str
            Its name.

        Returns
        -------
        context manager
            The step is what is done in it, on whatever thread.
        """
        return self._timed(self._begin(step))

    @contextlib.contextmanager
    def _timed(self, step: _Step) -> Iterator[None]:
        step.began = time.perf_counter()
        yield
        step.ended = time.perf_counter()

    def _begin(self, step: str) -> _Step:
        done = sum(self._shares[known.name] for known in self._started)
        self._started.append(_Step(step, time.perf_counter()))
        if self._progress is not None:
            self._progress(step, done)
        return self._started[-1]

    def stop(self) -> tuple[tuple[str, float], ...]:
        """End the last step.

        Returns
        -------
        tuple of (step, seconds)
            In the order of their beginning; of those side by side each has its own.
        """
        self.end()
        return tuple((step.name, step.ended - step.began) for step in self._started)
