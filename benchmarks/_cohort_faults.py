"""`miliary run` with faults planted in some cases, for `cohort.py`: by the name of their folder."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any


def misbehave(source: str) -> None:
    """Do what the folder's name asks for."""
    if "hang" in source:
        # Deaf to anything but SIGKILL.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    if "hog" in source:
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1 << 20) * 16))
    if "crash" in source:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "suicide" in source:
        os.kill(os.getpid(), signal.SIGKILL)


def do_case(task: Any, tell: Any) -> Any:
    """As `miliary.cohort.attempt` does a case, with a fault in the midst of it."""
    from miliary.cohort import case

    real = case.analyze

    def analyze(*args: Any, **kwargs: Any) -> Any:
        misbehave(task.info.source)
        return real(*args, **kwargs)

    case.analyze = analyze
    return case.run_case(task, tell)


def run_planted(task: Any, place: Any) -> Any:
    """As `run_apart`, of such cases."""
    from miliary.cohort import attempt

    attempt._do_case = do_case
    return attempt.run_apart(task, place)


if __name__ == "__main__":
    import _cohort_faults

    from miliary.cli import cohort
    from miliary.cli.main import main

    # By the module's own name, by which workers find it.
    cohort.run_apart = _cohort_faults.run_planted
    sys.exit(main(sys.argv[1:]))
