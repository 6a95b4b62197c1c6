"""Voxels round places: which, what they show, and how far they take part."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.neighbourhood import Neighbourhood, ball_offsets

SHAPE, SPACING = (19, 23, 29), np.array([1.25, 0.7, 0.8])
PLACES = np.array([[11.0, 8.1, 12.3], [0.2, 0.1, 22.2]])


def test_offsets_are_those_within_reach():
    offsets = ball_offsets(1.3, SPACING)
    assert len(offsets) == len(np.unique(offsets, axis=0))
    assert (np.linalg.norm(offsets * SPACING, axis=1) <= 1.3).all()
    grid = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    assert len(offsets) == (np.linalg.norm(grid * SPACING, axis=1) <= 1.3).sum()


def test_values_and_places_are_those_of_the_image_and_the_unknown_hardly_counts(rng):
    image = rng.normal(size=SHAPE).astype(np.float32)
    inside = rng.random(SHAPE) < 0.7
    around = Neighbourhood.of(image, inside, PLACES, SPACING, ball_offsets(1.6, SPACING))
    places = around.middle_mm[:, None] + around.places_mm.T
    voxels = np.rint(places / SPACING).astype(int)
    assert (np.linalg.norm(places[0] - PLACES[0], axis=1) < 1.6 + 0.85).all()
    offsets = np.swapaxes(around.offsets(PLACES), 1, 2)
    assert_allclose(offsets, places - PLACES[:, None], atol=1e-6)
    known = ((voxels >= 0) & (voxels < SHAPE)).all(axis=-1)
    assert not known[1].all()
    assert_allclose(around.values[known], image[tuple(voxels[known].T)])
    known[known] = inside[tuple(voxels[known].T)]
    assert_array_equal(around.taking_part == 1, known)
    assert around.taking_part[~known].max() < 0.01
    assert_array_equal(around.take(np.array([1])).values, around.values[1:])


def test_voxels_near_the_ball_take_part_and_far_ones_do_not():
    offsets = ball_offsets(4.0, SPACING)
    around = Neighbourhood.of(np.zeros(SHAPE), None, PLACES[:1], SPACING, offsets)
    near = around.near(PLACES[:1], np.array([1.0]), 1.2).taking_part[0]
    distance = np.linalg.norm(around.offsets(PLACES[:1])[0], axis=0)
    assert near[distance < 1.8].min() > 0.95
    assert near[distance > 2.6].max() < 0.05
