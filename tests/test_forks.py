"""A call in a process beside: its result, errors and death; and that it is not made unasked."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from miliary.kernels.forks import beside, on_processes


def test_unless_allowed_the_call_is_made_here():
    assert beside(os.getpid)() == os.getpid()
    assert on_processes(lambda _: os.getpid(), range(8)) == [os.getpid()] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_where_allowed_it_is_made_in_another_process():
    """In a new interpreter: pytest's has threads that are not ours."""
    script = """
        import os, signal, threading
        import numpy as np
        from miliary.kernels.forks import allow_forks, beside, on_processes
        from miliary.kernels.slabs import n_threads, on_threads

        def fails():
            raise ValueError("three must be four")

        allow_forks()
        on_threads(abs, range(8))
        image = np.arange(1000.0)
        told = beside(lambda: (os.getpid(), n_threads(), image * 2))
        assert threading.active_count() == 1
        on_threads(abs, range(8))
        pid, threads, doubled = told()
        assert pid != os.getpid() and threads == 1
        assert (doubled == image * 2).all()
        for call, expected in (
            (fails, "three must be four"),
            (lambda: os.kill(os.getpid(), signal.SIGKILL), "got exit status -9"),
        ):
            try:
                beside(call)()
            except Exception as error:
                assert expected in str(error), error
            else:
                raise AssertionError("nothing was raised")
        def odd(k):
            if k == 5:
                raise ValueError("three must be four")
            return k, os.getpid()

        done = on_processes(odd, range(5))
        assert [k for k, _ in done] == [0, 1, 2, 3, 4]
        assert [pid == os.getpid() for _, pid in done] == [True, False] * 2 + [True]
        try:
            on_processes(odd, range(8))
        except ValueError as error:
            assert "three must be four" in str(error)
        else:
            raise AssertionError("nothing was raised")
        os.environ["MILIARY_THREADS"] = "1"
        assert beside(os.getpid)() == os.getpid()
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env=os.environ | {"MILIARY_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
