"""Noise and point spread, estimated from the scan itself."""

from __future__ import annotations

import numpy as np

from miliary.anatomy import Anatomy
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.config.quality import QualitySettings
from miliary.findings import FWHM_PER_SIGMA, ImageQuality
from miliary.kernels.edgefit import find_faces, fit_edges, spread_across
from miliary.kernels.noise import deviations, gather_cubes

#: An edge counts as one along z when its normal has more than half of its square there.
_ALONG_Z = 0.5

#: Soft tissue with any noise on it; no more than a first sieve.
_TISSUE_SIEVE_HU = 150.0

#: A cube for the finest detail has at least so many voxels along each axis.
_LEAST_CUBE = (2, 3, 3)


def estimate_quality(
    hu_crop: AnyArray, anatomy: Anatomy, settings: QualitySettings
) -> ImageQuality:
    """Estimate noise and point spread of a scan.

    Parameters
    ----------
    hu_crop : (z, y, x) int16 or float32
        Hounsfield units on the anatomy's grid.
    anatomy : Anatomy
        Lungs, vessels and distances.
    settings : QualitySettings
        Limits.

    Returns
    -------
    ImageQuality
        The noise is NaN where there is neither lung nor tissue to measure it in.
    """
    if hu_crop.shape != anatomy.geometry.shape:
        raise ValueError(
            f"hu_crop must have the anatomy's shape {anatomy.geometry.shape}, got {hu_crop.shape}"
        )
    width_mm = estimate_psf(hu_crop, anatomy, settings)
    return ImageQuality(
        noise_hu=estimate_noise(hu_crop, anatomy, settings),
        psf_fwhm_mm=settings.default_psf_fwhm_mm if width_mm is None else width_mm,
        psf_estimated=width_mm is not None,
    )


def estimate_noise(hu_crop: AnyArray, anatomy: Anatomy, settings: QualitySettings) -> float:
    """Estimate the standard deviation of the noise in the lungs.

    The lung has a texture of its own, which no low quantile of local deviations leaves out. Its
    finest detail is noise alone; what part of the noise that is depends on the kernel, and is
    learnt from soft tissue, which has little texture. There noise is never less than in the
    lung, as more is absorbed on the way through it.

    Parameters
    ----------
    hu_crop : (z, y, x) int16 or float32
        Hounsfield units on the anatomy's grid.
    anatomy : Anatomy
        Lungs, vessels and distances.
    settings : QualitySettings
        Limits.

    Returns
    -------
    float
        In HU; NaN where there is nothing to measure it in.
    """
    shape = _cube_shape(settings.noise_cube_mm, anatomy, hu_crop)
    if shape is None:
        return float("nan")
    lung = gather_cubes(hu_crop, _lung_places(anatomy, settings), shape)
    lung_total, lung_fine = deviations(lung)
    tissue_total, tissue_fine = deviations(_tissue_cubes(hu_crop, anatomy, settings))
    real = tissue_fine > 0
    if not real.any():
        # Without tissue the texture of the lung stays in.
        return _quantile(lung_total, settings.tissue_quantile)
    in_tissue = _quantile(tissue_total[real], settings.tissue_quantile)
    colour = _quantile(tissue_total[real] / tissue_fine[real], settings.tissue_quantile)
    in_lung = _quantile(lung_fine, settings.fine_quantile) * colour
    return float(np.fmin(in_lung, in_tissue))


def estimate_psf(
    hu_crop: AnyArray, anatomy: Anatomy, settings: QualitySettings
) -> tuple[float, float, float] | None:
    """Estimate the point spread from edges between lung and soft tissue.

    Parameters
    ----------
    hu_crop : (z, y, x) int16 or float32
        Hounsfield units on the anatomy's grid.
    anatomy : Anatomy
        Lungs.
    settings : QualitySettings
        Limits.

    Returns
    -------
    (3,) float or None
        Full width at half maximum along z, y and x in mm, y and x alike; None where there are
        too few good edges. Where only those along z are too few, z follows from the ratio of the
        default.
    """
    each = settings.n_edges // 4
    inside = anatomy.inside_lung
    least_mm = settings.edge_slices * float(anatomy.geometry.spacing_mm.max())
    fit = fit_edges(
        hu_crop,
        np.concatenate(
            [find_faces(inside, axis, n) for axis, n in enumerate((2 * each, each, each))]
        ),
        anatomy.geometry.spacing_mm,
        smoothing_mm=settings.edge_smoothing_mm,
        reach_mm=max(settings.edge_reach_mm, least_mm),
        width_mm=max(settings.edge_width_mm, least_mm),
    )
    good = fit.usable & (fit.high_hu - fit.low_hu >= settings.edge_contrast_hu)
    if good.any():
        good &= fit.residual_hu <= np.quantile(fit.residual_hu[good], settings.edge_share)
    normal_z = np.abs(fit.normal[:, 0])
    along_z: BoolArray = normal_z**2 > _ALONG_Z
    n_z, n_xy = np.count_nonzero(good & along_z), np.count_nonzero(good & ~along_z)
    if n_xy < settings.min_edges:
        return None
    sigma_z, sigma_xy = spread_across(
        fit.sigma_mm[good], normal_z[good], quantile=settings.edge_quantile
    )
    if n_z < settings.min_edges:
        sigma_z = sigma_xy * settings.default_psf_fwhm_mm[0] / settings.default_psf_fwhm_mm[1]
    z, xy = FWHM_PER_SIGMA * sigma_z, FWHM_PER_SIGMA * sigma_xy
    return z, xy, xy


def _cube_shape(side_mm: float, anatomy: Anatomy, hu: AnyArray) -> tuple[int, int, int] | None:
    """Voxels of a cube; None when the image is smaller."""
    size = np.maximum(np.rint(side_mm / anatomy.geometry.spacing_mm).astype(int), _LEAST_CUBE)
    z, y, x = size.tolist()
    return (z, y, x) if (size <= hu.shape).all() else None


def _lung_places(anatomy: Anatomy, settings: QualitySettings) -> IntArray:
    """Middles of cubes in the parenchyma; any evaluable lung where none of it is deep enough."""
    evaluable = anatomy.evaluable_labels > 0
    deep = evaluable & (anatomy.pleura_mm > settings.noise_pleura_mm)
    deep &= anatomy.vessel_mm > settings.noise_vessel_mm
    flat = np.flatnonzero(deep)
    if len(flat) == 0:
        flat = np.flatnonzero(evaluable)
    return np.column_stack(np.unravel_index(_spread(flat, settings.n_cubes), deep.shape))


def _tissue_cubes(hu: AnyArray, anatomy: Anatomy, settings: QualitySettings) -> FloatArray:
    """Cubes of soft tissue side by side, whole ones only."""
    shape = _cube_shape(settings.tissue_cube_mm, anatomy, hu)
    if shape is None:
        return np.zeros((0, *_LEAST_CUBE), np.float32)
    middles = tuple(
        slice(size // 2, whole - size + size // 2 + 1, size)
        for size, whole in zip(shape, hu.shape, strict=True)
    )
    low, high = settings.tissue_hu
    sieve = anatomy.lung_labels[middles] == 0
    sieve &= (hu[middles] > low - _TISSUE_SIEVE_HU) & (hu[middles] < high + _TISSUE_SIEVE_HU)
    steps = np.column_stack(np.nonzero(sieve))
    chosen = _spread(np.arange(len(steps)), 2 * settings.n_cubes)
    cubes = gather_cubes(hu, steps[chosen] * shape + np.array(shape) // 2, shape)
    mean = cubes.mean(axis=(1, 2, 3))
    soft: BoolArray = (mean > low) & (mean < high)
    return cubes[soft]


def _spread(items: IntArray, n: int) -> IntArray:
    """At most n of the items, evenly spread."""
    return items[np.linspace(0, len(items) - 1, min(n, len(items))).astype(np.intp)]


def _quantile(values: FloatArray, q: float) -> float:
    return float(np.quantile(values, q)) if len(values) else float("nan")
