"""Slices laid on even places, and moved upright, against hand-sized cases and a slow twin."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import RegularGridInterpolator

from miliary.io.resample import plan_resampling, resample

PIXEL_MM, SIZE = (0.7, 0.8), (11, 13)


def laid(stack, z_mm, places_mm, lean=(0.0, 0.0), keep_mm=0.01, threads=2):
    plan, corner_mm = plan_resampling(
        np.array(z_mm, float),
        np.array(places_mm, float),
        np.array(lean),
        PIXEL_MM,
        stack.shape[1:],
        keep_mm=keep_mm,
    )
    out = np.empty((plan.n_slices, plan.rows, plan.columns), np.int16)
    resample(stack, plan, out, threads=threads)
    return out, plan, corner_mm


def test_a_missing_slice_is_the_mean_of_its_neighbours():
    stack = np.array([0, 100, 300], np.int16)[:, None, None] * np.ones(SIZE, np.int16)
    out, plan, _ = laid(stack, [0, 1, 3], [0, 1, 2, 3])
    assert out[:, 0, 0].tolist() == [0, 100, 200, 300]
    assert plan.n_interpolated == 1


def test_slices_near_their_place_are_kept(rng):
    stack = rng.integers(-900, 200, (5, *SIZE)).astype(np.int16)
    out, plan, _ = laid(stack, [0.01, 0.99, 2.02, 3.0, 4.0], range(5), keep_mm=0.05)
    assert_array_equal(out, stack)
    assert plan.n_interpolated == 0


@pytest.mark.parametrize("lean", [(0.3, 0.0), (-0.3, 0.0), (0.2, -0.4)])
def test_a_shear_agrees_with_interpolation_in_the_world(rng, lean):
    stack = rng.integers(-900, 200, (6, *SIZE)).astype(np.int16)
    z_mm = np.arange(6) * 1.25
    out, _, corner_mm = laid(stack, z_mm, z_mm, lean)
    rows_mm, columns_mm = (np.arange(n) * step for n, step in zip(SIZE, PIXEL_MM, strict=True))
    for index, z in enumerate(z_mm):
        offset = np.array(lean) * z
        look = RegularGridInterpolator(
            (rows_mm + offset[0], columns_mm + offset[1]), stack[index].astype(float),
            bounds_error=False, fill_value=np.nan,
        )  # fmt: skip
        grid = np.stack(
            np.meshgrid(
                *(np.arange(n) * step for n, step in zip(out.shape[1:], PIXEL_MM, strict=True)),
                indexing="ij",
            ),
            axis=-1,
        )
        truth = look(grid + corner_mm)
        scanned = np.isfinite(truth)
        assert scanned.sum() >= (SIZE[0] - 1) * (SIZE[1] - 1)
        # Rounding to whole HU, and a shift below 2 % of a pixel that is left out.
        assert_allclose(out[index][scanned], truth[scanned], atol=25)
        assert np.median(np.abs(out[index][scanned] - truth[scanned])) <= 0.5


def test_threads_do_not_change_the_result(rng):
    stack = rng.integers(-900, 200, (9, *SIZE)).astype(np.int16)
    z_mm, places_mm = np.cumsum(rng.uniform(0.5, 1.5, 9)), None
    places_mm = np.linspace(z_mm[0], z_mm[-1], 12)
    one, _, _ = laid(stack, z_mm, places_mm, (0.1, 0.2), threads=1)
    three, _, _ = laid(stack, z_mm, places_mm, (0.1, 0.2), threads=3)
    assert_array_equal(one, three)
