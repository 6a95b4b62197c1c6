"""Kernels that enhance edges in plane: a Gaussian less a wider one, `(1+a) G(s) - a G(h s)`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import FloatArray, IntArray
from miliary.kernels.roots import find_root

#: Width of the negative Gaussian over that of the positive one, in plane.
HALO = 3.0


@dataclass(frozen=True, eq=False)
class Overshoot:
    """What a kernel that enhances edges does to them: `(1+a) Φ(t) - a Φ(t/h)` instead of `Φ(t)`.

    Parameters
    ----------
    enhancement : float
        The factor `a`, 0 or more.
    halo : (N,) float
        Width `h` of the negative part across each edge, in those of the positive one.
    """

    enhancement: float
    halo: FloatArray

    @classmethod
    def none(cls, n: int) -> Overshoot:
        """Leave n edges as they are.

        Parameters
        ----------
        n : int
            Number of edges.

        Returns
        -------
        Overshoot
            Without enhancement.
        """
        return cls(0.0, np.ones(n))

    def take(self, rows: IntArray) -> Overshoot:
        """Give some of the edges.

        Parameters
        ----------
        rows : (M,) int
            Which.

        Returns
        -------
        Overshoot
            Those, in that order.
        """
        return Overshoot(self.enhancement, self.halo[rows])


def halo_across(normal_z: FloatArray, z_over_plane: float) -> FloatArray:
    """Tell how much wider the negative part is across oblique edges.

    Parameters
    ----------
    normal_z : (N,) float
        Component along z of the unit normals: along z nothing is enhanced.
    z_over_plane : float
        Standard deviation of the point spread along z over that in plane.

    Returns
    -------
    (N,) float
        `HALO` for edges in plane, 1 for those that face along z.
    """
    along, aside = z_over_plane**2 * normal_z**2, 1.0 - normal_z**2
    halo: FloatArray = np.sqrt((along + HALO**2 * aside) / (along + aside))
    return halo


def width_in_plane(enhancement: float) -> float:
    """Full width at half maximum in plane, in standard deviations of the positive Gaussian.

    A point and a line are not seen equally wide: it is the geometric mean of both widths.

    Parameters
    ----------
    enhancement : float
        The factor `a`, 0 or more.

    Returns
    -------
    float
        2.355 without enhancement, less with it.
    """

    def half_width(dimensions: int) -> float:
        weight = enhancement / HALO**dimensions

        def excess(x: float) -> float:
            rise = (1 + enhancement) * (np.exp(-0.5 * x**2) - 0.5)
            return float(rise - weight * (np.exp(-0.5 * (x / HALO) ** 2) - 0.5))

        return find_root(excess, 0.1, 3.0)

    return 2.0 * float(np.sqrt(half_width(1) * half_width(2)))
