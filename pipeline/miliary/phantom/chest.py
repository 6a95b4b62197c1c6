"""The chest without its vessels: lungs, fissures, wall, bones, heart and diaphragm.

Shapes are closed-form functions of chest coordinates: mm at adult size with x to the left, y to
the back and z to the head (see `shapes`). They are evaluated on a coarse grid and interpolated;
fissures and vessels are sharper than that and are drawn on the phantom's own grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage as ndi

from miliary.arrays import BoolArray, FloatArray, LabelArray
from miliary.phantom.shapes import MIDLINE, body_hu, lungs, smooth_noise

#: Where the pleura is pierced by bronchus, artery and veins: (z, y, x) in chest mm.
HILUM = {"right": (128.0, 12.0, -44.0), "left": (132.0, 14.0, 44.0)}

#: Where the trachea divides, and its start, (z, y, x) in chest mm.
CARINA, TRACHEA_TOP = (158.0, 14.0, 0.0), (330.0, 2.0, 0.0)


@dataclass(frozen=True, eq=False)
class Fissure:
    """A fissure as a height over the axial plane, in chest mm.

    Parameters
    ----------
    side : str
        `right` or `left`.
    base, slope : float
        Height at the centre, and its rise a mm towards the back.
    waves : (K, 4) float
        Bends: amplitude, frequency along y and x in radians a mm, and phase.
    """

    side: str
    base: float
    slope: float
    waves: FloatArray

    def height(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Height at places of the axial plane.

        Parameters
        ----------
        y, x : (...) float
            Places in chest mm.

        Returns
        -------
        (...) float
            Heights in chest mm.
        """
        height = self.base + self.slope * y - 0.0012 * (np.abs(x) - 70.0) ** 2
        for amplitude, along_y, along_x, phase in self.waves:
            height = height + amplitude * np.sin(along_y * y + along_x * x + phase)
        return height

    def tilt(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Cosine of the slope: what turns a difference of height into a distance.

        Parameters
        ----------
        y, x : (...) float
            Places in chest mm.

        Returns
        -------
        (...) float
            Cosines.
        """
        height = self.height(y, x)
        slope2 = (self.height(y + 1.0, x) - height) ** 2 + (self.height(y, x + 1.0) - height) ** 2
        cosine: FloatArray = 1.0 / np.sqrt(1.0 + slope2)
        return cosine


def fissure_present(
    heights: tuple[FloatArray, ...], number: int, z: FloatArray, x: FloatArray
) -> BoolArray:
    """Tell where a fissure can be: in its lung, and the horizontal one above the oblique one.

    Parameters
    ----------
    heights : tuple of three (...) float
        Heights of the right oblique, right horizontal and left oblique fissure, in chest mm.
    number : int
        Which one, from 0.
    z, x : (...) float
        Chest mm, of shapes that broadcast.

    Returns
    -------
    (...) bool
        Where it can be.
    """
    right = x < MIDLINE
    if number == 2:
        return ~right
    return right & (z > heights[0]) if number == 1 else right


def label_lobes(heights: tuple[FloatArray, ...], z: FloatArray, x: FloatArray) -> LabelArray:
    """Tell the lobe of chest coordinates by the fissures they lie between.

    Parameters
    ----------
    heights : tuple of three (...) float
        Heights of the right oblique, right horizontal and left oblique fissure, in chest mm.
    z, x : (...) float
        Chest mm, of shapes that broadcast.

    Returns
    -------
    (...) uint8
        1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL, also outside of the lungs.
    """
    oblique, horizontal, left = (z > height for height in heights)
    one, two, three, four, five = (np.uint8(k) for k in range(1, 6))
    right_lobe = np.where(oblique, np.where(horizontal, one, two), three)
    return np.where(x < MIDLINE, right_lobe, np.where(left, four, five))


def make_fissures(rng: np.random.Generator) -> tuple[Fissure, Fissure, Fissure]:
    """Draw the bends of the right oblique, right horizontal and left oblique fissure.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    tuple of three Fissure
        In this order.
    """

    def waves(size: float) -> FloatArray:
        lengths = rng.uniform(70.0, 180.0, (4, 2))
        return np.column_stack(
            [
                rng.uniform(0.2, 1.0, 4) * size,
                2 * np.pi / lengths * rng.choice([-1, 1], (4, 2)),
                rng.uniform(0, 2 * np.pi, 4),
            ]
        )

    tilt = rng.uniform(-0.06, 0.06, 3)
    return (
        Fissure("right", 112.0 + rng.uniform(-6, 6), 0.98 + tilt[0], waves(3.0)),
        Fissure("right", 128.0 + rng.uniform(-5, 5), -0.05 + tilt[1], waves(3.0)),
        Fissure("left", 116.0 + rng.uniform(-6, 6), 1.02 + tilt[2], waves(3.0)),
    )


@dataclass(frozen=True, eq=False)
class Chest:
    """A chest on a coarse grid, in the mm of the phantom's own grid points.

    Parameters
    ----------
    scale : float
        Size as a part of an adult's.
    origin_mm : (3,) float
        Grid point `(z, y, x)` of the chest's own zero.
    step_mm : float
        Voxel size of the coarse grid, whose first voxel lies at grid point (0, 0, 0).
    depth_mm : (z, y, x) float32
        Depth inside the nearest lung; negative outside. True within some mm of the pleura.
    body_hu : (z, y, x) float32
        Everything but the lungs, as if the lungs were filled with wall and mediastinum.
    texture_hu : (z, y, x) float32
        Attenuation of the lung's parenchyma.
    gap : (z, y, x) float32
        Smooth noise; a fissure is missing where it is large.
    fissures : tuple of three Fissure
        Right oblique, right horizontal, left oblique.
    """

    scale: float
    origin_mm: FloatArray
    step_mm: float
    depth_mm: FloatArray
    body_hu: FloatArray
    texture_hu: FloatArray
    gap: FloatArray
    fissures: tuple[Fissure, Fissure, Fissure]

    def to_grid(self, chest_zyx: FloatArray) -> FloatArray:
        """Convert (..., 3) chest coordinates `(z, y, x)` to grid points in mm.

        Parameters
        ----------
        chest_zyx : (..., 3) float
            Chest mm.

        Returns
        -------
        (..., 3) float
            Grid points in mm.
        """
        points: FloatArray = np.asarray(chest_zyx, float) * self.scale + self.origin_mm
        return points

    def sample(self, field: FloatArray, grid_mm: FloatArray) -> FloatArray:
        """Interpolate a coarse field linearly at grid points.

        Parameters
        ----------
        field : (z, y, x) float
            One of the fields of this chest.
        grid_mm : (N, 3) float
            Grid points in mm.

        Returns
        -------
        (N,) float
            Values; beyond the border those of the border.
        """
        index = (np.asarray(grid_mm) / self.step_mm).T
        values: FloatArray = ndi.map_coordinates(field, index, order=1, mode="nearest")
        return values

    def fissure_offset_mm(self, grid_mm: FloatArray) -> FloatArray:
        """Measure the distance of points inside the lungs to the nearest fissure of their lung.

        Parameters
        ----------
        grid_mm : (N, 3) float
            Grid points in mm.

        Returns
        -------
        (N,) float
            Distances in mm, as if the fissures were complete.
        """
        z, y, x = (np.asarray(grid_mm) - self.origin_mm).T / self.scale
        heights = tuple(fissure.height(y, x) for fissure in self.fissures)
        nearest = np.full(len(z), np.inf)
        for number, fissure in enumerate(self.fissures):
            here = fissure_present(heights, number, z, x)
            distance = np.abs(z - heights[number]) * fissure.tilt(y, x) * self.scale
            nearest = np.where(here, np.minimum(nearest, distance), nearest)
        return nearest

    def lobes_at(self, grid_mm: FloatArray) -> LabelArray:
        """Tell the lobe of points inside the lungs.

        Parameters
        ----------
        grid_mm : (N, 3) float
            Grid points in mm.

        Returns
        -------
        (N,) uint8
            1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL.
        """
        z, y, x = (np.asarray(grid_mm) - self.origin_mm).T / self.scale
        return label_lobes(tuple(f.height(y, x) for f in self.fissures), z, x)


def make_chest(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    scale: float,
    rng: np.random.Generator,
) -> Chest:
    """Build a chest in the middle of a field of view.

    Parameters
    ----------
    shape : (3,) int
        Voxels of the phantom along z, y and x.
    spacing_mm : (3,) float
        Their size in mm.
    scale : float
        Size of the chest as a part of an adult's.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Chest
        Coarse fields with a step of 1.6 mm.
    """
    step_mm = 1.6
    field_mm = (np.array(shape) - 1) * spacing_mm
    origin_mm = field_mm / 2 - np.array([122.0, 6.0, 0.0]) * scale
    coarse = np.ceil(field_mm / step_mm).astype(int) + 2
    z, y, x = (
        (np.arange(n, dtype=np.float32) * np.float32(step_mm) - np.float32(o)) / np.float32(scale)
        for n, o in zip(coarse, origin_mm, strict=True)
    )
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    depth = _without_islands((lungs(z, y, x) * scale).astype(np.float32))
    return Chest(
        scale,
        origin_mm,
        step_mm,
        depth,
        body_hu(z, y, x, rng),
        _parenchyma_hu(depth, y, step_mm, rng),
        smooth_noise(depth.shape, 14.0 * scale / step_mm, rng),
        make_fissures(rng),
    )


def _without_islands(depth_mm: FloatArray) -> FloatArray:
    """Push all but the largest bodies of a depth below zero: the two lungs stay."""
    labels = cc3d.connected_components(depth_mm > 0, connectivity=6)
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    island = (sizes > 0) & (sizes < 0.1 * sizes.max())
    return np.where(island[labels], np.float32(-0.5), depth_mm)


def _parenchyma_hu(
    depth_mm: FloatArray, y: FloatArray, step_mm: float, rng: np.random.Generator
) -> FloatArray:
    """Lung without visible vessels: denser towards the back, mottled like lobules and acini."""
    hu = np.full(depth_mm.shape, -866.0, np.float32)
    hu += 0.22 * y
    for sigma_mm, sd_hu in ((1.2, 26.0), (5.0, 12.0), (18.0, 10.0)):
        hu += sd_hu * smooth_noise(depth_mm.shape, sigma_mm / step_mm, rng)
    return hu
