"""Telling how far a run is: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from miliary.cli.common import say


class Progress:
    """Progress of a run on standard error.

    Parameters
    ----------
    total : int
        Cases to do.
    """

    def __init__(self, total: int) -> None:
        self._total, self._n_kept = total, 0
        self._counts = {"done": 0, "failed": 0}
        self._running: dict[str, float] = {}
        self._started = time.monotonic()
        self._bar: Any = _bar() if sys.stderr.isatty() else None
        self._task = self._bar.add_task("starting", total=total, told="") if self._bar else None

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def event(self, event: Mapping[str, Any]) -> None:
        """Tell what a worker tells.

        Parameters
        ----------
        event : mapping
            `event` and more: `start`, `step` and `killed` of a `case`; `idle` with `workers`.
        """
        kind, case = event["event"], event.get("case", "")
        if kind == "start":
            self._running[case] = 0.0
        elif kind == "step":
            self._running[case] = min(max(event["share"], 0.0), 1.0)
            if not self._bar and self._total == 1:
                say(f"{case}: {event['step']} ({event['share']:.0%})")
        elif kind == "killed":
            self._line(f"miliary: {case} was killed at step {event['step']}; once more")
        elif kind == "idle" and not event["workers"] and self._counts_all() < self._total:
            self._running.clear()
            self._refresh("waiting for workers")
            return
        self._refresh(f"{case} {event['step']}" if kind == "step" else "")

    def done(self, row: Mapping[str, Any], *, kept: bool, trace: str) -> None:
        """Tell what became of a case.

        Parameters
        ----------
        row : mapping
            Its row of `cases.csv`.
        kept : bool
            Whether the result was there already.
        trace : str
            Traceback, where there is one.
        """
        self._running.pop(row["case"], None)
        self._counts["failed" if row["status"] == "failed" else "done"] += 1
        self._n_kept += kept
        if trace:
            self._line(trace.rstrip())
        number = f"[{self._counts_all()}/{self._total}]"
        left = f"; {self._told()}" if self._total > 1 and not self._bar else ""
        self._line(f"miliary: {number} {row['case']} {_words(row, kept)}{left}")
        self._refresh(row["case"])

    def _counts_all(self) -> int:
        return sum(self._counts.values())

    def _told(self) -> str:
        """Say how many are done, failed and running, how fast, and for how long still."""
        words = [f"{n} {name}" for name, n in self._counts.items()]
        words.append(f"{len(self._running)} running")
        # Kept results took no time; what runs counts by its share.
        worked = self._counts_all() - self._n_kept + sum(self._running.values())
        seconds = time.monotonic() - self._started
        if worked > 0 and seconds > 0:
            left = self._total - self._counts_all() - sum(self._running.values())
            words.append(f"{3600 * worked / seconds:.3g}/h")
            words.append(f"{_duration(seconds * max(left, 0.0) / worked)} left")
        return ", ".join(words)

    def _refresh(self, what: str) -> None:
        if self._bar:
            completed = self._counts_all() + sum(self._running.values())
            changes = {"description": what} if what else {}
            self._bar.update(self._task, completed=completed, told=self._told(), **changes)

    def _line(self, text: str) -> None:
        if self._bar:
            # Not markup: a message may hold brackets.
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def _words(row: Mapping[str, Any], kept: bool) -> str:
    how = ", kept" if kept else ""
    if row["status"] == "failed":
        return f"failed{how}: {row['code']}: {row['message']}"
    words = (
        f"{row['status']}: {row['nodules']} nodules, pattern {row['pattern']}, "
        f"miliary {row['miliary']}"
    )
    took = how or f", {row['seconds']:.1f} s"
    return words + took + (f" ({row['message']})" if row["message"] else "")


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[told]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
