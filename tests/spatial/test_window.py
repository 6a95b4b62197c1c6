"""The window: volumes, random points, points just outside."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.spatial import Window
from miliary.spatial import stratum as strata
from spatial_cases import SPACING, random_points, two_lungs


def test_strata_have_the_volume_of_their_voxels(window):
    counts = np.bincount(two_lungs().ravel())[1:]
    assert [stratum.label for stratum in window.strata] == [1, 2]
    assert_allclose([s.volume_mm3 for s in window.strata], counts * SPACING.prod())
    assert_allclose(window.volume_mm3, counts.sum() * SPACING.prod())


def test_random_points_lie_in_their_stratum_and_are_uniform(window, rng):
    points, strata = window.sample(np.array([3000, 2000]), rng)
    assert_array_equal(window.at(window.labels, points), strata + 1)
    assert_array_equal(np.bincount(strata), [3000, 2000])
    for number, stratum in enumerate(window.strata):
        mean = stratum.places(np.arange(len(stratum.index))).mean(axis=0)
        error = points[strata == number].std(axis=0) / np.sqrt((strata == number).sum())
        assert (np.abs(points[strata == number].mean(axis=0) - mean) < 4 * error).all()


def test_random_points_follow_the_sensitivity(rng):
    labels = np.ones((10, 19, 23), np.uint8)
    sensitivity = np.zeros(labels.shape, np.float32)
    sensitivity[:5], sensitivity[5:] = 0.2, 0.6
    window = Window(labels, SPACING, sensitivity)
    points, _ = window.sample(np.array([4000]), rng)
    upper = (points[:, 0] / SPACING[0] > 4.5).mean()
    assert_allclose(upper, 0.75, atol=4 * np.sqrt(0.75 * 0.25 / 4000))


def test_simulated_points_keep_the_separation_of_the_detector(window, rng):
    points, strata = random_points(window, [300, 200], rng, min_separation_mm=3.0)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(500, 1)]
    assert gaps.min() >= 3.0
    assert_array_equal(np.bincount(strata), [300, 200])
    assert_array_equal(window.at(window.labels, points), strata + 1)
    crowded, _ = random_points(window, [300, 200], rng, min_separation_mm=0.0)
    gaps = np.linalg.norm(crowded[:, None] - crowded[None], axis=2)[np.triu_indices(500, 1)]
    assert gaps.min() < 3.0


def test_a_full_window_ends_the_search_for_room(rng):
    window = Window(np.ones((2, 2, 2), np.uint8), SPACING)
    points, _ = random_points(window, [9], rng, min_separation_mm=5.0)
    assert len(points) == 9


def test_points_just_outside_move_to_the_nearest_voxel():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[:, :, 4:] = 1
    window = Window(labels, SPACING)
    points = np.array([[5.0, 2.8, 4 * 0.8], [5.0, 2.8, 2.0], [5.0, 2.8, 0.4], [99.0, 0, 0]])
    placed, strata, moved = window.locate(points, move_mm=1.5)
    assert_array_equal(strata, [0, 0, -1, -1])
    assert_array_equal(moved, [False, True, False, False])
    assert_allclose(placed[1], [5.0, 2.8, 3.2])
    assert_allclose(points[1], [5.0, 2.8, 2.0])


def test_the_lattice_is_even_and_inside(window):
    places, strata, weights = window.lattice(500)
    assert 350 < len(places) < 700
    assert_array_equal(window.at(window.labels, places), strata + 1)
    volumes = np.array([s.volume_mm3 for s in window.strata])
    assert_allclose(np.bincount(strata) / len(places), volumes / volumes.sum(), atol=0.05)
    assert (weights == 1).all()


@pytest.mark.parametrize(
    ("labels", "spacing", "sensitivity", "message"),
    [
        (np.ones((3, 3), np.uint8), SPACING, None, "three axes"),
        (np.ones((3, 3, 3), int), SPACING, None, "uint8"),
        (np.ones((3, 3, 3), np.uint8), [1.0, 0.0, 1.0], None, "above 0"),
        (np.ones((3, 3, 3), np.uint8), SPACING, np.ones((2, 3, 3)), "shape of labels"),
        (np.ones((3, 3, 3), np.uint8), SPACING, -np.ones((3, 3, 3)), "not below 0"),
    ],
)
def test_windows_that_make_no_sense_are_refused(labels, spacing, sensitivity, message):
    with pytest.raises(ValueError, match=message):
        Window(labels, spacing, sensitivity)


def test_chances_in_a_table_are_those_in_an_image(rng):
    labels, chances = two_lungs(), np.array([0.0, 0.3, 0.9], np.float32)
    places = rng.integers(0, 3, labels.shape).astype(np.uint8)
    image = Window(labels, SPACING, chances[places])
    table = Window(labels, SPACING, places, chances=chances)
    for one, other in zip(image.strata, table.strata, strict=True):
        assert_allclose(other.visible_mm3, one.visible_mm3)
        assert other.highest == one.highest
        assert_allclose(other.rows[1], one.rows[1])
        # Three bins of a value that has nothing to do with the chance.
        values = np.arange(len(one.index)) % 7
        found = other.weigh(values, lambda v: v // 3, 3)
        assert_allclose(found, one.weigh(values, lambda v: v // 3, 3))
        seen = chances[places][one.box][one.inside]
        assert_allclose(found, [seen[values // 3 == k].sum() for k in range(3)], rtol=1e-6)
    drawn = [w.sample(np.array([200, 100]), np.random.default_rng(3))[0] for w in (image, table)]
    assert_array_equal(*drawn)
    assert_array_equal(image.lattice(300)[2], table.lattice(300)[2])


def test_bins_of_all_voxels_at_once_are_those_of_parts(window, monkeypatch):
    stratum = window.strata[0]
    values = np.arange(len(stratum.index)) % 11
    whole = stratum.count(values, lambda v: v, 11)
    assert_array_equal(whole, np.bincount(values))
    monkeypatch.setattr(strata, "_AT_ONCE", 1000)
    assert_array_equal(stratum.count(values, lambda v: v, 11), whole)
    assert_array_equal(stratum.weigh(values, lambda v: v, 11), whole)


def test_rows_hold_the_chances_along_x(window):
    stratum = window.strata[1]
    used, chances = stratum.rows
    along_x = stratum.inside.sum(axis=2)
    assert_array_equal(used, along_x > 0)
    assert_array_equal(chances, along_x[used])
