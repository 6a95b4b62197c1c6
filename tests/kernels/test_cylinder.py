"""Surfaces laid out by angle and height."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.cylinder import share_round, unroll


def tube(n=2400):
    """A leaning, flattened tube: points, angle (from the right by the front) and height share."""
    k = np.arange(n)
    angle, height = (k * 0.618034 % 1) * 2 * np.pi, k / n
    x = 30 * height - 40 * np.cos(angle)
    y = -25 * np.sin(angle)
    return np.column_stack([x, y, 170 * height]), angle, height


def test_values_come_to_their_cells():
    points, angle, height = tube()
    # The flattened section bends angles, but not their quarter.
    quarter = np.floor(angle / (np.pi / 2))
    cells = unroll(points, quarter + 10 * np.floor(height * 5), n_heights=5, n_angles=4)
    assert_allclose(cells, np.arange(4)[None] + 10 * np.arange(5)[:, None], atol=0.2)


def test_moving_the_patient_changes_nothing():
    points, angle, _ = tube()
    there = unroll(points + np.array([13.0, -70.0, 400.0]), angle, n_heights=6, n_angles=8)
    assert_allclose(there, unroll(points, angle, n_heights=6, n_angles=8))


def test_the_share_of_the_way_round():
    cells = np.array([[4.0, 1.0, np.nan, 5.0], [0.0, 0.0, 0.0, 9.0], [np.nan] * 4])
    assert_array_equal(share_round(cells, 3.0), [2 / 3, 0.25, np.nan])


def test_nothing_and_no_cells():
    assert np.isnan(unroll(np.empty((0, 3)), np.empty(0), n_heights=2, n_angles=3)).all()
    with pytest.raises(ValueError, match="must have cells, got 0 x 3"):
        unroll(np.empty((0, 3)), np.empty(0), n_heights=0, n_angles=3)
