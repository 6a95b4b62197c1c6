"""Parts of the placement of nodules; the patterns as a whole are in test_phantom."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from miliary.phantom import PhantomSpec
from miliary.phantom.chest import make_chest
from miliary.phantom.disease import lobules_of, make_site, place_nodules
from miliary.phantom.trees import grow, grow_trees


@pytest.fixture(scope="module")
def site():
    chest = make_chest((76, 120, 150), (1.25, 0.9, 0.8), 0.3, np.random.default_rng(5))
    return make_site(chest, grow_trees(chest, 6.0, 0.3, np.random.default_rng(6)), "both")


def test_lobules_are_the_largest_branches_with_few_enough_tips(rng):
    tree = grow(
        rng.uniform(0, 40, (90, 3)), np.zeros(90, int), np.zeros((1, 3)), np.eye(3)[:1], rng
    )
    lobule = lobules_of(tree, 6.0)
    assert_array_equal(lobule >= 0, tree.supplied <= 6)
    stems = np.unique(lobule[lobule >= 0])
    assert (tree.supplied[tree.parent[stems]] > 6).all()
    assert tree.supplied[stems].sum() == 90
    tips = np.bincount(lobule[tree.tips], minlength=len(tree))
    assert_array_equal(tips[stems], tree.supplied[stems])


def test_centres_are_not_allowed_in_vessels_or_outside(site):
    tubes = site.trees.artery_tubes
    wide = tubes.radius_mm > 0.8
    assert not site.allowed(tubes.start_mm[wide]).any()
    assert not site.allowed(np.zeros((1, 3))).any()
    assert site.allowed(np.empty((0, 3))).shape == (0,)


def test_metastases_are_few_and_of_unequal_size(site, rng):
    spec = PhantomSpec(pattern="metastases", n_nodules=12)
    centres, diameters = place_nodules(site, spec, rng)
    assert centres.shape == (12, 3)
    assert diameters.min() >= 3.0
    assert diameters.max() <= 15.0
    assert site.allowed(centres).all()


def test_no_pattern_is_no_nodules(site, rng):
    centres, diameters = place_nodules(site, PhantomSpec(pattern="none"), rng)
    assert centres.shape == (0, 3)
    assert diameters.shape == (0,)
