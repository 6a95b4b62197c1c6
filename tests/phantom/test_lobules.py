"""Lobules: their width, their borders, and septa known by a number."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.phantom.chest import Plan, make_chest
from miliary.phantom.lobules import Lobules, SeptumField, make_lobules
from miliary.phantom.spec import PhantomSpec

SPEC = PhantomSpec.of(shape=(120, 128, 160), spacing_mm=(1.1, 1.0, 1.0), scale=0.4)


@pytest.fixture(scope="module")
def chest():
    return make_chest(SPEC, Plan.draw(np.random.default_rng(5)))


@pytest.fixture(scope="module")
def lobules(chest):
    return make_lobules(chest, 12.0, np.random.default_rng(6))


def places(chest, rng, n=3000):
    inside = np.argwhere(chest.depth_mm > 0.5) * chest.step_mm
    points = inside[rng.integers(0, len(inside), n)] + rng.uniform(-0.4, 0.4, (n, 3))
    return points, chest.lobes_at(points)


def septum_by_hand(points, lobe, lobules):
    """Distance to the nearest plane midway between the own seed and another of the lobe."""
    answers = []
    for point, number in zip(points, lobe, strict=True):
        seeds = lobules.seeds_mm[lobules.lobe == number]
        far = np.linalg.norm(seeds - point, axis=1)
        own = seeds[far.argmin()]
        rest = np.delete(seeds, far.argmin(), axis=0)
        way = rest - own
        middle = (rest + own) / 2
        length = np.linalg.norm(way, axis=1)
        answers.append((((middle - point) * way).sum(axis=1) / length).min(initial=np.inf))
    return np.array(answers)


def test_lobules_have_the_width_asked_for(chest, lobules):
    litres = np.count_nonzero(chest.depth_mm > 0) * chest.step_mm**3
    assert_allclose(np.cbrt(litres / len(lobules)), 12.0, rtol=0.05)
    inside = np.argwhere(chest.depth_mm > 0) * chest.step_mm
    owner = lobules.nearest(inside, chest.lobes_at(inside), 1)[1][:, 0]
    width = np.cbrt(np.bincount(owner, minlength=len(lobules)) * chest.step_mm**3)
    # 10 to 25 mm where 16 mm are asked for: five eighths to one and a half times as wide.
    assert ((width > 0.6 * 12) & (width < 1.6 * 12)).mean() > 0.9


def test_every_lobe_has_lobules_of_its_own(chest, lobules):
    assert set(np.unique(lobules.lobe)) == {1, 2, 3, 4, 5}
    points, lobe = places(chest, np.random.default_rng(1))
    row = lobules.nearest(points, lobe, 1)[1][:, 0]
    assert_array_equal(lobules.lobe[row], lobe)


def test_distance_to_septa_is_that_of_every_pair(chest, lobules, rng):
    points, lobe = places(chest, rng, 300)
    assert_allclose(
        lobules.septum_mm(points, lobe), septum_by_hand(points, lobe, lobules), atol=1e-9
    )


def test_points_are_moved_onto_septa(chest, lobules, rng):
    points, lobe = places(chest, rng, 300)
    moved = lobules.to_septum(points, lobe)
    assert_allclose(lobules.septum_mm(moved, lobe), 0.0, atol=1e-6)
    walked = np.linalg.norm(moved - points, axis=1)
    assert_allclose(walked, lobules.septum_mm(points, lobe), atol=1e-6)


def test_the_field_is_exact_near_septa(chest, lobules, rng):
    points, lobe = places(chest, rng)
    exact = lobules.septum_mm(points, lobe)
    found = SeptumField(lobules, chest).at(points.astype(np.float32), lobe)[0]
    near = exact < 2.0
    assert near.sum() > 500
    assert (np.abs(found - exact)[near] < 0.02).mean() > 0.995


def test_a_septum_has_one_number_from_either_side():
    seeds = np.array([[10.0, 10, 10], [10.0, 10, 20], [10.0, 26, 15]])
    lobules = Lobules(seeds, np.ones(3, np.uint8), salt=3)

    class Flat:
        step_mm = 1.6
        depth_mm = np.ones((15, 25, 20), np.float32)

        def sample(self, _, points):
            return np.ones(len(points))

        def lobes_at(self, points):
            return np.ones(len(points), np.uint8)

    field = SeptumField(lobules, Flat())
    points = np.array([[10.0, 10, 14.5], [10.0, 10, 15.5], [10.0, 17.0, 12.0]], np.float32)
    distance, face = field.at(points, np.ones(3, np.uint8))
    assert_allclose(distance[:2], [0.5, 0.5], atol=1e-5)
    assert face[0] == face[1] != face[2]
    assert field.presence(face)[0] == field.presence(face)[1] != field.presence(face)[2]


def test_presence_is_even_and_its_own_for_every_patient(lobules, chest):
    faces = np.arange(20_000)
    one = SeptumField(lobules, chest).presence(faces)
    assert_allclose(np.quantile(one, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.02)
    other = SeptumField(Lobules(lobules.seeds_mm, lobules.lobe, 77), chest).presence(faces)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


def test_one_lobule_alone_has_no_septum():
    one = Lobules(np.array([[5.0, 5, 5]]), np.array([4], np.uint8))
    assert one.septum_mm(np.zeros((2, 3)), np.array([4, 4])).tolist() == [np.inf, np.inf]
    assert_array_equal(one.to_septum(np.ones((1, 3)), np.array([4])), np.ones((1, 3)))


def test_no_lung_has_no_lobules():
    chest = make_chest(SPEC.but(shape=(3, 3, 3), scale=1.5), Plan.draw(np.random.default_rng(1)))
    lobules = make_lobules(chest, 16.0, np.random.default_rng(2))
    assert len(lobules) <= 1
    assert lobules.nearest(np.empty((0, 3)), np.empty(0, int), 1)[1].shape == (0, 1)
