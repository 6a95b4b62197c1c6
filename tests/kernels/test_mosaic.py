"""Patches on top of each other: what they show, and where."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.mosaic import first_voxels, patch_shape, stack_patches, to_stack

SHAPE, SPACING = (19, 23, 29), np.array([1.25, 0.7, 0.8])


def test_a_patch_reaches_as_far_as_wished_or_as_the_image():
    assert patch_shape(SHAPE, SPACING, 2.0) == (5, 7, 7)
    assert patch_shape(SHAPE, SPACING, 9.0) == (17, 23, 25)


def test_the_stack_shows_what_the_image_shows(rng):
    image = rng.integers(-1000, 500, SHAPE).astype(np.int16)
    # The second and third would leave the image.
    middle = np.array([[9, 11, 14], [0, 22, 3], [18, 1, 28]])
    patch = patch_shape(SHAPE, SPACING, 2.0)
    first = first_voxels(SHAPE, middle, patch)
    stack = stack_patches(image, first, patch)
    assert stack.shape == (15, 7, 7)
    assert stack.dtype == image.dtype
    for k, begin in enumerate(first):
        box = tuple(slice(a, a + n) for a, n in zip(begin, patch, strict=True))
        assert_array_equal(stack[5 * k : 5 * k + 5], image[box])
    here = to_stack(middle, np.arange(3), first, patch)
    assert_array_equal(stack[tuple(here.astype(int).T)], image[tuple(middle.T)])
    assert_allclose(to_stack(middle + 0.25, np.arange(3), first, patch), here + 0.25)


def test_masks_stay_masks(rng):
    mask = rng.random(SHAPE) < 0.5
    stack = stack_patches(mask, np.zeros((1, 3), int), (5, 7, 7))
    assert stack.dtype == bool
    assert_array_equal(stack, mask[:5, :7, :7])
