"""Fissures as bent heights over the axial plane, and the lobes between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from miliary.arrays import BoolArray, FloatArray, LabelArray

#: Number of waves that bend a surface or make a field of random patches.
_WAVES = 8

#: Standard deviation of the bends of a fissure, and their wavelengths, in chest mm: fissures drawn
#: by hand in three real lungs have curvatures of 14 to 22 a metre, part of it the hand's jitter.
_BEND_MM, _BENDS_MM = 3.5, (55.0, 150.0)


@dataclass(frozen=True, eq=False)
class Waves:
    """A smooth random field in chest coordinates, the same on every grid.

    Parameters
    ----------
    amplitude : (K,) float
        Of every plane wave.
    frequency : (K, 3) float
        Radians a mm along z, y and x.
    phase : (K,) float
        In radians.
    """

    amplitude: FloatArray
    frequency: FloatArray
    phase: FloatArray

    @classmethod
    def draw(
        cls, lengths_mm: tuple[float, float], rng: np.random.Generator, *, flat: bool = False
    ) -> Waves:
        """Draw waves of unit standard deviation together.

        Parameters
        ----------
        lengths_mm : (2,) float
            Shortest and longest wavelength in chest mm.
        rng : numpy.random.Generator
            Source of randomness.
        flat : bool
            Whether the field shall not change with z.

        Returns
        -------
        Waves
            Eight of them, in directions of their own.
        """
        way = rng.standard_normal((_WAVES, 3))
        way[:, 0] *= not flat
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        amplitude = rng.uniform(0.4, 1.0, _WAVES)
        return cls(
            amplitude * np.sqrt(2 / (amplitude**2).sum()),
            way * 2 * np.pi / rng.uniform(*lengths_mm, (_WAVES, 1)),
            rng.uniform(0, 2 * np.pi, _WAVES),
        )

    def at(self, z: FloatArray, y: FloatArray, x: FloatArray) -> FloatArray:
        """Value of the field.

        Parameters
        ----------
        z, y, x : (...) float
            Chest mm, of shapes that broadcast.

        Returns
        -------
        (...) float32
            Values with mean 0 and standard deviation 1.
        """
        total = np.zeros(np.broadcast_shapes(z.shape, y.shape, x.shape), np.float32)
        for size, (fz, fy, fx), phase in zip(
            self.amplitude, self.frequency, self.phase, strict=True
        ):
            total += np.float32(size) * np.sin(
                np.float32(fz) * z + np.float32(fy) * y + np.float32(fx) * x + np.float32(phase)
            )
        return total

    def share_above(self, share: float) -> float:
        """Level above which the field is in about a share of all places.

        Parameters
        ----------
        share : float
            0 to 1.

        Returns
        -------
        float
            The level, as if the sum of the waves were normal.
        """
        return float(stats.norm.isf(share))


@dataclass(frozen=True, eq=False)
class Fissure:
    """A fissure as a height over the axial plane, in chest mm.

    Parameters
    ----------
    base, slope : float
        Height at the centre, and its rise a mm towards the back.
    bend_mm : float
        Standard deviation of its bends.
    waves : Waves
        The bends.
    """

    base: float
    slope: float
    bend_mm: float
    waves: Waves

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
        level = self.base + self.slope * y - np.float32(0.0012) * (np.abs(x) - 70.0) ** 2
        height: FloatArray = level + self.bend_mm * self.waves.at(np.zeros_like(y), y, x)
        return height


def make_fissures(rng: np.random.Generator) -> tuple[Fissure, Fissure, Fissure]:
    """Draw the right oblique, right horizontal and left oblique fissure.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    tuple of three Fissure
        In this order.
    """
    tilt, shift = rng.uniform(-0.06, 0.06, 3), rng.uniform(-6.0, 6.0, 3)
    waves = [Waves.draw(_BENDS_MM, rng, flat=True) for _ in range(3)]
    return (
        Fissure(112.0 + shift[0], 0.98 + tilt[0], _BEND_MM, waves[0]),
        Fissure(128.0 + shift[1], -0.05 + tilt[1], _BEND_MM, waves[1]),
        Fissure(116.0 + shift[2], 1.02 + tilt[2], _BEND_MM, waves[2]),
    )


def fissure_present(above: tuple[FloatArray, ...], number: int, right: BoolArray) -> BoolArray:
    """Tell where a fissure can be: in its lung, and the horizontal one above the oblique one.

    Parameters
    ----------
    above : tuple of three (...) float
        Height above the right oblique, right horizontal and left oblique fissure.
    number : int
        Which one, from 0.
    right : (...) bool
        Whether a place is on the right.

    Returns
    -------
    (...) bool
        Where it can be.
    """
    if number == 2:
        return ~right
    return right & (above[0] > 0) if number == 1 else right


def label_lobes(above: tuple[FloatArray, ...], right: BoolArray) -> LabelArray:
    """Tell the lobe by the fissures that a place lies between.

    Parameters
    ----------
    above : tuple of three (...) float
        Height above the right oblique, right horizontal and left oblique fissure.
    right : (...) bool
        Whether a place is on the right.

    Returns
    -------
    (...) uint8
        1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL, also outside of the lungs.
    """
    oblique, horizontal, left = (distance > 0 for distance in above)
    one, two, three, four, five = (np.uint8(k) for k in range(1, 6))
    right_lobe = np.where(oblique, np.where(horizontal, one, two), three)
    return np.where(right, right_lobe, np.where(left, four, five))


def depth_in_lobe(above: tuple[FloatArray, ...], right: BoolArray, lobe: int) -> FloatArray:
    """Measure how far places lie beyond the fissures that bound a lobe, inside it.

    Parameters
    ----------
    above : tuple of three (...) float
        Signed distance to the right oblique, right horizontal and left oblique fissure in mm.
    right : (...) bool
        Whether a place is on the right.
    lobe : int
        1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL.

    Returns
    -------
    (...) float32
        Positive inside; -1000 in the other lung.
    """
    oblique, horizontal, left = above
    depth = {
        1: np.minimum(oblique, horizontal),
        2: np.minimum(oblique, -horizontal),
        3: -oblique,
        4: left,
        5: -left,
    }[lobe]
    return np.where(right == (lobe <= 3), depth, np.float32(-1000.0)).astype(np.float32)
