"""Calls in forked processes beside this one, where the program has allowed it.

Threads of short calls wait for each other at the interpreter's lock: describing candidates gained
16 % from a second thread. Processes do not wait. A library must not fork, though: other threads of
whoever uses it may hold what the child then waits for. So it is done in the processes that
`miliary run` makes for cases, which have no thread but ours; elsewhere the work is done here.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar, cast

from miliary.kernels.slabs import dismiss_helpers, n_threads, on_threads

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Linux's number of the wish to be told, by a signal, that one's parent has died.
_PR_SET_PDEATHSIG = 1

_allowed = False


def allow_forks() -> None:
    """Let calls be made in forked processes: by who has started all threads of this process."""
    global _allowed
    _allowed = True


def beside(function: Callable[[], _Result]) -> Callable[[], _Result]:
    """Begin a call; give what waits for its result.

    Parameters
    ----------
    function : callable
        Changes nothing of this process; its result can be pickled.

    Returns
    -------
    callable
        Gives the result, or raises what the call raised. To be called once.
    """
    if not _allowed or n_threads() == 1:
        result = function()
        return lambda: result
    # What is to be written would be written twice.
    sys.stdout.flush()
    sys.stderr.flush()
    # A fork has none of the other threads: there must be none that holds anything.
    dismiss_helpers()
    reading, writing = os.pipe()
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        os.close(reading)
        _child(function, writing, parent)
    os.close(writing)

    def wait() -> _Result:
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(pid, 0)
        if not told:
            code = os.waitstatus_to_exitcode(status)
            raise ChildProcessError(f"a process beside must give a result, got exit status {code}")
        worked, outcome = pickle.loads(told)
        if not worked:
            raise outcome
        return cast("_Result", outcome)

    return wait


def on_processes(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Apply a function to several items in processes, on threads where forks are not allowed.

    Parameters
    ----------
    function : callable
        Takes one item and changes nothing of this process; its results can be pickled. It should
        make many short calls; for few long ones `on_threads` costs less.
    items : iterable
        Items, of about the same cost.

    Returns
    -------
    list
        Results, in the order of the items.
    """
    work = list(items)
    n = min(n_threads(), len(work))
    if not _allowed or n < 2:
        return on_threads(function, work)

    def share(k: int) -> list[_Result]:
        return [function(item) for item in work[k::n]]

    others = [beside(partial(share, k)) for k in range(1, n)]
    try:
        mine = share(0)
    finally:
        # Be it for an error: no child is left behind.
        theirs = [wait() for wait in others]
    shares = [mine, *theirs]
    return [shares[k % n][k // n] for k in range(len(work))]


def _child(function: Callable[[], Any], writing: int, parent: int) -> None:
    """Make the call, in the child; never returns."""
    code = 1
    try:
        die_with(parent)
        _forget_free_memory()
        os.environ["MILIARY_THREADS"] = "1"
        try:
            answer = True, function()
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
            answer = False, error
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe, protocol=pickle.HIGHEST_PROTOCOL)
        code = 0
    finally:
        # Without the exit handlers of the parent, whose process this was.
        os._exit(code)


def die_with(parent: int) -> None:
    """Ask to be killed when the parent dies, where the system can.

    Parameters
    ----------
    parent : int
        Its process; where that is gone already, this one ends at once.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _forget_free_memory() -> None:
    """Give back what is free: used again here, or by the parent, it would first be copied."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
