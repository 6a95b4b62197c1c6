"""Many tasks by one code path: in this process, on a local cluster, or on an existing one.

The engine is Dask distributed. Tasks carry paths and settings, never arrays.
"""

from __future__ import annotations

import contextlib
import queue
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from miliary.errors import UsageError

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Something that happened to a case: `event`, `case` and more, plain values.
Event = dict[str, Any]

#: Seconds to wait for a scheduler to answer, and for workers to end what nobody wants any more.
_PATIENCE = 10

#: Seconds between two looks at what else there is to do.
_TICK = 1.0

#: Waiting tasks that are looked at for one that fits into the memory left.
_LOOK_AHEAD = 100

_UNBOUNDED = float("inf")
_MB = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where a task is done.

    Parameters
    ----------
    side_by_side : int
        Tasks that are done on this machine at once.
    memory_mb : float
        What each of them may take.
    tell : callable
        Takes an `Event`.
    wanted : callable
        Whether anybody still waits for the result.
    """

    side_by_side: int
    memory_mb: float
    tell: Callable[[Event], None]
    wanted: Callable[[], bool]


Worker = Callable[[Any, Place], Any]


@dataclass(frozen=True)
class Cluster:
    """Where to run.

    Parameters
    ----------
    jobs : int
        Processes of a local cluster; 1 stays in this process.
    scheduler : str or None
        Address of an existing Dask scheduler, or its scheduler file; `jobs` then does not count.
    memory_mb : float
        What the tasks may take together; workers of an existing scheduler have limits of their
        own.
    deaths : int
        Workers that a task may see dying before it is lost; an existing scheduler has its own
        limit.
    """

    jobs: int = 1
    scheduler: str | None = None
    memory_mb: float = _UNBOUNDED
    deaths: int = 2


@dataclass(frozen=True)
class Watch(Generic[Task, Result]):
    """Who is told what; all calls come one at a time, from the thread that runs the tasks.

    Parameters
    ----------
    done : callable
        Called with a task and its result, or with what lost it.
    event : callable
        Called with what workers tell.
    """

    done: Callable[[Task, Result | Exception], None]
    event: Callable[[Event], None]


def run_tasks(
    tasks: Sequence[Task],
    worker: Worker,
    cluster: Cluster,
    watch: Watch[Task, Any],
    *,
    need_mb: Callable[[Task], float] = lambda _: 0.0,
) -> None:
    """Do every task, and tell of each as soon as it is done.

    Parameters
    ----------
    tasks : sequence
        What to do; sent to other processes, so small.
    worker : callable
        Does one task at a `Place`. It should catch what can be caught: what it raises, or a
        process that it takes with it, loses this task only.
    cluster : Cluster
        Where to run.
    watch : Watch
        Whom to tell.
    need_mb : callable
        Memory that a task is expected to take; no more are under way than memory bears.
    """
    if cluster.scheduler is None and min(cluster.jobs, len(tasks)) <= 1:
        for task in tasks:
            watch.done(
                task, _attempt(worker, task, Place(1, cluster.memory_mb, watch.event, _always))
            )
        return
    with _client(min(cluster.jobs, len(tasks)), cluster) as client:
        memory_mb = cluster.memory_mb if cluster.scheduler is None else _UNBOUNDED
        run = _Run(client, worker, watch, need_mb, memory_mb)
        try:
            run.all(tasks)
        except BaseException:
            run.stop()
            raise


def _always() -> bool:
    return True


def _attempt(worker: Worker, task: Any, place: Place) -> Any:
    try:
        return worker(task, place)
    except Exception as error:  # noqa: BLE001 - as a worker process would: only this task is lost
        return error


class _Run:
    """The tasks of one run, of which so many are under way as there are workers and memory."""

    def __init__(
        self,
        client: Any,
        worker: Worker,
        watch: Watch[Any, Any],
        need_mb: Callable[[Any], float],
        memory_mb: float,
    ) -> None:
        self._client, self._worker, self._watch = client, worker, watch
        self._need_mb, self._memory_mb = need_mb, memory_mb
        self._running: dict[Any, Any] = {}
        # What threads of the client have seen, for the thread that runs the tasks.
        self._seen: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._topic = f"miliary-{uuid.uuid4().hex}"
        client.subscribe_topic(self._topic, lambda event: self._seen.put(("event", event[1])))

    def all(self, tasks: Sequence[Any]) -> None:
        """Do all tasks, one at a worker: one that waits at a dying worker would be blamed."""
        waiting = deque(tasks)
        self._send(waiting)
        while self._running or waiting:
            try:
                kind, what = self._seen.get(timeout=_TICK)
            except queue.Empty:
                kind, what = "event", {"event": "idle", "workers": len(self._client.nthreads())}
            if kind == "event":
                self._watch.event(what)
            else:
                task, error = self._running.pop(what), what.exception()
                self._watch.done(task, what.result() if error is None else _as_exception(error))
                what.release()
            if kind == "done" or what["event"] == "idle":
                # Workers may have come, too.
                self._send(waiting)

    def stop(self) -> None:
        """Let workers drop what is under way, and wait until they have, within reason."""
        from miliary.cohort.apart import n_busy

        self._client.cancel(list(self._running), force=True)
        deadline = time.monotonic() + _PATIENCE
        with contextlib.suppress(Exception):
            while time.monotonic() < deadline and any(self._client.run(n_busy).values()):
                time.sleep(0.1)

    def _send(self, waiting: deque[Any]) -> None:
        if not waiting:
            return
        threads = self._client.nthreads()
        slots: Counter[str] = Counter()
        for address, n_threads in threads.items():
            slots[_host(address)] += n_threads
        share_mb = self._memory_mb / max(1, slots.total())
        while waiting and len(self._running) < max(1, slots.total()):
            task = self._fitting(waiting)
            if task is None:
                return
            future = self._client.submit(
                _work, self._worker, task, dict(slots), share_mb, self._topic, pure=False
            )
            self._running[future] = task
            future.add_done_callback(lambda done: self._seen.put(("done", done)))

    def _fitting(self, waiting: deque[Any]) -> Any:
        """Take the first task that fits into the memory left; any, where nothing else runs."""
        left = self._memory_mb - sum(map(self._need_mb, self._running.values()))
        for index in range(min(len(waiting), _LOOK_AHEAD)):
            if self._need_mb(waiting[index]) <= left or not self._running:
                task = waiting[index]
                del waiting[index]
                return task
        return None


def _host(address: str) -> str:
    return address.split("://")[-1].rsplit(":", 1)[0]


def _work(worker: Worker, task: Any, slots: dict[str, int], share_mb: float, topic: str) -> Any:
    """Do a task, at a worker of the cluster."""
    from distributed import get_worker
    from distributed.worker import thread_state

    here, key = get_worker(), thread_state.key
    limit = here.memory_manager.memory_limit
    if limit:
        share_mb = min(share_mb, limit / here.state.nthreads / _MB)

    def wanted() -> bool:
        state = here.state.tasks.get(key)
        return state is not None and state.state in ("executing", "long-running")

    side_by_side = max(1, slots.get(_host(here.address), 1))
    return worker(
        task, Place(side_by_side, share_mb, lambda event: here.log_event(topic, event), wanted)
    )


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(str(error))


@contextlib.contextmanager
def _client(jobs: int, cluster: Cluster) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    if cluster.scheduler is not None:
        with _connected(cluster.scheduler) as client:
            yield client
        return
    settings = {
        "distributed.scheduler.allowed-failures": cluster.deaths,
        # Cases are processes beside the workers and have limits of their own.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        # Nobody looks at these here, and they take 5 % of a core a worker.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.admin.tick.interval": "1s",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            # Any free port: with None all clusters of a machine ask for the same one.
            dashboard_address="127.0.0.1:0",
            silence_logs="ERROR",
        ) as local,
        Client(local) as client,
    ):
        yield client


def _connected(scheduler: str) -> Any:
    from distributed import Client

    try:
        if Path(scheduler).is_file():
            return Client(scheduler_file=scheduler, timeout=_PATIENCE)
        return Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            "--scheduler must be the address of a running Dask scheduler or its scheduler file, "
            f"got {scheduler!r}: {type(error).__name__}"
        ) from error
