"""Smooth height fields over a plane: thin plates through scattered points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import linalg, ndimage, sparse

from miliary.arrays import FloatArray


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
    sample = bilinear_matrix(nodes, shape)
    weighted = sample.T.multiply(weights).tocsr()
    area = float(np.prod(steps))
    matrix = weighted @ sample + bending * _energy(shape, (float(steps[0]), float(steps[1])))
    matrix = matrix + pull * area * sparse.identity(matrix.shape[0])
    return _solve_banded(sparse.csr_array(matrix), weighted @ heights).reshape(shape)


def _solve_banded(matrix: sparse.csr_array, right: FloatArray) -> FloatArray:
    """Solve by Cholesky within the band: a node knows those of two rows before and after it.

    A third of the time of SciPy's solver for any sparse matrix.
    """
    entries = matrix.tocoo()
    below = entries.row >= entries.col
    row, column = entries.row[below], entries.col[below]
    band = np.zeros((int((row - column).max(initial=0)) + 1, len(right)))
    np.add.at(band, (row - column, column), entries.data[below])
    solved: FloatArray = linalg.solveh_banded(
        band, right, lower=True, overwrite_ab=True, check_finite=False
    )
    return solved


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
    if min(shape) < 2:
        raise ValueError(f"a height field must have 2 nodes along each axis, got {shape}")
    limit = np.array(shape) - 1
    place = np.clip(nodes, 0, limit)
    # A place on the last node belongs to the cell before it, or it would have no neighbour.
    low = np.minimum(place.astype(np.intp), limit - 1)
    part = place - low
    rows, columns, values = [], [], []
    for a in (0, 1):
        for b in (0, 1):
            rows.append(np.arange(len(place)))
            columns.append((low[:, 0] + a) * shape[1] + low[:, 1] + b)
            values.append(np.abs(1 - a - part[:, 0]) * np.abs(1 - b - part[:, 1]))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.coo_array(entries, shape=(len(place), shape[0] * shape[1])).tocsr()


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
def _energy(shape: tuple[int, int], steps: tuple[float, float]) -> sparse.csr_array:
    """Bending energy, kept: a surface is fitted several times on the same nodes."""
    return bending_energy(shape, np.array(steps))


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
