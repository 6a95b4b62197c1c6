"""Width of many straight edges, and from them the point spread, without interpolation.

An oblique edge passes the voxels at many distances: set against its own distance to the edge,
each voxel is a sample of the edge spread function, far denser than the grid (the oversampled
edge method). Each edge is fitted with a Gaussian's edge spread,
`low + (high - low) Φ(distance / sigma)`; its place and its tilt are fitted with it, as a wrong
normal would widen it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy import special

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.kernels.neighbourhood import ball_offsets
from miliary.kernels.overshoot import Overshoot

#: Order of the parameters of a fit; the tilts are slopes along two directions in the edge.
_LOW, _HIGH, _OFFSET, _LOG_SIGMA, _TILT = range(5)
_N_PARAMETERS = 6

#: Damping of the normal equations: start, and how it changes with success and failure.
_DAMPING_START, _DAMPING_DOWN, _DAMPING_UP = 1e-2, 0.2, 8.0

#: The first round finds place and tilt, the second looks at the voxels that these call for.
_STEPS = (5, 8)

#: Edges fitted together: their voxels stay within some 20 MB.
_BATCH = 256

#: Bounds of a fit: sigma as parts of the reach, tilt as a slope, place as a part of the reach.
_SIGMA_PARTS, _MAX_TILT, _MAX_OFFSET = (0.03, 1.0), 0.6, 0.6

#: A fit rests when a step changes place, tilt and the logarithm of sigma by less than this.
_REST = 5e-3

#: Where all voxels lie in one slice, a tilt out of it cannot be seen: squares of tilts count like
#: this many squares of the contrast, which the usual ten voxels on an edge do not feel.
_TILT_RIDGE = 0.05

#: First guess of sigma, as a part of the reach.
_SIGMA_GUESS = 0.2

#: The quantile regression is solved by weights, residuals counting as at least this part.
_LEAST_RESIDUAL, _N_REWEIGHTINGS = 0.01, 40


@dataclass(frozen=True, eq=False)
class EdgeFit:
    """The edges that fit best, one row each.

    Parameters
    ----------
    low_hu, high_hu : (N,) float
        Level on both sides.
    sigma_mm : (N,) float
        Standard deviation of the point spread across the edge.
    normal : (N, 3) float
        Unit vectors `(z, y, x)` from the low side to the high one.
    residual_hu : (N,) float
        Root mean square of what the fit leaves.
    usable : (N,) bool
        Whether the fit came to rest away from its bounds, with enough voxels.
    """

    low_hu: FloatArray
    high_hu: FloatArray
    sigma_mm: FloatArray
    normal: FloatArray
    residual_hu: FloatArray
    usable: BoolArray


def fit_edges(
    image: AnyArray,
    index_zyx: FloatArray,
    spacing_mm: FloatArray,
    *,
    smoothing_mm: float,
    reach_mm: float,
    width_mm: float,
    overshoot: Overshoot | None = None,
) -> EdgeFit:
    """Fit a blurred straight edge to the voxels round each of many places.

    Damped Gauss-Newton steps on all edges of a batch together.

    Parameters
    ----------
    image : (Z, Y, X) int16 or float32
        Image in HU.
    index_zyx : (N, 3) float
        Places near edges, as indices.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    smoothing_mm : float
        Standard deviation of the Gaussian under which the first normal is taken.
    reach_mm : float
        Voxels up to this distance on both sides of the edge take part.
    width_mm : float
        Voxels up to this distance from the place, along the edge, take part.
    overshoot : Overshoot or None
        Enhancement of the edges; none unless given.

    Returns
    -------
    EdgeFit
        One row a place, in order; places whose neighbourhood leaves the image are not usable.
    """
    if not min(smoothing_mm, reach_mm, width_mm) > 0:
        raise ValueError(
            "smoothing_mm, reach_mm and width_mm must be positive, "
            f"got {smoothing_mm}, {reach_mm} and {width_mm}"
        )
    spacing = np.asarray(spacing_mm, float)
    index = np.asarray(index_zyx, float).reshape(-1, 3)
    # The voxel nearest to the place is up to half a voxel off, the edge up to its bound.
    offsets = ball_offsets(np.hypot(reach_mm * (1 + _MAX_OFFSET / 2), width_mm), spacing)
    overshoot = Overshoot.none(len(index)) if overshoot is None else overshoot
    lengths_mm = (smoothing_mm, reach_mm, width_mm)
    parts = [
        _fit_batch(image, index[rows], spacing, offsets, lengths_mm, overshoot.take(rows))
        for rows in np.array_split(np.arange(len(index)), max(1, -(-len(index) // _BATCH)))
    ]
    names = [field.name for field in fields(EdgeFit)]
    return EdgeFit(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def spread_across(
    sigma_mm: FloatArray, normal_z: FloatArray, *, quantile: float
) -> tuple[float, float]:
    """Part the width of edges into that along z and that in plane.

    An edge with the normal n is blurred by `sigma_n² = sigma_z² n_z² + sigma_xy² (1 - n_z²)`:
    a line through the squares, by quantile regression, so that neither the worst edges nor the
    best count for more than one each.

    Parameters
    ----------
    sigma_mm : (N,) float
        Standard deviation across each edge.
    normal_z : (N,) float
        Component along z of each unit normal.
    quantile : float
        Share of edges that are to be sharper than the answer: 0.5 is the median.

    Returns
    -------
    sigma_z_mm, sigma_xy_mm : float
        Standard deviation along z and in plane; NaN without edges.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile must be between 0 and 1, got {quantile}")
    if len(sigma_mm) == 0:
        return np.nan, np.nan
    squared, along = np.asarray(sigma_mm, float) ** 2, np.asarray(normal_z, float) ** 2
    design = np.column_stack([along, 1.0 - along])
    solution = np.full(2, np.quantile(squared, quantile))
    for _ in range(_N_REWEIGHTINGS):
        expected = design @ solution
        # Relative, as a wide edge scatters more than a sharp one.
        residual = squared / expected - 1.0
        side = np.where(residual > 0, quantile, 1.0 - quantile)
        weight = side / np.maximum(np.abs(residual), _LEAST_RESIDUAL) / expected**2
        solution = np.linalg.lstsq(
            design * np.sqrt(weight)[:, None], squared * np.sqrt(weight), rcond=None
        )[0]
        # A variance is positive: where z edges are missing the line may run off.
        solution = np.maximum(solution, 1e-3 * squared.mean())
    sigma_z, sigma_xy = np.sqrt(solution).tolist()
    return sigma_z, sigma_xy


def _fit_batch(
    image: AnyArray,
    index: FloatArray,
    spacing: FloatArray,
    offsets: IntArray,
    lengths_mm: tuple[float, float, float],
    overshoot: Overshoot,
) -> EdgeFit:
    smoothing_mm, reach_mm, width_mm = lengths_mm
    voxels = np.rint(index).astype(np.intp)[:, None] + offsets
    whole = ((voxels >= 0) & (voxels < image.shape)).all(axis=(1, 2))
    z, y, x = np.moveaxis(np.clip(voxels, 0, np.array(image.shape) - 1), -1, 0)
    values = image[z, y, x].astype(float)
    places = (voxels - index[:, None]) * spacing
    frame, parameters = _first_guess(values, places, smoothing_mm, reach_mm)
    origin = frame[:, :, 0] * parameters[:, _OFFSET, None]
    for n_steps in _STEPS:
        parameters[:, _OFFSET] = parameters[:, _TILT:] = 0.0
        local = np.ascontiguousarray(np.moveaxis((places - origin[:, None]) @ frame, 2, 0))
        inside = np.abs(local[0]) <= reach_mm
        inside &= np.hypot(local[1], local[2]) <= width_mm
        seen = _Seen.of(values, local, inside, overshoot)
        parameters, cost, resting = _descend(seen, parameters, reach_mm, n_steps)
        origin += frame[:, :, 0] * parameters[:, _OFFSET, None]
        frame, slope = _turned(frame, parameters[:, _TILT:])
        # Distances were taken along the old normal, which is oblique to the edge.
        parameters[:, _LOG_SIGMA] -= np.log(slope)
    spare = inside.sum(axis=1) - _N_PARAMETERS
    sigma = np.exp(parameters[:, _LOG_SIGMA])
    least, most = (part * reach_mm for part in _SIGMA_PARTS)
    return EdgeFit(
        low_hu=parameters[:, _LOW],
        high_hu=parameters[:, _HIGH],
        sigma_mm=sigma,
        normal=frame[:, :, 0],
        residual_hu=np.sqrt(cost / np.maximum(spare, 1)),
        usable=whole & resting & (spare > 0) & (sigma > 1.1 * least) & (sigma < 0.9 * most),
    )


def _first_guess(
    values: FloatArray, places: FloatArray, smoothing_mm: float, reach_mm: float
) -> tuple[FloatArray, FloatArray]:
    """Frames (N, 3, 3), the normal as their first column, and parameters (N, 6)."""
    near = np.exp(-0.5 * (places**2).sum(axis=-1) / smoothing_mm**2)
    near /= near.sum(axis=1, keepdims=True)
    level = (near * values).sum(axis=1)
    centred = places - np.einsum("np,npa->na", near, places)[:, None]
    slope = np.einsum("np,np,npa->na", near, values - level[:, None], centred)
    slope /= np.einsum("np,npa->na", near, centred**2)
    steepness = np.maximum(np.linalg.norm(slope, axis=1), 1e-6)
    low, high = np.quantile(values, (0.15, 0.85), axis=1)
    offset = np.clip((0.5 * (low + high) - level) / steepness, -reach_mm / 2, reach_mm / 2)
    log_sigma = np.full(len(values), np.log(_SIGMA_GUESS * reach_mm))
    flat = np.zeros(len(values))
    parameters = np.column_stack([low, high, offset, log_sigma, flat, flat])
    return _frames(slope), parameters


def _frames(normal: FloatArray) -> FloatArray:
    """Orthonormal frames (N, 3, 3), columns, that begin with a direction (N, 3)."""
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    first = np.where(length > 0, normal / np.maximum(length, 1e-12), (0.0, 0.0, 1.0))
    # The axis that lies least along the direction is never parallel to it.
    other = np.eye(3)[np.abs(first).argmin(axis=1)]
    second = np.cross(first, other)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def _turned(frame: FloatArray, tilt: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Frames turned to a fitted tilt, and what it stretched distances along the old normal by."""
    normal = frame[:, :, 0] - (frame[:, :, 1:] @ tilt[..., None])[..., 0]
    return _frames(normal), np.linalg.norm(normal, axis=1)


@dataclass(frozen=True, eq=False)
class _Seen:
    """Voxels (N, P) of each edge, and which take part.

    Their places (3, N, P) are given along the normal and the two directions in the edge.
    """

    values: FloatArray
    local: FloatArray
    inside: BoolArray
    overshoot: Overshoot

    @classmethod
    def of(
        cls, values: FloatArray, local: FloatArray, inside: BoolArray, overshoot: Overshoot
    ) -> _Seen:
        """Leave out voxels that count in no row."""
        most = int(inside.sum(axis=1).max(initial=0))
        chosen = np.argsort(~inside, axis=1, kind="stable")[:, :most]
        return cls(
            np.take_along_axis(values, chosen, 1),
            np.take_along_axis(local, chosen[None], 2),
            np.take_along_axis(inside, chosen, 1),
            overshoot,
        )


def _descend(
    seen: _Seen, parameters: FloatArray, reach_mm: float, n_steps: int
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Damped Gauss-Newton steps of all edges together; also costs (N,), and which came to rest."""
    damping = np.full(len(parameters), _DAMPING_START)
    resting = np.zeros(len(parameters), bool)
    cost, normal, gradient = _normal_equations(seen, parameters)
    for _ in range(n_steps):
        diagonal = np.einsum("nii->ni", normal) + 1e-9
        damped = normal + (damping[:, None] * diagonal)[..., None] * np.eye(_N_PARAMETERS)
        step = np.linalg.solve(damped, gradient[..., None])[..., 0]
        trial = _bounded(parameters + step, reach_mm)
        new_cost, new_normal, new_gradient = _normal_equations(seen, trial)
        better = new_cost <= cost
        resting |= np.abs(trial - parameters)[:, _OFFSET:].max(axis=1) < _REST
        parameters = np.where(better[:, None], trial, parameters)
        cost = np.where(better, new_cost, cost)
        normal = np.where(better[:, None, None], new_normal, normal)
        gradient = np.where(better[:, None], new_gradient, gradient)
        damping *= np.where(better, _DAMPING_DOWN, _DAMPING_UP)
        if resting.all():
            break
    return parameters, cost, resting


def _bounded(parameters: FloatArray, reach_mm: float) -> FloatArray:
    """Keep a step where the model means something."""
    least, most = np.log(np.multiply(_SIGMA_PARTS, reach_mm))
    parameters[:, _LOG_SIGMA] = np.clip(parameters[:, _LOG_SIGMA], least, most)
    limit = _MAX_OFFSET * reach_mm
    parameters[:, _OFFSET] = np.clip(parameters[:, _OFFSET], -limit, limit)
    parameters[:, _TILT:] = np.clip(parameters[:, _TILT:], -_MAX_TILT, _MAX_TILT)
    return parameters


def _normal_equations(
    seen: _Seen, parameters: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cost (N,), J'J (N, 6, 6) and J'r (N, 6) at the parameters."""
    jacobian, residual = _linearised(seen, parameters)
    normal = jacobian @ np.swapaxes(jacobian, 1, 2)
    gradient = (jacobian @ residual[..., None])[..., 0]
    tilt, tilting = parameters[:, _TILT:], np.arange(_TILT, _N_PARAMETERS)
    ridge = _TILT_RIDGE * (parameters[:, _HIGH] - parameters[:, _LOW])[:, None] ** 2
    normal[:, tilting, tilting] += ridge
    gradient[:, _TILT:] -= ridge * tilt
    return (residual**2).sum(axis=1) + (ridge * tilt**2).sum(axis=1), normal, gradient


def _linearised(seen: _Seen, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slopes (N, 6, P) of the model by its parameters, and what it leaves (N, P); 0 outside."""
    low, high, _, log_sigma, *_ = (parameters[:, k, None] for k in range(_N_PARAMETERS))
    share, distance, slope = _edge(seen, parameters)
    residual = (seen.values - (low + (high - low) * share)) * seen.inside
    jacobian = np.empty((len(share), _N_PARAMETERS, share.shape[1]))
    slope *= low - high
    jacobian[:, _LOW], jacobian[:, _HIGH] = 1.0 - share, share
    jacobian[:, _OFFSET] = by_offset = slope * np.exp(-log_sigma)
    jacobian[:, _LOG_SIGMA] = slope * distance
    jacobian[:, _TILT] = by_offset * seen.local[1]
    jacobian[:, _TILT + 1] = by_offset * seen.local[2]
    jacobian *= seen.inside[:, None]
    return jacobian, residual


def _edge(seen: _Seen, parameters: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Share (N, P) of the high side, distance in sigmas, and the share's slope there."""
    _, _, offset, log_sigma, *tilts = (parameters[:, k, None] for k in range(_N_PARAMETERS))
    along, *across = seen.local
    distance = (along - offset - tilts[0] * across[0] - tilts[1] * across[1]) * np.exp(-log_sigma)
    share, slope = special.ndtr(distance), _bell(distance)
    a, halo = seen.overshoot.enhancement, seen.overshoot.halo[:, None]
    if a:
        share = (1 + a) * share - a * special.ndtr(distance / halo)
        slope = (1 + a) * slope - a / halo * _bell(distance / halo)
    return share, distance, slope


def _bell(distance: FloatArray) -> FloatArray:
    bell: FloatArray = np.exp(-0.5 * distance**2) / np.sqrt(2 * np.pi)
    return bell
