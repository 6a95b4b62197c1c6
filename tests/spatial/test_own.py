"""Points and a mask of one's own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.spatial import Window, describe_points
from spatial_cases import FAST, SPACING, cluster, describe, random_points, two_lungs


@pytest.fixture(scope="module")
def mask():
    return two_lungs() > 0


def points_in(mask, n, rng):
    return random_points(Window(mask.astype(np.uint8), SPACING), [n], rng)[0]


def test_a_mask_is_one_part_without_a_name(mask, rng):
    points = points_in(mask, 80, rng)
    found = describe_points(points, mask, SPACING, settings=FAST)
    assert {test.lung for test in found.tests} == {"all"}
    assert {curve.lung for curve in found.curves} == {"all"}
    assert found.n == 80
    assert found.csr_p > 0.05
    assert (found.zones, found.preferences, found.shares) == ((), (), ())


def test_whole_numbers_make_parts_with_their_own_numbers(rng):
    labels = two_lungs().astype(np.int64) * 3
    points, _ = random_points(Window(two_lungs(), SPACING), [150, 40], rng)
    found = describe_points(points, labels, SPACING, settings=FAST)
    assert {test.lung for test in found.tests} == {"all", "part 3", "part 6"}
    assert found.csr_p > 0.05


def test_it_says_what_the_description_of_lungs_says(window, images, rng):
    points = cluster(window, rng, [12, 8], 5, 2.5)
    lungs = describe(points, window, images, sizes=np.ones(len(points)))
    own = describe_points(
        points + np.array([100, -50, 20]),
        window.labels,
        SPACING,
        origin_mm=[100, -50, 20],
        distances_mm=images,
        sizes=np.ones(len(points)),
        min_separation_mm=2.0,
        settings=FAST,
        seed=1,
    )
    assert (own.csr_p, own.clark_evans, own.clustered) == (
        lungs.csr_p, lungs.clark_evans, lungs.clustered
    )  # fmt: skip
    assert own.shares == lungs.shares
    both, whole = (
        [c for c in found.curves if c.lung == name]
        for found, name in ((lungs, "both"), (own, "all"))
    )
    for mine, theirs in zip(both, whole, strict=True):
        assert mine.function == theirs.function
        assert_array_equal(mine.observed, theirs.observed)


def test_axes_may_come_in_any_order(mask, rng):
    points = points_in(mask, 60, rng)
    plain = describe_points(points, mask, SPACING, settings=FAST)
    turned = describe_points(points[:, ::-1], mask.transpose(2, 1, 0), SPACING[::-1], settings=FAST)
    for mine, theirs in zip(plain.curves, turned.curves, strict=True):
        if mine.function in "KLgG":
            # The covariance is averaged over 200 directions, which turn too.
            assert_allclose(mine.observed, theirs.observed, rtol=0.01)


@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one_are_told_in_words(mask, rng, n):
    points = points_in(mask, n, rng)
    found = describe_points(points, mask, SPACING, settings=FAST)
    assert (found.n, found.csr_p) == (n, None)
    assert f"the mask is not tested: it takes 10 points, there are {n}" in found.notes[0]
    outside = describe_points([[-9.0, 0, 0]], mask, SPACING, settings=FAST)
    assert "1 of 1 points lie outside the mask" in outside.notes[0]


def test_a_mask_of_fractions_is_refused(mask):
    with pytest.raises(ValueError, match=r"whole numbers from 0 to 255, got 0\.0 to 0\.5"):
        describe_points(np.empty((0, 3)), mask * 0.5, SPACING)
    with pytest.raises(ValueError, match="got 0 to 300"):
        describe_points(np.empty((0, 3)), mask * 300, SPACING)
