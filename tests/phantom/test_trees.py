"""Growth of the trees: what is reached, how branches hang together, Murray's law."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import cKDTree

from miliary.phantom.chest import make_chest
from miliary.phantom.trees import Tree, bend, grow, grow_trees

SHAPE, SPACING_MM = (76, 128, 150), (1.25, 0.9, 0.8)
TIP_SPACING_MM, TIP_RADIUS_MM = 6.0, 0.3


@pytest.fixture(scope="module")
def chest():
    return make_chest(SHAPE, SPACING_MM, 0.3, np.random.default_rng(5))


@pytest.fixture(scope="module")
def trees(chest):
    return grow_trees(chest, TIP_SPACING_MM, TIP_RADIUS_MM, np.random.default_rng(6))


def grown(rng, n=200):
    seeds = rng.uniform(0, 40, (n, 3))
    roots, heading = np.array([[0.0, 20.0, 20.0]]), np.array([[1.0, 0.0, 0.0]])
    return seeds, grow(seeds, np.zeros(n, int), roots, heading, rng)


def test_three_points_are_reached_by_three_tips(rng):
    seeds = np.array([[30.0, 10.0, 20.0], [30.0, 20.0, 20.0], [30.0, 35.0, 20.0]])
    root = np.array([[0.0, 20.0, 20.0]])
    tree = grow(seeds, np.zeros(3, int), root, np.array([[1.0, 0, 0]]), rng)
    assert len(tree) == 5
    assert_array_equal(tree.supplied[0], 3)
    tips = tree.end_mm[tree.tips]
    assert_allclose(tips[np.argsort(tips[:, 1])], seeds)


def test_every_point_is_one_tip(rng):
    seeds, tree = grown(rng)
    distance, row = cKDTree(tree.end_mm[tree.tips]).query(seeds)
    assert_allclose(distance, 0.0, atol=1e-9)
    assert_array_equal(np.sort(row), np.arange(len(seeds)))


def test_branches_begin_where_their_parents_end(rng):
    _, tree = grown(rng)
    child = tree.parent >= 0
    assert_array_equal(tree.start_mm[child], tree.end_mm[tree.parent[child]])
    assert_array_equal(np.flatnonzero(~child), [0])
    assert (tree.parent < np.arange(len(tree))).all()


def test_daughters_share_the_tips_of_their_parent(rng):
    _, tree = grown(rng)
    child = tree.parent >= 0
    sums = np.bincount(tree.parent[child], tree.supplied[child], len(tree))
    assert_array_equal(sums[~tree.tips], tree.supplied[~tree.tips])
    assert_array_equal(np.bincount(tree.parent[child])[~tree.tips[: tree.parent.max() + 1]], 2)


def test_points_on_top_of_each_other_do_not_stop_the_growth(rng):
    _, tree = grown(rng)
    same = grow(np.ones((7, 3)), np.zeros(7, int), np.zeros((1, 3)), np.eye(3)[:1], rng)
    assert same.tips.sum() == 7
    assert len(tree) == 399


def test_no_points_give_no_branches(rng):
    tree = grow(np.empty((0, 3)), np.empty(0, int), np.zeros((1, 3)), np.eye(3)[:1], rng)
    assert len(tree) == 0
    assert len(bend(tree, rng)) == 0


def test_curves_pass_through_the_branches_ends(rng):
    _, tree = grown(rng, 30)
    tubes = bend(tree, rng)
    n = len(tree)
    assert_allclose(tubes.start_mm[:n], tree.start_mm)
    assert_allclose(tubes.end_mm[-n:], tree.end_mm)
    assert_allclose(tubes.start_mm[n:], tubes.end_mm[:-n])


@pytest.mark.parametrize("kind", ["arteries", "veins"])
def test_radii_obey_murrays_law(trees, kind):
    tree: Tree = getattr(trees, kind)
    child = tree.parent >= 0
    cubes = np.bincount(tree.parent[child], tree.radius_mm[child] ** 3, len(tree))
    assert_allclose(cubes[~tree.tips], tree.radius_mm[~tree.tips] ** 3)
    assert_allclose(tree.radius_mm[tree.tips], TIP_RADIUS_MM)


@pytest.mark.parametrize("kind", ["arteries", "veins"])
def test_tips_have_the_spacing_asked_for_and_lie_in_the_lungs(chest, trees, kind):
    tree: Tree = getattr(trees, kind)
    tips = tree.end_mm[tree.tips]
    nearest = cKDTree(tips).query(tips, k=2)[0][:, 1]
    # A jittered lattice: the nearest neighbour is nearer than the lattice's step.
    assert 0.6 * TIP_SPACING_MM < np.median(nearest) < TIP_SPACING_MM
    assert (chest.sample(chest.depth_mm, tips) > 0).all()
    # All but the outermost 2.5 mm, where few tips are.
    volume = np.count_nonzero(chest.depth_mm > 2.5) * chest.step_mm**3
    assert_allclose(volume / (len(tips) * 0.9), TIP_SPACING_MM**3, rtol=0.25)


def test_arteries_and_veins_keep_apart(trees):
    arteries, veins = trees.arteries, trees.veins
    apart = cKDTree(arteries.end_mm[arteries.tips]).query(veins.end_mm[veins.tips])[0]
    assert np.median(apart) > 0.4 * TIP_SPACING_MM


def test_tips_stay_in_the_lobe_of_their_branch(chest, trees):
    for tree in (trees.arteries, trees.veins):
        assert_array_equal(chest.lobes_at(tree.end_mm[tree.tips]), tree.lobe[tree.tips])
        assert set(np.unique(tree.lobe)) == {1, 2, 3, 4, 5}


def test_bronchi_have_walls(trees):
    assert len(trees.lumen) == len(trees.wall)
    assert (trees.wall.radius_mm > trees.lumen.radius_mm + 0.2).all()
