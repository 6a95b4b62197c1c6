"""Memory of processes, as Linux tells it: of several together, what they share counts once."""

from __future__ import annotations

import contextlib
import resource
import time
from pathlib import Path

#: Seconds at least between two looks at what several processes share, and how many times as long
#: as a look took: each goes through all pages of those beside the process, at 10 ms a gigabyte.
_LONG_TICK, _TIMES = 1.0, 200

_MB = 1 << 20


class Memory:
    """What a process and those beside it hold together, as far as it was looked at.

    Parameters
    ----------
    pid : int
        The process; its children are those beside it.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._next = pid, 0.0
        self.peak_mb = 0.0

    def look(self) -> float:
        """Give what they hold now; what they share is told apart now and then.

        Returns
        -------
        float
            In MB; 0 where the system does not tell.
        """
        held = _resident_mb(self._pid)
        now = time.monotonic()
        if now >= self._next and (beside := family_of(self._pid)[1:]):
            # Forks share with the process what neither has changed since.
            held += sum(rolled_mb(pid, "Private_Clean", "Private_Dirty") for pid in beside)
            done = time.monotonic()
            self._next = done + max(_LONG_TICK, _TIMES * (done - now))
        self.peak_mb = max(self.peak_mb, held)
        return held


def family_of(pid: int) -> list[int]:
    """List a process and its descendants, where the system tells them.

    Parameters
    ----------
    pid : int
        The process.

    Returns
    -------
    list of int
        Itself first.
    """
    found = [pid]
    with contextlib.suppress(OSError):
        for told in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in told.read_text("ascii").split():
                found += family_of(int(child))
    return found


def rolled_mb(pid: int, *names: str) -> float:
    """Give the memory of a process of certain kinds, as Linux adds it up over all its pages.

    Parameters
    ----------
    pid : int
        The process.
    *names : str
        Of the kinds in `smaps_rollup`: `Pss` is its share of what it shares, and all else.

    Returns
    -------
    float
        In MB; 0 where it has ended.
    """
    with contextlib.suppress(OSError, IndexError, ValueError):
        told = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
        return sum(int(told.partition(f"\n{name}:")[2].split()[0]) for name in names) / 1024
    return 0.0


def _resident_mb(pid: int) -> float:
    """Give the memory of a process; 0 where the system does not tell, or it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * resource.getpagesize() / _MB
