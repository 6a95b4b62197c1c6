"""Trees of a lung: Murray's law, tip spacing, three trees that do not touch."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import KDTree

from miliary.phantom.chest import HILUM, Plan, make_chest
from miliary.phantom.growth import Tree, grow, with_radii
from miliary.phantom.lobules import make_lobules
from miliary.phantom.spec import PhantomSpec
from miliary.phantom.trees import grow_trees
from miliary.phantom.tubes import Tubes, bend
from miliary.phantom.untangle import near_pairs, touch, untangle

SPEC = PhantomSpec.of(shape=(120, 128, 160), spacing_mm=(1.1, 1.0, 1.0), scale=0.4)
RADIUS_MM, SPACING_MM = SPEC.chest.vessel_tip_radius_mm, SPEC.chest.vessel_tip_spacing_mm


@pytest.fixture(scope="module")
def chest():
    return make_chest(SPEC, Plan.draw(np.random.default_rng(5)))


@pytest.fixture(scope="module")
def lobules(chest):
    return make_lobules(chest, SPEC.chest.lobule_mm, np.random.default_rng(6))


@pytest.fixture(scope="module")
def trees(chest, lobules):
    return grow_trees(chest, lobules, SPEC.chest, np.random.default_rng(7))


def test_curves_are_chains_along_their_branches(rng):
    seeds = rng.uniform(0, 40, (30, 3))
    tree = with_radii(grow(seeds, np.zeros(30, int), np.zeros((1, 3)), np.eye(3)[:1], rng), 0.3)
    curves = bend(tree, rng)
    tubes = curves.tubes
    for b in range(len(tree)):
        rows = np.flatnonzero(curves.branch == b)
        assert len(rows) >= 3
        assert_array_equal(tubes.start_mm[rows[0]], tree.start_mm[b])
        assert_array_equal(tubes.end_mm[rows[-1]], tree.end_mm[b])
        assert_array_equal(tubes.start_mm[rows[1:]], tubes.end_mm[rows[:-1]])
    assert_array_equal(curves.points_mm[curves.fixed], [[0, 0, 0]])


def test_no_branches_are_no_curves(rng):
    tree = grow(np.empty((0, 3)), np.empty(0, int), np.zeros((1, 3)), np.eye(3)[:1], rng)
    assert len(bend(tree, rng)) == 0


@pytest.mark.parametrize("kind", ["arteries", "veins"])
def test_radii_obey_murrays_law(trees, kind):
    tree: Tree = getattr(trees, kind)
    child = tree.parent >= 0
    cubes = np.bincount(tree.parent[child], tree.radius_mm[child] ** 3, len(tree))
    assert_allclose(cubes[~tree.tips], tree.radius_mm[~tree.tips] ** 3)
    assert_allclose(tree.radius_mm[tree.tips], RADIUS_MM)


@pytest.mark.parametrize("kind", ["arteries", "veins"])
def test_tips_have_the_spacing_asked_for_and_lie_in_the_lungs(chest, trees, kind):
    tree: Tree = getattr(trees, kind)
    tips = tree.end_mm[tree.tips]
    assert (chest.sample(chest.depth_mm, tips) > -0.1).all()
    volume = np.count_nonzero(chest.depth_mm > 0) * chest.step_mm**3
    assert_allclose(np.cbrt(volume / len(tips)), SPACING_MM, rtol=0.1)


def test_arteries_end_inside_lobules_and_veins_on_their_borders(chest, lobules, trees):
    artery, vein = (tree.end_mm[tree.tips] for tree in (trees.arteries, trees.veins))
    to_septum = [np.median(lobules.septum_mm(p, chest.lobes_at(p))) for p in (artery, vein)]
    assert to_septum[0] > 1.5 > 0.7 > to_septum[1]
    tips = trees.arteries.tips
    lobe = trees.arteries.lobe[tips]
    row = lobules.nearest(artery, lobe, 1)[1][:, 0]
    assert (row == trees.arteries.lobule[tips]).mean() > 0.95


def test_tips_stay_in_the_lobe_of_their_branch(chest, trees):
    for tree in (trees.arteries, trees.veins):
        same = chest.lobes_at(tree.end_mm[tree.tips]) == tree.lobe[tree.tips]
        assert same.mean() > 0.99
        assert set(np.unique(tree.lobe)) == {1, 2, 3, 4, 5}


def test_no_two_trees_cut_each_other_away_from_the_hila(chest, trees):
    hila = [chest.to_grid(np.array(HILUM[side])) for side in ("right", "left")]

    def to_hilum(tubes, rows):
        middle = (tubes.start_mm[rows] + tubes.end_mm[rows]) / 2
        return np.min([np.linalg.norm(middle - place, axis=1) for place in hila], axis=0)

    kinds = (trees.artery_tubes, trees.vein_tubes, trees.wall)
    for number, one in enumerate(kinds):
        for other in kinds[number + 1 :]:
            i, j = near_pairs(one, other, 0.0)
            # One of the two was free to cut: 10 mm at adult size.
            nearest = np.minimum(to_hilum(one, i), to_hilum(other, j))
            assert (nearest < 10.0 * chest.scale + 0.1).all()


def test_near_pairs_are_those_of_all_pairs(rng):
    def some(n):
        start = rng.uniform(0, 20, (n, 3))
        return Tubes(start, start + rng.normal(0, 3, (n, 3)), rng.uniform(0.2, 2.0, n))

    one, two = some(40), some(50)
    i, j = (part.reshape(-1) for part in np.meshgrid(np.arange(40), np.arange(50), indexing="ij"))
    gap = touch(one, two, i, j).distance_mm - one.radius_mm[i] - two.radius_mm[j]
    wanted = np.stack([i, j], 1)[gap < 0.6]
    assert_array_equal(np.stack(near_pairs(one, two, 0.6), 1), wanted)
    assert len(wanted) > 20


def test_distance_of_axes_is_that_of_their_points(rng):
    one, two = (Tubes(*rng.uniform(0, 10, (2, 60, 3)), np.ones(60)) for _ in range(2))
    row = np.arange(60)
    measured = touch(one, two, row, row).distance_mm
    t = np.linspace(0, 1, 201)[:, None]
    for k in row:
        p = one.start_mm[k] + t * (one.end_mm[k] - one.start_mm[k])
        q = two.start_mm[k] + t * (two.end_mm[k] - two.start_mm[k])
        assert_allclose(measured[k], KDTree(p).query(q)[0].min(), atol=0.06)


def test_a_tree_moves_off_a_tube_that_cuts_it(rng):
    tree = grow(np.array([[30.0, 0, 0]]), np.zeros(1, int), np.zeros((1, 3)), np.eye(3)[:1], rng)
    curves = bend(with_radii(tree, 1.0), rng)
    across = Tubes(np.array([[15.0, -9, 0.1]]), np.array([[15.0, 9, 0.1]]), np.array([2.0]))
    assert len(near_pairs(curves.tubes, across, 0.0)[0])
    moved = untangle(curves, across, np.empty((0, 3)), 0.0)
    assert not len(near_pairs(moved.tubes, across, 0.0)[0])
    assert_array_equal(moved.points_mm[moved.fixed], curves.points_mm[curves.fixed])
    assert moved.radius_mm.min() > 0.5


def test_bronchi_have_walls_and_run_beside_arteries(trees):
    assert len(trees.lumen) == len(trees.wall)
    assert (trees.wall.radius_mm > trees.lumen.radius_mm + 0.09).all()
    thin = trees.wall.radius_mm < 3.0
    middle = (trees.wall.start_mm + trees.wall.end_mm)[thin] / 2
    arteries = KDTree((trees.artery_tubes.start_mm + trees.artery_tubes.end_mm) / 2)
    assert np.quantile(arteries.query(middle)[0], 0.9) < 6.0


def test_same_seed_gives_the_same_trees(chest, lobules, trees):
    again = grow_trees(chest, lobules, SPEC.chest, np.random.default_rng(7))
    for name in ("artery_tubes", "vein_tubes", "wall"):
        assert_array_equal(getattr(again, name).start_mm, getattr(trees, name).start_mm)


def test_a_chest_that_the_view_misses_has_trees_without_branches():
    spec = SPEC.but(shape=(8, 9, 10), scale=1.0)
    chest = make_chest(spec, Plan.draw(np.random.default_rng(5)))
    lobules = make_lobules(chest, 16.0, np.random.default_rng(6))
    assert len(grow_trees(chest, lobules, spec.chest, np.random.default_rng(7)).veins) >= 0
