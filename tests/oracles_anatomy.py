"""Slow twins and drawn chests for the tests of lungs, vessels and their kernels."""

from __future__ import annotations

import numpy as np

from miliary.geometry import Geometry
from miliary.volume import Volume

BODY_HU, LUNG_HU, AIR_HU = 40.0, -850.0, -1000.0
#: Centres (z, y, x) and semi-axes of the lungs of the drawn chest, in mm from its middle.
LUNG_AXES_MM = (80.0, 65.0, 55.0)
LUNG_X_MM = 72.0


def within(mask, radius_mm, spacing_mm):
    """Dilate by measuring from every voxel to every voxel of the mask."""
    every = np.argwhere(np.ones(mask.shape, bool)) * spacing_mm
    object_ = np.argwhere(mask) * spacing_mm
    nearest = np.sqrt(((every[:, None] - object_[None]) ** 2).sum(-1)).min(axis=1)
    return (nearest <= radius_mm + 1e-9).reshape(mask.shape)


def block_mean(image, factors):
    """Average block by block."""
    shape = [-(-n // f) for n, f in zip(image.shape, factors, strict=True)]
    result = np.zeros(shape)
    for z, y, x in np.ndindex(*shape):
        part = [slice(i * f, (i + 1) * f) for i, f in zip((z, y, x), factors, strict=True)]
        result[z, y, x] = image[tuple(part)].mean()
    return result


def grid_mm(shape, spacing_mm):
    """Coordinates z, y, x in mm from the middle of a grid."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing_mm, strict=True)]
    return np.meshgrid(*axes, indexing="ij", sparse=True)


def ellipsoid(grid, centre_mm, axes_mm):
    """Say which points lie in an ellipsoid."""
    return sum(((g - c) / a) ** 2 for g, c, a in zip(grid, centre_mm, axes_mm, strict=True)) <= 1


def tube(grid, start_mm, end_mm, radius_mm):
    """Say which points lie in a straight tube with round ends."""
    start, end = np.array(start_mm, float), np.array(end_mm, float)
    along = end - start
    offset = [g - s for g, s in zip(grid, start, strict=True)]
    share = sum(o * a for o, a in zip(offset, along, strict=True)) / (along @ along)
    share = np.clip(share, 0, 1)
    return sum((o - share * a) ** 2 for o, a in zip(offset, along, strict=True)) <= radius_mm**2


def draw_chest(
    shape=(84, 116, 182),
    spacing_mm=(2.5, 1.7, 1.8),
    *,
    sides=("right", "left"),
    joined=False,
    gas=False,
    airways=True,
    scale=None,
    lift_mm=0.0,
    size=1.0,
):
    """Draw two ellipsoids of lung in a body, with a trachea; give the volume and true labels.

    `scale` maps a side to a factor on its lung's axes; `lift_mm` moves everything upwards;
    `size` shrinks the whole chest.
    """
    z, y, x = (axis / size for axis in grid_mm(shape, spacing_mm))
    z = z - lift_mm
    grid = (z, y, x)
    hu = np.full(shape, AIR_HU, np.float32)
    hu[np.broadcast_to((y / 90) ** 2 + (x / 150) ** 2 <= 1, shape)] = BODY_HU
    truth = np.zeros(shape, np.uint8)
    for label, (side, sign) in enumerate((("right", -1), ("left", 1)), start=1):
        if side in sides:
            axes = np.array(LUNG_AXES_MM) * (scale or {}).get(side, 1.0)
            truth[ellipsoid(grid, (0, 0, sign * LUNG_X_MM), axes)] = label
    hu[truth > 0] = LUNG_HU
    if joined:
        hu[tube(grid, (10, -10, -25), (10, -10, 25), 6.0)] = LUNG_HU
    if gas:
        # A wall of one voxel parts the bowel from the lung above it.
        hu[ellipsoid(grid, (-97, 0, LUNG_X_MM), (14, 30, 30))] = AIR_HU
    if airways:
        windpipe = tube(grid, (20, 15, 0), (300, 15, 0), 8.0)
        for sign in (-1, 1):
            windpipe = windpipe | tube(grid, (20, 15, 0), (5, 10, sign * 25), 5.0)
        hu[windpipe] = AIR_HU
        truth[windpipe] = 0
    return Volume(hu, Geometry.aligned(shape, spacing_mm)), truth


def add_noise(volume, sd_hu, rng):
    """Give a volume with white noise, cut at -1024 as scanners do."""
    noisy = volume.hu + rng.normal(0, sd_hu, volume.hu.shape)
    return Volume(np.maximum(noisy, -1024).astype(np.float32), volume.geometry)


def dice(a, b):
    """Overlap of two masks."""
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))
