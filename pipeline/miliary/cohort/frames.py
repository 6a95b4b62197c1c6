"""Messages between processes over pipes: a length, then that many bytes; and two of them."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = 4
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Order:
    """What a server is asked to do.

    Parameters
    ----------
    call : bytes
        Pickled function and arguments; the function is also given a callable to tell of its
        progress. Only the child unpickles them. Without any, the imports are all there is to do.
    seconds, megabytes : float
        How long it may take, and how much memory.
    threads : int
        Threads for it.
    folder : str
        What the child writes there under a hidden name is removed if it comes to a bad end.
    imports : tuple of str
        Modules that the server imports first, once for all children.
    """

    call: bytes
    seconds: float
    megabytes: float
    threads: int
    folder: str = ""
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class End:
    """How a child ended.

    Parameters
    ----------
    why : str
        `""` where it gave a result, else `time`, `memory`, `signal` or `exit`.
    status : int
        Number of the signal, or exit status.
    peak_mb : float
        Most memory that it had.
    """

    why: str
    status: int
    peak_mb: float


class FrameReader:
    """Takes whole messages out of a pipe.

    Parameters
    ----------
    fd : int
        The end to read from.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.ended = False
        self._buffer = bytearray()

    def read(self) -> Iterator[bytes]:
        """Take what has come, waiting for something to come.

        Yields
        ------
        bytes
            Whole messages; after the last, `ended` tells whether the other end is closed. Half
            a message of a process that died is never given.
        """
        chunk = os.read(self.fd, _CHUNK)
        self.ended = not chunk
        self._buffer += chunk
        yield from self._whole()

    def _whole(self) -> Iterator[bytes]:
        """Take the whole messages that are here."""
        while len(self._buffer) >= _HEAD:
            stop = _HEAD + int.from_bytes(self._buffer[:_HEAD], "big")
            if len(self._buffer) < stop:
                return
            message = bytes(self._buffer[_HEAD:stop])
            del self._buffer[:stop]
            yield message

    def wait(self) -> bytes | None:
        """Wait for the next message.

        Returns
        -------
        bytes or None
            None where the other end is closed.
        """
        # Of two that came at once the second is here already.
        message = next(self._whole(), None)
        while message is None and not self.ended:
            message = next(self.read(), None)
        return message


def send_frame(fd: int, message: bytes) -> None:
    """Send one message.

    Parameters
    ----------
    fd : int
        The end to write to.
    message : bytes
        Any.
    """
    left = memoryview(len(message).to_bytes(_HEAD, "big") + message)
    while left:
        left = left[os.write(fd, left) :]


def ready(seconds: float, *fds: int) -> set[int]:
    """Wait until one of several pipes can be read from.

    Parameters
    ----------
    seconds : float
        How long at most.
    *fds : int
        Their ends.

    Returns
    -------
    set of int
        Those with something in them, or whose other end is closed; empty when time is up.
    """
    return set(select.select(fds, [], [], max(seconds, 0.0))[0])
