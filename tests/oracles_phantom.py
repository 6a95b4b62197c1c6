"""Slow twins of the phantom's kernels: sums over many points instead of closed forms."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage as ndi


def blurred_ball(places_mm, diameter_mm, psf_sigma_mm, step_mm=0.04):
    """Share of a ball at (N, 3) places, as the sum of a Gaussian over its small cubes."""
    n = int(diameter_mm / step_mm) + 2
    axis = (np.arange(n) - (n - 1) / 2) * step_mm
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    points = points[(points**2).sum(axis=1) <= (diameter_mm / 2) ** 2]
    sigma = np.array(psf_sigma_mm)
    cube = (np.pi / 6 * diameter_mm**3) / len(points)
    norm = cube / ((2 * np.pi) ** 1.5 * sigma.prod())
    return np.array(
        [norm * np.exp(-0.5 * (((points - p) / sigma) ** 2).sum(axis=1)).sum() for p in places_mm]
    )


def blurred_disc(distance, radius, step=0.01):
    """Share of a disc blurred by a unit Gaussian, at one distance from its centre."""
    axis = np.arange(-radius - step, radius + step, step) + step / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    inside = y**2 + x**2 <= radius**2
    density = np.exp(-0.5 * ((y[inside] - distance) ** 2 + x[inside] ** 2)) / (2 * np.pi)
    return density.sum() * np.pi * radius**2 / inside.sum()


def match(found_mm, truth_mm, reach_mm):
    """One-to-one pairs by trying all of them, the nearest first."""
    pairs = sorted(
        (np.linalg.norm(found_mm[i] - truth_mm[j]), i, j)
        for i, j in itertools.product(range(len(found_mm)), range(len(truth_mm)))
    )
    taken = []
    for distance, i, j in pairs:
        free = all(i != a and j != b for a, b in taken)
        if distance <= reach_mm and free:
            taken.append((i, j))
    return np.array(taken, int).reshape(-1, 2)


def blob_maxima(hu, spacing_mm, lung, counted):
    """Maxima of the scale-normalised LoG where they are counted, with their value and blobness.

    Sigmas 0.6, 0.85 and 1.2 mm; values capped at 60 HU, outside of the lung set to -850 HU; a
    maximum is the largest of 5 x 5 x 5 voxels and of the three scales. Blobness is the smallest
    eigenvalue of the Hessian at the best scale as a part of the largest.
    """
    # 850 HU are added, as a derivative that is cut short is not quite blind to a constant.
    capped = np.where(lung, np.minimum(hu, 60) + 850, 0).astype(np.float32)
    spacing = np.asarray(spacing_mm)

    def derivative(sigma, *axes):
        order = [axes.count(a) for a in range(3)]
        smooth = ndi.gaussian_filter(capped, sigma / spacing, order=order)
        return -smooth * sigma**2 / spacing[list(axes)].prod()

    sigmas = (0.6, 0.85, 1.2)
    responses = np.stack([sum(derivative(s, a, a) for a in range(3)) for s in sigmas])
    best = responses.max(axis=0)
    peak = (best == ndi.maximum_filter(best, 5)) & counted & (best > 100)
    scale = responses.argmax(axis=0)[peak]
    hessian = np.empty((len(scale), 3, 3))
    for i, j in itertools.product(range(3), range(3)):
        of_scale = np.stack([derivative(s, i, j)[peak] for s in sigmas])
        hessian[:, i, j] = of_scale[scale, np.arange(len(scale))]
    curvature = np.linalg.eigvalsh(hessian)
    return best[peak], curvature[:, 0] / curvature[:, 2]
