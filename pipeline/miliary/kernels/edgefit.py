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

#: Order of the parameters of a fit; the tilts are slopes along two directions in the edge.
_LOW, _HIGH, _OFFSET, _LOG_SIGMA, _TILT = range(5)
_N_PARAMETERS = 6

#: Damping of the normal equations: start, and how it changes with success and failure.
_DAMPING_START, _DAMPING_DOWN, _DAMPING_UP = 1e-2, 0.2, 8.0

#: The first round finds place and tilt, the second looks at the voxels that these call for.
_STEPS = (8, 12)

#: Edges fitted together: their voxels stay within some 20 MB.
_BATCH = 256

#: Bounds of a fit: sigma as parts of the reach, tilt as a slope, place as a part of the reach.
_SIGMA_PARTS, _MAX_TILT, _MAX_OFFSET = (0.03, 1.0), 0.6, 0.6

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


def find_faces(mask: BoolArray, axis: int, n: int) -> FloatArray:
    """Choose places on the surface of a mask, evenly spread over its faces across one axis.

    Parameters
    ----------
    mask : (Z, Y, X) bool
        The object; the border of the image is no surface.
    axis : int
        0, 1 or 2.
    n : int
        Most places to give.

    Returns
    -------
    (M, 3) float
        Indices half-way between a voxel of the mask and one outside it, M <= n.
    """
    inside = np.moveaxis(np.asarray(mask, bool), axis, 0)
    flat = np.flatnonzero(inside[1:] != inside[:-1])
    chosen = flat[np.linspace(0, len(flat) - 1, min(n, len(flat))).astype(np.intp)]
    index = np.column_stack(np.unravel_index(chosen, (len(inside) - 1, *inside.shape[1:])))
    places = index.astype(float)
    places[:, 0] += 0.5
    order = np.argsort(np.roll(np.arange(3), 0) if axis == 0 else [axis, *_others(axis)])
    faces: FloatArray = places[:, order]
    return faces


def _others(axis: int) -> list[int]:
    return [other for other in range(3) if other != axis]


def fit_edges(
    image: AnyArray,
    index_zyx: FloatArray,
    spacing_mm: FloatArray,
    *,
    smoothing_mm: float,
    reach_mm: float,
    width_mm: float,
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
    offsets = _ball_offsets(np.hypot(reach_mm * (1 + _MAX_OFFSET / 2), width_mm), spacing)
    parts = [
        _fit_batch(image, rows, spacing, offsets, (smoothing_mm, reach_mm, width_mm))
        for rows in np.array_split(index, max(1, -(-len(index) // _BATCH)))
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


def _ball_offsets(reach_mm: float, spacing: FloatArray) -> IntArray:
    """Voxel offsets (P, 3) within a reach of a voxel."""
    half = np.ceil(reach_mm / spacing).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-h, h + 1) for h in half), indexing="ij"), -1)
    offsets: IntArray = grid.reshape(-1, 3)
    return offsets[((offsets * spacing) ** 2).sum(axis=1) <= reach_mm**2]


def _fit_batch(
    image: AnyArray,
    index: FloatArray,
    spacing: FloatArray,
    offsets: IntArray,
    lengths_mm: tuple[float, float, float],
) -> EdgeFit:
    smoothing_mm, reach_mm, width_mm = lengths_mm
    voxels = np.rint(index).astype(np.intp)[:, None] + offsets
    whole = ((voxels >= 0) & (voxels < image.shape)).all(axis=(1, 2))
    z, y, x = np.moveaxis(np.clip(voxels, 0, np.array(image.shape) - 1), -1, 0)
    values = image[z, y, x].astype(float)
    places = (voxels - index[:, None]) * spacing
    frame, parameters = _first_guess(values, places, smoothing_mm, reach_mm)
    resting = np.zeros(len(index), bool)
    weight = np.zeros(values.shape)
    for n_steps in _STEPS:
        frame, parameters = _turned(frame, parameters)
        local = places @ frame
        local[..., 0] -= parameters[:, _OFFSET, None]
        parameters[:, _OFFSET] = 0.0
        inside = np.abs(local[..., 0]) <= reach_mm
        inside &= np.hypot(local[..., 1], local[..., 2]) <= width_mm
        places = places - frame[:, None, :, 0] * _moved(places, frame, local)
        weight = inside.astype(float)
        parameters, resting = _descend(values, local, weight, parameters, reach_mm, n_steps)
    residual = weight * (values - _model(local, parameters)[0])
    spare = weight.sum(axis=1) - _N_PARAMETERS
    frame, parameters = _turned(frame, parameters)
    sigma = np.exp(parameters[:, _LOG_SIGMA])
    low, high = (part * reach_mm for part in _SIGMA_PARTS)
    return EdgeFit(
        low_hu=parameters[:, _LOW],
        high_hu=parameters[:, _HIGH],
        sigma_mm=sigma,
        normal=frame[:, :, 0],
        residual_hu=np.sqrt((residual**2).sum(axis=1) / np.maximum(spare, 1)),
        usable=whole & resting & (spare > 0) & (sigma > 1.01 * low) & (sigma < 0.99 * high),
    )
