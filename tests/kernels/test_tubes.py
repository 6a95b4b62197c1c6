"""Tubes answer, blobs and plates do not."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import oracles_anatomy as oracles
from miliary.kernels.filters import smooth
from miliary.kernels.hessian import eigenvalues_at
from miliary.kernels.tubes import blob_cores, long_components, response_noise, tube_response

SPACING = np.array([1.25, 0.7, 0.8])
SHAPE = (35, 45, 41)
CENTRE = (17, 22, 20)


def answer(mask, end_penalty=2.0):
    """Response and eigenvalues at the middle of a bright shape in lung."""
    image = np.where(np.broadcast_to(mask, SHAPE), 0.0, -850.0).astype(np.float32)
    values = eigenvalues_at(
        smooth(image, 1.3, SPACING),
        np.array([np.ravel_multi_index(CENTRE, SHAPE)]),
        SPACING,
        scale=1.3**2,
    )
    return float(tube_response(values, end_penalty=end_penalty)[0]), values


def test_a_tube_answers_in_every_direction_but_a_ball_and_a_plate_do_not():
    grid = oracles.grid_mm(SHAPE, SPACING)
    for end in ((20, 0, 0), (0, 20, 0), (12, 10, 10)):
        response, values = answer(oracles.tube(grid, [-e for e in end], end, 1.8))
        assert response > 120
        assert not blob_cores(values, min_ratio=0.35, min_response=35.0)[0]
    response, values = answer(oracles.ellipsoid(grid, (0, 0, 0), (1.8, 1.8, 1.8)))
    assert response < 0
    assert blob_cores(values, min_ratio=0.35, min_response=35.0)[0]
    plate, _ = answer(np.abs(grid[1]) < 1.0)
    assert plate < 20


def test_the_response_by_hand():
    values = np.array([[-90.0, -90.0, -90.0], [-80.0, -80.0, 5.0], [0.0, -30.0, 10.0]])
    assert_array_equal(tube_response(values, end_penalty=2.0), [80.0, 20.0, -5.0])


def test_noise_is_the_spread_of_the_middle_eigenvalue_whatever_few_tubes_add(rng):
    middle = rng.normal(3, 20, 40000)
    middle[:400] = -300
    noise = response_noise(np.stack([middle - 50, middle, middle + 50]))
    assert_allclose(noise, 20, rtol=0.03)
    assert response_noise(np.empty((3, 0))) == 0


def test_long_pieces_with_a_seed_stay_and_lumps_go():
    grid = oracles.grid_mm(SHAPE, SPACING)
    rod = oracles.tube(grid, (-15, -8, -8), (15, -8, -8), 1.0)
    unsure = oracles.tube(grid, (-15, 8, -8), (15, 8, -8), 1.0)
    ball = oracles.ellipsoid(grid, (0, 0, 8), (6, 6, 6))
    short = oracles.tube(grid, (0, 12, 10), (2, 12, 10), 1.0)
    kept = long_components(
        rod | unsure | ball | short,
        rod | ball | short,
        SPACING,
        min_length_mm=10.0,
        max_fill=0.06,
    )
    assert_array_equal(kept, np.broadcast_to(rod, SHAPE))


def test_nothing_gives_nothing():
    none = np.zeros(SHAPE, bool)
    kept = long_components(none, none, SPACING, min_length_mm=10.0, max_fill=0.06)
    assert not kept.any()
