"""Regions against loops and drawn shapes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import oracles_anatomy as oracles
from miliary.kernels.airtree import find_gas, find_tube, grow_air
from miliary.kernels.regions import (
    block_mean,
    bounding_box,
    components,
    fill_holes,
    keep_large,
    label_boxes,
    label_means,
    label_parts,
    largest_part,
    members,
    split_in_two,
    stretch,
    stretch_slab,
)

SHAPE, SPACING = (19, 23, 29), np.array([1.25, 0.7, 0.8])


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 3, 2), (1, 2, 4)])
def test_block_mean_matches_the_loop(rng, factors):
    image = rng.integers(-1024, 3000, SHAPE).astype(np.int16)
    assert_allclose(block_mean(image, factors), oracles.block_mean(image, factors), rtol=1e-5)


def test_block_mean_counts_what_is_above_a_cap_as_the_cap(rng):
    image = rng.integers(-1000, 400, (19, 23, 29)).astype(np.int16)
    capped = block_mean(image, (2, 3, 3), cap=60.0)
    assert_array_equal(capped, block_mean(np.minimum(image, 60), (2, 3, 3)))
    assert (capped < block_mean(image, (2, 3, 3))).any()


def test_stretching_block_means_of_a_blocky_image_gives_it_back(rng):
    coarse = rng.integers(-1000, 100, (10, 8, 15)).astype(np.int16)
    fine = stretch(coarse, (2, 3, 2), SHAPE)
    assert fine.shape == SHAPE
    assert_array_equal(block_mean(fine, (2, 3, 2)), coarse)


def test_components_join_faces_not_edges():
    mask = np.zeros(SHAPE, bool)
    mask[0, 0, 0] = mask[0, 0, 1] = mask[1, 1, 1] = True
    _, sizes = components(mask)
    assert sorted(sizes) == [0, 1, 2]
    assert_array_equal(np.argwhere(keep_large(mask, 2)), [[0, 0, 0], [0, 0, 1]])
    assert not keep_large(np.zeros(SHAPE, bool), 1).any()


@pytest.mark.parametrize("share", [0.5, 0.001])
def test_components_are_those_of_scipy_many_or_few(rng, share):
    mask = rng.random(SHAPE) < share
    labels, sizes = components(mask)
    expected, n_labels = ndimage.label(mask)
    assert label_parts(mask)[1] == n_labels == len(sizes) - 1
    assert_array_equal(labels > 0, mask)
    assert len(np.unique(np.stack([labels, expected])[:, mask], axis=1).T) == n_labels
    assert_array_equal(sizes[1:], np.bincount(labels.ravel(), minlength=n_labels + 1)[1:])


@pytest.mark.parametrize("n_chosen", [0, 2, 40])
def test_members_have_one_of_the_labels_that_are_chosen(rng, n_chosen):
    labels = rng.integers(0, 60, SHAPE)
    chosen = rng.permutation(60) < n_chosen
    assert_array_equal(members(labels, chosen), np.isin(labels, np.flatnonzero(chosen)))


@pytest.mark.parametrize("share", [0.9, 0.7])
def test_holes_that_do_not_reach_the_border_are_filled(rng, share):
    mask = rng.random(SHAPE) < share
    assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
    assert not fill_holes(np.zeros(SHAPE, bool)).any()
    assert fill_holes(np.ones(SHAPE, bool)).all()


def test_label_boxes_hold_each_label_alone():
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:5, 7, 11:20], labels[4:9, 3:6, 28] = 3, 1
    boxes = label_boxes(labels)
    assert list(boxes) == [1, 3]
    assert boxes[3] == (slice(2, 5), slice(7, 8), slice(11, 20))
    assert boxes[1] == (slice(4, 9), slice(3, 6), slice(28, 29))
    assert label_boxes(np.zeros((0, 5, 7), np.uint8)) == {}


def test_label_means_match_the_loop(rng):
    labels = rng.integers(0, 4, SHAPE)
    image = rng.normal(size=SHAPE)
    expected = [image[labels == n].mean() for n in range(1, 4)]
    assert_allclose(label_means(image, labels, 5), [0, *expected, 0, 0])


def test_bounding_box_holds_the_mask_and_its_margin_inside_the_image():
    mask = np.zeros(SHAPE, bool)
    mask[3, 5, 7] = mask[6, 20, 28] = True
    assert bounding_box(mask) == (slice(3, 7), slice(5, 21), slice(7, 29))
    assert bounding_box(mask, (5, 1, 1)) == (slice(0, 12), slice(4, 22), slice(6, 29))
    with pytest.raises(ValueError, match="not empty"):
        bounding_box(np.zeros(SHAPE, bool))


def test_two_joined_balls_are_parted_at_their_waist_and_one_is_not():
    grid = oracles.grid_mm((31, 51, 81), SPACING)
    left, right = (oracles.ellipsoid(grid, (0, 0, x), (12, 12, 12)) for x in (-14, 14))
    bridge = oracles.tube(grid, (0, 0, -14), (0, 0, 14), 4.0)
    radii = np.arange(1.0, 8.0, 1.0)
    parts = split_in_two(left | right | bridge, SPACING, min_share=0.2, radii_mm=radii)
    assert_array_equal(parts > 0, left | right | bridge)
    assert (parts[left & ~right & ~bridge] == 1).all()
    assert (parts[right & ~left & ~bridge] == 2).all()
    assert split_in_two(left, SPACING, min_share=0.2, radii_mm=radii).max() == 1


def drawn_air():
    """A windpipe in tissue that opens into a lung, and that lung."""
    shape, spacing = (60, 60, 70), np.array([2.0, 1.5, 1.6])
    grid = oracles.grid_mm(shape, spacing)
    hu = np.full(shape, 40.0, np.float32)
    lung = oracles.ellipsoid(grid, (-25, 0, 0), (30, 40, 50))
    pipe = oracles.tube(grid, (-20, 0, 0), (100, 0, 0), 8.0)
    hu[lung], hu[pipe] = -850.0, -1000.0
    return hu, pipe, lung, spacing


def test_the_windpipe_is_found_and_grown_without_the_lung():
    hu, pipe, lung, spacing = drawn_air()
    limits = {"middle_x": 34.5, "reach_mm": 30.0, "area_mm2": (50.0, 700.0)}
    found = find_tube(hu < -700, spacing, **limits, min_length_mm=15.0)
    assert found.any()
    assert not (found & lung & ~pipe).any()
    grown = grow_air(
        hu,
        found,
        np.ones(hu.shape, bool),
        thresholds_hu=(-950.0, -900.0, -800.0),
        max_voxels=50_000,
        max_growth=1.5,
    )
    assert_array_equal(grown, pipe)
    far = find_tube(hu < -700, spacing, **limits | {"middle_x": 0.0}, min_length_mm=15.0)
    assert not far.any()


def test_gas_in_tissue_is_bowel_and_gas_in_lung_is_not():
    hu, _, lung, spacing = drawn_air()
    grid = oracles.grid_mm(hu.shape, spacing)
    hu[:] = 40.0
    hu[lung] = -850.0
    bulla = oracles.ellipsoid(grid, (-25, 0, 0), (8, 8, 8))
    bowel = oracles.ellipsoid(grid, (30, 0, 0), (8, 8, 8))
    hu[bulla | bowel] = -1000.0
    found = find_gas(
        hu,
        np.ones(hu.shape, bool),
        gas_hu=-930.0,
        soft_hu=-300.0,
        voxels=(100, 1e6),
        min_soft_share=0.6,
    )
    assert_array_equal(found, bowel)


def test_the_largest_part_stays_alone(rng):
    mask = rng.random(SHAPE) > 0.6
    labels, sizes = components(mask)
    assert_array_equal(largest_part(mask), labels == np.argmax(sizes))
    assert not largest_part(np.zeros(SHAPE, bool)).any()


def test_slabs_are_stretched_as_the_whole_is(rng):
    image, shape = rng.integers(0, 9, (4, 5, 6)).astype(np.uint8), (11, 14, 6)
    whole = stretch(image, (3, 3, 1), shape)
    assert_array_equal(whole, np.kron(image, np.ones((3, 3, 1), np.uint8))[:11, :14])
    for part in (slice(0, 4), slice(4, 8), slice(8, 11)):
        slab = stretch_slab(image, (3, 3, 1), part, (part.stop - part.start, *shape[1:]))
        assert_array_equal(slab, whole[part])
