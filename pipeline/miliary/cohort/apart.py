"""Calls in processes of their own, which may crash, hang or take too much memory alone."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from miliary.cohort.frames import End, FrameReader, Order, ready, send_frame
from miliary.cohort.launch import Launched, can_fork, launch_fork, launch_new

#: Seconds between two questions whether the result is still wanted.
_TICK = 0.5

#: Seconds that a server may take to end its child and itself.
_PATIENCE = 20

_free: list[_Server] = []
_busy: set[_Server] = set()
_lock = threading.Lock()


class Unwanted(Exception):  # noqa: N818 - nothing went wrong
    """Nobody waits for the result any more."""


@dataclass(frozen=True)
class Answer:
    """What came of a call.

    Parameters
    ----------
    result : object
        What the function returned; None where `end` has a reason.
    end : End
        How its process ended.
    """

    result: Any
    end: End


def call_apart(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    order: Order,
    *,
    tell: Callable[[Any], None],
    wanted: Callable[[], bool],
) -> Answer:
    """Call a function in a new process.

    Parameters
    ----------
    function : callable
        Of a module that the process can import; called with the arguments and a `tell` of its
        own.
    arguments : tuple
        They are pickled.
    order : Order
        Limits; its `call` is filled in here.
    tell : callable
        Called with whatever the function tells.
    wanted : callable
        Asked now and then whether to go on.

    Returns
    -------
    Answer
        The result, or how its process died.

    Raises
    ------
    Unwanted
        Where `wanted` said no. The process is gone then, and what it had half-written too.
    """
    order = replace(order, call=pickle.dumps((function, arguments)))
    server = _take()
    try:
        answer = server.ask(order, tell, wanted)
    except BaseException:
        server.end()
        raise
    finally:
        with _lock:
            _busy.discard(server)
            if server.alive:
                _free.append(server)
    return answer


def get_ready(imports: tuple[str, ...]) -> None:
    """Start a process for a call to come.

    A new process imports what the call needs meanwhile; a process that is new itself imports it
    here first, and forks.

    Parameters
    ----------
    imports : tuple of str
        Modules that the call's order will name.
    """
    if can_fork():
        server = _Server(launch_fork(imports))
    else:
        server = _Server(launch_new())
        server.send(Order(b"", 0.0, 0.0, 1, imports=imports))
    with _lock:
        _free.append(server)


def n_busy() -> int:
    """Count the calls that are under way in this process.

    Returns
    -------
    int
        0 when all have ended.
    """
    with _lock:
        return len(_busy)


def end_servers() -> None:
    """End all processes that wait for calls or are at one."""
    with _lock:
        idle, servers = list(_free), [*_free, *_busy]
        _free.clear()
    for server in idle:
        # It has no child to end; at imports it would not see that it is not wanted.
        server.kill()
    for server in servers:
        server.end()


class _Server:
    """One `miliary.cohort.server`, from this side of its pipes."""

    def __init__(self, launched: Launched) -> None:
        self._process, self._orders = launched.process, launched.orders
        self._told = FrameReader(launched.answers)
        self._closed = False

    @property
    def alive(self) -> bool:
        """Whether it can take a call."""
        return self._process.poll() is None and not self._told.ended

    def ask(self, order: Order, tell: Callable[[Any], None], wanted: Callable[[], bool]) -> Answer:
        """Send an order and wait for its end."""
        result: Any = None
        self.send(order)
        while not self._told.ended:
            if not ready(_TICK, self._told.fd):
                if not wanted():
                    raise Unwanted
                continue
            for message in self._told.read():
                kind, content = pickle.loads(message)
                if kind == "end":
                    return Answer(None if content.why else result, content)
                if kind == "told":
                    tell(content)
                else:
                    result = content
        # Somebody has killed the server, and its child died with it.
        return Answer(None, End("signal", abs(self._process.wait()), 0.0))

    def send(self, order: Order) -> None:
        """Send an order; where it is dead, that shows when it is to answer."""
        with contextlib.suppress(BrokenPipeError):
            send_frame(self._orders, pickle.dumps(order))

    def kill(self) -> None:
        """End it at once, as it stands."""
        self._process.kill()

    def end(self) -> None:
        """End it and its child, and wait until both are gone."""
        self._told.ended = True
        if not self._closed:
            self._closed = True
            os.close(self._orders)
            os.close(self._told.fd)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _take() -> _Server:
    """Take a server that waits, or start one."""
    with _lock:
        while _free:
            server = _free.pop()
            if server.alive:
                _busy.add(server)
                return server
            server.end()
    server = _Server(launch_new())
    with _lock:
        _busy.add(server)
    return server


atexit.register(end_servers)
