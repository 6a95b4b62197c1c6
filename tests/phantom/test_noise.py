"""Noise has the spread, spectrum and correlation that were asked for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.phantom.noise import coloured_noise, shoulder_streaks

SHAPE, SPACING_MM = (19, 23, 29), (1.25, 0.7, 0.8)


def power_spectrum(noise):
    """Power in plane, and its frequencies along y and x."""
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(axis=0)
    fy = np.fft.fftfreq(noise.shape[1], SPACING_MM[1])[:, None]
    return power, fy, np.fft.fftfreq(noise.shape[2], SPACING_MM[2])[None]


@pytest.mark.parametrize("shape", [(64, 96, 110), (64, 95, 111)])
@pytest.mark.parametrize(("z_sigma_mm", "peak_per_mm"), [(0.0, 0.3), (0.6, 0.3), (0.5, 0.5)])
def test_noise_has_the_spread_and_spectrum_asked_for(rng, shape, z_sigma_mm, peak_per_mm):
    sd_hu = 37.0
    noise = coloured_noise(shape, SPACING_MM, sd_hu, peak_per_mm, z_sigma_mm, rng)
    assert noise.shape == shape
    assert noise.dtype == np.float32
    assert abs(noise.std() / sd_hu - 1) < 0.02
    assert abs(noise.mean()) < 0.01 * sd_hu
    power, fy, fx = power_spectrum(noise)
    f = np.hypot(fy, fx)
    ring = np.rint(f / 0.05).astype(int)
    counted = np.bincount(ring.ravel())
    measured = np.bincount(ring.ravel(), power.ravel()) / counted
    asked = np.bincount(ring.ravel(), (f * np.exp(-f / peak_per_mm)).ravel()) / counted
    rings = slice(2, 12)
    ratio = (measured / measured[rings].sum())[rings] / (asked / asked[rings].sum())[rings]
    assert_allclose(ratio, 1.0, atol=0.1)


def test_noise_has_the_same_spread_everywhere(rng):
    # The columns of no frequency along x are few: a wrong factor there shows along y.
    # With so high a peak there is power up to the highest frequency, whose column is as special.
    noise = coloured_noise((400, 24, 24), SPACING_MM, 10.0, 3.0, 0.0, rng)
    assert_allclose(noise.std(axis=0), 10.0, rtol=0.15)
    power, fy, fx = power_spectrum(noise)
    f = np.hypot(fy, fx) + 1e-9
    columns = (power / (f * np.exp(-f / 3.0)))[1:].mean(axis=0)
    assert_allclose(columns / columns.mean(), 1.0, atol=0.08)


@pytest.mark.parametrize(("step_mm", "z_sigma_mm"), [(1.25, 0.8), (0.6, 0.8), (0.5, 0.25)])
def test_noise_is_correlated_along_z_as_the_slice_profile(rng, step_mm, z_sigma_mm):
    noise = coloured_noise((80, 64, 64), (step_mm, 0.7, 0.8), 10.0, 0.3, z_sigma_mm, rng)
    for lag in (1, 2, 4):
        between = (noise[lag:] * noise[:-lag]).mean() / noise.var()
        asked = np.exp(-((lag * step_mm) ** 2) / (4 * z_sigma_mm**2))
        assert_allclose(between, asked, atol=0.03)


def test_no_noise_is_nothing(rng):
    assert not coloured_noise(SHAPE, SPACING_MM, 0.0, 0.3, 0.5, rng).any()


def test_noise_is_the_same_on_any_number_of_threads(monkeypatch):
    made = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("MILIARY_THREADS", threads)
        rng = np.random.default_rng(7)
        noise = coloured_noise((30, 40, 51), SPACING_MM, 20.0, 0.4, 0.6, rng)
        made.append((noise, shoulder_streaks(SHAPE, SPACING_MM, rng)))
    for noise, streaks in made[1:]:
        assert_array_equal(noise, made[0][0])
        assert_array_equal(streaks, made[0][1])


def test_streaks_run_from_side_to_side(rng):
    streaks = shoulder_streaks((64, 96, 110), SPACING_MM, rng)
    assert_allclose(streaks.std(), 1.0, atol=0.05)
    power, fy, fx = power_spectrum(streaks)
    steep = np.arctan2(np.abs(fx), np.abs(fy)) < np.radians(6)
    assert power[steep].sum() > 0.98 * power.sum()
    # A streak is alike 5 mm along x, and not half a wave along y.
    along = (streaks[:, :, 6:] * streaks[:, :, :-6]).mean()
    across = (streaks[:, 3:] * streaks[:, :-3]).mean()
    assert along > 0.9
    assert across < 0.1


def test_streaks_are_alike_in_few_slices(rng):
    streaks = shoulder_streaks((90, 64, 64), SPACING_MM, rng)
    near, far = ((streaks[lag:] * streaks[:-lag]).mean() for lag in (1, 6))
    assert near > 0.7
    assert abs(far) < 0.15
