"""What cases need and what there is: memory by their headers, cores by what runs beside them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from miliary.config.run import RunSettings
    from miliary.io.series import SeriesInfo

_MB = 1 << 20

#: Where Linux tells the limits of containers and of jobs of a cluster.
_GROUPS = Path("/sys/fs/cgroup")

#: A case whose need is estimated too low must not die of its own estimate.
_SLACK = 1.5


def need_mb(info: SeriesInfo, settings: RunSettings) -> float:
    """Estimate the memory of a case from the size of its series.

    Parameters
    ----------
    info : SeriesInfo
        As its headers tell.
    settings : RunSettings
        Memory a voxel, and beside them.

    Returns
    -------
    float
        MB.
    """
    n_voxels = info.n_slices * info.rows * info.columns
    return settings.base_mb + settings.voxel_bytes * n_voxels / _MB


def machine_mb() -> float:
    """Give the memory of this machine, or of the container or job that this process is in.

    Returns
    -------
    float
        MB.
    """
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _group_limits():
        # Not there, not to be read, or `max`.
        with contextlib.suppress(OSError, ValueError):
            most = min(most, int(path.read_text("ascii")))
    return most / _MB


def free_mb() -> float:
    """Give the memory that can be had now.

    Returns
    -------
    float
        MB.
    """
    free = machine_mb()
    # Only Linux tells what others have left.
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        (told,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        free = min(free, int(told) / 1024)
    return free


def _group_limits() -> list[Path]:
    """Name the files that may limit the memory of the control groups that this process is in."""
    paths = [_GROUPS / "memory.max", _GROUPS / "memory" / "memory.limit_in_bytes"]
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text("ascii").splitlines():
            _, kinds, place = line.split(":", 2)
            within = Path(place.lstrip("/"))
            for group in (within, *within.parents):
                if not kinds:
                    paths.append(_GROUPS / group / "memory.max")
                elif "memory" in kinds.split(","):
                    paths.append(_GROUPS / "memory" / group / "memory.limit_in_bytes")
    return paths


def n_cores() -> int:
    """Count the cores that this process may use.

    Returns
    -------
    int
        At least 1.
    """
    # Only Linux tells which.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(side_by_side: int) -> int:
    """Share the cores of a machine among the cases that run on it.

    Parameters
    ----------
    side_by_side : int
        How many do.

    Returns
    -------
    int
        Threads for each: `MILIARY_THREADS` where that is set. Results do not depend on it.
    """
    wanted = os.environ.get("MILIARY_THREADS", "")
    return max(1, int(wanted) if wanted.isdigit() else n_cores() // side_by_side)


def limit_mb(need: float, share: float, settings: RunSettings) -> float:
    """Decide how much memory a case may take.

    Parameters
    ----------
    need : float
        What it is expected to take, in MB.
    share : float
        Its share of the machine, in MB.
    settings : RunSettings
        With the limit that the user set, if any.

    Returns
    -------
    float
        MB; not more than the machine has, though the case may be expected to take more.
    """
    return settings.memory_mb or min(max(share, _SLACK * need), machine_mb())


def jobs_for(needs_mb: Sequence[float], whole_mb: float) -> int:
    """Decide how many cases to run side by side on this machine.

    Parameters
    ----------
    needs_mb : sequence of float
        What each is expected to take.
    whole_mb : float
        What all may take together.

    Returns
    -------
    int
        As many as there are cores, and as memory bears of the smallest; at least 1.
    """
    jobs, taken = 0, 0.0
    for need in sorted(needs_mb)[: n_cores()]:
        taken += need
        jobs += taken <= whole_mb
    return max(jobs, 1)
