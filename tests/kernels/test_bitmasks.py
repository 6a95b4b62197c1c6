"""Masks of one bit a voxel against the masks themselves and against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import oracles_anatomy as oracles
from miliary.kernels.bitmasks import ball_rows, blank_bits, pack, unpack

SPACING = np.array([1.25, 0.7, 0.8])


@pytest.mark.parametrize("width", [1, 63, 64, 65, 130])
@pytest.mark.parametrize("frame", [(0, 0, 0), (2, 3, 5)])
def test_packing_and_unpacking_changes_nothing(rng, width, frame):
    mask = rng.random((35, 5, width)) > 0.5
    bits = pack(mask, frame)
    assert bits.words.shape == (
        35 + 2 * frame[0],
        5 + 2 * frame[1],
        -(-(width + 2 * frame[2]) // 64),
    )
    assert_array_equal(unpack(bits), mask)
    assert_array_equal(unpack(bits.flipped()), ~mask)


def test_bits_of_an_image_make_a_mask(rng):
    image = rng.integers(0, 8, (35, 5, 67)).astype(np.uint8)
    assert_array_equal(unpack(pack(image, where=np.uint8(5))), (image & 5) > 0)


def test_masks_are_joined_as_sets_are(rng):
    one, other = rng.random((2, 35, 5, 67)) > 0.5
    first, second = pack(one), pack(other)
    assert_array_equal(unpack(first.both(second)), one & other)
    assert_array_equal(unpack(first.either(second)), one | other)
    assert_array_equal(unpack(first.without(second)), one & ~other)
    assert first.any
    assert not first.without(first).any


def test_a_blank_mask_takes_the_rows_of_another(rng):
    mask, blank = rng.random((35, 5, 67)) > 0.5, blank_bits((35, 5, 67))
    assert not unpack(blank).any()
    blank.words[3:9] = pack(mask[3:9]).words
    assert_array_equal(unpack(blank)[3:9], mask[3:9])


def test_a_mask_is_eroded_where_its_background_grows(rng):
    mask = rng.random((9, 11, 70)) > 0.02
    eroded = unpack(pack(mask).eroded(1.6, SPACING))
    assert_array_equal(eroded, ~oracles.within(~mask, 1.6, SPACING))


def test_the_frame_is_empty_and_flipped_it_is_full():
    bits = pack(np.ones((3, 4, 60), bool), (1, 2, 3))
    assert np.unpackbits(bits.words.view(np.uint8)).sum() == 3 * 4 * 60
    assert np.unpackbits(bits.flipped().words.view(np.uint8)).sum() == 5 * 8 * 66 - 3 * 4 * 60


@pytest.mark.parametrize("width", [64, 131])
@pytest.mark.parametrize("radius_mm", [0.5, 0.8, 1.6, 3.0])
def test_a_ball_moved_over_a_mask_matches_every_pair_of_voxels_across_words(rng, radius_mm, width):
    mask = rng.random((5, 7, width)) > 0.99
    # Rows that fill their words do not run into each other.
    mask[1, 2, 0] = mask[3, 4, -1] = True
    grown = unpack(pack(mask).grown(radius_mm, SPACING))
    assert_array_equal(grown, oracles.within(mask, radius_mm, SPACING))


@pytest.mark.parametrize("threads", ["1", "3"])
def test_slabs_do_not_show(rng, monkeypatch, threads):
    monkeypatch.setenv("MILIARY_THREADS", threads)
    mask = rng.random((90, 5, 9)) > 0.995
    grown = unpack(pack(mask).grown(3.0, SPACING))
    assert_array_equal(grown, oracles.within(mask, 3.0, SPACING))


def test_rows_of_a_ball_by_hand():
    # A radius of 1.6: along x 2 steps of 0.8, exactly; at 0.7 along y 1.44 are left, at 1.4 0.77.
    assert ball_rows(1.6, SPACING) == [[2, 1, 0], [1, 0]]


@pytest.mark.parametrize("shape", [(0, 5, 7), (5, 0, 7), (5, 7, 0)])
def test_a_mask_without_voxels_is_packed_and_unpacked(shape):
    assert unpack(pack(np.zeros(shape, bool))).shape == shape
