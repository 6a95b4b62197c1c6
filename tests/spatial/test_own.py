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
    return random_points(Window(mask.astype(np.uint8), SPACING), [n], rng, 0.0)[0]


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
    points, _ = random_points(Window(two_lungs(), SPACING), [150, 40], rng, 0.0)
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
    assert (own.csr_p, own.clustered) == (lungs.csr_p, lungs.clustered)
    assert own.clark_evans == pytest.approx(lungs.clark_evans, rel=1e-9)
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


def test_points_outside_are_told_and_none_inside_is_an_error(mask, rng):
    points = np.concatenate([points_in(mask, 30, rng), [[-9.0, 0, 0]]])
    found = describe_points(points, mask, SPACING, settings=FAST)
    assert found.n == 30
    assert found.notes[0] == (
        "1 of 31 points lie outside the mask and are left out of its statistics."
    )
    with pytest.raises(ValueError, match="points_mm must lie in the mask, got all 30 outside"):
        describe_points(points[:30] + 500.0, mask, SPACING, settings=FAST)


def test_all_points_at_one_place_are_clustered(mask):
    points = np.tile([[27.5, 22.4, 20.8]], (30, 1))
    found = describe_points(points, mask, SPACING, sizes=np.ones(30), settings=FAST)
    assert (found.n, found.csr_p, found.clustered) == (30, 0.01, True)
    assert found.clark_evans == 0


@pytest.mark.parametrize(("n", "p"), [(1, None), (40, 0.01)])
def test_two_voxels_have_defined_answers(n, p):
    mask = np.zeros((5, 6, 7), bool)
    mask[2, 3, 3:5] = True
    found = describe_points(np.tile([2.5, 2.1, 2.4], (n, 1)), mask, SPACING, settings=FAST)
    # Forty at one place are not random even in a window of 1.4 mm³.
    assert (found.n, found.csr_p, found.clustered) == (n, p, None if p is None else True)
    assert found.density is not None


def test_an_empty_mask_is_no_place_for_points():
    mask = np.zeros((5, 6, 7), bool)
    found = describe_points([], mask, SPACING, settings=FAST)
    assert (found.n, found.csr_p, found.density) == (0, None, None)
    with pytest.raises(ValueError, match="got all 1 outside"):
        describe_points([[1.0, 1.0, 1.0]], mask, SPACING, settings=FAST)


def test_it_is_the_same_on_any_number_of_threads(mask, images, rng, monkeypatch):
    points = points_in(mask, 80, rng)
    sizes = rng.lognormal(0.6, 0.3, 80)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("MILIARY_THREADS", threads)
        found.append(describe_points(
            points, mask, SPACING, distances_mm=images, sizes=sizes,
            settings=FAST,
        ))  # fmt: skip
    one, three = found
    for name in ("csr_p", "clark_evans", "tests", "shares", "preferences", "marks", "notes"):
        assert getattr(one, name) == getattr(three, name)
    for mine, theirs in zip(one.curves, three.curves, strict=True):
        assert (mine.function, mine.lung) == (theirs.function, theirs.lung)
        for name in ("observed", "expected", "low", "high"):
            assert_array_equal(getattr(mine, name), getattr(theirs, name))
    assert_array_equal(one.density.per_ml, three.density.per_ml)


def test_what_makes_no_sense_is_refused(mask, images):
    point = [[27.5, 22.4, 20.8]]
    with pytest.raises(ValueError, match=r"N rows of three numbers, got shape \(3, 4\)"):
        describe_points(np.ones((3, 4)), mask, SPACING)
    with pytest.raises(ValueError, match="points_mm must be finite, got 1 others"):
        describe_points([[1.0, np.nan, 2.0]], mask, SPACING)
    with pytest.raises(ValueError, match=r"sizes must be one a point \(1\), got shape \(2,\)"):
        describe_points(point, mask, SPACING, sizes=[1.0, 2.0], settings=FAST)
    with pytest.raises(ValueError, match="image of pleura must have the shape"):
        describe_points(
            point, mask, SPACING, distances_mm={"pleura": images["pleura"][1:]}, settings=FAST
        )
    with pytest.raises(ValueError, match="sensitivity must have the shape"):
        describe_points(point, mask, SPACING, sensitivity=np.ones((2, 3, 4)))


def test_a_mask_of_fractions_is_refused(mask):
    with pytest.raises(ValueError, match=r"whole numbers from 0 to 255, got 0\.0 to 0\.5"):
        describe_points(np.empty((0, 3)), mask * 0.5, SPACING)
    for value, told in ((300, "got 0 to 300"), (-1.0, "got -1.0 to"), (np.nan, "got nan to nan")):
        with pytest.raises(ValueError, match=told):
            describe_points([], np.where(mask, value, 0), SPACING)
