"""Squares of distances by shifts against the exact transform, and extents against the mask."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.distances import to_other_voxels
from miliary.kernels.squares import MOST, Costs, Extents, Squares

SHAPE, SPACING = (19, 23, 29), (1.25, 0.7, 0.8)
EVERYWHERE = Extents.of(np.ones(SHAPE, bool), (0, 0, 0))
#: Squares are rounded once along each axis.
ROUNDING_UNITS = 1.5


@pytest.mark.parametrize("reach_mm", [0.5, 3.0, 9.0, 40.0])
def test_squares_are_those_of_distances_within_reach(rng, reach_mm):
    inside = rng.random(SHAPE) < 0.999
    costs = Costs.of(SPACING, reach_mm)
    squares = Squares.of(inside, costs, EVERYWHERE)
    parts = [squares.section(start, min(start + 4, 19)) for start in range(0, 19, 4)]
    found = np.concatenate([some for _, some in parts])
    true = (to_other_voxels(inside, np.array(SPACING)) / reach_mm) ** 2 * float(MOST)
    near = true < int(MOST) - ROUNDING_UNITS
    assert_allclose(found[near], true[near], atol=ROUNDING_UNITS)
    # Within reach along each axis, but not across: it may be told or not.
    assert (found[~near] >= int(MOST) - ROUNDING_UNITS).all()
    assert_allclose(costs.table_mm()[[0, -1]], [0.0, reach_mm], rtol=1e-6)


def test_a_step_is_a_step_and_a_diagonal_is_longer():
    inside = np.ones((1, 3, 3), bool)
    inside[0, 0, 0] = False
    costs = Costs.of((1.0, 1.0, 2.0), 5.0)
    _, squares = Squares.of(inside, costs, Extents.of(inside, (0, 0, 0))).section(0, 1)
    exact = np.array([[[0, 4, 16], [1, 5, 17], [4, 8, 20]]])
    assert_allclose(squares * costs.unit_mm2, exact, atol=ROUNDING_UNITS * costs.unit_mm2)


def test_only_what_is_wanted_is_looked_at_and_that_is_right(rng):
    wanted = np.zeros(SHAPE, bool)
    wanted[3:9, 4:11, 5:12], wanted[12:15, 12:20, 15:26] = True, True
    inside = rng.random(SHAPE) < 0.99
    costs = Costs.of(SPACING, 4.0)
    whole, some = (
        np.concatenate([_whole_section(Squares.of(inside, costs, e), z) for z in range(19)])
        for e in (EVERYWHERE, Extents.of(wanted, (2, 3, 3)))
    )
    # Voxels beyond the boxes are not looked at: those near to their rims may be too far.
    seen = Squares.of(Extents.of(wanted, (2, 3, 3)).only(~inside) == 0, costs, EVERYWHERE)
    certain = np.concatenate([_whole_section(seen, z) for z in range(19)])
    assert (some[wanted] >= whole[wanted]).all()
    assert (some[wanted] <= certain[wanted]).all()


def _whole_section(squares, z):
    image = np.full((1, *SHAPE[1:]), MOST)
    (_, rows, columns), found = squares.section(z, z + 1)
    image[:, rows, columns] = found
    return image


def test_extents_hold_the_mask_and_its_margin(rng):
    wanted = rng.random(SHAPE) > 0.999
    wanted[:4] = False
    margin = (1, 2, 3)
    extents = Extents.of(wanted, margin)
    held = extents.only(np.ones(SHAPE, bool))
    for z, y, x in np.argwhere(wanted):
        near = tuple(
            slice(max(i - n, 0), i + n + 1) for i, n in zip((z, y, x), margin, strict=True)
        )
        assert held[near].all()
    for z in range(19):
        rows, columns = extents.within(z, z + 1)
        near = wanted[max(z - 1, 0) : z + 2].any(axis=0)
        used = np.argwhere(near)
        if len(used):
            low, high = used.min(axis=0), used.max(axis=0)
            assert (rows.start, columns.start) == tuple(np.maximum(low - margin[1:], 0))
            assert (rows.stop, columns.stop) == tuple(np.minimum(high + margin[1:] + 1, SHAPE[1:]))
    assert_array_equal(held[:2], False)


def test_blocks_hold_the_voxels_that_are_wanted(rng):
    wanted = rng.random(SHAPE) > 0.999
    factors = (1, 2, 2)
    extents = Extents.of(wanted, (0, 0, 0)).coarser(factors, (19, 12, 15))
    held = extents.only(np.ones((19, 12, 15), bool))
    for place in np.argwhere(wanted) // factors:
        near = tuple(slice(max(i - 1, 0), i + 2) for i in place)
        assert held[near].all()
