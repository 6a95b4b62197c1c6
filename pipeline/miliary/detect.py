"""Find candidates for nodules in the lungs and say how likely each one is."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.config.detect import DetectSettings
from miliary.kernels.blobs import Blobs, find_blobs
from miliary.kernels.components import component_sizes
from miliary.kernels.filters import smooth
from miliary.kernels.maxima import suppress_neighbours
from miliary.kernels.rays import ray_features
from miliary.model import FeatureSpec, Perceptron, load_detector
from miliary.nodules import Candidates


def detect(
    hu: AnyArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    settings: DetectSettings,
    *,
    near: BoolArray | None = None,
    detector: Perceptron | None = None,
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
    spec = FeatureSpec()
    blobs, features = find_candidates(hu, inside_lung, spacing_mm, spec, near=near)
    score = (detector or load_detector()).probability(features)
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

    Returns
    -------
    blobs : Blobs
        Candidates.
    features : (N, F) float32
        One row each.
    """
    spacing = np.asarray(spacing_mm, float)
    capped = np.minimum(hu, np.float32(spec.cap_hu)).astype(np.float32)
    lung_only = np.where(inside_lung, capped, np.float32(spec.outside_hu))
    blobs = find_blobs(
        lung_only,
        inside_lung if near is None else inside_lung & near,
        spacing,
        spec.sigmas_mm,
        min_laplacian_hu=spec.min_laplacian_hu,
        min_curvature_hu=spec.min_curvature_hu,
        merge_mm=spec.merge_mm,
    )
    return blobs, _features(capped, inside_lung, spacing, blobs, spec)


def _features(
    capped: FloatArray, inside: BoolArray, spacing: FloatArray, blobs: Blobs, spec: FeatureSpec
) -> FloatArray:
    rays = ray_features(
        capped,
        blobs.index_zyx,
        spacing,
        n_directions=spec.n_directions,
        radii_mm=np.array(spec.radii_mm),
        shell_quantiles=np.array(spec.shell_quantiles),
        ridge_quantiles=np.array(spec.ridge_quantiles),
    )
    smoothed = smooth(capped, spec.component_sigma_mm, spacing)
    centre = smoothed[tuple(blobs.voxel_zyx.T)][:, None]
    smoothed[~inside] = -np.inf
    components = component_sizes(smoothed, blobs.voxel_zyx, spacing, spec.component_levels_hu)
    level = spec.background_radius * len(spec.shell_quantiles) + spec.background_quantile
    background = rays[:, level, None]
    contrast = np.maximum(centre - background, spec.min_contrast_hu)
    # Shapes come as parts of the candidate's own contrast, so that a scanner with a sharper or
    # softer kernel shows the detector the same thing; the contrast itself stands beside them.
    parts = [
        blobs.curvatures_hu / contrast,
        blobs.laplacians_hu / contrast,
        blobs.curvatures_hu[:, :1],
        blobs.sigma_mm[:, None],
        contrast,
        background,
        (rays - background) / contrast,
        components,
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)
