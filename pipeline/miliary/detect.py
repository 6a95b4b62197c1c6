"""Find candidates for nodules in the lungs and say how likely each one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.config.detect import DetectSettings
from miliary.kernels.apparent import apparent_diameters
from miliary.kernels.blobs import DIAMETER_PER_SIGMA, Blobs, find_blobs
from miliary.kernels.filters import smooth, smooth_at
from miliary.kernels.maxima import suppress_neighbours
from miliary.kernels.rays import ray_features
from miliary.kernels.regions import block_mean
from miliary.model import Detector, FeatureSpec, Look, load_detector
from miliary.nodules import Candidates

#: Tells from numbers of N blobs which ones are worth more time.
Sieve = Callable[[FloatArray], BoolArray]

#: Point spread (sigma) and voxel side in mm of the scans that a nodule of 2 mm is seen in.
_USUAL_SIGMA_MM, _USUAL_VOXEL_MM = 0.5, 0.8


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

    A second pass over a coarser grid finds larger ones; what the first found inside of them goes.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units, cropped to the lungs with some millimetres around.
    inside_lung : (z, y, x) bool
        Where nodules are looked for.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    settings : DetectSettings
        Operating points and separation.
    near : (z, y, x) bool or None
        Where given, only candidates in it are looked at, and no larger ones.
    detector : Detector or None
        Trained weights; those of the package unless given.

    Returns
    -------
    Candidates
        Those that the operating point accepts, all of the first pass with `keep_all`, no two
        nearer than the separation.
    """
    detector = detector or load_detector()
    blobs, features = find_candidates(
        hu,
        inside_lung,
        spacing_mm,
        FeatureSpec(),
        near=near,
        promising=detector.promising,
        still_promising=detector.still_promising,
    )
    score = detector.probability(features)
    candidates = Candidates(blobs.index_zyx, blobs.sigma_mm, blobs.curvatures_hu[:, 0], score)
    apart = suppress_neighbours(blobs.index_zyx * spacing_mm, score, settings.min_separation_mm)
    candidates = candidates.take(apart & (settings.keep_all | (score >= settings.threshold)))
    if near is not None:
        return candidates
    larger, diameter_mm = find_larger(hu, inside_lung, spacing_mm, settings, detector)
    return _with_larger(candidates, larger, diameter_mm, spacing_mm)


def find_larger(
    hu: AnyArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    settings: DetectSettings,
    detector: Detector,
) -> tuple[Candidates, FloatArray]:
    """Find nodules too large for the first pass: the same detector, told that the scan is smaller.

    On a grid so many times coarser, and blurred as much, a nodule of 6 mm looks like one of 2.7.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units.
    inside_lung : (z, y, x) bool
        Where nodules are looked for.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    settings : DetectSettings
        How many times coarser, and what is accepted.
    detector : Detector
        Trained weights.

    Returns
    -------
    candidates : Candidates
        Accepted ones on the grid of the scan, none with its centre in a likelier one.
    diameter_mm : (N,) float
        How wide they look.
    """
    spec, times = FeatureSpec(), settings.larger_times
    spacing = np.asarray(spacing_mm, float)
    block = np.maximum(np.rint(times * _USUAL_VOXEL_MM / spacing), 1).astype(int)
    coarse_mm = block * spacing
    # What the blocks and a usual scan have blurred already is not blurred again.
    blurred = _USUAL_SIGMA_MM**2 + float(np.mean((coarse_mm**2 - spacing**2) / 12))
    sigma_mm = np.sqrt(max((times * _USUAL_SIGMA_MM) ** 2 - blurred, 0.0))
    # Whole blocks only: the middle of a part of one would lie elsewhere.
    whole = tuple(slice(0, n // side * side) for n, side in zip(hu.shape, block, strict=True))
    factors = (int(block[0]), int(block[1]), int(block[2]))
    image = smooth(block_mean(hu[whole], factors, cap=spec.cap_hu), sigma_mm, coarse_mm)
    inside = block_mean(inside_lung[whole], factors) > 0.5
    blobs, features = find_candidates(
        image,
        inside,
        coarse_mm / times,
        spec,
        promising=detector.promising,
        still_promising=detector.still_promising,
    )
    found = Candidates(
        index_zyx=blobs.index_zyx * block + (block - 1) / 2,
        sigma_mm=blobs.sigma_mm * times,
        response_hu=blobs.curvatures_hu[:, 0],
        score=detector.thorough_probability(features),
    )
    found = found.take(found.score >= max(settings.larger_threshold, settings.threshold))
    return _wide_ones(hu, found, spacing, settings, spec.cap_hu)


def _wide_ones(
    hu: AnyArray,
    found: Candidates,
    spacing: FloatArray,
    settings: DetectSettings,
    cap_hu: float,
) -> tuple[Candidates, FloatArray]:
    """Those that are wide enough in the scan itself, once each, and how wide they look."""
    width = apparent_diameters(hu, found.index_zyx, spacing, settings.larger_to_mm, cap=cap_hu)
    fits = (width >= settings.larger_from_mm) & (width <= settings.larger_to_mm)
    found, width = found.take(fits), width[fits]
    points = found.index_zyx * spacing
    kept: list[int] = []
    for k in np.argsort(-found.score, kind="stable"):
        apart = np.linalg.norm(points[kept] - points[k], axis=1)
        if (apart > np.maximum(width[kept], width[k]) / 2).all():
            kept.append(int(k))
    found = replace(found.take(np.array(kept, int)), sigma_mm=width[kept] / DIAMETER_PER_SIGMA)
    return found, width[kept]


def _with_larger(
    candidates: Candidates, larger: Candidates, diameter_mm: FloatArray, spacing_mm: FloatArray
) -> Candidates:
    """Candidates of both passes, without those of the first that lie inside a larger one."""
    swallowed = np.zeros(len(candidates), bool)
    if len(larger) and len(candidates):
        places = KDTree(candidates.index_zyx * spacing_mm)
        for rows in places.query_ball_point(larger.index_zyx * spacing_mm, diameter_mm / 2):
            swallowed[rows] = True
    return candidates.take(~swallowed).join(larger)


def find_candidates(
    hu: AnyArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    spec: FeatureSpec,
    *,
    near: BoolArray | None = None,
    promising: Sieve | None = None,
    still_promising: Sieve | None = None,
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
    promising, still_promising : callable or None
        Tell from the (N, B) numbers of the blobs themselves which ones to glance at, and from the
        (N, G) numbers of a glance which ones to describe; all of them unless given.

    Returns
    -------
    blobs : Blobs
        Candidates.
    features : (N, F) float32
        One row each, the B numbers of the blob itself first.
    """
    spacing = np.asarray(spacing_mm, float)
    # Of whole Hounsfield units 2 bytes a voxel: memory is time.
    capped = np.minimum(hu, hu.dtype.type(spec.cap_hu))
    blobs, own = describe_blobs(capped, inside_lung, spacing, spec, near=near)
    if promising is not None:
        kept = promising(own)
        blobs, own = blobs.take(kept), own[kept]
    if still_promising is not None:
        kept = still_promising(describe_around(capped, spacing, blobs, own, spec, spec.glance))
        blobs, own = blobs.take(kept), own[kept]
    return blobs, describe_around(capped, spacing, blobs, own, spec, spec.thorough)


def describe_blobs(
    capped: AnyArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    spec: FeatureSpec,
    *,
    near: BoolArray | None = None,
) -> tuple[Blobs, FloatArray]:
    """Find blobs, and tell what is known of each without looking around.

    Parameters
    ----------
    capped : (z, y, x) int16 or float32
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
        capped,
        inside_lung if near is None else inside_lung & near,
        spacing_mm,
        spec.sigmas_mm,
        min_laplacian_hu=spec.min_laplacian_hu,
        min_curvature_hu=spec.min_curvature_hu,
        merge_mm=spec.merge_mm,
        flat_outside=(inside_lung, spec.outside_hu),
    )
    centre = smooth_at(capped, blobs.voxel_zyx, spec.centre_sigma_mm, spacing_mm)
    own = [blobs.curvatures_hu, blobs.laplacians_hu, blobs.sigma_mm[:, None], centre[:, None]]
    return blobs, np.concatenate(own, axis=1).astype(np.float32)


def describe_around(
    capped: AnyArray,
    spacing_mm: FloatArray,
    blobs: Blobs,
    own: FloatArray,
    spec: FeatureSpec,
    look: Look,
) -> FloatArray:
    """Add to what blobs tell of themselves what is seen around them.

    Contrast, background, and all else as parts of the contrast. So a scanner with a sharper or
    softer kernel shows the detector the same thing; the contrast itself stands beside them.

    Parameters
    ----------
    capped : (z, y, x) int16 or float32
        Hounsfield units, none above the cap.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    blobs : Blobs
        N of them.
    own : (N, B) float32
        As `describe_blobs` gives them.
    spec : FeatureSpec
        Least contrast.
    look : Look
        Which rays.

    Returns
    -------
    (N, F) float32
        The B numbers first.
    """
    rays = ray_features(capped, blobs.index_zyx, spacing_mm, look.rays)
    level = look.background_radius * len(look.rays.shell_quantiles) + look.background_quantile
    background = rays.levels_hu[:, level, None]
    contrast = np.maximum(own[:, -1:] - background, spec.min_contrast_hu)
    parts = [
        own,
        contrast,
        background,
        blobs.curvatures_hu / contrast,
        blobs.laplacians_hu / contrast,
        (rays.levels_hu - background) / contrast,
        rays.spreads_hu / contrast,
        rays.shapes,
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)
