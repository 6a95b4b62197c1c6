"""Calls in processes of their own: what becomes of those that crash, hang or take too much."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import miliary
import oracles_cli
from miliary.cohort import apart, launch
from miliary.cohort.apart import Unwanted, call_apart, end_servers, get_ready, n_busy
from miliary.cohort.frames import FrameReader, Order, ready, send_frame

#: A case of 60 MB more than the 250 MB of the server would be killed at once with less.
LIMIT_MB = 600.0


def call(fate, folder, *, seconds=30.0, wanted=lambda: True):
    """Answer of a call with this fate, and what it told."""
    told = []
    order = Order(b"", seconds, LIMIT_MB, 1, str(folder))
    answer = call_apart(
        oracles_cli.write_half_and, (str(folder), fate), order, tell=told.append, wanted=wanted
    )
    return answer, told


def test_a_call_gives_its_result_and_tells_of_its_progress(tmp_path):
    answer, told = call("live", tmp_path / "case-1")
    assert (answer.result, answer.end.why, told) == ("whole", "", [("half", 0.5)])
    assert 5 < answer.end.peak_mb < LIMIT_MB


@pytest.mark.parametrize(
    ("fate", "why", "status"),
    [
        ("SIGKILL", "signal", signal.SIGKILL),
        ("SIGSEGV", "signal", signal.SIGSEGV),
        ("SIGABRT", "signal", signal.SIGABRT),
        ("exit", "exit", 3),
        ("too much", "exit", 1),
    ],
)
def test_a_call_that_kills_its_process_is_told_and_leaves_nothing(tmp_path, fate, why, status):
    answer, told = call(fate, tmp_path / "case-1")
    assert (answer.result, answer.end.why, answer.end.status) == (None, why, status)
    assert told == [("half", 0.5)]
    assert list(tmp_path.iterdir()) == []
    # The next one finds all well.
    assert call("live", tmp_path / "case-1")[0].result == "whole"


def test_a_call_that_hangs_is_ended(tmp_path):
    started = time.monotonic()
    answer, _ = call("hang", tmp_path / "case-1", seconds=1.0)
    assert answer.end.why == "time"
    assert time.monotonic() - started < 20
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_takes_too_much_memory_is_ended(tmp_path):
    answer, _ = call("memory", tmp_path / "case-1")
    # Either it is seen to have it, or it is not given it.
    assert (answer.end.why, answer.end.status) in {("memory", signal.SIGKILL), ("exit", 1)}
    assert answer.end.peak_mb < 1.5 * LIMIT_MB
    assert list(tmp_path.iterdir()) == []


def test_a_call_that_nobody_wants_any_more_is_ended(tmp_path):
    with pytest.raises(Unwanted):
        call("hang", tmp_path / "case-1", wanted=lambda: False)
    assert n_busy() == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    os.confstr_names.get("CS_GNU_LIBC_VERSION") is None, reason="only glibc can be told"
)
def test_memory_that_a_call_lets_go_is_used_again():
    order = Order(b"", 30.0, LIMIT_MB, 1, "")
    answer = call_apart(oracles_cli.fill_twice, (), order, tell=print, wanted=lambda: True)
    # As new memory it would be 16,384 pages of 4 kB, or 32 of 2 MB.
    assert answer.result < 16


def test_a_process_that_is_ready_takes_the_next_call(tmp_path):
    end_servers()
    get_ready(("json.tool",))
    (waiting,) = apart._free
    assert call("live", tmp_path / "case-1")[0].result == "whole"
    assert apart._free == [waiting]


def test_a_process_that_is_not_wanted_ends_at_its_imports(tmp_path, monkeypatch):
    end_servers()
    (tmp_path / "endless_import.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(tmp_path)
    get_ready(("endless_import",))
    began = time.monotonic()
    end_servers()
    assert time.monotonic() - began < 10


def test_several_calls_run_at_once(tmp_path):
    results = []

    def one(number):
        results.append(call("live", tmp_path / f"case-{number}")[0].result)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["whole"] * 3


def start_server():
    root = str(Path(miliary.__file__).parents[1])
    paths = os.pathsep.join([root, *(path for path in sys.path if path)])
    return subprocess.Popen(
        [sys.executable, "-c", "from miliary.cohort.server import serve; serve()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths},
    )  # fmt: skip


@pytest.mark.parametrize("how", ["asker", "server"])
def test_whoever_dies_takes_the_call_along(tmp_path, how):
    """The asker by closing its pipes, as the system does for the dead; the server by SIGKILL."""
    with start_server() as server:
        order = Order(
            pickle.dumps((oracles_cli.write_half_and, (str(tmp_path / "case-1"), "hang"))),
            600.0, LIMIT_MB, 1, str(tmp_path / "case-1"),
        )  # fmt: skip
        send_frame(server.stdin.fileno(), pickle.dumps(order))
        told = FrameReader(server.stdout.fileno())
        assert pickle.loads(told.wait()) == ("told", ("half", 0.5))
        (half,) = tmp_path.iterdir()
        child = int(half.name.split("-")[2])
        if how == "asker":
            server.stdin.close()
            assert server.wait(20) == 0
            assert list(tmp_path.iterdir()) == []
        else:
            server.kill()
            server.wait(20)
        deadline = time.monotonic() + 20
        while alive(child):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_messages_that_come_at_once_are_waited_for_one_by_one():
    reading, writing = os.pipe()
    for message in (b"one", b"two"):
        send_frame(writing, message)
    os.close(writing)
    reader = FrameReader(reading)
    assert [reader.wait() for _ in range(3)] == [b"one", b"two", None]
    os.close(reading)


def test_messages_come_whole_or_not_at_all():
    reading, writing = os.pipe()
    reader = FrameReader(reading)
    long = bytes(range(256)) * 500
    sender = threading.Thread(target=lambda: [send_frame(writing, m) for m in (b"", long, b"x")])
    sender.start()
    taken = []
    while len(taken) < 3:
        taken += reader.read()
    sender.join()
    assert taken == [b"", long, b"x"]
    assert ready(0.0, reading) == set()
    os.write(writing, b"\0\0\0\5hal")
    os.close(writing)
    assert reader.wait() is None
    assert reader.ended
    os.close(reading)


#: A process that has imported nothing yet, and so forks its server.
NEW_PROCESS = """
import os, signal, sys
from pathlib import Path
{before}
for name in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(name, signal.default_int_handler)
from miliary.cohort import apart
from miliary.cohort.frames import Order
apart.get_ready(("numpy", "oracles_cli"))
here = {{"numpy", "oracles_cli"}} <= set(sys.modules)
import oracles_cli
told = []
call = oracles_cli.write_half_and, (sys.argv[1], sys.argv[2])
answer = apart.call_apart(*call, Order(b"", 30.0, 600.0, 1, sys.argv[1]), tell=told.append,
                          wanted=lambda: True)
(server,) = apart._free
print(here, os.environ.get("OPENBLAS_NUM_THREADS"), answer.result, answer.end.why, told)
print(server.alive, *(sorted(os.listdir(f"/proc/{{server._process.pid}}/fd"), key=int)))
{after}
"""


def in_new_process(folder, *, fate="live", before="", after="", status=0):
    """What a new process prints that has a server forked, and uses it once."""
    code = NEW_PROCESS.format(before=before, after=after)
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *(path for path in sys.path if path)])
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), fate],
        env=env | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done


def test_a_new_process_forks_its_server_with_all_imported(tmp_path):
    lines = in_new_process(tmp_path / "case-1").stdout.splitlines()
    assert lines[0] == "True 1 whole  [('half', 0.5)]"
    # Of the parent's it holds nothing but the standard error; 3 to 5 are what it opens itself.
    assert lines[1] == "True 0 1 2 3 4 5"


def test_a_forked_server_outlives_the_call_that_crashes(tmp_path):
    again = (
        "call = oracles_cli.write_half_and, (sys.argv[1], 'live')\n"
        "print(apart.call_apart(*call, Order(b'', 30.0, 600.0, 1, sys.argv[1]), tell=told.append,"
        " wanted=lambda: True).result, apart._free == [server])"
    )
    lines = in_new_process(tmp_path / "case-1", fate="SIGSEGV", after=again).stdout.splitlines()
    assert lines[0] == "True 1 None signal [('half', 0.5)]"
    assert lines[2] == "whole True"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_forked_server_ends_by_a_signal_and_the_next_is_a_new_process(tmp_path, name):
    after = (
        f"os.kill(server._process.pid, signal.{name})\n"
        "server._process.wait(20)\n"
        "again = apart.call_apart(*call, Order(b'', 30.0, 600.0, 1, sys.argv[1]),"
        " tell=told.append, wanted=lambda: True)\n"
        "print(again.result, type(apart._free[0]._process).__name__)"
    )
    done = in_new_process(tmp_path / "case-1", after=after)
    assert done.stdout.splitlines()[2] == "whole Popen"
    assert done.stderr == ""


def test_a_forked_server_ends_with_its_parent(tmp_path):
    after = "print(server._process.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    done = in_new_process(tmp_path / "case-1", after=after, status=-signal.SIGKILL)
    pid = int(done.stdout.split()[-1])
    deadline = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


A_THREAD = "import threading\nthreading.Thread(target=signal.pause, daemon=True).start()"


@pytest.mark.parametrize("before", ["import numpy", A_THREAD])
def test_a_process_that_may_have_threads_does_not_fork_a_server(tmp_path, before):
    after = "print(type(server._process).__name__)"
    before = f"{before}\nfrom miliary.cohort.launch import can_fork\nassert not can_fork()"
    lines = in_new_process(tmp_path / "case-1", before=before, after=after).stdout.splitlines()
    assert lines[0].endswith("whole  [('half', 0.5)]")
    assert lines[2] == "Popen"


def test_a_fork_that_the_system_has_forgotten_has_ended():
    """As where SIGCHLD is ignored: nobody can ask for its status twice."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert launch._Fork(process.pid).wait(5) == 0
