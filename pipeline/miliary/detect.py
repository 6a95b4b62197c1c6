"""Find candidates for nodules in the lungs and say how likely each one is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.config.detect import DetectSettings
from miliary.kernels.blobs import Blobs, find_blobs
from miliary.kernels.filters import smooth_at
from miliary.kernels.maxima import suppress_neighbours
from miliary.kernels.rays import ray_features
from miliary.model import Detector, FeatureSpec, load_detector
from miliary.nodules import Candidates


def detect(
    hu: AnyArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    settings: DetectSettings,
    *,
    near: BoolArray | None = None,
    detector: Detector | None = None,
) -> Candidates:
    """Find nodules: dense work once a scale, then one gather for all candidates.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units, cropped to the lungs with some millimetres around.
    inside_lung : (z, y, x) bool
        Where nodules are looked for.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    settings : DetectSettings
        Operating point and separation.
    near : (z, y, x) bool or None
        Where given, only candidates in it are looked at.
    detector : Perceptron or None
        Trained weights; those of the package unless given.

    Returns
    -------
    Candidates
        Those that the operating point accepts, all of them with `keep_all`, no two nearer than
        the separation.
    """
    detector = detector or load_detector()
    blobs, features = find_candidates(
        hu, inside_lung, spacing_mm, FeatureSpec(), near=near, promising=detector.promising
    )
    score = detector.probability(features)
    candidates = Candidates(blobs.index_zyx, blobs.sigma_mm, blobs.curvatures_hu[:, 0], score)
    apart = suppress_neighbours(blobs.index_zyx * spacing_mm, score, settings.min_separation_mm)
    return candidates.take(apart & (settings.keep_all | (score >= settings.threshold)))


def find_candidates(
    hu: AnyArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    spec: FeatureSpec,
    *,
    near: BoolArray | None = None,
    promising: Callable[[FloatArray], BoolArray] | None = None,
) -> tuple[Blobs, FloatArray]:
    """Find blobs and describe each by numbers that do not change when the scan is turned.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units.
    inside_lung : (z, y, x) bool
        Where blobs are looked for.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    spec : FeatureSpec
        What to look at.
    near : (z, y, x) bool or None
        Where given, only blobs in it are kept and described.
    promising : callable or None
        Tells from the (N, B) numbers of the blobs themselves which ones to describe; all of them
        unless given.

    Returns
    -------
    blobs : Blobs
        Candidates.
    features : (N, F) float32
        One row each, the B numbers of the blob itself first.
    """
    spacing = np.asarray(spacing_mm, float)
    capped = np.minimum(hu, np.float32(spec.cap_hu)).astype(np.float32)
    blobs, own = describe_blobs(capped, inside_lung, spacing, spec, near=near)
    if promising is not None:
        kept = promising(own)
        blobs, own = blobs.take(kept), own[kept]
    around = _surroundings(capped, spacing, blobs, own[:, -1:], spec)
    return blobs, np.concatenate([own, around], axis=1)


def describe_blobs(
    capped: FloatArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    spec: FeatureSpec,
    *,
    near: BoolArray | None = None,
) -> tuple[Blobs, FloatArray]:
    """Find blobs, and tell what is known of each without looking around.

    Parameters
    ----------
    capped : (z, y, x) float32
        Hounsfield units, none above the cap.
    inside_lung : (z, y, x) bool
        Where blobs are looked for.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    spec : FeatureSpec
        What to look at.
    near : (z, y, x) bool or None
        Where given, only blobs in it are kept.

    Returns
    -------
    blobs : Blobs
        Every one.
    own : (N, B) float32
        Curvatures, Laplacians, scale, and last the smoothed value at the middle.
    """
    blobs = find_blobs(
        np.where(inside_lung, capped, np.float32(spec.outside_hu)),
        inside_lung if near is None else inside_lung & near,
        spacing_mm,
        spec.sigmas_mm,
        min_laplacian_hu=spec.min_laplacian_hu,
        min_curvature_hu=spec.min_curvature_hu,
        merge_mm=spec.merge_mm,
    )
    centre = smooth_at(capped, blobs.voxel_zyx, spec.centre_sigma_mm, spacing_mm)
    own = [blobs.curvatures_hu, blobs.laplacians_hu, blobs.sigma_mm[:, None], centre[:, None]]
    return blobs, np.concatenate(own, axis=1).astype(np.float32)


def _surroundings(
    capped: FloatArray, spacing: FloatArray, blobs: Blobs, centre: FloatArray, spec: FeatureSpec
) -> FloatArray:
    """Contrast, background, and all else as parts of the contrast.

    So a scanner with a sharper or softer kernel shows the detector the same thing; the contrast
    itself stands beside them.
    """
    rays = ray_features(capped, blobs.index_zyx, spacing, spec.rays)
    level = spec.background_radius * len(spec.rays.shell_quantiles) + spec.background_quantile
    background = rays.levels_hu[:, level, None]
    contrast = np.maximum(centre - background, spec.min_contrast_hu)
    parts = [
        contrast,
        background,
        blobs.curvatures_hu / contrast,
        blobs.laplacians_hu / contrast,
        (rays.levels_hu - background) / contrast,
        rays.spreads_hu / contrast,
        rays.shapes,
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)
