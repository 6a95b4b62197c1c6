"""How a server of calls comes to be: a new process of Python, or this one forked while it is new.

What a case needs takes longer to import than to fork, and who asks for it needs half of it too. So
the process of `miliary run` imports all once, and its first server is a fork of it. That can only
be where nothing was imported before: libraries take their settings from the environment when they
are imported, and a program that has had time to import them may have threads as well, which no
fork has. There, and for every further server, it is a new process.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import miliary
from miliary.cohort.lean import import_lean

#: Seconds between the first two looks whether a fork has ended, and the most between two.
_FIRST_TICK, _LAST_TICK = 0.001, 0.05

#: Signals that `miliary run` takes as Ctrl-C. They end a server, as they do one that is new.
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Launched:
    """A server and the ends of its pipes.

    Parameters
    ----------
    process : Popen or its like
        What runs it.
    orders, answers : int
        Where to write to it, and to read from it; whoever has them closes them.
    """

    process: subprocess.Popen[bytes] | _Fork
    orders: int
    answers: int


def can_fork() -> bool:
    """Tell whether this process is so new that a server may be its fork.

    Returns
    -------
    bool
        Whether it has one thread, and no numerical library.
    """
    return threading.active_count() == 1 and "numpy" not in sys.modules


def launch_fork(imports: tuple[str, ...]) -> Launched:
    """Import what calls need, here, and fork a server.

    Parameters
    ----------
    imports : tuple of str
        Modules.

    Returns
    -------
    Launched
        The server; it can take an order.
    """
    os.environ.update(server_environment())
    import_lean(("miliary.cohort.server", *imports))
    # What is here already is nobody's garbage: a process that looked through it would copy it.
    gc.freeze()
    # What is to be written would be written twice.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    reading, orders = os.pipe()
    answers, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(orders)
        os.close(answers)
        raise
    else:
        if pid == 0:
            _serve(reading, writing)
    finally:
        os.close(reading)
        os.close(writing)
    return Launched(_Fork(pid), orders, answers)


def launch_new() -> Launched:
    """Start a server as a process of its own.

    Returns
    -------
    Launched
        The server, which has yet to import what orders name.
    """
    root = str(Path(miliary.__file__).parents[1])
    # What can be imported here can be there, in the same order.
    paths = [root, *(path for path in sys.path if os.path.isabs(path))]
    reading, orders = os.pipe()
    answers, writing = os.pipe()
    try:
        process = subprocess.Popen(
            # -P: a folder in the working directory must not pass for a library.
            [sys.executable, "-P", "-c", "from miliary.cohort.server import serve; serve()"],
            stdin=reading,
            stdout=writing,
            env=server_environment() | {"PYTHONPATH": os.pathsep.join(paths)},
        )
    except BaseException:
        os.close(orders)
        os.close(answers)
        raise
    finally:
        os.close(reading)
        os.close(writing)
    return Launched(process, orders, answers)


def server_environment() -> dict[str, str]:
    """Give the environment of a server, from that of this process.

    Libraries use one thread: ours are enough. What Dask puts into that of its workers is left out:
    they give memory back at once, and to get it again, page by page, made cases of two workers
    take 5.0 s instead of 3.1 s. And NumPy does not ask for huge pages unless the user wants it to:
    where a virtual machine has given them back to its host, a gigabyte of them costs 1.8 to 2.6 s
    (of small pages 0.4 to 0.6 s; where the host leaves them, 0.1 s), which of a scan of 400
    slices was a tenth of the CPU time.

    Returns
    -------
    dict of str to str
        Names and values, but for the path of modules.
    """
    kept = {name: text for name, text in os.environ.items() if name != "MALLOC_TRIM_THRESHOLD_"}
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"NUMPY_MADVISE_HUGEPAGE": "0"} | kept | single


class _Fork:
    """A forked child of this process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        """Give its exit status; None where it has not ended."""
        with self._asking:
            if self._status is None:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:
                    # Where ended children are not waited for, the system keeps no status of them.
                    pid, status = self.pid, 0
                if pid:
                    self._status = os.waitstatus_to_exitcode(status)
            return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Give its exit status when it has ended; `subprocess.TimeoutExpired` if not in time."""
        ends = None if timeout is None else time.monotonic() + timeout
        tick = _FIRST_TICK
        while (status := self.poll()) is None:
            if ends is not None and time.monotonic() > ends:
                raise subprocess.TimeoutExpired(("fork", str(self.pid)), timeout or 0.0)
            time.sleep(tick)
            tick = min(2 * tick, _LAST_TICK)
        return status

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _serve(reading: int, writing: int) -> NoReturn:
    """Be a server, in the fork, with nothing of its parent's but the standard error."""
    code = 1
    try:
        for name in _ENDING:
            signal.signal(name, signal.SIG_DFL)
        os.dup2(reading, 0)
        os.dup2(writing, 1)
        # The other ends of its pipes among them: held open here, they would never close.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        from miliary.cohort.server import serve

        serve()
        code = 0
    except BaseException:  # noqa: BLE001 - it must not get out into the parent's own code
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        # Without the exit handlers of the parent, whose process this was.
        os._exit(code)
