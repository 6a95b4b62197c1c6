"""Processes that decode compressed frames side by side, under limits of time and memory."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

import miliary
from miliary.arrays import AnyArray
from miliary.config.reading import ReadSettings
from miliary.io.layout import PixelLayout

#: A coded frame of lossless coding is hardly longer than its pixels; one much longer is a bomb.
_LONGEST = 2
_LONGEST_EXTRA = 1 << 16


class DecodeError(ValueError):
    """A decoder says that it cannot decode a frame; it is well itself."""


_kept: dict[tuple[int, float, float], Decoders] = {}
_keeping = threading.Lock()


def decoders_for(settings: ReadSettings) -> Decoders:
    """Give the decoders of this process: to start them takes longer than to decode many slices.

    Parameters
    ----------
    settings : ReadSettings
        How many, and their limits.

    Returns
    -------
    Decoders
        The same for the same settings.
    """
    key = (settings.threads, settings.decode_seconds, settings.decode_mb)
    with _keeping:
        if key not in _kept:
            _kept[key] = Decoders(*key)
            atexit.register(_kept[key].close)
        return _kept[key]


class Decoders:
    """Some processes of `miliary.io.decode_worker`, started when first needed and then kept.

    Parameters
    ----------
    n : int
        How many at most.
    seconds : float
        Longest time that a frame may take.
    megabytes : float
        Most memory that a process may take.
    """

    def __init__(self, n: int, seconds: float, megabytes: float) -> None:
        self._seconds, self._megabytes = seconds, megabytes
        self._started: list[subprocess.Popen[bytes]] = []
        # The last one used comes first: a single reader never starts a second process.
        self._free: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()
        for _ in range(n):
            self._free.put(None)

    def close(self) -> None:
        """End all processes."""
        for process in list(self._started):
            self._end(process)

    def decode(self, frame: bytes, layout: PixelLayout) -> AnyArray:
        """Decode one frame.

        Parameters
        ----------
        frame : bytes
            As coded.
        layout : PixelLayout
            Of its file.

        Returns
        -------
        (rows, columns) int
            Stored values.

        Raises
        ------
        ValueError
            Where it cannot be decoded within the limits.
        """
        process = self._free.get()
        try:
            if process is None or process.poll() is not None:
                process = self._start()
            return self._asked(process, frame, layout)
        except DecodeError:
            raise
        except BaseException:
            # Nobody knows what it will say next.
            if process is not None:
                self._end(process)
                process = None
            raise
        finally:
            self._free.put(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # What is still to be written to a dead process cannot be.
                with contextlib.suppress(OSError):
                    pipe.close()
        self._started.remove(process)

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(miliary.__file__).parents[1])
        paths = [root, os.environ.get("PYTHONPATH", "")]
        # Threads of numerical libraries would take address space, and are not needed.
        changed = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OPENBLAS_NUM_THREADS": "1"}
        process = subprocess.Popen(
            # -P: a folder in the working directory must not pass for a library.
            [sys.executable, "-P", "-m", "miliary.io.decode_worker", str(self._megabytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | changed,
        )
        self._started.append(process)
        return process

    def _asked(
        self, process: subprocess.Popen[bytes], frame: bytes, layout: PixelLayout
    ) -> AnyArray:
        alarm = threading.Timer(self._seconds, process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            return _exchange(process, frame, layout)
        except OSError as error:
            raise ValueError("the decoder must not crash or take too long") from error
        finally:
            alarm.cancel()


def check_length(n_bytes: int, layout: PixelLayout) -> None:
    """Refuse a coded frame that is no frame by its length.

    Parameters
    ----------
    n_bytes : int
        Its length.
    layout : PixelLayout
        Of its file.

    Raises
    ------
    ValueError
        Where it is much longer than the pixels that it stands for.
    """
    most = _LONGEST * layout.rows * layout.columns * layout.allocated // 8 + _LONGEST_EXTRA
    if n_bytes > most:
        raise ValueError(f"a coded frame must have at most {most} bytes, got {n_bytes}")


def _exchange(process: subprocess.Popen[bytes], frame: bytes, layout: PixelLayout) -> AnyArray:
    if process.stdin is None or process.stdout is None:
        raise ValueError("a decoder must have pipes")
    request = json.dumps(_packing(layout, len(frame))).encode()
    process.stdin.write(len(request).to_bytes(4, "big") + request + frame)
    process.stdin.flush()
    head = process.stdout.read(2)
    if len(head) < 2:
        raise ValueError("the decoder must not crash or take too long")
    told = process.stdout.read(head[1]).decode("ascii", "replace")
    if head[:1] != b"=":
        raise DecodeError(f"a frame must be decodable, got {told}")
    kind = np.dtype(told)
    if kind.kind not in "iu":
        raise ValueError("decoded pixels must be whole numbers")
    content = process.stdout.read(layout.rows * layout.columns * kind.itemsize)
    return np.frombuffer(content, kind).reshape(layout.rows, layout.columns)


def _packing(layout: PixelLayout, n_bytes: int) -> dict[str, Any]:
    return {
        "syntax": layout.transfer_syntax,
        "rows": layout.rows,
        "columns": layout.columns,
        "allocated": layout.allocated,
        "stored": layout.stored,
        "high_bit": layout.high_bit,
        "signed": layout.signed,
        "bytes": n_bytes,
    }
