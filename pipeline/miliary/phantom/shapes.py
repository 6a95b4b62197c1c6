"""Closed-form shapes of the body: lungs, wall, bones, heart and diaphragm.

All take chest coordinates: mm at adult size with x to the left, y to the back and z to the head,
x = 0 in the midline, z = 0 at the lowest recess of the lungs.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from miliary.arrays import FloatArray

#: Height of the lungs from the deepest recess to the apex, in chest mm.
LUNG_HEIGHT = 262.0

#: The two lungs meet in front and behind the heart at this x, in chest mm.
MIDLINE = 3.0


def _soft_min(a: FloatArray, b: FloatArray, width: float) -> FloatArray:
    """Smaller of two, rounded where they meet within a width (polynomial blend)."""
    h = np.clip(0.5 + 0.5 * (b - a) / width, 0.0, 1.0)
    blend: FloatArray = b + (a - b) * h - width * h * (1.0 - h)
    return blend


def _ellipsoid(
    z: FloatArray, y: FloatArray, x: FloatArray, centre: tuple[float, ...], radii: tuple[float, ...]
) -> FloatArray:
    """About the depth in mm inside an ellipsoid, negative outside."""
    parts = [((axis - c) / r) ** 2 for axis, c, r in zip((z, y, x), centre, radii, strict=True)]
    scaled = parts[0] + parts[1] + parts[2]
    depth: FloatArray = (1.0 - np.sqrt(scaled)) * min(radii)
    return depth


def _cavity(z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Depth inside the rib cage's inner surface."""
    t = np.clip(z / LUNG_HEIGHT, -0.3, 1.0)
    narrowing = np.sqrt(np.maximum(1.0 - np.maximum(t, 0.0) ** 3.0, 1e-3))
    half_width = 133.0 * narrowing * (1.0 - 0.05 * np.clip(0.3 - t, 0.0, 1.0))
    half_depth = 97.0 * narrowing**0.8
    middle_y = 26.0 * np.maximum(t, 0.0) ** 2
    radius = (np.abs(x / half_width) ** 2.4 + np.abs((y - middle_y) / half_depth) ** 2.4) ** (
        1 / 2.4
    )
    wall = (1.0 - radius) * half_depth
    depth: FloatArray = np.minimum(wall, (LUNG_HEIGHT - z) * 0.9)
    return depth


def _mediastinum(z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Depth inside everything between the lungs; the two lungs never touch."""
    heart = _ellipsoid(z, y, x, (72.0, -30.0, 20.0), (64.0, 56.0, 66.0))
    great_vessels = _ellipsoid(z, y, x, (185.0, -8.0, 2.0), (95.0, 52.0, 33.0))
    spine = _ellipsoid(z, y, x, (120.0, 92.0, 0.0), (900.0, 56.0, 31.0))
    aorta = 15.0 - np.hypot(x - 22.0, y - 50.0)
    hila = np.maximum(
        _ellipsoid(z, y, x, (132.0, 12.0, -34.0), (30.0, 20.0, 17.0)),
        _ellipsoid(z, y, x, (136.0, 14.0, 35.0), (30.0, 20.0, 15.0)),
    )
    partition = 3.5 - np.abs(x - MIDLINE)
    depth = -_soft_min(-heart, -great_vessels, 14.0)
    for part in (spine, aorta, hila, partition):
        depth = -_soft_min(-depth, -part, 9.0)
    return depth


def _diaphragm_height(y: FloatArray, x: FloatArray) -> FloatArray:
    """Height of the diaphragm's domes over the axial plane."""
    right = 66.0 - 58.0 * (((x + 62.0) / 82.0) ** 2 + ((y + 18.0) / 98.0) ** 2)
    left = 52.0 - 50.0 * (((x - 66.0) / 80.0) ** 2 + ((y + 14.0) / 96.0) ** 2)
    height: FloatArray = np.maximum(np.maximum(right, left), -25.0)
    return height


def lungs(z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
    """Measure the depth inside the nearest lung.

    Parameters
    ----------
    z, y, x : (...) float
        Chest mm, of shapes that broadcast.

    Returns
    -------
    (...) float
        Depth in chest mm, negative outside; near the pleura it rises by about 1 a mm.
    """
    above = (z - _diaphragm_height(y, x)) * 0.75
    depth = _soft_min(_cavity(z, y, x), above, 5.0)
    return _soft_min(depth, -_mediastinum(z, y, x), 6.0)


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


def body_hu(z: FloatArray, y: FloatArray, x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Paint everything but the lungs: air, table, skin, fat, muscle, bones, organs.

    Parameters
    ----------
    z, y, x : (...) float
        Chest mm, as axes that broadcast to three dimensions.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (z, y, x) float32
        Attenuation in HU.
    """
    cavity = _cavity(np.minimum(z, 215.0), y, x)
    skin = 1.0 - (np.abs(x / 178.0) ** 2.3 + np.abs((y - 4.0) / 124.0) ** 2.3) ** (1 / 2.3)
    skin = skin * 124.0 + 0.0 * z
    mottle = smooth_noise(skin.shape, 3.0, rng)
    hu = np.where(skin > 0, -100.0, -1000.0).astype(np.float32)
    hu[np.broadcast_to((skin > 0) & (skin < 2.0), hu.shape)] = 0.0
    muscle = (skin > 13.0 + 4.0 * mottle) & (cavity < -1.0)
    hu[muscle] = 45.0
    hu[(cavity > -3.5) & (cavity <= -1.0)] = -60.0
    _put_mediastinum(hu, z, y, x, mottle, cavity)
    _put_abdomen(hu, z, y, x, cavity)
    _put_bones(hu, z, y, x, cavity)
    table = np.abs(y - 142.0 + 0.0012 * x**2) < 4.0
    hu[np.broadcast_to(table, hu.shape) & (skin < -2.0)] = -150.0
    return ndi.gaussian_filter(hu + 6.0 * mottle, 0.5)


def _put_mediastinum(
    hu: FloatArray,
    z: FloatArray,
    y: FloatArray,
    x: FloatArray,
    mottle: FloatArray,
    cavity: FloatArray,
) -> None:
    """Write heart, great vessels, hila and the fat between them into the body, in place."""
    inside = cavity > -1.0
    hu[inside] = -70.0
    hu[inside & (mottle > 0.9)] = 20.0
    heart = _ellipsoid(z, y, x, (70.0, -28.0, 20.0), (56.0, 48.0, 58.0))
    vessels = _ellipsoid(z, y, x, (180.0, -12.0, -2.0), (80.0, 26.0, 24.0))
    aorta = 13.0 - np.hypot(x - 22.0, y - 50.0) + 0.0 * z
    hila = np.maximum(
        _ellipsoid(z, y, x, (132.0, 12.0, -28.0), (26.0, 17.0, 26.0)),
        _ellipsoid(z, y, x, (136.0, 14.0, 28.0), (26.0, 17.0, 26.0)),
    )
    for depth in (heart, vessels, aorta, hila):
        hu[(depth > 0) & inside] = 42.0


def _put_abdomen(
    hu: FloatArray, z: FloatArray, y: FloatArray, x: FloatArray, cavity: FloatArray
) -> None:
    """Write liver, spleen and bowel gas below the diaphragm into the body, in place."""
    below = (_diaphragm_height(y, x) - z > 3.0) & (cavity > -1.0)
    hu[below] = np.broadcast_to(np.where(x < 15.0, 58.0, 45.0), hu.shape)[below]
    gas = _ellipsoid(z, y, x, (24.0, -34.0, 66.0), (17.0, 24.0, 30.0))
    hu[below & (gas > -2.5)] = 40.0
    hu[below & (gas > 0)] = -960.0


def _put_bones(
    hu: FloatArray, z: FloatArray, y: FloatArray, x: FloatArray, cavity: FloatArray
) -> None:
    """Write ribs, sternum and spine into the body, in place."""
    slanted = z + 0.55 * (90.0 - y)
    across = (np.mod(slanted, 27.0) - 13.5) / 7.0
    outward = (-cavity - 7.5) / 4.2
    rib = np.hypot(across, outward)
    rib_here = (np.abs(x) > 16.0) & (y > -88.0)
    hu[(rib < 1.0) & rib_here] = 520.0
    hu[(rib < 0.62) & rib_here] = 180.0
    sternum = np.hypot(x / 19.0, (y + 101.0 - 0.06 * z) / 6.0)
    hu[(sternum < 1.0) & (z > 40.0) & (z < 235.0)] = 330.0
    disc = np.abs(np.mod(z, 27.0) - 13.5) > 11.0
    vertebra = np.hypot(x / 19.0, (y - 66.0) / 15.0) + 0.0 * z
    hu[vertebra < 1.0] = 480.0
    hu[vertebra < 0.87] = 190.0
    hu[(vertebra < 1.0) & disc] = 90.0
    arch = np.hypot(x / 24.0, (y - 92.0) / 14.0) + 0.0 * z
    spinous = (np.abs(x) < 5.0) & (y > 92.0) & (y < 116.0) & (np.mod(z, 27.0) < 17.0)
    hu[((arch < 1.0) & (vertebra >= 1.0) & ~disc) | spinous] = 380.0
    hu[np.hypot(x / 10.0, (y - 90.0) / 8.0) + 0.0 * z < 1.0] = 35.0
