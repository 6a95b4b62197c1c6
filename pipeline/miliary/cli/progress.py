"""Telling how far a run is: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
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
        self._total, self._done = total, 0
        self._bar: Any = _bar() if sys.stderr.isatty() else None
        self._task = self._bar.add_task("starting", total=total) if self._bar else None

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

    def step(self, case: str, name: str, share: float) -> None:
        """Tell that a step of a case begins.

        Parameters
        ----------
        case : str
            Its name.
        name : str
            The step.
        share : float
            Part of the case that is done, 0 to 1.
        """
        if self._bar:
            completed = self._done + min(max(share, 0.0), 1.0)
            self._bar.update(self._task, description=f"{case} {name}", completed=completed)
        else:
            say(f"{case}: {name} ({share:.0%})")

    def done(self, row: dict[str, Any], *, kept: bool, trace: str) -> None:
        """Tell what became of a case.

        Parameters
        ----------
        row : dict
            Its row of `cases.csv`.
        kept : bool
            Whether the result was there already.
        trace : str
            Traceback, where there is one.
        """
        self._done += 1
        if trace:
            self._line(trace.rstrip())
        self._line(f"miliary: [{self._done}/{self._total}] {row['case']} {_words(row, kept)}")
        if self._bar:
            self._bar.update(self._task, description=row["case"], completed=self._done)

    def _line(self, text: str) -> None:
        if self._bar:
            # Not markup: a message may hold brackets.
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr)


def _words(row: dict[str, Any], kept: bool) -> str:
    if row["status"] == "failed":
        return f"failed: {row['code']}: {row['message']}"
    words = (
        f"{row['status']}: {row['nodules']} nodules, pattern {row['pattern']}, "
        f"miliary {row['miliary']}"
    )
    took = ", kept" if kept else f", {row['seconds']:.1f} s"
    return words + took + (f" ({row['message']})" if row["message"] else "")


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
