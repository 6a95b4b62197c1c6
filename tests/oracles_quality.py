"""Slow twins of the estimates of image quality: scenes blurred on a finer grid."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, optimize, special


def blurred(inside, low, high, psf_sigma_mm, spacing_mm, finer):
    """Sample a blurred two-valued scene, given on a grid that is finer by whole factors.

    Voxel centres of the coarse grid are centres of the fine one: the middle of each group.
    """
    fine_mm = np.asarray(spacing_mm) / finer
    image = np.where(inside, low, high).astype(np.float32)
    image = ndimage.gaussian_filter(image, np.asarray(psf_sigma_mm) / fine_mm, mode="nearest")
    return image[tuple(slice(f // 2, None, f) for f in finer)]


def ellipsoid(shape, spacing_mm, radii_mm, finer):
    """An ellipsoid in the middle of a grid, on the finer grid."""
    fine_mm = np.asarray(spacing_mm) / finer
    axes = [
        (np.arange(n * f) - (n * f - 1) / 2) * step / radius
        for n, f, step, radius in zip(shape, finer, fine_mm, radii_mm, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return z**2 + y**2 + x**2 < 1


def plane(shape, spacing_mm, normal, psf_sigma_mm, low=-850.0, high=40.0):
    """A plane edge through the middle of a grid: its blur has a closed form, whatever its tilt."""
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing_mm, strict=True)]
    depth = sum(
        component * axis
        for component, axis in zip(normal, np.meshgrid(*axes, indexing="ij"), strict=True)
    )
    sigma = np.sqrt((np.square(normal) * np.square(psf_sigma_mm)).sum())
    return low + (high - low) * special.ndtr(depth / sigma), sigma


def edge_width(values, distance_mm):
    """Sigma of one edge with a known normal, by a library's fit."""

    def misfit(p):
        return p[0] + p[1] * special.ndtr((distance_mm - p[2]) / np.exp(p[3])) - values

    start = [values.min(), np.ptp(values), 0.0, np.log(0.5)]
    return float(np.exp(optimize.least_squares(misfit, start).x[3]))
