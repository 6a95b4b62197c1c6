"""Memory of a process and of those beside it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from miliary.cohort.memory import Memory, family_of, rolled_mb

#: Forks a child; parent and child then hold 80 MB each of their own, and 60 MB together.
_FAMILY = """
import os, sys, time
shared = bytearray(os.urandom(1 << 20) * 60)
pid = os.fork()
own = bytearray(os.urandom(1 << 20) * 80)
if pid:
    print("ready", flush=True)
time.sleep(30)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells it")
def test_memory_of_a_family_counts_what_it_shares_once():
    process = subprocess.Popen([sys.executable, "-c", _FAMILY], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    # The child fills its part meanwhile.
    time.sleep(0.5)
    family = family_of(process.pid)
    try:
        memory = Memory(process.pid)
        assert len(family) == 2
        assert 220 <= memory.look() <= 270
        shares = sum(rolled_mb(pid, "Pss") for pid in family)
        # What others hold of the interpreter counts whole.
        assert shares < memory.peak_mb < shares + 15
        # Alone until the next second begins; the peak stays.
        assert memory.look() < 200 < memory.peak_mb
    finally:
        subprocess.run(["kill", "-9", *map(str, family)], check=True)
        process.communicate()
    assert rolled_mb(process.pid, "Pss") == 0
