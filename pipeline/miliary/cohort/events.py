"""A log with one line of JSON for each event of a run."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any


class EventLog:
    """A file that lines are added to; several runs follow one another in it.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._is_new = path, not path.exists()
        # Unbuffered: a line is written whole, or by a process that is killed not at all.
        self._file = path.open("ab", buffering=0)
        self._lost = 0
        if self._file.tell() and not _ends_a_line(path):
            # The last line of a run that died with its machine.
            self._write(b"\n")

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def forget(self) -> None:
        """Remove the file, if it holds nothing but this run."""
        if self._is_new:
            self._path.unlink(missing_ok=True)

    def tell(self, event: str, **facts: Any) -> None:
        """Add one line.

        Parameters
        ----------
        event : str
            What happened.
        **facts : plain values
            More about it; nothing of the patient, no absolute path.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **facts}, ensure_ascii=False)
        self._write(line.encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError:
            # A log that cannot be written is no reason to stop; results tell of a full disk.
            self._lost += 1


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
