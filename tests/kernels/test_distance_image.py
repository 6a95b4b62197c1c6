"""Distances in two bytes a voxel against the distances themselves."""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.kernels.distance_image import (
    STEPS_MM,
    STEPS_PER_MM,
    DistanceImage,
    ends_of_codes,
    in_steps,
)

SHAPE = (19, 23, 29)
#: Half a step, and what single precision adds.
ROUNDING_MM = 0.5 / STEPS_PER_MM + 1e-6


@pytest.fixture
def distance_mm(rng):
    distance = rng.uniform(0.0, 60.0, SHAPE).astype(np.float32)
    distance[3, 4] = np.inf
    distance[5, 6] = 0.0
    distance[7, 8] = 2.5
    return distance


def test_values_come_back_to_half_a_step(distance_mm):
    image = DistanceImage(in_steps(distance_mm))
    assert_allclose(np.asarray(image), distance_mm, atol=ROUNDING_MM)
    assert (image.shape, image.size, image.dtype) == (SHAPE, distance_mm.size, np.float32)
    assert np.isposinf(image[3, 4]).all()
    assert_array_equal(image[7, 8], 2.5)


def test_parts_are_images_and_places_are_values(distance_mm, rng):
    image = DistanceImage(in_steps(distance_mm))
    part = image[2:9, :, 3:20]
    assert isinstance(part, DistanceImage)
    assert np.shares_memory(part.codes, image.codes)
    inside = rng.random(SHAPE) > 0.5
    assert_allclose(image[inside], distance_mm[inside], atol=ROUNDING_MM)
    assert_allclose(image[3:6, 4, 7], distance_mm[3:6, 4, 7], atol=ROUNDING_MM)
    assert float(image[0, 0, 0]) == pytest.approx(float(distance_mm[0, 0, 0]), abs=ROUNDING_MM)


@pytest.mark.parametrize("limit_mm", [-1.0, 0.0, 2.5, 2.501, 59.9, 1000.0, np.inf, np.nan])
@pytest.mark.parametrize(
    "ask",
    [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne],
)
def test_limits_part_the_values_that_it_gives(distance_mm, limit_mm, ask):
    image = DistanceImage(in_steps(distance_mm))
    assert_array_equal(ask(image, limit_mm), ask(np.asarray(image), limit_mm))


def test_what_is_too_far_for_two_bytes_stays_finite():
    steps = in_steps(np.array([[[255.9, 256.1, 4000.0, np.inf]]], np.float32))
    assert_array_equal(np.isinf(DistanceImage(steps)[0, 0]), [False, False, False, True])
    assert DistanceImage(steps)[0, 0, 2] == pytest.approx(256.0, abs=0.02)


def test_an_unknown_image_is_infinite_everywhere():
    assert np.isposinf(np.asarray(DistanceImage.unknown((2, 3, 4)))).all()


def test_a_script_does_with_it_what_it_does_with_an_array(distance_mm):
    image = DistanceImage(in_steps(distance_mm))
    array = np.asarray(image)
    assert_array_equal(image - 1, array - 1)
    assert_array_equal(2 * image, 2 * array)
    assert_array_equal(-image, -array)
    assert_array_equal(image < array[::-1], array < array[::-1])
    assert_array_equal(array > image, array > array)
    assert_array_equal(image == image, True)
    assert_array_equal(np.sqrt(image), np.sqrt(array))
    assert_array_equal(image.ravel(), array.ravel())
    assert (image.min(), image.max(), image.ndim, len(image)) == (0.0, np.inf, 3, SHAPE[0])
    assert np.nanmin(image) == 0.0
    assert np.maximum.reduce(image, axis=None) == np.inf
    assert f"{image[7, 8, 1]:.1f}" == "2.5"


@pytest.mark.parametrize("again", [copy.deepcopy, lambda image: pickle.loads(pickle.dumps(image))])
def test_it_can_be_copied_and_sent(distance_mm, again):
    image = DistanceImage(in_steps(distance_mm))
    assert_array_equal(again(image).codes, image.codes)


def test_values_are_never_those_in_memory(distance_mm):
    with pytest.raises(ValueError, match="must be made anew, got copy=False"):
        np.asarray(DistanceImage(in_steps(distance_mm)), copy=False)


def test_codes_of_any_table_are_read_and_parted_by_it(rng):
    table_mm = np.sort(rng.uniform(0, 40, 2**16).astype(np.float32))
    # Some codes stand for the same distance.
    table_mm[300:400], table_mm[-1] = table_mm[300], np.inf
    image = DistanceImage(rng.integers(0, 2**16, SHAPE).astype(np.uint16), table_mm)
    values = np.asarray(image)
    assert_array_equal(values, table_mm[image.codes])
    assert_array_equal(image[2:5].table_mm, table_mm)
    for limit_mm in (-1.0, 0.0, float(table_mm[350]), 17.3, 40.0, np.inf):
        assert_array_equal(image < limit_mm, values < limit_mm)
        assert_array_equal(image <= limit_mm, values <= limit_mm)
        assert_array_equal(image > limit_mm, values > limit_mm)
        assert_array_equal(image >= limit_mm, values >= limit_mm)


@pytest.mark.parametrize("infinite", [0, 3, 20])
def test_the_ends_of_codes_are_those_of_finite_distances(rng, infinite):
    distance_mm = rng.uniform(1.0, 60.0, 20).astype(np.float32)
    distance_mm[:infinite] = np.inf
    codes = in_steps(distance_mm)
    known = STEPS_MM[codes[infinite:]]
    assert ends_of_codes(codes, STEPS_MM) == ((known.min(), known.max()) if len(known) else ())
    assert ends_of_codes(codes[:0], STEPS_MM) == ()
