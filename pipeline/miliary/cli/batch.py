"""Many cases by one code path: in this process, on a local cluster, or on an existing one.

The engine is Dask distributed. Tasks carry paths and settings, never arrays.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from miliary.errors import UsageError

Task = TypeVar("Task")
Result = TypeVar("Result")

#: A task that took its worker with it is tried once more, then it is lost.
_RETRIES = 1

#: Seconds to wait for a scheduler to answer.
_PATIENCE = 10


def run_cases(
    tasks: Sequence[Task],
    worker: Callable[[Task], Result],
    *,
    jobs: int,
    scheduler: str | None,
    on_done: Callable[[Task, Result | Exception], None],
) -> None:
    """Do every task, and tell of each as soon as it is done.

    Parameters
    ----------
    tasks : sequence
        What to do; sent to other processes, so small.
    worker : callable
        Does one task. It should catch what can be caught: what it raises, or a process that it
        takes with it, loses this task only.
    jobs : int
        Processes of a local cluster; 1 stays in this process.
    scheduler : str or None
        Address of an existing Dask scheduler, or its scheduler file; `jobs` then does not count.
    on_done : callable
        Called here, one at a time, with the task and its result, or with what lost it.
    """
    if scheduler is None and min(jobs, len(tasks)) <= 1:
        for task in tasks:
            on_done(task, _attempt(worker, task))
        return
    with _client(min(jobs, len(tasks)), scheduler) as client:
        _distribute(client, tasks, worker, on_done)


def _attempt(worker: Callable[[Task], Result], task: Task) -> Result | Exception:
    try:
        return worker(task)
    except Exception as error:  # noqa: BLE001 - as a worker process would: only this task is lost
        return error


def _distribute(
    client: Any,
    tasks: Sequence[Task],
    worker: Callable[[Task], Result],
    on_done: Callable[[Task, Result | Exception], None],
) -> None:
    """Keep every worker busy with one task: one that waits at a dying worker would be blamed."""
    from distributed import as_completed

    waiting = iter(tasks)
    running: dict[Any, Task] = {}
    done = as_completed()

    def send() -> None:
        while len(running) < _capacity(client):
            task = next(waiting, None)
            if task is None:
                return
            future = client.submit(worker, task, pure=False, retries=_RETRIES)
            running[future] = task
            done.add(future)

    send()
    while running:
        future = next(done)
        task = running.pop(future)
        error = future.exception()
        on_done(task, future.result() if error is None else _as_exception(error))
        future.release()
        send()


def _capacity(client: Any) -> int:
    """Count the threads of the workers; a cluster may grow and shrink."""
    n_threads: int = sum(client.nthreads().values())
    return max(1, n_threads)


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(str(error))


@contextlib.contextmanager
def _client(jobs: int, scheduler: str | None) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster
    from distributed.system import MEMORY_LIMIT

    if scheduler is not None:
        with _connected(scheduler) as client:
            yield client
        return
    cores = len(os.sched_getaffinity(0))
    settings = {
        "distributed.scheduler.allowed-failures": _RETRIES,
        # Memory goes to images, not to results: there is nothing to spill, and a paused worker
        # would wait for ever.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            processes=True,
            memory_limit=MEMORY_LIMIT // jobs,
            dashboard_address=None,
            silence_logs="ERROR",
            env={"MILIARY_THREADS": str(max(1, cores // jobs))},
        ) as cluster,
        Client(cluster) as client,
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
