"""Closed-form shapes of the chest: lungs, mediastinum and diaphragm.

All take chest coordinates: mm at adult size with x to the left, y to the back and z to the head,
x = 0 in the midline, z = 0 at the lowest recess of the lungs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi

from miliary.arrays import FloatArray

#: Height of the lungs from the deepest recess to the apex, in chest mm.
LUNG_HEIGHT = 262.0

#: The two lungs meet in front and behind the heart at this x, in chest mm.
MIDLINE = 3.0


@dataclass(frozen=True)
class Build:
    """How a chest differs from a symmetric one, where a lung has shrunken.

    Parameters
    ----------
    shift_mm : float
        How far the mediastinum has moved to the left, in chest mm.
    lift_right_mm, lift_left_mm : float
        How far each half of the diaphragm has risen, in chest mm.
    """

    shift_mm: float = 0.0
    lift_right_mm: float = 0.0
    lift_left_mm: float = 0.0

    @property
    def midline(self) -> float:
        """Where the two lungs meet in front and behind the heart, x in chest mm."""
        return MIDLINE + self.shift_mm


def _soft_min(a: FloatArray, b: FloatArray, width: float) -> FloatArray:
    """Smaller of two, rounded where they meet within a width (polynomial blend)."""
    h = np.clip(0.5 + 0.5 * (b - a) / width, 0.0, 1.0)
    blend: FloatArray = b + (a - b) * h - width * h * (1.0 - h)
    return blend


def ellipsoid(
    z: FloatArray, y: FloatArray, x: FloatArray, centre: tuple[float, ...], radii: tuple[float, ...]
) -> FloatArray:
    """Measure about the depth inside an ellipsoid.

    Parameters
    ----------
    z, y, x : (...) float
        Places in mm, of shapes that broadcast.
    centre, radii : (3,) float
        Along z, y and x in mm.

    Returns
    -------
    (...) float
        Depth in mm, negative outside.
    """
    parts = [((axis - c) / r) ** 2 for axis, c, r in zip((z, y, x), centre, radii, strict=True)]
    scaled = parts[0] + parts[1] + parts[2]
    depth: FloatArray = (1.0 - np.sqrt(scaled)) * min(radii)
    return depth


def cavity(z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Measure the depth inside the rib cage's inner surface.

    Parameters
    ----------
    z, y, x : (...) float
        Chest mm, of shapes that broadcast.

    Returns
    -------
    (...) float
        Depth in chest mm, negative outside.
    """
    t = np.clip(z / LUNG_HEIGHT, -0.3, 1.0)
    narrowing = np.sqrt(np.maximum(1.0 - np.maximum(t, 0.0) ** 3.0, 1e-3))
    half_width = 133.0 * narrowing * (1.0 - 0.05 * np.clip(0.3 - t, 0.0, 1.0))
    half_depth = 97.0 * narrowing**0.8
    middle_y = 26.0 * np.maximum(t, 0.0) ** 2
    # A power above 2: a chest is flatter at its sides and in front than an ellipse.
    radius = (np.abs(x / half_width) ** 2.4 + np.abs((y - middle_y) / half_depth) ** 2.4) ** (
        1 / 2.4
    )
    wall = (1.0 - radius) * half_depth
    depth: FloatArray = np.minimum(wall, (LUNG_HEIGHT - z) * 0.9)
    return depth


def _mediastinum(z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Depth inside everything between the lungs; the two lungs never touch."""
    heart = ellipsoid(z, y, x, (72.0, -30.0, 20.0), (64.0, 56.0, 66.0))
    great_vessels = ellipsoid(z, y, x, (185.0, -8.0, 2.0), (95.0, 52.0, 33.0))
    spine = ellipsoid(z, y, x, (120.0, 92.0, 0.0), (900.0, 56.0, 31.0))
    aorta = 15.0 - np.hypot(x - 22.0, y - 50.0)
    hila = np.maximum(
        ellipsoid(z, y, x, (132.0, 12.0, -34.0), (30.0, 20.0, 17.0)),
        ellipsoid(z, y, x, (136.0, 14.0, 35.0), (30.0, 20.0, 15.0)),
    )
    # 7 mm that keep the lungs apart even where nothing else lies between them.
    partition = 3.5 - np.abs(x - MIDLINE)
    depth = -_soft_min(-heart, -great_vessels, 14.0)
    for part in (spine, aorta, hila, partition):
        depth = -_soft_min(-depth, -part, 9.0)
    return depth


def diaphragm_height(y: FloatArray, x: FloatArray, build: Build) -> FloatArray:
    """Give the height of the diaphragm's domes over the axial plane.

    Parameters
    ----------
    y, x : (...) float
        Chest mm, of shapes that broadcast.
    build : Build
        How far each dome has risen.

    Returns
    -------
    (...) float
        Heights in chest mm.
    """
    right = (
        66.0 + build.lift_right_mm - 58.0 * (((x + 62.0) / 82.0) ** 2 + ((y + 18.0) / 98.0) ** 2)
    )
    left = 52.0 + build.lift_left_mm - 50.0 * (((x - 66.0) / 80.0) ** 2 + ((y + 14.0) / 96.0) ** 2)
    height: FloatArray = np.maximum(np.maximum(right, left), -25.0)
    return height


def lungs(z: FloatArray, y: FloatArray, x: FloatArray, build: Build) -> FloatArray:
    """Measure the depth inside the nearest lung.

    Parameters
    ----------
    z, y, x : (...) float
        Chest mm, of shapes that broadcast.
    build : Build
        How the chest differs from a symmetric one.

    Returns
    -------
    (...) float
        Depth in chest mm, negative outside; near the pleura it rises by about 1 a mm.
    """
    above = (z - diaphragm_height(y, x, build)) * 0.75
    depth = _soft_min(cavity(z, y, x), above, 5.0)
    return _soft_min(depth, -_mediastinum(z, y, x - build.shift_mm), 6.0)


def smooth_noise(
    shape: tuple[int, ...], sigma_voxels: float, rng: np.random.Generator
) -> FloatArray:
    """Make noise of unit standard deviation with a Gaussian correlation.

    Parameters
    ----------
    shape : tuple of int
        Voxels.
    sigma_voxels : float
        Standard deviation of the filter that correlates it.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array of that shape, float32
        The noise.
    """
    white = rng.standard_normal(shape, np.float32)
    noise = ndi.gaussian_filter(white, sigma_voxels, mode="wrap", truncate=3.0)
    scaled: FloatArray = noise / noise.std()
    return scaled
