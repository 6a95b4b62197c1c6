"""Growth towards points: what is reached, how branches hang together, cells, settling."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import KDTree

from miliary.phantom.growth import grow, settle, with_radii


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
    distance, row = KDTree(tree.end_mm[tree.tips]).query(seeds)
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


def volume(tree):
    return (np.linalg.norm(tree.end_mm - tree.start_mm, axis=1) * tree.radius_mm**2).sum()


def test_radii_are_those_of_murrays_law(rng):
    _, tree = grown(rng)
    tree = with_radii(tree, 0.3)
    child = tree.parent >= 0
    # The exponent measured: the one with which the daughters' powers add up to the parent's.
    node = np.flatnonzero(~tree.tips)
    sums = [
        np.bincount(tree.parent[child], tree.radius_mm[child] ** e, len(tree))[node]
        / tree.radius_mm[node] ** e
        for e in (2.9, 3.0, 3.1)
    ]
    assert sums[0].min() > 1 > sums[2].max()
    assert_allclose(sums[1], 1.0)
    assert_allclose(tree.radius_mm[tree.tips], 0.3)


def test_cells_are_supplied_whole(rng):
    seeds = rng.uniform(0, 40, (300, 3))
    cell = (seeds // 20).astype(int) @ [4, 2, 1]
    tree = grow(seeds, np.zeros(300, int), np.zeros((1, 3)), np.eye(3)[:1], rng, cell=cell)
    assert tree.tips.sum() == 300
    stems = [np.flatnonzero((tree.lobule == c) & (tree.lobule[tree.parent] != c)) for c in range(8)]
    # One branch leads into each cell, to the middle of its points, and supplies all of them.
    assert all(len(stem) == 1 for stem in stems)
    for c, (stem,) in enumerate(stems):
        assert tree.supplied[stem] == (cell == c).sum()
        assert_allclose(tree.end_mm[stem], seeds[cell == c].mean(axis=0))
    assert (tree.supplied[tree.lobule < 0] > np.bincount(cell).min()).all()


def test_settling_saves_volume_and_keeps_roots_and_tips(rng):
    _, tree = grown(rng)
    tree = with_radii(tree, 0.3)
    settled = settle(tree, 3)
    assert volume(settled) < 0.99 * volume(tree)
    assert_array_equal(settled.end_mm[tree.tips], tree.end_mm[tree.tips])
    assert_array_equal(settled.start_mm[tree.parent < 0], tree.start_mm[tree.parent < 0])
    child = tree.parent >= 0
    assert_array_equal(settled.start_mm[child], settled.end_mm[tree.parent[child]])
