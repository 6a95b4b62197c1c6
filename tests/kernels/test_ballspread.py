"""Balls tell the blur they are seen through, whatever blur is taken for true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import oracles_detect as oracles
from miliary.kernels.ballfit import FitModel, fit_balls
from miliary.kernels.ballspread import spread_factors

SPACING = np.array([1.0, 0.7, 0.7])
PSF = (0.47, 0.40, 0.40)
NOISE_HU = 20.0
MODEL = FitModel(
    psf_sigma_mm=PSF,
    noise_hu=NOISE_HU,
    tissue_hu=oracles.TISSUE_HU,
    tissue_sd_hu=60.0,
    min_diameter_mm=0.6,
    max_diameter_mm=15.0,
    margin_mm=1.2,
    outlier_hu=30.0,
    n_steps=25,
)
REACH_MM = 3.4
#: One ball tells its blur within 5 % here: three standard errors of the median of 27.
OF_MEDIAN = 0.035


def asked(rng, true_psf, diameter_mm, model=MODEL):
    shape, centres = oracles.lattice(3, 8.0, SPACING, rng)
    diameters = np.full(len(centres), diameter_mm)
    image = oracles.draw_balls(
        shape, SPACING, centres, diameters, true_psf, rng=rng, noise_hu=NOISE_HU
    )
    balls = fit_balls(image, centres, diameters, SPACING, model, reach_mm=REACH_MM, batch=64)
    inside = np.ones(shape, bool)
    return spread_factors(image, balls, SPACING, model, reach_mm=REACH_MM, inside=inside)


@pytest.mark.parametrize("diameter_mm", [1.6, 2.6])
@pytest.mark.parametrize("wrong", [0.85, 1.0, 1.18])
def test_a_wrong_point_spread_is_told_by_the_balls(rng, diameter_mm, wrong):
    z, y, x = (wrong * sigma for sigma in PSF)
    log_factor, misfit = asked(rng, PSF, diameter_mm, replace(MODEL, psf_sigma_mm=(z, y, x)))
    assert_allclose(np.median(log_factor), -np.log(wrong), atol=OF_MEDIAN)
    # What is left is noise, and some of it robustly counts for less.
    assert 0.5 < np.median(misfit) < 1.2


def test_what_is_no_ball_fits_badly_through_any_point_spread(rng):
    image = rng.normal(-850, NOISE_HU, (19, 23, 29)).astype(np.float32)
    # A bar of 2 mm across.
    image[:, 10:13, 13:16] += 700
    centre = np.array([[9.0, 7.7, 9.8]])
    balls = fit_balls(image, centre, np.array([2.0]), SPACING, MODEL, reach_mm=REACH_MM, batch=1)
    inside = np.ones(image.shape, bool)
    _, misfit = spread_factors(image, balls, SPACING, MODEL, reach_mm=REACH_MM, inside=inside)
    assert misfit[0] > 3.0


def test_no_balls_tell_nothing():
    image = np.zeros((9, 9, 9), np.float32)
    none = fit_balls(
        image, np.empty((0, 3)), np.empty(0), SPACING, MODEL, reach_mm=REACH_MM, batch=1
    )
    inside = np.ones(image.shape, bool)
    log_factor, misfit = spread_factors(
        image, none, SPACING, MODEL, reach_mm=REACH_MM, inside=inside
    )
    assert log_factor.shape == misfit.shape == (0,)
