"""Noise and point spread, estimated from the scan itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from miliary.anatomy import Anatomy
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.config.quality import QualitySettings
from miliary.findings import FWHM_PER_SIGMA, ImageQuality
from miliary.kernels.edgefit import EdgeFit, fit_edges, spread_across
from miliary.kernels.faces import find_faces
from miliary.kernels.inside import choose_inside
from miliary.kernels.noise import deviations, gather_cubes
from miliary.kernels.overshoot import Overshoot, halo_across, width_in_plane
from miliary.kernels.slabs import over_slabs, slab_of

#: An edge counts as one along z when its normal has more than half of its square there.
_ALONG_Z = 0.5

#: Enhancement is told from edges in plane, so many at most and with less than that of their square
#: along z, by fits with none of it and with these two; too little to tell counts as none.
_IN_PLANE, _N_TRIED = 0.3, 160
_TRIED, _LEAST, _MOST = (0.15, 0.3), 0.05, 1.0

#: Voxels looked at at a time: what they need stays in the cache.
_SLAB = 2**18

#: Soft tissue with any noise on it; no more than a first sieve.
_TISSUE_SIEVE_HU = 150.0

#: A cube for the finest detail has at least so many voxels along each axis.
_LEAST_CUBE = (2, 3, 3)


@dataclass(frozen=True)
class EdgeSpread:
    """What edges tell of the point spread.

    Parameters
    ----------
    fwhm_mm : (3,) float
        Full width at half maximum along z, y and x, y and x alike.
    steepness : float
        Width of the Gaussian that makes edges as steep, as a multiple of it: below 1 with a kernel
        that enhances edges.
    """

    fwhm_mm: tuple[float, float, float]
    steepness: float


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
    noise_hu = estimate_noise(hu_crop, anatomy, settings)
    spread = estimate_psf(hu_crop, anatomy, settings)
    if spread is None:
        return ImageQuality(noise_hu, settings.default_psf_fwhm_mm, psf_estimated=False)
    return ImageQuality(noise_hu, spread.fwhm_mm, psf_estimated=True, nodule_blur=spread.steepness)


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
) -> EdgeSpread | None:
    """Estimate the point spread from edges between lung and soft tissue.

    A kernel that enhances edges makes them steeper than its point spread alone would; how much it
    does is told by how far they overshoot.

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
    EdgeSpread or None
        None where there are too few good edges. Where only those along z are too few, z follows
        from the ratio of the default.
    """
    each, inside = settings.n_edges // 4, anatomy.inside_lung
    faces = [find_faces(inside, axis, n) for axis, n in enumerate((2 * each, each, each))]
    edges = _Edges(hu_crop, np.concatenate(faces), anatomy.geometry.spacing_mm, settings)
    plain = edges.fit()
    good = plain.usable & (plain.high_hu - plain.low_hu >= settings.edge_contrast_hu)
    if good.any():
        good &= plain.residual_hu <= np.quantile(plain.residual_hu[good], settings.edge_share)
    rows = np.flatnonzero(good)
    along_z = plain.normal[rows, 0] ** 2 > _ALONG_Z
    if np.count_nonzero(~along_z) < settings.min_edges:
        return None
    z_told = bool(np.count_nonzero(along_z) >= settings.min_edges)
    steep_mm = _across(plain.sigma_mm[rows], plain.normal[rows], settings, z_told=z_told)
    enhancement = _enhancement(edges, plain, rows, steep_mm)
    if not enhancement:
        return EdgeSpread(_fwhm_mm(steep_mm, FWHM_PER_SIGMA), 1.0)
    halo = halo_across(np.abs(plain.normal[rows, 0]), steep_mm[0] / steep_mm[1])
    fit = edges.take(rows).fit(Overshoot(enhancement, halo))
    sigma_mm, normal = fit.sigma_mm[fit.usable], fit.normal[fit.usable]
    in_plane = width_in_plane(enhancement)
    wide_mm = _fwhm_mm(_across(sigma_mm, normal, settings, z_told=z_told), in_plane)
    steepness = np.array(_fwhm_mm(steep_mm, FWHM_PER_SIGMA)) / wide_mm
    return EdgeSpread(wide_mm, float(np.exp(np.log(steepness).mean())))


@dataclass(frozen=True, eq=False)
class _Edges:
    """Places (N, 3) on the pleura of a scan."""

    hu: AnyArray
    places: FloatArray
    spacing_mm: FloatArray
    settings: QualitySettings

    def take(self, rows: IntArray) -> _Edges:
        """Give some of them."""
        return replace(self, places=self.places[rows])

    def fit(self, overshoot: Overshoot | None = None) -> EdgeFit:
        """Fit an edge at each place."""
        least_mm = self.settings.edge_slices * float(self.spacing_mm.max())
        return fit_edges(
            self.hu,
            self.places,
            self.spacing_mm,
            smoothing_mm=self.settings.edge_smoothing_mm,
            reach_mm=max(self.settings.edge_reach_mm, least_mm),
            width_mm=max(self.settings.edge_width_mm, least_mm),
            overshoot=overshoot,
        )


def _enhancement(
    edges: _Edges, plain: EdgeFit, rows: IntArray, steep_mm: tuple[float, float]
) -> float:
    """How much the kernel enhances edges: where the misfit of those in plane is least.

    What lies behind the pleura takes some of the overshoot away: in phantoms 0.3 reads 0.1.
    """
    normal_z = np.abs(plain.normal[:, 0])
    rows = _spread(rows[normal_z[rows] ** 2 < _IN_PLANE], _N_TRIED)
    misfit = []
    for enhancement in _TRIED:
        halo = halo_across(normal_z[rows], steep_mm[0] / steep_mm[1])
        fit = edges.take(rows).fit(Overshoot(enhancement, halo))
        ratio = np.log(fit.residual_hu[fit.usable] / plain.residual_hu[rows][fit.usable])
        if len(ratio) <= len(rows) / 2:
            return 0.0
        misfit.append(float(np.median(ratio)))
    # A parabola through 0, where both fits are the same.
    bend = (misfit[1] - 2 * misfit[0]) / (2 * _TRIED[0] ** 2)
    slope = misfit[0] / _TRIED[0] - bend * _TRIED[0]
    lowest = -slope / (2 * bend) if bend > 0 else 0.0
    return float(np.clip(lowest, 0.0, _MOST)) if lowest > _LEAST else 0.0


def _across(
    sigma_mm: FloatArray, normal: FloatArray, settings: QualitySettings, *, z_told: bool
) -> tuple[float, float]:
    """Standard deviations along z and in plane, the first by the default's ratio if not told."""
    along_z = np.abs(normal[:, 0])
    sigma_z, sigma_xy = spread_across(sigma_mm, along_z, quantile=settings.edge_quantile)
    if not z_told:
        sigma_z = sigma_xy * settings.default_psf_fwhm_mm[0] / settings.default_psf_fwhm_mm[1]
    return sigma_z, sigma_xy


def _fwhm_mm(sigma_mm: tuple[float, float], in_plane: float) -> tuple[float, float, float]:
    """Widths along z, y and x."""
    return FWHM_PER_SIGMA * sigma_mm[0], in_plane * sigma_mm[1], in_plane * sigma_mm[1]


def _cube_shape(side_mm: float, anatomy: Anatomy, hu: AnyArray) -> tuple[int, int, int] | None:
    """Voxels of a cube; None when the image is smaller."""
    size = np.maximum(np.rint(side_mm / anatomy.geometry.spacing_mm).astype(int), _LEAST_CUBE)
    z, y, x = size.tolist()
    return (z, y, x) if (size <= hu.shape).all() else None


def _lung_places(anatomy: Anatomy, settings: QualitySettings) -> IntArray:
    """Middles of cubes in the parenchyma; any evaluable lung where none of it is deep enough."""
    deep = np.empty(anatomy.geometry.shape, bool)

    def look(start: int, stop: int) -> None:
        part = slice(start, stop)
        np.greater(anatomy.evaluable_labels[part], 0, out=deep[part])
        deep[part] &= anatomy.pleura_mm[part] > settings.noise_pleura_mm
        deep[part] &= anatomy.vessel_mm[part] > settings.noise_vessel_mm

    over_slabs(look, len(deep), slab_of(deep.shape, _SLAB))
    chosen = choose_inside(deep, settings.n_cubes)
    return chosen if len(chosen) else choose_inside(anatomy.evaluable_labels > 0, settings.n_cubes)


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
