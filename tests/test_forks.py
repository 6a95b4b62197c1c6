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
@pytest.mark.parametrize("threads", ["2", "8"])
def test_where_allowed_it_is_made_in_another_process(threads):
    """In a new interpreter: pytest's has threads that are not ours."""
    script = """
        import os, signal, threading
        import numpy as np
        from miliary.kernels import forks
        from miliary.kernels.forks import allow_forks, beside, on_processes
        from miliary.kernels.slabs import n_threads, on_threads

        class Odd(Exception):
            def __init__(self, one, two):
                super().__init__(one, two)
                self.cannot_be_pickled = lambda: 0

        def odd_error():
            raise Odd("one", "two")

        def fails():
            raise ValueError("three must be four")

        allow_forks()
        on_threads(abs, range(8))
        image = np.arange(1000.0)
        told = beside(lambda: (os.getpid(), n_threads(), image * 2))
        assert threading.active_count() == 1
        on_threads(abs, range(8))
        pid, threads, doubled = told()
        # No helper is left, however many there are.
        assert pid != os.getpid() and threads == 1
        assert (doubled == image * 2).all()
        # A process beside takes a core until it has its result, and one that failed gives it back.
        most, (reading, writing) = n_threads(), os.pipe()
        waits = beside(lambda: os.read(reading, 1))
        assert n_threads() == most - 1
        os.write(writing, b"x")
        while n_threads() < most:
            pass
        assert waits() == b"x" and n_threads() == most
        for call, expected in (
            (fails, "three must be four"),
            (lambda: os.kill(os.getpid(), signal.SIGKILL), "for want of memory"),
            (lambda: os._exit(3), "got exit status 3"),
            (odd_error, "Odd: ('one', 'two')"),
            (lambda: (lambda: 0), "local object"),
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

        # What takes little is done here.
        assert {pid for _, pid in on_processes(odd, range(5))} == {os.getpid()}
        forks._WORTH_S = 0.0
        done = on_processes(odd, range(5))
        assert [k for k, _ in done] == [0, 1, 2, 3, 4]
        here = [pid == os.getpid() for _, pid in done]
        # The first is, which tells how long the others take.
        assert here == [True, *(k % n_threads() == 0 for k in range(4))]
        try:
            on_processes(odd, range(8))
        except ValueError as error:
            assert "three must be four" in str(error)
        else:
            raise AssertionError("nothing was raised")
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pass
        else:
            raise AssertionError("a child was left behind")
        os.environ["MILIARY_THREADS"] = "1"
        assert beside(os.getpid)() == os.getpid()
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        env=os.environ | {"MILIARY_THREADS": threads, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
