"""Smooth height fields over a plane: thin plates through scattered points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import linalg, ndimage, sparse

from miliary.arrays import FloatArray, IntArray


def fit_heights(
    nodes: FloatArray,
    heights: FloatArray,
    weights: FloatArray,
    shape: tuple[int, int],
    steps: FloatArray,
    *,
    bending: float,
    pull: float,
) -> FloatArray:
    """Lay a thin plate through points, and pull it to zero where there are none.

    Minimises the weighted squared misfit, plus `bending` times the integral of the squared second
    derivatives, plus `pull` times the integral of the squared height.

    Parameters
    ----------
    nodes : (N, 2) float
        Places in units of nodes, from 0 to `shape` - 1; those outside are moved to the border.
    heights, weights : (N,) float
        Height at each place, and its weight.
    shape : (2,) int
        Nodes of the field.
    steps : (2,) float
        Distance of the nodes along both axes.
    bending, pull : float
        Stiffness, and attraction to zero; one of them must be positive for a solution to exist.

    Returns
    -------
    (P, Q) float
        Heights at the nodes.
    """
    columns, shares = _corners(nodes, shape)
    n_nodes = shape[0] * shape[1]
    band = bending * _energy_band(shape, (float(steps[0]), float(steps[1])))
    band[0] += pull * float(np.prod(steps))
    # Each point joins the four corners of its cell: ten pairs, in the band's lower half.
    later, earlier = np.tril_indices(4)
    places = (columns[later] - columns[earlier]) * n_nodes + columns[earlier]
    joined = shares[later] * shares[earlier] * weights
    band += np.bincount(places.ravel(), joined.ravel(), band.size).reshape(band.shape)
    right = np.bincount(columns.ravel(), (shares * (weights * heights)).ravel(), n_nodes)
    # Cholesky within the band takes a third of the time of SciPy's solver for any sparse matrix.
    solved: FloatArray = linalg.solveh_banded(
        band, right, lower=True, overwrite_ab=True, check_finite=False
    )
    return solved.reshape(shape)


def bilinear_matrix(nodes: FloatArray, shape: tuple[int, int]) -> sparse.csr_array:
    """Make the matrix that reads a height field at scattered places.

    Parameters
    ----------
    nodes : (N, 2) float
        Places in units of nodes; those outside are moved to the border.
    shape : (2,) int
        Nodes of the field, at least 2 along each axis.

    Returns
    -------
    (N, P * Q) sparse array
        Times the flattened field it gives the heights at the places.

    Raises
    ------
    ValueError
        When the field has less than 2 nodes along an axis.
    """
    columns, shares = _corners(nodes, shape)
    rows = np.broadcast_to(np.arange(columns.shape[1]), columns.shape)
    entries = (shares.ravel(), (rows.ravel(), columns.ravel()))
    return sparse.coo_array(entries, shape=(columns.shape[1], shape[0] * shape[1])).tocsr()


def _corners(nodes: FloatArray, shape: tuple[int, int]) -> tuple[IntArray, FloatArray]:
    """Corners (4, N) of the cell of each place, ascending, and the share that each has in it."""
    if min(shape) < 2:
        raise ValueError(f"a height field must have 2 nodes along each axis, got {shape}")
    limit = np.array(shape) - 1
    place = np.clip(nodes, 0, limit)
    # A place on the last node belongs to the cell before it, or it would have no neighbour.
    low = np.minimum(place.astype(np.intp), limit - 1)
    part = place - low
    first = low[:, 0] * shape[1] + low[:, 1]
    columns = first + np.array([0, 1, shape[1], shape[1] + 1])[:, None]
    (before_u, before_v), (u, v) = (1 - part).T, part.T
    return columns, np.stack([before_u * before_v, before_u * v, u * before_v, u * v])


def bending_energy(shape: tuple[int, int], steps: FloatArray) -> sparse.csr_array:
    """Make the quadratic form of a thin plate's bending energy.

    Parameters
    ----------
    shape : (2,) int
        Nodes of the field.
    steps : (2,) float
        Distance of the nodes along both axes.

    Returns
    -------
    (P * Q, P * Q) sparse array
        With a field h it gives the integral of h_uu^2 + 2 h_uv^2 + h_vv^2; a plane has none.
    """
    one, two = (sparse.identity(n) for n in shape)
    along = sparse.kron(_difference(shape[0], 2) / steps[0] ** 2, two)
    across = sparse.kron(one, _difference(shape[1], 2) / steps[1] ** 2)
    twist = sparse.kron(_difference(shape[0], 1) / steps[0], _difference(shape[1], 1) / steps[1])
    energy = along.T @ along + 2 * (twist.T @ twist) + across.T @ across
    return sparse.csr_array(energy * float(np.prod(steps)))


@lru_cache(maxsize=4)
def _energy_band(shape: tuple[int, int], steps: tuple[float, float]) -> FloatArray:
    """Bending energy's diagonals from the main one down, kept: a surface is fitted often."""
    energy = bending_energy(shape, np.array(steps)).tocoo()
    below = energy.row >= energy.col
    row, column = energy.row[below], energy.col[below]
    # A node knows those of two rows before and after it.
    band = np.zeros((2 * shape[1] + 1, shape[0] * shape[1]))
    np.add.at(band, (row - column, column), energy.data[below])
    return band


def read_heights(field: FloatArray, nodes: FloatArray) -> FloatArray:
    """Read height fields at scattered places, linearly between the nodes.

    Parameters
    ----------
    field : (..., P, Q) float
        One field or several.
    nodes : (N, 2) float
        Places in units of nodes; beyond the border its values go on.

    Returns
    -------
    (..., N) float
        Heights.
    """
    several = field.reshape(-1, *field.shape[-2:])
    read = [ndimage.map_coordinates(part, nodes.T, order=1, mode="nearest") for part in several]
    return np.reshape(read, (*field.shape[:-2], len(nodes)))


def linear_matrix(places: FloatArray, n: int) -> sparse.csr_array:
    """Make the matrix that reads a row of numbers at scattered places, linearly between them.

    Parameters
    ----------
    places : (M,) float
        Places in units of the row's steps; those outside are moved to its ends.
    n : int
        Numbers of the row, at least 2.

    Returns
    -------
    (M, n) sparse array
        Times the row it gives the numbers at the places.
    """
    place = np.clip(places, 0, n - 1)
    low = np.minimum(place.astype(np.intp), n - 2)
    rows = np.tile(np.arange(len(place)), 2)
    shares = np.concatenate([low + 1 - place, place - low])
    entries = (shares, (rows, np.concatenate([low, low + 1])))
    return sparse.coo_array(entries, shape=(len(place), n)).tocsr()


def sum_by_node(nodes: FloatArray, weights: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Sum weights at the nearest node of each place.

    Parameters
    ----------
    nodes : (N, 2) float
        Places in units of nodes; those outside of the field do not count.
    weights : (N,) float
        What to sum.
    shape : (2,) int
        Nodes of the field.

    Returns
    -------
    (P, Q) float
        Sums.
    """
    near = np.rint(nodes).astype(np.intp)
    counted = ((near >= 0) & (near < np.array(shape))).all(axis=1)
    flat = near[counted] @ np.array([shape[1], 1])
    total = np.bincount(flat, weights[counted], shape[0] * shape[1]).astype(float)
    return total.reshape(shape)


def _difference(n: int, order: int) -> sparse.csr_array:
    stencil = {1: [-1.0, 1.0], 2: [1.0, -2.0, 1.0]}[order]
    rows = max(n - order, 0)
    total = sparse.csr_array((rows, n))
    for offset, value in enumerate(stencil):
        total = total + value * sparse.eye_array(rows, n, k=offset, format="csr")
    return sparse.csr_array(total)
