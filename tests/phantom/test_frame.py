"""The patient's place in the grid: there and back, turned, breathed out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.phantom.frame import Frame
from miliary.phantom.spec import PhantomSpec

SPEC = PhantomSpec.of(shape=(19, 23, 29), spacing_mm=(1.25, 0.7, 0.8), scale=0.5)
TURNED = SPEC.but(rotation_deg=(10.0, -7.0, 4.0), breath=0.8)


@pytest.mark.parametrize("spec", [SPEC, TURNED])
def test_there_and_back(rng, spec):
    frame = Frame.of(spec)
    points = rng.uniform(-100, 100, (50, 3))
    assert_allclose(frame.to_chest(frame.to_grid(points)), points, atol=1e-9)


def test_the_middle_of_the_chest_is_in_the_middle_of_the_view():
    for spec in (SPEC, TURNED):
        field_mm = (np.array(SPEC.scanner.shape) - 1) * SPEC.scanner.spacing_mm
        assert_allclose(Frame.of(spec).to_grid(np.array([122.0, 6.0, 0.0])), field_mm / 2)


def test_breathing_out_shortens_the_lungs_most():
    frame = Frame.of(SPEC.but(breath=0.8))
    ways = frame.to_grid(np.eye(3)) - frame.to_grid(np.zeros((3, 3)))
    assert_allclose(np.diag(ways), [0.5 * 0.8, 0.5 * 0.94, 0.5])


@pytest.mark.parametrize("spec", [SPEC, TURNED])
def test_axes_are_the_points_of_the_voxels(spec):
    frame = Frame.of(spec)
    z, y, x = (np.arange(n) * s for n, s in zip((4, 5, 6), (1.25, 0.7, 0.8), strict=True))
    grid = np.stack(np.meshgrid(z, y, x, indexing="ij"), -1)
    for axis, wanted in zip(
        frame.axes((z, y, x)), np.moveaxis(frame.to_chest(grid), -1, 0), strict=True
    ):
        assert_allclose(np.broadcast_to(axis, wanted.shape), wanted, atol=1e-4)
    thin = all(axis.size <= 6 for axis in frame.axes((z, y, x)))
    assert thin == (spec is SPEC)


def test_a_turned_grid_sees_the_same_patient_in_the_world():
    straight, turned = (spec.but(breath=1.0) for spec in (SPEC, TURNED))
    chest_point = np.array([[30.0, -20.0, 55.0]])
    places = []
    for spec in (straight, turned):
        frame = Frame.of(spec)
        geometry = frame.geometry(spec)
        places.append(geometry.to_world(frame.to_grid(chest_point) / spec.scanner.spacing_mm))
    assert_allclose(places[0], places[1], atol=1e-9)
    # World (x, y, z), chest (z, y, x), at half an adult's size.
    assert_allclose(places[0][0], 0.5 * chest_point[0, ::-1], atol=1e-9)
