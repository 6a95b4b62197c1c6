"""One case in a process of its own: its outcome, whatever becomes of the process."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

from miliary.cohort.ahead import CASE_IMPORTS
from miliary.cohort.apart import call_apart
from miliary.cohort.engine import Place
from miliary.cohort.frames import End, Order
from miliary.cohort.inputs import run_key
from miliary.cohort.needs import limit_mb, need_mb, threads_each
from miliary.cohort.rows import Outcome, Task, failed_row

#: Signals by which others end a process; the rest are its own fault.
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def run_apart(task: Task, place: Place) -> Outcome:
    """Do one case in a process of its own, within its limits of time and memory.

    Parameters
    ----------
    task : Task
        What to do.
    place : Place
        What runs beside it, and who is to be told.

    Returns
    -------
    Outcome
        With the row; the folder is written, or there is none.
    """
    settings, started = task.config.run, time.perf_counter()
    case, step = task.info.case, "start"
    order = Order(
        b"",
        settings.timeout_s,
        limit_mb(need_mb(task.info, settings), place.memory_mb, settings),
        threads_each(place.side_by_side),
        str(task.folder),
        CASE_IMPORTS,
    )

    def tell(message: tuple[str, float]) -> None:
        nonlocal step
        step = message[0]
        place.tell({"event": "step", "case": case, "step": step, "share": message[1]})

    for attempt in range(1, settings.attempts + 1):
        place.tell({"event": "start", "case": case, "attempt": attempt})
        answer = call_apart(_do_case, (task,), order, tell=tell, wanted=place.wanted)
        if not _killed(answer.end):
            break
        place.tell({"event": "killed", "case": case, "attempt": attempt, "step": step})
    outcome = answer.result
    if not isinstance(outcome, Outcome):
        row = _dead_row(task, answer.end, order, step, attempt)
        outcome = Outcome(row | {"seconds": time.perf_counter() - started})
    return replace(
        outcome,
        row=outcome.row | {"peak_mb": answer.end.peak_mb or None, "run_key": run_key(task)},
    )


def _do_case(task: Task, tell: object) -> Outcome:
    """Do the case, in its process: only there is all imported that it takes."""
    from miliary.cohort.case import run_case

    return run_case(task, tell)  # type: ignore[arg-type]


def _killed(end: End) -> bool:
    return end.why == "signal" and end.status in _FROM_OUTSIDE


def _dead_row(task: Task, end: End, order: Order, step: str, attempt: int) -> dict[str, object]:
    """Make the row of a case whose process gave no result."""
    if end.why == "time":
        code, message = (
            "E_TIMEOUT",
            (
                f"a case must end within {order.seconds:g} s, got none by then, at step {step!r}; "
                "raise run.timeout_s and use --retry-failed"
            ),
        )
    elif end.why == "memory":
        code, message = (
            "E_MEMORY",
            (
                f"a case must do with {order.megabytes:.0f} MB, got {end.peak_mb:.0f} MB at step "
                f"{step!r}; use fewer --jobs or raise run.memory_mb, and use --retry-failed"
            ),
        )
    elif _killed(end):
        code, message = (
            "E_KILLED",
            (
                f"the process of the case was killed {attempt} times, at last at step {step!r}; "
                "most often for want of memory: use fewer --jobs and --retry-failed"
            ),
        )
    else:
        what = signal.Signals(end.status).name if end.why == "signal" else f"status {end.status}"
        code, message = (
            "E_CRASH",
            (
                f"the process of the case ended by {what} at step {step!r}; this is a fault of the "
                "program or of a library, please report it"
            ),
        )
    return failed_row(task.info, code, message)
