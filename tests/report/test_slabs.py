"""The projections against a slow projection, and the rings against where the nodules are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from miliary.config.report import ReportSettings
from miliary.geometry import Geometry
from miliary.report.slabs import (
    Frame,
    apply_window,
    axial_slabs,
    frame_lungs,
    key_levels,
    make_slab,
)

SETTINGS = ReportSettings()
SPACING_MM = np.array([1.25, 0.7, 0.7])


def make_frame(hu: np.ndarray, index: list[list[float]]) -> Frame:
    box = tuple(slice(0, n) for n in hu.shape)
    return Frame(
        hu, box, SPACING_MM, np.array(index, float).reshape(-1, 3), np.full(len(index), 2.0)
    )


def test_the_window_runs_from_its_lower_to_its_upper_end():
    hu = np.array([-3000, -1350, -600, 150, 3000], np.int16)
    assert_array_equal(apply_window(hu, SETTINGS), [0, 0, 128, 255, 255])


def test_a_slab_shows_the_brightest_voxel_of_its_slices_only(rng):
    hu = rng.integers(-1000, 100, (19, 23, 29)).astype(np.int16)
    slab = make_slab(make_frame(hu, []), 0, 9.5, SETTINGS)
    # 10 mm are 8 slices of 1.25 mm: 5.5 to 13.5, rounded to even, 6 to 14.
    expected = np.full((23, 29), -2000)
    for z in range(6, 14):
        expected = np.maximum(expected, hu[z])
    assert_array_equal(slab.pixels, apply_window(expected, SETTINGS))


def test_a_ring_lies_on_its_nodule_in_axial_and_coronal_slabs():
    for axis, pixel in ((0, (5, 20)), (1, (18 - 12, 20))):
        hu = np.full((19, 23, 29), -900, np.int16)
        hu[12, 5, 20] = 100
        frame = make_frame(hu, [[12, 5, 20]])
        slab = make_slab(frame, axis, (12.5, 5.5)[axis], SETTINGS)
        (x, y, r), per_mm = slab.rings_px[0], slab.pixels.shape[1] / (29 * 0.7)
        brightest = np.unravel_index(slab.pixels.argmax(), slab.pixels.shape)
        assert abs(y - 0.5 - brightest[0]) <= 1
        assert abs(x - 0.5 - brightest[1]) <= 1
        assert x == pytest.approx((pixel[1] + 0.5) * 0.7 * per_mm)
        assert r == pytest.approx((1.0 + SETTINGS.ring_mm) * per_mm)


def test_pixels_are_square_whatever_the_voxels(make_analysis):
    frame = frame_lungs(make_analysis(), SETTINGS)
    lengths_mm = np.array(frame.hu.shape) * frame.spacing_mm
    height, width = axial_slabs(frame, SETTINGS)[0].pixels.shape
    assert_allclose(height / width, lengths_mm[1] / lengths_mm[2], rtol=0.02)
    assert width <= SETTINGS.picture_px


def test_slabs_go_down_and_leave_no_slice_out(make_analysis):
    frame = frame_lungs(make_analysis(300), SETTINGS)
    slabs = axial_slabs(frame, SETTINGS)
    depths = [slab.depth_mm for slab in slabs]
    assert depths == sorted(depths)
    assert len(slabs) <= SETTINGS.max_slabs
    assert set(np.concatenate([slab.rows for slab in slabs])) == set(range(300))
    highest = frame.index_zyx[:, 0].argmax()
    assert highest in slabs[0].rows or highest in slabs[1].rows


def test_levels_lie_where_the_lung_is():
    labels = np.zeros((60, 8, 8), np.uint8)
    labels[40:50] = 1
    frame = make_frame(np.zeros((60, 8, 8), np.int16), [])
    slabs = axial_slabs(frame, SETTINGS)
    chosen = key_levels(frame, slabs, labels, 2)
    # The lung lies 10 to 20 slices, 12.5 to 25 mm, below the top.
    assert all(10 <= slabs[place].depth_mm <= 27.5 for place in chosen)
    assert key_levels(frame, slabs, np.zeros_like(labels), 2) == [0, 1]


def test_the_frame_holds_the_lungs_and_little_else(make_analysis):
    analysis = make_analysis(50)
    frame = frame_lungs(analysis, SETTINGS)
    labels = analysis.anatomy.lung_labels
    assert (labels[frame.box] > 0).sum() == (labels > 0).sum()
    assert frame.hu.shape < labels.shape
    assert (frame.index_zyx > -0.5).all()
    assert (frame.index_zyx < np.array(frame.hu.shape) - 0.5).all()


def test_an_anatomy_that_starts_elsewhere_in_the_volume_gives_the_same_pictures(make_analysis):
    analysis = make_analysis(50)
    hu, anatomy = analysis.volume.hu, analysis.anatomy
    padded = np.pad(hu, ((3, 2), (4, 1), (5, 0)), constant_values=-1024)
    box = tuple(slice(b, b + n) for b, n in zip((3, 4, 5), hu.shape, strict=True))
    geometry = analysis.volume.geometry
    affine = geometry.affine.copy()
    affine[:3, 3] = geometry.to_world(np.array([[-3, -4, -5]]))[0]
    volume = replace(analysis.volume, hu=padded, geometry=Geometry(padded.shape, affine))
    moved = replace(analysis, volume=volume, anatomy=replace(anatomy, box=box))
    for one, other in zip(
        axial_slabs(frame_lungs(analysis, SETTINGS), SETTINGS),
        axial_slabs(frame_lungs(moved, SETTINGS), SETTINGS),
        strict=True,
    ):
        assert_array_equal(one.pixels, other.pixels)
        assert_allclose(one.rings_px, other.rings_px)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"slab_mm must be above 0, got 0\.0"):
        ReportSettings(slab_mm=0.0)
    with pytest.raises(ValueError, match="picture_quality must be at most 100, got 101"):
        ReportSettings(picture_quality=101)
