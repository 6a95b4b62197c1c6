"""Run a filter slab by slab on several cores: SciPy's filters leave the interpreter lock."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise, product
from typing import TypeVar, cast

import numpy as np

from miliary.arrays import AnyArray, BoolArray, Box, FloatArray, IntArray

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def n_threads() -> int:
    """Give the number of threads to use: `MILIARY_THREADS`, or the cores this process may use.

    Less one for each process of ours that works beside this one (`lend_core`).

    Returns
    -------
    int
        At least 1.
    """
    return max(1, _n_cores() - sum(busy() for busy in _borrowers))


def _n_cores() -> int:
    wanted = os.environ.get("MILIARY_THREADS", "")
    if wanted.isdigit():
        return int(wanted)
    # Only Linux tells which cores a process may use.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


#: Tell whether what works beside this process still does.
_borrowers: list[Callable[[], bool]] = []


def lend_core(busy: Callable[[], bool]) -> Callable[[], None]:
    """Use one thread less while something else takes a core.

    Parameters
    ----------
    busy : callable
        Tells whether it still does; asked whenever threads are to be used.

    Returns
    -------
    callable
        Takes the core back for good; to be called once.
    """
    _borrowers.append(busy)
    return lambda: _borrowers.remove(busy)


def over_slabs(work: Callable[[int, int], None], n_slices: int, slab: int) -> None:
    """Do some work for slab after slab of an image, on threads.

    Parameters
    ----------
    work : callable
        Called with the first slice of a slab and the one after its last; calls must not depend
        on each other.
    n_slices : int
        Slices of the image.
    slab : int
        Slices of a slab. What a slab needs should fit into a core's cache; that the slabs do not
        depend on the number of threads keeps results the same.
    """
    on_threads(lambda start: work(start, min(start + slab, n_slices)), range(0, n_slices, slab))


def slab_of(shape: tuple[int, ...], n_voxels: int) -> int:
    """Give the slices of a slab that holds about so many voxels.

    Parameters
    ----------
    shape : (3,) int
        Shape of the image.
    n_voxels : int
        How many are wanted.

    Returns
    -------
    int
        1 to 32.
    """
    return min(max(n_voxels // max(shape[1] * shape[2], 1), 1), 32)


def filter_in_slabs(
    function: Callable[[AnyArray], FloatArray], image: AnyArray, *, halo: int
) -> FloatArray:
    """Apply a local filter to slabs along the first axis, two a thread, and join the results.

    Parameters
    ----------
    function : callable
        Maps a part of the image to a float32 array of the same shape. Where it looks farther
        than `halo` slices the joins would show.
    image : (Z, ...) array
        What to filter.
    halo : int
        Slices that the filter sees on each side.

    Returns
    -------
    (Z, ...) float32
        As `function(image)`.
    """
    n_slices, workers = len(image), n_threads()
    bounds = np.linspace(0, n_slices, min(2 * workers, max(n_slices, 1)) + 1).astype(int)
    result = np.empty(image.shape, np.float32)

    def work(start: int, stop: int) -> None:
        low, high = max(start - halo, 0), min(stop + halo, n_slices)
        result[start:stop] = function(image[low:high])[start - low : stop - low]

    on_threads(lambda ends: work(*ends), pairwise(bounds))
    return result


def on_threads(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Apply a function to several items on threads; NumPy and SciPy leave the interpreter lock.

    Whoever calls works too, and helpers come from one pool: a call within a call adds no thread,
    but gets those that others have left. Neither an idle core nor more threads than cores.

    Parameters
    ----------
    function : callable
        Takes one item; calls must not depend on each other.
    items : iterable
        Items.

    Returns
    -------
    list
        Results, in the order of the items.
    """
    work = list(items)
    most = n_threads()
    n_helpers = min(most, len(work)) - 1
    if n_helpers < 1:
        return [function(item) for item in work]
    results: list[_Result | None] = [None] * len(work)
    # Who asks first gets the next; the interpreter gives each number once.
    turns = iter(range(len(work)))

    def help_out() -> None:
        try:
            for turn in turns:
                results[turn] = function(work[turn])
        except BaseException:
            # Nobody need begin another item.
            deque(turns, maxlen=0)
            raise

    helpers = [_pool(most - 1).submit(help_out) for _ in range(n_helpers)]
    try:
        help_out()
    finally:
        # What no helper has begun by now is done.
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()
    return cast("list[_Result]", results)


#: Helpers by their number, made once: 200 pools a scan would be 400 threads made and joined.
_pools: dict[int, ThreadPoolExecutor] = {}
_making = threading.Lock()


def _pool(n: int) -> ThreadPoolExecutor:
    with _making:
        if n not in _pools:
            _pools[n] = ThreadPoolExecutor(n, thread_name_prefix="miliary")
        return _pools[n]


def dismiss_helpers() -> None:
    """End all helpers, for a fork; the next work on threads makes new ones."""
    for pool in _pools.values():
        pool.shutdown()
    _pools.clear()


# A forked child has the pools but none of their threads: it makes its own. And what works beside
# its parent is not its business.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)
    os.register_at_fork(after_in_child=_borrowers.clear)


def tiles_of(mask: BoolArray, tile_shape: tuple[int, int, int]) -> list[Box]:
    """Cover a mask with boxes of at most some shape, each no larger than what it holds.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        What is to be covered.
    tile_shape : (3,) int
        Largest box.

    Returns
    -------
    list of (3,) slice
        Boxes that do not overlap; none for an empty mask.
    """
    starts = [range(0, n, step) for n, step in zip(mask.shape, tile_shape, strict=True)]
    tiles = []
    for first in product(*starts):
        sides = [
            slice(a, min(a + step, n))
            for a, step, n in zip(first, tile_shape, mask.shape, strict=True)
        ]
        part = mask[tuple(sides)]
        for axis in range(3):
            held = np.flatnonzero(part.any(axis=tuple({0, 1, 2} - {axis})))
            if len(held) == 0:
                break
            start = sides[axis].start
            sides[axis] = slice(start + int(held[0]), start + int(held[-1]) + 1)
        else:
            tiles.append((sides[0], sides[1], sides[2]))
    return tiles


def cut_with_halo(image: AnyArray, box: Box, halo: IntArray, dtype: type = np.float32) -> AnyArray:
    """Copy a part of an image with some voxels around.

    Parameters
    ----------
    image : (Z, Y, X) array
        Image; beyond its border the outermost voxels go on.
    box : (3,) slice
        The part.
    halo : (3,) int
        Voxels on both sides, along z, y and x.
    dtype : type
        Kind of the copy.

    Returns
    -------
    (z, y, x) array
        The part and its halo, contiguous whatever the order of the image.
    """
    wanted = [
        (side.start - n, side.stop + n) for side, n in zip(box, np.asarray(halo), strict=True)
    ]
    there = [(max(a, 0), min(b, n)) for (a, b), n in zip(wanted, image.shape, strict=True)]
    part: AnyArray = image[tuple(slice(a, b) for a, b in there)].astype(dtype, order="C")
    missing = [(c - a, b - d) for (a, b), (c, d) in zip(wanted, there, strict=True)]
    return np.pad(part, missing, mode="edge") if np.any(missing) else part
