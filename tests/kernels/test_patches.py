"""Cubes are what stands in the image, and beyond its border what stands at it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from miliary.kernels.patches import cut_cubes

SHAPE = (19, 23, 29)
CUBE = (3, 5, 4)


@pytest.mark.parametrize("beyond", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_cubes_are_cut_as_one_by_one_from_the_image_with_its_border_repeated(rng, beyond, order):
    image = np.asarray(rng.integers(-1000, 400, SHAPE, dtype=np.int16), order=order)
    far = np.array(CUBE) + 2 if beyond else np.zeros(3, int)
    first = rng.integers(-far, SHAPE - np.array(CUBE) + far, (40, 3))
    cubes = cut_cubes(image, first, CUBE)
    padded = np.pad(image, 10, mode="edge")
    expected = [
        padded[tuple(slice(a + 10, a + 10 + n) for a, n in zip(place, CUBE, strict=True))]
        for place in first
    ]
    assert cubes.dtype == np.int16
    assert_array_equal(cubes, expected)


def test_a_cube_may_be_larger_than_the_image_and_there_may_be_none():
    image = np.arange(6.0).reshape(1, 2, 3)
    assert_array_equal(cut_cubes(image, np.array([[-1, 0, 1]]), (3, 1, 3)), [[[[1, 2, 2]]] * 3])
    assert cut_cubes(image, np.zeros((0, 3), int), CUBE).shape == (0, *CUBE)
