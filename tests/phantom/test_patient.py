"""One patient in several scans: the same places, more nodules, another breath and scanner."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.phantom import PhantomSpec, make_phantom, make_serial_phantoms, scene

FIRST = PhantomSpec.of(
    shape=(60, 90, 112), spacing_mm=(1.5, 1.2, 1.1), scale=0.3, n_nodules=30, noise_hu=10.0,
    diameter_sd_mm=0.0, seed=5,
)  # fmt: skip


def test_growing_numbers_keep_the_old_nodules_in_place():
    one, two = make_serial_phantoms([FIRST, FIRST.but(n_nodules=45)])
    assert (len(one.nodules), len(two.nodules)) == (30, 45)
    assert_allclose(one.nodules.points_mm, two.nodules.points_mm[:30], atol=1e-9)
    assert_array_equal(one.lung_labels, two.lung_labels)
    assert not np.array_equal(one.volume.hu, two.volume.hu)


def test_growing_sizes_grow_every_nodule():
    one, two = make_serial_phantoms([FIRST, FIRST.but(diameter_mm=2.7)])
    assert_allclose(two.nodules.diameter_mm, 1.5 * one.nodules.diameter_mm)


def test_another_breath_moves_nodules_with_the_lung():
    full, out = make_serial_phantoms([FIRST, FIRST.but(breath=0.85)])
    assert (out.lung_labels > 0).sum() < 0.85 * (full.lung_labels > 0).sum()
    kept = len(out.nodules) / len(full.nodules)
    assert kept > 0.95
    # World (x, y, z): the patient's width does not change, height does, about the middle.
    if kept == 1:
        assert_allclose(out.nodules.points_mm[:, 0], full.nodules.points_mm[:, 0], atol=1e-6)
        assert_allclose(out.nodules.points_mm[:, 2], 0.85 * full.nodules.points_mm[:, 2], atol=1e-6)


def test_another_scanner_sees_the_same_patient():
    one, two = make_serial_phantoms(
        [FIRST, FIRST.but(spacing_mm=(1.0, 1.0, 1.0), shape=(90, 108, 123))]
    )
    assert_allclose(one.nodules.points_mm, two.nodules.points_mm, atol=1e-6)
    ml = [
        np.bincount(p.lung_labels.reshape(-1))[1:] * p.volume.geometry.voxel_ml for p in (one, two)
    ]
    assert_allclose(ml[0], ml[1], rtol=0.03)


def test_a_rind_may_grow_from_scan_to_scan():
    thin, thick = make_serial_phantoms(
        [FIRST.but(encased_lung="left", rind_mm=r, lungs="right") for r in (2.0, 5.0)]
    )
    left = [(p.lung_labels == 2).sum() for p in (thin, thick)]
    assert left[1] < 0.8 * left[0]
    assert_array_equal(thin.lung_labels == 1, thick.lung_labels == 1)


def test_a_series_of_one_is_the_phantom_itself_but_for_its_noise():
    quiet = FIRST.but(noise_hu=0.0)
    (one,) = make_serial_phantoms([quiet])
    assert_array_equal(one.volume.hu, make_phantom(quiet).volume.hu)


def test_number_of_threads_does_not_matter(monkeypatch):
    class Alone:
        """A pool that does everything at once, in the caller."""

        def __init__(self, _):
            self.name = threading.current_thread().name

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def map(self, function, items):
            return [function(item) for item in items]

    two = make_phantom(FIRST)
    monkeypatch.setattr(scene, "ThreadPoolExecutor", Alone)
    one = make_phantom(FIRST)
    assert_array_equal(one.volume.hu, two.volume.hu)
    assert_array_equal(one.tissue_labels, two.tissue_labels)


@pytest.mark.parametrize(
    ("visits", "message"),
    [
        ([], "visits must hold at least one scan, got none"),
        ([FIRST, FIRST.but(pattern="metastases")], "every visit must have the same patterns"),
    ],
)
def test_visits_that_cannot_be_are_named(visits, message):
    with pytest.raises(ValueError, match=message):
        make_serial_phantoms(visits)
