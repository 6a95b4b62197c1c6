"""The fork of an airway tree."""

from __future__ import annotations

import numpy as np

import oracles_anatomy as oracles
from miliary.kernels.airtree import find_fork

SHAPE, SPACING = (60, 50, 70), np.array([1.5, 1.4, 1.6])
GRID = oracles.grid_mm(SHAPE, SPACING)


def tree():
    """A trachea that divides at z = 0 mm into two bronchi, and a branch that rises beside it."""
    air = oracles.tube(GRID, (0, 0, 0), (60, 0, 0), 7.0)
    for sign in (-1, 1):
        air = air | oracles.tube(GRID, (0, 0, 0), (-30, 0, 30 * sign), 5.0)
    return air | oracles.tube(GRID, (-20, 0, 20), (25, 0, 40), 3.5)


def test_the_fork_lies_where_the_trachea_divides_whatever_rises_beside_it():
    fork_mm = (find_fork(tree(), SPACING) - (SHAPE[0] - 1) / 2) * SPACING[0]
    # Two tubes of 5 mm radius part some 7 mm below the crossing of their axes.
    assert -12.0 < fork_mm <= 0.0


def test_without_air_or_fork_there_is_none():
    assert find_fork(np.zeros(SHAPE, bool), SPACING) is None
    assert find_fork(oracles.tube(GRID, (-20, 0, 0), (60, 0, 0), 7.0), SPACING) is None
