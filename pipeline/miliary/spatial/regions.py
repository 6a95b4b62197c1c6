"""Nodules per litre by zone and lobe, and the smoothed map of their density."""

from __future__ import annotations

from functools import partial

import numpy as np

from miliary.anatomy import LOBES, SIDES, ZONES
from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import DensityMap, ZoneDensity
from miliary.kernels.covariates import share_ratio
from miliary.kernels.intensity import smooth_intensity
from miliary.kernels.mask import coarse_counts
from miliary.kernels.rates import rate_interval
from miliary.spatial.clustering import Placed
from miliary.spatial.stratum import Stratum
from miliary.spatial.window import Window


def zone_densities(
    labels: AnyArray,
    placed: Placed,
    window: Window,
    settings: SpatialSettings,
    *,
    number_effect: float,
) -> list[ZoneDensity]:
    """Count nodules per litre by zone and lung.

    Parameters
    ----------
    labels : (z, y, x) int
        Zones on the window's grid.
    placed : Placed
        The points.
    window : Window
        Where points can be. With a sensitivity, ratios are corrected by it; densities are not.
    settings : SpatialSettings
        Level of the intervals.
    number_effect : float
        By how much clustering inflates the variance of numbers.

    Returns
    -------
    list of ZoneDensity
        Zone after zone in each lung; None where there is no such volume.
    """
    regions = _Regions(labels, max(ZONES.values()), placed, window, settings.alpha, number_effect)
    return [
        regions.density(zone, label, group, chosen)
        for group, chosen in window.groups.items()
        for zone, label in ZONES.items()
    ]


def lobe_densities(
    labels: AnyArray,
    placed: Placed,
    window: Window,
    settings: SpatialSettings,
    *,
    number_effect: float,
) -> list[ZoneDensity]:
    """Count nodules per litre by lobe, each held against its own lung.

    Parameters
    ----------
    labels : (z, y, x) int
        Lobes on the window's grid; 0 where unknown.
    placed : Placed
        The points.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Level of the intervals.
    number_effect : float
        By how much clustering inflates the variance of numbers.

    Returns
    -------
    list of ZoneDensity
        Lobe after lobe; None where there is no such volume.
    """
    regions = _Regions(labels, max(LOBES.values()), placed, window, settings.alpha, number_effect)
    return [
        regions.density(lobe, label, side, window.groups[side])
        for lobe, label in LOBES.items()
        for side in SIDES
        if side in window.groups and side[0].upper() == lobe[0]
    ]


class _Regions:
    """Voxels, what is visible of them, and points, by stratum and label."""

    def __init__(
        self,
        labels: AnyArray,
        highest: int,
        placed: Placed,
        window: Window,
        alpha: float,
        number_effect: float,
    ) -> None:
        if labels.shape != window.labels.shape:
            raise ValueError(
                f"zone_labels must have the shape of the window {window.labels.shape}, "
                f"got {labels.shape}"
            )
        self.alpha, self.effect = alpha, number_effect
        size = highest + 1
        bin_of = partial(np.minimum, size)
        self.voxels, self.visible = np.zeros((2, len(window.strata), size))
        for row, stratum in enumerate(window.strata):
            inside = stratum.of(labels)
            voxels, visible = stratum.count_and_weigh(inside, bin_of, size + 1)
            self.voxels[row], self.visible[row] = voxels[:size], visible[:size]
        self.litre_per_voxel = float(np.prod(window.spacing_mm)) / 1e6
        self.counts = np.zeros((len(window.strata), size + 1))
        at_points = np.minimum(window.at(labels, placed.points_mm), size)
        np.add.at(self.counts, (placed.strata, at_points.astype(np.intp)), 1)

    def density(self, name: str, label: int, group: str, chosen: IntArray) -> ZoneDensity:
        """Describe one region of some strata."""
        n = float(self.counts[chosen, label].sum())
        total = float(self.counts[chosen].sum())
        litres = float(self.voxels[chosen, label].sum()) * self.litre_per_voxel
        seen = float(self.visible[chosen].sum())
        visible = float(self.visible[chosen, label].sum())
        per_l = low = high = ratio = ratio_low = ratio_high = None
        if litres > 0:
            per_l = n / litres
            low, high = rate_interval(
                n, litres, confidence=1.0 - self.alpha, design_effect=self.effect
            )
        if total > 0 and visible > 0:
            share = visible / seen
            _, ratio_low, ratio_high = share_ratio(
                n, total, share, alpha=self.alpha, design_effect=self.effect
            )
            ratio = n / (total * visible / seen)
        return ZoneDensity(name, group, int(n), per_l, ratio, low, high, ratio_low, ratio_high)


def map_density(placed: Placed, window: Window, settings: SpatialSettings) -> DensityMap | None:
    """Smooth the density of points inside the window, each stratum by itself.

    Parameters
    ----------
    placed : Placed
        The points.
    window : Window
        Where points can be; its sensitivity is not used: the map is of the nodules found.
    settings : SpatialSettings
        Width of the Gaussian, size of the map's voxels.

    Returns
    -------
    DensityMap or None
        None where there is no window.
    """
    if not window.strata:
        return None
    factors = np.maximum(settings.density_voxel_mm / window.spacing_mm + 1e-6, 1).astype(int)
    shape = -(-np.array(window.labels.shape) // factors)
    total, weighted, error = np.zeros((3, *shape))
    for number, stratum in enumerate(window.strata):
        part, room = _coarse(stratum, factors)
        points = placed.points_mm[placed.strata == number]
        counts = _count_in(points, window.spacing_mm, factors, part, room.shape)
        sigma = settings.density_sigma_mm / (window.spacing_mm * factors)
        per_mm3, se = smooth_intensity(counts, room, sigma_voxels=sigma)
        total[part] += room
        weighted[part] += room * np.nan_to_num(per_mm3)
        error[part] += room * np.nan_to_num(se)
    # A voxel that two lungs share takes each by its volume.
    inside = np.where(total > 0, total, np.nan) / 1000.0
    first = (factors - 1) / 2 * window.spacing_mm
    return DensityMap(
        (weighted / inside).astype(np.float32),
        (error / inside).astype(np.float32),
        window.spacing_mm * factors,
        first,
        settings.density_sigma_mm,
    )


def _coarse(stratum: Stratum, factors: IntArray) -> tuple[tuple[slice, ...], FloatArray]:
    """Give the coarse voxels of a stratum: where they lie, and its volume in each."""
    ahead = stratum.start % factors
    padded = np.pad(stratum.inside, [(int(k), 0) for k in ahead])
    a, b, c = (int(f) for f in factors)
    room = coarse_counts(padded, (a, b, c)) * float(np.prod(stratum.spacing_mm))
    start = stratum.start // factors
    part = tuple(slice(int(a), int(a + n)) for a, n in zip(start, room.shape, strict=True))
    return part, room


def _count_in(
    points_mm: FloatArray,
    spacing_mm: FloatArray,
    factors: IntArray,
    part: tuple[slice, ...],
    shape: tuple[int, ...],
) -> IntArray:
    """Count points in coarse voxels."""
    voxel = np.rint(points_mm / spacing_mm).astype(np.intp) // factors
    voxel -= np.array([bounds.start for bounds in part])
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, tuple(voxel.T), 1)
    return counts
