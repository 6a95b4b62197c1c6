"""Fit blurred balls to an image: place, diameter, contrast and background of many at once.

A threshold would squeeze true diameters of 1.0 to 2.0 mm into 1.2 to 1.75 mm and so fake a
uniform size (own calculation, told in ARCHITECTURE.md). The fit undoes the point spread.
Below about 2 mm contrast and diameter can hardly be told apart; what is known of soft tissue
then decides, as a prior on the contrast, and counts in the standard error.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.kernels.ball_slopes import ball_share_and_slopes
from miliary.kernels.forks import on_processes
from miliary.kernels.neighbourhood import Neighbourhood, ball_offsets

#: Order of the parameters of a fit.
_Z, _Y, _X, _RADIUS, _CONTRAST, _BACKGROUND = range(6)

#: Damping of the normal equations: start, and how it changes with success and failure.
_DAMPING_START, _DAMPING_DOWN, _DAMPING_UP = 1e-2, 0.3, 8.0

_ROUNDS = 2

#: An outlier lies at least so many standard deviations of the noise off ...
_OUTLIER_NOISES = 1.0
#: ... and on the dark side weights fall no farther than to so many.
_DARK_NOISES = 3.0

#: Least curvature of the cost that counts, and what keeps scaled normal equations regular.
_LEAST_CURVATURE = 1e-12
_TRIFLE = 1e-9

#: Voxels of the balls fitted together: some 100 MB of slopes and the like.
_AT_ONCE = 2**20

#: A fit rests when a step moves place and radius by less than this.
_REST_MM = 1e-3


@dataclass(frozen=True, eq=False)
class BallFit:
    """The balls that fit best, one row each.

    Parameters
    ----------
    centre_grid_mm : (N, 3) float
        Centres as grid points `(z, y, x)`.
    diameter_mm, diameter_se_mm : (N,) float
        Diameters and their standard errors.
    contrast_hu, background_hu : (N,) float
        Contrast of the unblurred ball, and the level around it.
    converged : (N,) bool
        Whether the fit came to rest within its steps.
    """

    centre_grid_mm: FloatArray
    diameter_mm: FloatArray
    diameter_se_mm: FloatArray
    contrast_hu: FloatArray
    background_hu: FloatArray
    converged: BoolArray

    def take(self, rows: IntArray) -> BallFit:
        """Give some of the balls.

        Parameters
        ----------
        rows : (M,) int
            Which.

        Returns
        -------
        BallFit
            Those, in that order.
        """
        return BallFit(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class FitModel:
    """What is known before the fit.

    Parameters
    ----------
    psf_sigma_mm : (3,) float
        Standard deviation of the point spread along z, y and x.
    noise_hu : float
        Standard deviation of the image noise.
    tissue_hu, tissue_sd_hu : float
        What nodules are made of: mean and standard deviation of the prior on
        background + contrast.
    min_diameter_mm, max_diameter_mm : float
        The fit stays between them.
    margin_mm : float
        Voxels up to this distance beyond the ball's surface take part.
    outlier_hu : float
        Residuals well above this (a vessel beside the ball) lose their weight.
    n_steps : int
        Most steps of the fit.
    """

    psf_sigma_mm: tuple[float, float, float]
    noise_hu: float
    tissue_hu: float
    tissue_sd_hu: float
    min_diameter_mm: float
    max_diameter_mm: float
    margin_mm: float
    outlier_hu: float
    n_steps: int


@dataclass(frozen=True, eq=False)
class Descent:
    """Where fits came to.

    Parameters
    ----------
    parameters : (N, 6) float
        Centre, radius, contrast and background.
    cost : (N,) float
        Weighted squares, prior included.
    normal : (N, 6, 6) float
        `J'WJ`.
    resting : (N,) bool
        Whether each came to rest.
    """

    parameters: FloatArray
    cost: FloatArray
    normal: FloatArray
    resting: BoolArray


def fit_balls(
    image: FloatArray,
    start_grid_mm: FloatArray,
    start_diameter_mm: FloatArray,
    spacing_mm: FloatArray,
    model: FitModel,
    *,
    reach_mm: float,
    batch: int,
    inside: BoolArray | None = None,
) -> BallFit:
    """Fit a blurred ball on a flat background to each of many places.

    Damped Gauss-Newton steps on all balls of a batch together; voxels brighter than the model
    allows lose their weight, so that a vessel beside a nodule does not make it larger.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Image in HU; a ball that reaches over its border is fitted to what is on it.
    start_grid_mm : (N, 3) float
        First guess of the centres, as grid points.
    start_diameter_mm : (N,) float
        First guess of the diameters.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    model : FitModel
        What is known before.
    reach_mm : float
        Half width of the neighbourhood that is looked at; at least the largest radius expected
        and the margin.
    batch : int
        Balls fitted together at most; fewer where they are of many voxels.
    inside : (Z, Y, X) bool or None
        Where given, voxels outside take no part: the wall that a ball lies at is none of it.

    Returns
    -------
    BallFit
        One row a place, in order.
    """
    start = np.asarray(start_grid_mm, float).reshape(-1, 3)
    diameter = np.asarray(start_diameter_mm, float)
    spacing = np.asarray(spacing_mm, float)
    ball = ball_offsets(reach_mm, spacing)
    batch = min(batch, max(1, _AT_ONCE // len(ball)))

    def fit(rows: IntArray) -> tuple[AnyArray, ...]:
        return _fit_batch(image, inside, start[rows], diameter[rows], spacing, ball, model)

    batches = np.array_split(np.arange(len(start)), max(1, -(-len(start) // batch)))
    parts = on_processes(fit, batches)
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    return BallFit(*joined)


def _fit_batch(
    image: FloatArray,
    inside: BoolArray | None,
    start: FloatArray,
    diameter: FloatArray,
    spacing: FloatArray,
    ball: IntArray,
    model: FitModel,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, BoolArray]:
    around = Neighbourhood.of(image, inside, start, spacing, ball)
    parameters = _first_guess(around.values, start, diameter, model)
    # The first round finds the size, the second looks at the voxels that this size calls for.
    for _ in range(_ROUNDS):
        nearby = around.near(parameters[:, :3], parameters[:, _RADIUS], model.margin_mm)
        found = descend(nearby, parameters, start, model)
        parameters = found.parameters
    error = _radius_error(found.normal)
    return (
        parameters[:, :3],
        2 * parameters[:, _RADIUS],
        2 * error,
        parameters[:, _CONTRAST],
        parameters[:, _BACKGROUND],
        found.resting,
    )


def _radius_error(normal: FloatArray) -> FloatArray:
    """Standard error of the radius from (N, 6, 6) normal equations; huge where nothing tells it."""
    length = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), _LEAST_CURVATURE))
    # Scaled, so that millimetres and HU stand beside each other; a trifle then makes each regular.
    scaled = normal / (length[:, :, None] * length[:, None, :]) + _TRIFLE * np.eye(normal.shape[1])
    variance = np.linalg.inv(scaled)[:, _RADIUS, _RADIUS]
    error: FloatArray = np.sqrt(np.maximum(variance, 0.0)) / length[:, _RADIUS]
    return error


def descend(
    around: Neighbourhood, parameters: FloatArray, start: FloatArray, model: FitModel
) -> Descent:
    """Take damped Gauss-Newton steps of all balls together.

    Parameters
    ----------
    around : Neighbourhood
        What they look at.
    parameters : (N, 6) float
        Centre, radius, contrast and background to start from.
    start : (N, 3) float
        Places that they may not walk far from.
    model : FitModel
        The model.

    Returns
    -------
    Descent
        Where they came to.
    """
    parameters = parameters.copy()
    damping = np.full(len(parameters), _DAMPING_START)
    resting = np.zeros(len(parameters), bool)
    cost, normal, gradient = _normal_equations(around, parameters, model)
    for _ in range(model.n_steps):
        # Only balls that still move are worked on: most rest early, a few take every step.
        moving = np.flatnonzero(~resting)
        if len(moving) == 0:
            break
        curvature = np.maximum(np.einsum("nii->ni", normal[moving]), _LEAST_CURVATURE)
        diagonal = curvature[:, :, None] * np.eye(6)
        damped = normal[moving] + damping[moving, None, None] * diagonal
        step = np.linalg.solve(damped, gradient[moving][..., None])[..., 0]
        trial = _bounded(parameters[moving] + step, start[moving], model)
        new_cost, new_normal, new_gradient = _normal_equations(around.take(moving), trial, model)
        better = new_cost <= cost[moving]
        moved = np.abs(trial - parameters[moving])[:, : _RADIUS + 1].max(axis=1)
        damping[moving] *= np.where(better, _DAMPING_DOWN, _DAMPING_UP)
        resting[moving] = moved < _REST_MM
        accepted = moving[better]
        parameters[accepted], cost[accepted] = trial[better], new_cost[better]
        normal[accepted], gradient[accepted] = new_normal[better], new_gradient[better]
    return Descent(parameters, cost, normal, resting)


def _first_guess(
    values: FloatArray, start: FloatArray, diameter: FloatArray, model: FitModel
) -> FloatArray:
    parameters = np.empty((len(start), 6))
    parameters[:, :3] = start
    parameters[:, _RADIUS] = np.clip(diameter, model.min_diameter_mm, model.max_diameter_mm) / 2
    # The lung around: more than half of the neighbourhood is neither nodule nor vessel.
    parameters[:, _BACKGROUND] = np.quantile(values, 0.35, axis=1)
    parameters[:, _CONTRAST] = model.tissue_hu - parameters[:, _BACKGROUND]
    return parameters


def _bounded(parameters: FloatArray, start: FloatArray, model: FitModel) -> FloatArray:
    """Keep a step where the model means something; a ball may not walk off to its neighbour."""
    low, high = model.min_diameter_mm / 2, model.max_diameter_mm / 2
    parameters[:, _RADIUS] = np.clip(parameters[:, _RADIUS], low, high)
    walk = np.maximum(0.8, 0.5 * parameters[:, _RADIUS])[:, None]
    parameters[:, :3] = np.clip(parameters[:, :3], start - walk, start + walk)
    parameters[:, _CONTRAST] = np.maximum(parameters[:, _CONTRAST], 1.0)
    return parameters


def _normal_equations(
    around: Neighbourhood, parameters: FloatArray, model: FitModel
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cost (N,), J'WJ (N, 6, 6) and J'Wr (N, 6) at the parameters, prior included."""
    _, _, _, radius, contrast, background = parameters.T.astype(np.float32)[..., None]
    share, by_offset, by_radius = ball_share_and_slopes(
        around.offsets(parameters[:, :3]), radius[:, 0], model.psf_sigma_mm
    )
    jacobian = np.empty((len(share), 6, share.shape[1]), np.float32)
    np.multiply(by_offset, -contrast[:, None], out=jacobian[:, :_RADIUS])
    np.multiply(by_radius, contrast, out=jacobian[:, _RADIUS])
    jacobian[:, _CONTRAST], jacobian[:, _BACKGROUND] = share, 1.0
    residual = around.values - background - contrast * share
    loss, robust = _robust(residual, model)
    robust *= around.taking_part
    weighted = jacobian * robust[:, None]
    normal = (weighted @ np.swapaxes(jacobian, 1, 2)).astype(float) / model.noise_hu**2
    gradient = (weighted @ residual[..., None])[..., 0].astype(float) / model.noise_hu**2
    loss *= around.taking_part
    cost = loss.sum(axis=1, dtype=float) / model.noise_hu**2
    tissue = parameters[:, _BACKGROUND] + parameters[:, _CONTRAST]
    miss = (model.tissue_hu - tissue) / model.tissue_sd_hu
    gradient[:, _CONTRAST:] += miss[:, None] / model.tissue_sd_hu
    normal[:, _CONTRAST:, _CONTRAST:] += 1 / model.tissue_sd_hu**2
    return cost + miss**2, normal, gradient


def _robust(residual: FloatArray, model: FitModel) -> tuple[FloatArray, FloatArray]:
    """Cauchy's loss in HU squared, and the weights that go with it.

    Only what is too bright is an outlier: lung is never darker than its background by much. Yet
    noise must weigh alike on both sides, or it would pull the background down (by 22 HU at 100 HU
    of noise): the weights fall on the dark side too, as far as noise reaches and no farther.
    """
    scale = max(model.outlier_hu, _OUTLIER_NOISES * model.noise_hu)
    far = _DARK_NOISES * model.noise_hu
    excess = np.maximum(residual, np.minimum(-residual, far)) / scale
    weight = 1.0 / (1.0 + excess**2)
    loss = scale**2 * np.log1p(excess**2)
    beyond = np.maximum(-residual, far) ** 2 - far**2
    return loss + weight * beyond, weight
