"""Finding nodules: candidates, their features, and the trained detector on drawn lungs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import oracles_detect as oracles
from miliary.config.detect import DetectSettings
from miliary.detect import _wide_ones, detect, find_candidates, find_larger
from miliary.kernels.filters import smooth
from miliary.model import FeatureSpec, load_detector
from miliary.nodules import Candidates

SPACING = np.array([1.0, 0.7, 0.75])
PSF = (0.5, 0.45, 0.45)
SPEC = FeatureSpec()
#: Columns: three curvatures, a Laplacian a scale, scale and middle; then contrast and background.
N_OWN = 3 + len(SPEC.sigmas_mm) + 2
CONTRAST = N_OWN
N_FEATURES = N_OWN + oracles.n_around(SPEC.thorough, len(SPEC.sigmas_mm))
#: A stand-in for the trained detector: likely where the contrast is above 200 HU.
BY_CONTRAST = oracles.linear_detector(N_OWN, N_FEATURES, CONTRAST, mean=200.0, scale=30.0)


def lung(rng, diameter_mm, *, n_side=3, noise_hu=0.0):
    """Balls in lung, with a wall round it; image, inside, centres."""
    shape, centres = oracles.lattice(n_side, 9.0, SPACING, rng)
    diameters = np.full(len(centres), diameter_mm)
    image = oracles.draw_balls(shape, SPACING, centres, diameters, PSF, rng=rng, noise_hu=noise_hu)
    inside = np.zeros(shape, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    wall = smooth(np.where(inside, 0.0, 1.0).astype(np.float32), 0.45, SPACING)
    return (image + 880 * wall).astype(np.float32), inside, centres


def found_share(candidates, centres, reach_mm=0.8):
    if len(candidates) == 0:
        return 0.0, 0
    places = candidates.index_zyx * SPACING
    apart = np.linalg.norm(centres[:, None] - places[None], axis=-1)
    return (apart.min(axis=1) < reach_mm).mean(), (apart.min(axis=0) > 1.5).sum()


def test_every_ball_is_a_candidate_once(rng):
    image, inside, centres = lung(rng, 2.0)
    found = detect(image, inside, SPACING, DetectSettings(), detector=BY_CONTRAST)
    assert found_share(found, centres, 0.3) == (1.0, 0)
    assert len(found) == len(centres)
    assert (found.score > 0.85).all()
    assert (found.response_hu > 0).all()


def test_the_operating_point_and_keeping_all(rng):
    image, inside, _ = lung(rng, 2.0, noise_hu=40.0)
    every = detect(image, inside, SPACING, DetectSettings(keep_all=True), detector=BY_CONTRAST)
    some = detect(image, inside, SPACING, DetectSettings(threshold=0.9), detector=BY_CONTRAST)
    none = detect(image, inside, SPACING, DetectSettings(threshold=1.0), detector=BY_CONTRAST)
    chosen = every.take(every.score >= 0.9)
    assert 0 < len(some) < len(every)
    assert_array_equal(some.index_zyx, chosen.index_zyx)
    assert_array_equal(some.score, chosen.score)
    assert len(none) == 0
    assert none.index_zyx.shape == (0, 3)


def test_of_two_candidates_too_close_the_likelier_is_kept(rng):
    image, inside, _ = lung(rng, 2.0, noise_hu=40.0)
    settings = DetectSettings(keep_all=True, min_separation_mm=4.0)
    kept = detect(image, inside, SPACING, settings, detector=BY_CONTRAST)
    near = DetectSettings(keep_all=True, min_separation_mm=0.1)
    every = detect(image, inside, SPACING, near, detector=BY_CONTRAST)
    expected = oracles.keep_apart(every.index_zyx * SPACING, every.score, 4.0)
    assert_array_equal(kept.index_zyx, every.index_zyx[expected])


def test_neighbours_2_5_mm_apart_stay_two():
    shape = (24, 34, 32)
    centres = np.array([[12.0, 12.0, 10.0], [12.0, 12.0, 12.5]])
    image = oracles.draw_balls(shape, SPACING, centres, [1.8, 1.8], PSF)
    found = detect(image, np.ones(shape, bool), SPACING, DetectSettings(), detector=BY_CONTRAST)
    assert found_share(found, centres, 0.4) == (1.0, 0)


def test_there_is_a_row_of_finite_features_for_each_blob(rng):
    image, inside, _ = lung(rng, 2.0, noise_hu=40.0)
    blobs, features = find_candidates(image, inside, SPACING, SPEC)
    assert features.shape == (len(blobs), N_FEATURES)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert inside[tuple(blobs.voxel_zyx.T)].all()


def test_contrast_is_that_of_the_ball_and_bright_voxels_are_capped(rng):
    shape = (24, 34, 32)
    centre = np.array([[12.0, 12.0, 12.0]])
    image = oracles.draw_balls(shape, SPACING, centre, [5.0], PSF)
    inside = np.ones(shape, bool)
    blobs, features = find_candidates(image, inside, SPACING, SPEC)
    middle = np.linalg.norm(blobs.index_zyx * SPACING - centre, axis=1).argmin()
    # Smoothing by 0.6 mm takes next to nothing from the middle of a ball of 5 mm.
    assert_allclose(features[middle, CONTRAST : CONTRAST + 2], [880, -850], rtol=0.03)
    calcified = np.where(image > SPEC.cap_hu / 2 - 5, 900, image).astype(np.float32)
    _, capped = find_candidates(calcified, inside, SPACING, SPEC)
    assert capped[:, CONTRAST].max() < 850 + SPEC.cap_hu + 1


def test_short_looks_drop_blobs_and_change_nothing_of_the_others(rng):
    image, inside, _ = lung(rng, 2.0, noise_hu=40.0)
    blobs, features = find_candidates(image, inside, SPACING, SPEC)
    bright = np.median(features[:, N_OWN - 1])

    def above(seen):
        return seen[:, N_OWN - 1] > bright

    kept = above(features)
    assert 0 < kept.sum() < len(kept)
    for sieve in ({"promising": above}, {"still_promising": above}):
        some, described = find_candidates(image, inside, SPACING, SPEC, **sieve)
        assert_array_equal(some.voxel_zyx, blobs.voxel_zyx[kept])
        assert_array_equal(described, features[kept])


@pytest.mark.parametrize("limit", ["first_logit", "glance_logit"])
def test_what_a_short_look_refuses_is_not_found(rng, limit):
    image, inside, _ = lung(rng, 2.0, noise_hu=40.0)
    every, none = DetectSettings(keep_all=True), replace(BY_CONTRAST, **{limit: 1e9})
    assert len(detect(image, inside, SPACING, every, detector=BY_CONTRAST)) > 0
    assert len(detect(image, inside, SPACING, every, detector=none)) == 0


def test_features_do_not_change_when_the_scan_is_mirrored_or_stored_as_integers(rng):
    image, inside, _ = lung(rng, 2.0)
    image = np.rint(image)
    blobs, features = find_candidates(image, inside, SPACING, SPEC)
    _, whole = find_candidates(image.astype(np.int16), inside, SPACING, SPEC)
    assert_array_equal(whole, features)
    flipped = np.ascontiguousarray(image[:, ::-1])
    mirrored, other = find_candidates(flipped, inside[:, ::-1], SPACING, SPEC)
    back = mirrored.voxel_zyx * [1, -1, 1] + [0, image.shape[1] - 1, 0]
    order, same = np.lexsort(back.T), np.lexsort(blobs.voxel_zyx.T)
    assert_array_equal(back[order], blobs.voxel_zyx[same])
    # Rays are spread evenly, but not in a way that mirrors onto itself.
    assert np.median(np.abs(other[order] - features[same])) < 0.02


def test_near_keeps_candidates_with_the_features_of_the_whole(rng):
    image, inside, _ = lung(rng, 2.0)
    near = np.zeros(image.shape, bool)
    # Midway between the first and the second layer of balls.
    near[:, :, :12] = True
    whole, features = find_candidates(image, inside, SPACING, SPEC)
    part, part_features = find_candidates(image, inside, SPACING, SPEC, near=near)
    kept = near[tuple(whole.voxel_zyx.T)]
    assert 9 <= kept.sum() < len(whole)
    assert_array_equal(part.voxel_zyx, whole.voxel_zyx[kept])
    assert_array_equal(part_features, features[kept])
    found = detect(image, inside, SPACING, DetectSettings(), near=near, detector=BY_CONTRAST)
    assert len(found) == 9


@pytest.mark.parametrize("inside", [True, False])
def test_nothing_to_find_is_a_table_of_length_0(inside):
    flat = np.full(oracles.SHAPE, -850, np.int16)
    mask = np.full(oracles.SHAPE, inside)
    found = detect(flat, mask, oracles.SPACING, DetectSettings(), detector=BY_CONTRAST)
    assert len(found) == 0
    assert found.index_zyx.shape == (0, 3)
    assert len(detect(flat, mask, oracles.SPACING, DetectSettings())) == 0


def large_ball(rng, diameter_mm, *, small_mm=()):
    """A ball of 4 mm and more in the middle of noise, and small ones off it; image, inside."""
    shape = (48, 66, 62)
    centres = [[24.0, 23.0, 23.0], *([24.0, 23.0, 23.0 + off] for off in small_mm)]
    diameters = [diameter_mm, *[2.0] * len(small_mm)]
    image = oracles.draw_balls(shape, SPACING, centres, diameters, PSF, rng=rng, noise_hu=30.0)
    inside = np.zeros(shape, bool)
    inside[3:-3, 3:-3, 3:-3] = True
    return image, inside


@pytest.mark.parametrize("diameter_mm", [4.0, 5.0, 6.0, 8.0, 10.0])
def test_a_larger_nodule_is_found_once(rng, diameter_mm):
    image, inside = large_ball(rng, diameter_mm)
    found = detect(image, inside, SPACING, DetectSettings())
    assert len(found) == 1
    assert_allclose(found.index_zyx[0] * SPACING, [24, 23, 23], atol=0.4)
    assert found.score[0] >= DetectSettings().threshold


def test_small_ones_beside_a_larger_stay_and_those_inside_go(rng):
    image, inside = large_ball(rng, 8.0, small_mm=(-8.0, 8.0))
    image[23:26, 33, 30] += 300
    settings = DetectSettings(keep_all=True)
    found = detect(image, inside, SPACING, settings)
    larger, width = find_larger(image, inside, SPACING, settings, load_detector())
    assert len(larger) == 1
    assert_allclose(width, 8.0, atol=0.5)
    places = found.index_zyx * SPACING
    assert_array_equal(places[-1], larger.index_zyx[0] * SPACING)
    off = np.linalg.norm(places[:-1] - places[-1], axis=1)
    assert (off > width[0] / 2).all()
    for x_mm in (15.0, 31.0):
        assert np.linalg.norm(places - [24, 23, x_mm], axis=1).min() < 0.5
    only = np.ones(image.shape, bool)
    first_pass = detect(image, inside, SPACING, settings, near=only)
    distance = np.linalg.norm(first_pass.index_zyx * SPACING - places[-1], axis=1)
    assert (distance < width[0] / 2).any()
    assert_array_equal(first_pass.index_zyx[distance > width[0] / 2], found.index_zyx[:-1])


def test_larger_ones_need_their_threshold_and_their_width(rng):
    image, inside = large_ball(rng, 8.0)
    detector = load_detector()
    for wish in ({"larger_threshold": 1.0}, {"larger_from_mm": 9.0}, {"larger_to_mm": 7.0}):
        settings = DetectSettings(**wish)
        larger, width = find_larger(image, inside, SPACING, settings, detector)
        assert len(larger) == len(width) == 0
    larger, _ = find_larger(image, inside, SPACING, DetectSettings(threshold=1.0), detector)
    assert len(larger) == 0


def test_the_last_look_has_no_say_in_larger_ones(rng):
    image, inside = large_ball(rng, 8.0)
    with_last = load_detector()
    without = replace(with_last, last=())
    found = [find_larger(image, inside, SPACING, DetectSettings(), d) for d in (with_last, without)]
    assert len(found[0][0]) == 1
    assert_array_equal(found[0][0].score, found[1][0].score)


def test_of_larger_ones_in_each_other_the_likeliest_is_kept():
    image = np.full((40, 40, 40), -850, np.float32)
    z, y, x = np.indices(image.shape)
    for middle, radius in ((12, 4), (28, 4)):
        image[(z - 20) ** 2 + (y - 20) ** 2 + (x - middle) ** 2 < radius**2] = 30
    index = np.array([[20.0, 20, 12], [20, 20, 13], [20, 20, 28]])
    given = Candidates(index, np.full(3, 2.0), np.full(3, 50.0), np.array([0.7, 0.9, 0.8]))
    found, width = _wide_ones(image, given, np.ones(3), DetectSettings(), 60.0)
    assert_array_equal(found.score, [0.9, 0.8])
    assert_allclose(width, 7.5, atol=0.6)


def test_the_image_and_the_mask_stay_as_they_are(rng):
    image, inside, _ = lung(rng, 2.0, noise_hu=40.0)
    before = image.copy(), inside.copy()
    detect(image, inside, SPACING, DetectSettings(), detector=BY_CONTRAST)
    assert_array_equal(image, before[0])
    assert_array_equal(inside, before[1])


def test_the_trained_detector_finds_isolated_balls_and_hardly_anything_else(rng):
    image, inside, centres = lung(rng, 2.5, n_side=4, noise_hu=40.0)
    found = detect(image, inside, SPACING, DetectSettings())
    sensitivity, wrong = found_share(found, centres)
    assert sensitivity > 0.8
    assert wrong <= 2


def test_the_trained_detector_finds_nothing_in_noise_and_straight_vessels(rng):
    shape = (48, 60, 60)
    _, y, x = (n * s for n, s in zip(np.indices(shape), SPACING, strict=True))
    vessels = np.zeros(shape)
    for place in (10.0, 20.0, 32.0):
        vessels = np.maximum(vessels, np.hypot(y - place, x - place) < 1.3)
    vessels = smooth(vessels.astype(np.float32), 0.45, SPACING)
    image = oracles.LUNG_HU + 880 * vessels + rng.normal(0, 40.0, shape)
    inside = np.zeros(shape, bool)
    inside[3:-3, 3:-3, 3:-3] = True
    assert len(detect(image.astype(np.float32), inside, SPACING, DetectSettings())) <= 1
