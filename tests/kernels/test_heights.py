"""Thin plates through points: planes stay planes, and the dense solution is the same."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.kernels.heights import (
    bending_energy,
    bilinear_matrix,
    fit_heights,
    linear_matrix,
    read_heights,
    sum_by_node,
)

SHAPE, STEPS = (9, 12), np.array([2.5, 1.7])
#: A sparse solve and a dense one round differently.
ROUNDING = 1e-9


def field_of(function):
    u, v = np.meshgrid(
        *(np.arange(n) * d for n, d in zip(SHAPE, STEPS, strict=True)), indexing="ij"
    )
    return function(u, v)


def places(rng, n=40):
    return rng.uniform(0, np.array(SHAPE) - 1, (n, 2))


def test_a_plane_through_three_points_is_the_whole_plane():
    plane = field_of(lambda u, v: 3 + 0.4 * u - 0.7 * v)
    nodes = np.array([[0.0, 0.0], [8.0, 1.0], [3.0, 11.0]])
    heights = read_heights(plane, nodes)
    fitted = fit_heights(nodes, heights, np.ones(3), SHAPE, STEPS, bending=1.0, pull=0.0)
    assert_allclose(fitted, plane, atol=1e-6)


def test_a_plane_does_not_bend_and_a_bowl_does():
    energy = bending_energy(SHAPE, STEPS)
    plane = field_of(lambda u, v: 1 - u + 2 * v).ravel()
    assert abs(plane @ energy @ plane) < ROUNDING
    bowl = field_of(lambda u, v: (u**2 + v**2) / 2).ravel()
    # Second derivatives of 1 both ways, summed where the stencil fits.
    inner = ((SHAPE[0] - 2) * SHAPE[1] + SHAPE[0] * (SHAPE[1] - 2)) * np.prod(STEPS)
    assert_allclose(bowl @ energy @ bowl, inner)


def test_a_saddle_bends_by_its_twist():
    saddle = field_of(lambda u, v: u * v).ravel()
    cells = (SHAPE[0] - 1) * (SHAPE[1] - 1) * np.prod(STEPS)
    assert_allclose(saddle @ bending_energy(SHAPE, STEPS) @ saddle, 2 * cells)


def test_the_plate_is_the_least_of_the_quadratic_form(rng):
    nodes, heights, weights = places(rng), rng.normal(size=40), rng.uniform(0.1, 2, 40)
    fitted = fit_heights(nodes, heights, weights, SHAPE, STEPS, bending=3.0, pull=0.2)
    sample = bilinear_matrix(nodes, SHAPE).toarray()
    form = sample.T @ np.diag(weights) @ sample + 3.0 * bending_energy(SHAPE, STEPS).toarray()
    form += 0.2 * np.prod(STEPS) * np.eye(len(form))
    truth = np.linalg.solve(form, sample.T @ (weights * heights))
    assert_allclose(fitted.ravel(), truth, atol=ROUNDING)


def test_without_points_the_pull_decides():
    none = np.zeros((0, 2))
    fitted = fit_heights(none, none[:, 0], none[:, 0], SHAPE, STEPS, bending=1.0, pull=0.1)
    assert_allclose(fitted, 0)


def test_reading_by_matrix_and_by_interpolation_agree(rng):
    field, nodes = rng.normal(size=SHAPE), places(rng) * 1.2 - 1
    assert_allclose(bilinear_matrix(nodes, SHAPE) @ field.ravel(), read_heights(field, nodes))


def test_reading_a_grid_row_by_row_and_point_by_point_agree(rng):
    field, u, v = rng.normal(size=SHAPE), rng.uniform(-1, 9, 7), rng.uniform(-1, 12, 5)
    grid = np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).reshape(-1, 2)
    read = linear_matrix(u, SHAPE[0]) @ (linear_matrix(v, SHAPE[1]) @ field.T).T
    assert_allclose(read.ravel(), read_heights(field, grid))


def test_several_fields_are_read_at_once(rng):
    fields, nodes = rng.normal(size=(3, *SHAPE)), places(rng)
    assert_allclose(read_heights(fields, nodes)[2], read_heights(fields[2], nodes))


def test_weights_are_summed_at_the_nearest_node_and_outside_ones_left_out():
    nodes = np.array([[1.4, 2.0], [0.6, 2.4], [-0.7, 0.0], [8.6, 3.0]])
    total = sum_by_node(nodes, np.array([1.0, 2.0, 4.0, 8.0]), SHAPE)
    assert total[1, 2] == 3.0
    assert total.sum() == 3.0


def test_a_field_of_one_row_is_refused():
    with pytest.raises(ValueError, match=r"2 nodes along each axis, got \(1, 4\)"):
        bilinear_matrix(np.zeros((1, 2)), (1, 4))
