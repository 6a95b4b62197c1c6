"""Vessels on drawn lungs: tubes found, nodules left alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

import oracles_anatomy as oracles
from miliary.config.vessels import VesselSettings
from miliary.geometry import Geometry
from miliary.vessels import find_vessels
from miliary.volume import Volume

SETTINGS = VesselSettings()
SHAPE, SPACING = (50, 90, 84), np.array([1.25, 0.7, 0.8])
BOX = tuple(slice(0, n) for n in SHAPE)
GRID = oracles.grid_mm(SHAPE, SPACING)
LUNG = np.broadcast_to(oracles.ellipsoid(GRID, (0, 0, 0), (29, 29, 31)), SHAPE)
#: Point spread of a thin-slice scan with a medium kernel.
PSF_MM = 0.5


def scan(tissue, rng, noise_hu=20.0):
    """Draw soft tissue in lung in a wall, blurred and noisy, on the grid of the tests."""
    hu = np.where(np.broadcast_to(tissue, SHAPE) | ~LUNG, 40.0, -850.0)
    hu = ndimage.gaussian_filter(hu, PSF_MM / SPACING) + rng.normal(0, noise_hu, SHAPE)
    return Volume(hu.astype(np.float32), Geometry.aligned(SHAPE, tuple(SPACING)))


def found_in(tissue, rng, noise_hu=20.0):
    return find_vessels(scan(tissue, rng, noise_hu), BOX, LUNG.astype(np.uint8), SETTINGS)


def tree():
    """Three vessels of 1.6, 2.4 and 4 mm across that run obliquely through the lung."""
    return [
        oracles.tube(GRID, (-20, y - 6, -12), (20, y + 6, 12), diameter / 2)
        for y, diameter in ((-14, 1.6), (0, 2.4), (14, 4.0))
    ]


def balls(centres_mm, diameter_mm):
    return np.logical_or.reduce(
        [oracles.ellipsoid(GRID, centre, (diameter_mm / 2,) * 3) for centre in centres_mm]
    )


def test_vessels_of_a_millimetre_and_a_half_and_more_are_found(rng):
    vessels = tree()
    found = found_in(np.logical_or.reduce(vessels), rng)
    for vessel in vessels:
        # The ends fade, and of a thin vessel only voxels that it fills for the most are found.
        assert (found & vessel).sum() > 0.5 * vessel.sum()
    near = ndimage.binary_dilation(np.logical_or.reduce(vessels), iterations=3)
    assert not (found & ~near).any()


@pytest.mark.parametrize("diameter_mm", [1.0, 1.5, 2.0, 3.0])
def test_isolated_nodules_are_never_vessels(rng, diameter_mm):
    where = rng.uniform(-15, 15, (40, 3))
    where[:, 0] *= 1.2
    found = found_in(balls(where, diameter_mm), rng)
    assert np.count_nonzero(found) <= 0.02 * np.count_nonzero(balls(where, diameter_mm))


@pytest.mark.parametrize("vessel", [0, 1, 2])
def test_a_nodule_on_a_vessel_adds_at_most_a_voxel_layer_more_than_itself(vessel):
    tissue = tree()[vessel]
    alone = found_in(tissue, np.random.default_rng(5))
    for side in (0.0, 1.0, 2.0, 2.5, 3.0, 3.5):
        nodule = balls([(0.0, 14.0 * (vessel - 1) + side, 0.0)], 2.0)
        both = found_in(tissue | nodule, np.random.default_rng(5))
        added = (np.count_nonzero(both) - np.count_nonzero(alone)) * np.prod(SPACING)
        # Blurred, the ball is larger by a layer of half a voxel.
        assert added <= 4 / 3 * np.pi * (1.0 + SPACING.min() / 2) ** 3


def test_nodules_beside_vessels_keep_their_centres(rng):
    vessel = tree()[1]
    centres = [(z, z * 0.3 + 3.2, z * 0.6) for z in (-15, -9, -3, 3, 9, 15)]
    found = found_in(vessel | balls(centres, 2.0), rng)
    index = np.rint(np.array(centres) / SPACING + (np.array(SHAPE) - 1) / 2).astype(int)
    assert found[tuple(index.T)].sum() <= 1


@pytest.mark.parametrize("noise_hu", [0.0, 30.0, 100.0])
def test_lung_without_vessels_has_none(rng, noise_hu):
    assert not found_in(np.zeros(SHAPE, bool), rng, noise_hu).any()


def test_without_lung_there_are_no_vessels(rng):
    found = find_vessels(scan(tree()[2], rng), BOX, np.zeros(SHAPE, np.uint8), SETTINGS)
    assert_array_equal(found, np.zeros(SHAPE, bool))


def test_the_scan_is_not_changed_and_whole_numbers_do_as_well(rng):
    volume = scan(tree()[2], rng)
    rounded = Volume(volume.hu.astype(np.int16), volume.geometry)
    before = rounded.hu.copy()
    one = find_vessels(volume, BOX, LUNG.astype(np.uint8), SETTINGS)
    two = find_vessels(rounded, BOX, LUNG.astype(np.uint8), SETTINGS)
    assert_array_equal(rounded.hu, before)
    assert oracles.dice(one, two) > 0.97
