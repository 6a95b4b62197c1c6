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
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from miliary.kernels.slabs import dismiss_helpers, lend_core, n_threads, on_threads

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Linux's number of the wish to be told, by a signal, that one's parent has died.
_PR_SET_PDEATHSIG = 1

#: Seconds that forks must save: they cost a tenth of one in pages that are written to afterwards,
#: each of which was the child's too.
_WORTH_S = 1.0

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
    other = _start(function)
    return lambda: cast("_Result", _unpacked(_outcome(other)))


def on_processes(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Apply a function to several items in processes, on threads where forks are not allowed.

    The first item is done here, and tells how long the others would take: what takes little is
    done here too, as a fork is not free.

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
    n = min(n_threads(), len(work) - 1)
    if not _allowed or n < 2:
        return on_threads(function, work)
    began = time.perf_counter()
    first, rest = function(work[0]), work[1:]
    saved_s = (time.perf_counter() - began) * (len(rest) - len(rest) / n)
    if saved_s < _WORTH_S:
        return [first, *map(function, rest)]

    def share(k: int) -> list[_Result]:
        return [function(item) for item in rest[k::n]]

    others = [_start(partial(share, k)) for k in range(1, n)]
    try:
        mine = share(0)
    finally:
        # Be it for an error: no child is left behind.
        outcomes = [_outcome(other) for other in others]
    shares = [mine, *(cast("list[_Result]", _unpacked(outcome)) for outcome in outcomes)]
    return [first, *(shares[k % n][k // n] for k in range(len(rest)))]


@dataclass(frozen=True)
class _Other:
    """A forked child, the end of the pipe that its outcome comes from, and what ends its lease."""

    pid: int
    reading: int
    take_core_back: Callable[[], None]


def _start(function: Callable[[], Any]) -> _Other:
    """Fork a child that makes a call, on a core of its own until it has something to tell."""
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
    return _Other(pid, reading, lend_core(lambda: not select.select([reading], [], [], 0)[0]))


def _outcome(other: _Other) -> tuple[bool, Any]:
    """Wait for a child: whether its call gave a result, and that, or an error."""
    other.take_core_back()
    with os.fdopen(other.reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(other.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        outcome: tuple[bool, Any] = pickle.loads(told)
        return outcome
    if code == -signal.SIGKILL:
        return False, MemoryError("a process beside was killed, most often for want of memory")
    return False, ChildProcessError(f"a process beside must end with 0, got exit status {code}")


def _unpacked(outcome: tuple[bool, Any]) -> Any:
    worked, content = outcome
    if not worked:
        raise content
    return content


def _child(function: Callable[[], Any], writing: int, parent: int) -> None:
    """Make the call, in the child; never returns."""
    code = 1
    try:
        die_with(parent)
        _forget_free_memory()
        os.environ["MILIARY_THREADS"] = "1"
        packed = _packed(function)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(packed)
        code = 0
    finally:
        # Without the exit handlers of the parent, whose process this was.
        os._exit(code)


def _packed(function: Callable[[], Any]) -> bytes:
    """Call, and pickle the result, or the error with the place it comes from as a note."""
    try:
        return pickle.dumps((True, function()), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
        place = "".join(traceback.format_exception(error))
        try:
            error.add_note(place)
            packed = pickle.dumps((False, error))
            # Some can be pickled, but not made again.
            pickle.loads(packed)
        except Exception:  # noqa: BLE001
            told = RuntimeError(f"{type(error).__name__}: {error}")
            told.add_note(place)
            packed = pickle.dumps((False, told))
        return packed


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
