"""Filters run slab by slab give what they give in one go."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

from miliary.kernels.slabs import (
    cut_with_halo,
    filter_in_slabs,
    n_threads,
    on_threads,
    over_slabs,
    slab_of,
    tiles_of,
)


def running_sum(part):
    return ndimage.uniform_filter1d(part, 5, axis=0, mode="nearest").astype(np.float32)


@pytest.mark.parametrize("n_slices", [1, 2, 3, 19])
@pytest.mark.parametrize("threads", ["1", "3"])
def test_slabs_join_without_a_seam(rng, monkeypatch, n_slices, threads):
    monkeypatch.setenv("MILIARY_THREADS", threads)
    image = rng.integers(-1000, 100, (n_slices, 5, 7)).astype(np.float32)
    joined = filter_in_slabs(running_sum, image, halo=2)
    assert joined.dtype == np.float32
    assert_array_equal(joined, running_sum(image))


def test_too_small_a_halo_shows_so_the_halo_is_needed(rng, monkeypatch):
    monkeypatch.setenv("MILIARY_THREADS", "2")
    image = rng.normal(0, 100, (19, 5, 7)).astype(np.float32)
    assert (filter_in_slabs(running_sum, image, halo=0) != running_sum(image)).any()


def test_no_slices_are_no_slices():
    assert filter_in_slabs(np.abs, np.empty((0, 5, 7), np.float32), halo=2).shape == (0, 5, 7)


def test_a_failure_in_one_slab_is_raised():
    def fail(part):
        raise ValueError("this slab is broken")

    with pytest.raises(ValueError, match="this slab is broken"):
        filter_in_slabs(fail, np.zeros((19, 5, 7), np.float32), halo=1)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_results_come_in_the_order_of_the_items_from_calls_within_calls_too(monkeypatch, threads):
    monkeypatch.setenv("MILIARY_THREADS", threads)

    def rows(n):
        return on_threads(lambda k: 10 * n + k, range(5))

    assert on_threads(rows, range(7)) == [[10 * n + k for k in range(5)] for n in range(7)]
    assert on_threads(rows, []) == []


def test_no_more_threads_work_than_were_asked_for(monkeypatch):
    monkeypatch.setenv("MILIARY_THREADS", "2")
    lock, working, most = threading.Lock(), [0], [0]

    def work(_):
        with lock:
            working[0] += 1
            most[0] = max(most[0], working[0])
        time.sleep(0.002)
        with lock:
            working[0] -= 1

    on_threads(lambda _: on_threads(work, range(6)), range(4))
    assert most == [2]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_after_a_failure_no_other_item_is_begun(monkeypatch, threads):
    monkeypatch.setenv("MILIARY_THREADS", threads)
    begun = []

    def work(k):
        begun.append(k)
        time.sleep(0.01)
        raise ValueError(f"item {k} is broken")

    with pytest.raises(ValueError, match="is broken"):
        on_threads(work, range(100))
    assert len(begun) <= int(threads)


@pytest.mark.parametrize(("wanted", "expected"), [("5", 5), ("0", 1)])
def test_the_number_of_threads_can_be_asked_for(monkeypatch, wanted, expected):
    monkeypatch.setenv("MILIARY_THREADS", wanted)
    assert n_threads() == expected


@pytest.mark.parametrize("wanted", ["", "many", "-2"])
def test_without_a_number_the_cores_decide(monkeypatch, wanted):
    monkeypatch.setenv("MILIARY_THREADS", wanted)
    assert n_threads() >= 1


def test_where_the_system_does_not_tell_which_cores_all_of_them_count(monkeypatch):
    monkeypatch.delenv("MILIARY_THREADS", raising=False)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert n_threads() == 6
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert n_threads() == 1


@pytest.mark.parametrize(("plane", "slices"), [((512, 512), 8), ((4096, 4096), 1), ((5, 7), 32)])
def test_slabs_hold_about_as_many_voxels_as_asked_for(plane, slices):
    assert slab_of((100, *plane), 2**21) == slices


@pytest.mark.parametrize("threads", ["1", "3"])
def test_every_slice_is_in_one_slab(monkeypatch, threads):
    monkeypatch.setenv("MILIARY_THREADS", threads)
    seen = np.zeros(19, int)

    def work(start, stop):
        seen[start:stop] += 1

    over_slabs(work, 19, 8)
    assert_array_equal(seen, 1)


def test_tiles_cover_a_mask_once_and_hold_no_empty_margin(rng):
    mask = np.zeros((19, 23, 29), bool)
    mask[3:9, 4:20, 5:8] = rng.random((6, 16, 3)) < 0.5
    mask[12:18, 2:5, 20:] = True
    count = np.zeros(mask.shape, int)
    for tile in tiles_of(mask, (7, 9, 11)):
        count[tile] += 1
        part = mask[tile]
        assert (np.array(part.shape) <= (7, 9, 11)).all()
        for axis in range(3):
            lines = part.any(axis=tuple({0, 1, 2} - {axis}))
            assert lines[0]
            assert lines[-1]
    assert count.max() == 1
    assert count[mask].all()
    assert tiles_of(np.zeros(mask.shape, bool), (7, 9, 11)) == []


def test_a_part_with_its_halo_goes_on_beyond_the_border(rng):
    image = rng.integers(-1000, 100, (5, 7, 9)).astype(np.int16)
    box = (slice(0, 2), slice(3, 5), slice(6, 9))
    found = cut_with_halo(image, box, np.array([1, 0, 2]))
    expected = np.pad(image, 3, mode="edge")[2:6, 6:8, 7:14]
    assert found.dtype == np.float32
    assert_array_equal(found, expected)


@pytest.mark.parametrize("reach", [0, 2])
def test_a_part_with_its_halo_is_contiguous_whatever_the_order_of_the_image(rng, reach):
    image = rng.integers(-1000, 100, (5, 7, 9)).astype(np.int16)
    box = (slice(0, 5), slice(0, 7), slice(0, 9))
    found = cut_with_halo(np.asfortranarray(image), box, np.full(3, reach))
    assert found.flags.c_contiguous
    assert_array_equal(found, cut_with_halo(image, box, np.full(3, reach)))
