"""Quick distances against the exact transform, and against a ball."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_anatomy as oracles
from miliary.kernels.distances import depth_inside, distance_to
from miliary.kernels.fields import depth_field, distance_beside, distance_field

SPACING = np.array([1.25, 0.7, 0.8])
#: Up to here quick distances are exact but for the rounding of their squares.
EXACT_MM, ROUNDING_MM = 5.0, 0.01
#: Farther away they come from blocks of two voxels along y and x: no more than half of a block's
#: diagonal off, and hardly on average.
FAR_MM, MEAN_MM = 0.5 * float(np.linalg.norm([1.25, 1.4, 1.6])), 0.3


def agree(found, true):
    """Check quick distances against exact ones."""
    near = true < EXACT_MM
    assert_allclose(found[near], true[near], atol=ROUNDING_MM)
    assert_allclose(found[~near], true[~near], atol=FAR_MM)
    assert (found[~near] >= EXACT_MM - ROUNDING_MM).all()
    return True


def lungs(rng):
    """Two balls that touch, with holes, the first cut off by the border of the image."""
    z, y, x = oracles.grid_mm((47, 73, 101), SPACING)
    labels = np.zeros((47, 73, 101), np.uint8)
    labels[z**2 + y**2 + (x - 15.0) ** 2 < 20.0**2] = 2
    labels[(z + 20.0) ** 2 + y**2 + (x + 15.0) ** 2 < 24.0**2] = 1
    labels[rng.random(labels.shape) > 0.9999] = 0
    return labels


def test_depth_is_exact_near_the_surface_and_about_so_inside(rng):
    labels = lungs(rng)
    found, true = depth_field(labels, SPACING), depth_inside(labels, SPACING)
    assert agree(found, true)
    assert abs((found - true)[true > EXACT_MM].mean()) < MEAN_MM
    assert_array_equal(found[labels == 0], 0)


@pytest.mark.parametrize(
    "spacing", [(5.0, 0.7, 0.8), (0.6, 0.6, 0.6), (1.0, 2.2, 2.2), (9.0, 1, 1)]
)
def test_distances_to_specks_on_any_grid(rng, spacing):
    mask = rng.random((19, 43, 39)) > 0.9995
    found, true = (step(mask, np.array(spacing)) for step in (distance_field, distance_to))
    near = true < EXACT_MM
    assert_allclose(found[near], true[near], atol=ROUNDING_MM)
    block = [2 * step if step <= 1 else step for step in spacing]
    assert_allclose(found[~near], true[~near], atol=0.6 * np.linalg.norm(block))


def test_farther_in_a_ball_depth_is_its_radius_less_the_distance_to_its_centre():
    grid = oracles.grid_mm((61, 101, 89), SPACING)
    distance = np.sqrt(sum(axis**2 for axis in grid))
    mask = (distance <= 30.0).astype(np.uint8)
    error = (depth_field(mask, SPACING) - (30.0 - distance))[distance < 24.0]
    assert np.abs(error).max() < FAR_MM
    assert abs(error.mean()) < MEAN_MM


def test_far_away_distances_come_from_a_grid_half_as_fine_again():
    mask = np.zeros((19, 23, 241), bool)
    mask[9, 11, 3] = True
    found, true = distance_field(mask, SPACING), distance_to(mask, SPACING)
    assert true.max() > 180.0
    assert_allclose(found, true, atol=2 * FAR_MM)
    # In the direction of the surface one voxel is as far from the next as it is large.
    steps = np.diff(found[9, 11, 20:])
    assert_allclose(steps, SPACING[2], atol=0.6)


def test_without_a_surface_distances_are_infinite():
    assert np.isposinf(depth_field(np.ones((9, 11, 13), np.uint8), SPACING)).all()
    assert np.isposinf(distance_field(np.zeros((9, 11, 13), bool), SPACING)).all()
    assert_array_equal(depth_field(np.zeros((9, 11, 13), np.uint8), SPACING), 0)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_neither_slabs_nor_threads_change_anything(rng, monkeypatch, threads):
    labels, fine = lungs(rng), np.array([0.8, 0.7, 0.9])
    whole = depth_field(labels, fine)
    monkeypatch.setenv("MILIARY_THREADS", threads)
    for limit in ("squares._PLANE_VOXELS", "fields._DEEP_VOXELS"):
        monkeypatch.setattr(f"miliary.kernels.{limit}", 5 * 73 * 101)
    assert_array_equal(depth_field(labels, fine), whole)


def test_ends_of_rows_and_slices_do_not_touch():
    mask = np.zeros((31, 37, 41), bool)
    mask[9, 11, 0] = mask[20, 0, 30] = mask[0, 30, 20] = True
    assert agree(distance_field(mask, SPACING), distance_to(mask, SPACING))


def two_lungs():
    """Two labels whose boxes, with 5 mm round them, overlap and leave the ends of the grid out."""
    labels = np.zeros((31, 37, 63), np.uint8)
    labels[8:22, 9:27, 12:30], labels[10:20, 8:24, 33:47] = 1, 2
    # With 4, 8 and 7 voxels of margin.
    return labels, ((4, 26, 1, 35, 5, 37), (6, 24, 0, 32, 26, 54))


def to_the_rim_mm(shape, ends):
    """Distance of voxels in a box to the first voxels beyond it; the border of the grid is none."""
    nearest = np.full(shape, np.inf)
    for axis, (start, stop) in enumerate(zip(ends[::2], ends[1::2], strict=True)):
        place = np.indices(shape)[axis]
        for beyond in ([start - 1] if start > 0 else []) + ([stop] if stop < shape[axis] else []):
            nearest = np.minimum(nearest, np.abs(place - beyond) * SPACING[axis])
    return nearest


def test_distances_beside_objects_are_true_up_to_the_rim_of_their_boxes(rng):
    labels, boxes = two_lungs()
    mask = rng.random(labels.shape) > 0.995
    found = np.asarray(distance_beside(mask, labels, SPACING, margin_mm=5.0))
    true = distance_to(mask, SPACING)
    covered = np.zeros(labels.shape, bool)
    certain = np.zeros(labels.shape, bool)
    for ends in boxes:
        box = tuple(slice(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True))
        covered[box] = True
        certain[box] |= (true < to_the_rim_mm(labels.shape, ends) - FAR_MM)[box]
    assert_array_equal(np.isfinite(found), covered)
    assert agree(found[certain], true[certain])
    assert certain[labels > 0].mean() > 0.95
    assert (found >= true - FAR_MM).all()


def test_a_voxel_just_outside_of_an_objects_box_has_its_distance():
    labels, _ = two_lungs()
    mask = np.zeros(labels.shape, bool)
    mask[15, 15, 13], mask[15, 15, 45] = True, True
    found, true = distance_beside(mask, labels, SPACING, margin_mm=5.0), distance_to(mask, SPACING)
    for beyond in (slice(6, 12), slice(47, 53)):
        assert_allclose(found[15, 15, beyond], true[15, 15, beyond], atol=ROUNDING_MM)


def test_an_object_without_any_of_the_mask_looks_at_the_whole_of_it():
    labels, _ = two_lungs()
    mask = np.zeros(labels.shape, bool)
    mask[15, 15, 13:20] = True
    found = distance_beside(mask, labels, SPACING, margin_mm=5.0)
    assert agree(found[labels == 2], distance_to(mask, SPACING)[labels == 2])
    assert np.isposinf(distance_beside(np.zeros_like(mask), labels, SPACING, margin_mm=5.0)).all()


@pytest.mark.parametrize("shape", [(0, 5, 7), (5, 0, 7), (5, 7, 0), (0, 0, 0)])
def test_an_image_without_voxels_is_left_so(shape):
    mask, labels = np.zeros(shape, bool), np.zeros(shape, np.uint8)
    assert depth_field(labels, SPACING).shape == shape
    assert distance_field(mask, SPACING).shape == shape
    assert distance_beside(mask, labels, SPACING, margin_mm=5.0).shape == shape
