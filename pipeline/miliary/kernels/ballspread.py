"""How wide the point spread is that balls are seen through, told by the balls themselves.

Size and blur of a ball look alike, yet not quite: with the contrast held by what is known of its
tissue, the amount of it tells the size, and its width then tells the blur.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.kernels.ballfit import BallFit, FitModel, descend
from miliary.kernels.forks import on_processes
from miliary.kernels.neighbourhood import Neighbourhood, ball_offsets

#: Factors of the point spread that are tried: from three quarters to four thirds of it.
_LOG_FACTORS = np.linspace(-0.3, 0.3, 7)

#: Least curvature of a ball's cost over the logarithm of the factor.
_LEAST_CURVATURE = 1e-6

#: Balls tried together.
_BATCH = 64


def spread_factors(
    image: AnyArray,
    balls: BallFit,
    spacing_mm: FloatArray,
    model: FitModel,
    *,
    reach_mm: float,
    inside: BoolArray,
) -> tuple[FloatArray, FloatArray]:
    """Fit each ball through wider and narrower point spreads, and tell which fits it best.

    All fits of a ball look at the same voxels, so that their costs can be compared.

    Parameters
    ----------
    image : (Z, Y, X) int16 or float32
        Image in HU.
    balls : BallFit
        Balls as fitted through the point spread of the model.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    model : FitModel
        The model they were fitted with.
    reach_mm : float
        Half width of the neighbourhood: the largest radius and the margin at least.
    inside : (Z, Y, X) bool
        Voxels outside take no part.

    Returns
    -------
    log_factor : (N,) float
        Logarithm of the best factor of the point spread, within the tried ones.
    misfit : (N,) float
        What the best fit leaves, per voxel, in variances of the noise.
    """
    n = len(balls.diameter_mm)
    if n == 0:
        return np.empty(0), np.empty(0)
    offsets = ball_offsets(reach_mm, np.asarray(spacing_mm, float))

    def try_all(rows: AnyArray) -> tuple[FloatArray, FloatArray]:
        start = balls.centre_grid_mm[rows]
        parameters = np.column_stack(
            [start, balls.diameter_mm[rows] / 2, balls.contrast_hu[rows], balls.background_hu[rows]]
        )
        around = Neighbourhood.of(image, inside, start, spacing_mm, offsets)
        around = around.near(start, parameters[:, 3], model.margin_mm)
        cost = np.empty((len(rows), len(_LOG_FACTORS)))
        for k, factor in enumerate(np.exp(_LOG_FACTORS).tolist()):
            z, y, x = (factor * sigma for sigma in model.psf_sigma_mm)
            seen = replace(model, psf_sigma_mm=(z, y, x))
            fitted = descend(around, parameters, start, seen)
            # The next factor is near this one, and so is its fit.
            parameters, cost[:, k] = fitted.parameters, fitted.cost
        voxels = np.maximum(around.taking_part.sum(axis=1), 1.0)
        return _lowest(cost), cost.min(axis=1) / voxels

    parts = on_processes(try_all, np.array_split(np.arange(n), -(-n // _BATCH)))
    log_factor, misfit = (np.concatenate(column) for column in zip(*parts, strict=True))
    return log_factor, misfit


def _lowest(cost: FloatArray) -> FloatArray:
    """Place of the minimum of each row, by a parabola through its three lowest points."""
    step = _LOG_FACTORS[1] - _LOG_FACTORS[0]
    middle = np.clip(cost.argmin(axis=1), 1, cost.shape[1] - 2)
    rows = np.arange(len(cost))
    below, here, above = (cost[rows, middle + k] for k in (-1, 0, 1))
    curvature = np.maximum(below - 2 * here + above, _LEAST_CURVATURE)
    place = _LOG_FACTORS[middle] + step * (below - above) / (2 * curvature)
    lowest: FloatArray = np.clip(place, _LOG_FACTORS[0], _LOG_FACTORS[-1])
    return lowest
