"""A process that forks one child a case.

It has imported all that a case needs, so that a child starts in milliseconds; it does nothing
else, so that it has no thread when it forks. A child that crashes, hangs or takes too much memory
is nobody else's matter. Whoever started the server (see `apart`) tells it what to do on its
standard input; where that is closed, by whatever death, the child is ended and the server too.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from miliary.cohort.frames import End, FrameReader, Order, ready, send_frame
from miliary.cohort.lean import import_lean
from miliary.cohort.memory import Memory
from miliary.kernels.forks import allow_forks, die_with

#: Seconds between two looks at how much memory a child takes.
_TICK = 0.1

#: glibc's numbers of its options: one arena, so that threads share what is free; nothing given
#: back; and no image in a mapping of its own, which would be given back when it is freed.
_M_ARENA_MAX, _M_TRIM_THRESHOLD, _M_MMAP_MAX = -8, -1, -4
_MALLOC_OPTIONS = ((_M_ARENA_MAX, 1), (_M_TRIM_THRESHOLD, -1), (_M_MMAP_MAX, 0))

_MB = 1 << 20


def serve() -> None:
    """Do what standard input asks for until it is closed."""
    # Answers get a channel of their own: what libraries print must not get between them.
    requests, answers = FrameReader(os.dup(0)), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # Ctrl-C is the business of who started this process; its end ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while (message := requests.wait()) is not None:
        order: Order = pickle.loads(message)
        if import_lean(order.imports):
            # What is here already is nobody's garbage: a child that looked through it would copy
            # it.
            gc.freeze()
        # An order without a call is one to get ready.
        if order.call and not _do(order, requests, answers):
            return


def _do(order: Order, requests: FrameReader, answers: int) -> bool:
    """Fork a child and stay with it; tells whether somebody still wants more."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        # Held open here, they would keep others from seeing the server's death.
        for fd in (reading, requests.fd, answers):
            os.close(fd)
        _child(order, writing, parent)
    os.close(writing)
    with contextlib.suppress(OSError):
        # The child does the same: whichever comes first.
        os.setpgid(pid, pid)
    memory = Memory(pid)
    try:
        why, wanted = _watch(order, pid, memory, (FrameReader(reading), requests, answers))
    finally:
        os.close(reading)
        _kill(pid)
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code and not why:
        why = "signal" if code < 0 else "exit"
    if why or not wanted:
        _tidy(order.folder, pid)
    if wanted:
        with contextlib.suppress(OSError):
            peak_mb = max(memory.peak_mb, _megabytes(usage.ru_maxrss))
            end = End(why, abs(code), round(peak_mb, 1))
            send_frame(answers, pickle.dumps(("end", end)))
    return wanted


def _watch(
    order: Order, pid: int, memory: Memory, pipes: tuple[FrameReader, FrameReader, int]
) -> tuple[str, bool]:
    """Pass on what the child tells until it ends; say which limit it broke, and if any cares."""
    told, requests, answers = pipes
    deadline, why = time.monotonic() + order.seconds, ""
    while not told.ended:
        coming = ready(min(_TICK, deadline - time.monotonic()), told.fd, requests.fd)
        if requests.fd in coming:
            # There is no second order before the answer to the first: it is closed.
            return why, False
        if told.fd in coming:
            for message in told.read():
                try:
                    send_frame(answers, message)
                except OSError:
                    return why, False
        if not why and time.monotonic() > deadline:
            why = "time"
            _kill(pid)
        elif not why and memory.look() > order.megabytes:
            why = "memory"
            _kill(pid)
    return why, True


def _child(order: Order, writing: int, parent: int) -> None:
    """Do the work, in the child; never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        die_with(parent)
        _limit(order.megabytes)
        keep_memory()
        allow_forks()
        os.environ["MILIARY_THREADS"] = str(order.threads)

        def tell(message: Any) -> None:
            send_frame(writing, pickle.dumps(("told", message)))

        function, arguments = pickle.loads(order.call)
        result = function(*arguments, tell)
        send_frame(writing, pickle.dumps(("result", result)))
        code = 0
    except BaseException:  # noqa: BLE001 - it must not get out into the server's own code
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Without the exit handlers of the server, whose process this was.
        os._exit(code)


def _limit(megabytes: float) -> None:
    """Make allocations beyond a limit fail: what asks for too much at once is never given it."""
    most = int(megabytes * _MB)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        # Nobody will look at the memory of a patient's scan in a core file.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def keep_memory() -> None:
    """Have freed memory used again instead of given back, where the C library can be told.

    Every image that a step makes is otherwise new memory, which the system clears first: of a
    scan of 275 slices a sixth of the CPU time, and a third of the wall time. On scans a
    case took no more at most than without; one that frees many images of different sizes may keep
    more, in gaps between what it still needs. All goes back when its process ends.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for option, value in _MALLOC_OPTIONS:
            libc.mallopt(option, value)


def _megabytes(maxrss: int) -> float:
    # Linux counts in kB, macOS in bytes.
    return round(maxrss / (_MB if sys.platform == "darwin" else 1 << 10), 1)


def _kill(pid: int) -> None:
    """End a child and the decoders that it has started: they share its group."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _tidy(folder: str, pid: int) -> None:
    """Remove what a child had half-written."""
    if folder:
        from miliary.io.case_places import remove_leftovers

        place = Path(folder)
        remove_leftovers(place.parent, cases=(place.name,), pid=pid)
