"""What the placement of nodules needs to know of a chest, and where a centre may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import BoolArray, FloatArray
from miliary.phantom.chest import Chest
from miliary.phantom.lobules import Lobules
from miliary.phantom.spec import LOBES, PhantomSpec
from miliary.phantom.trees import Trees
from miliary.phantom.tubes import Tubes

#: Smallest distance of a centre to the pleura: a nodule lies in the lung.
_INSIDE_MM = 0.4

#: Lobes by lung.
_LOBES_OF = {"both": (1, 2, 3, 4, 5), "right": (1, 2, 3), "left": (4, 5)}


@dataclass(frozen=True, eq=False)
class Site:
    """What the placement of nodules needs to know of a chest.

    Parameters
    ----------
    chest : Chest
        The lungs.
    lobules : Lobules
        Their lobules.
    trees : Trees
        Vessels and airways.
    lobes : tuple of int
        Lobes that may bear nodules.
    axes : KDTree
        Points on the axes of all tubes that a nodule's centre must not lie in.
    axes_radius_mm : (M,) float
        The tubes' radii.
    """

    chest: Chest
    lobules: Lobules
    trees: Trees
    lobes: tuple[int, ...]
    axes: KDTree
    axes_radius_mm: FloatArray

    def allowed(self, points_mm: FloatArray) -> BoolArray:
        """Tell which grid points may be centres: in a diseased lung, in no vessel or bronchus.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points in mm.

        Returns
        -------
        (N,) bool
            Whether a nodule may be there.
        """
        if not len(points_mm):
            return np.zeros(0, bool)
        inside = self.chest.sample(self.chest.depth_mm, points_mm) > _INSIDE_MM
        inside &= np.isin(self.chest.lobes_at(points_mm), self.lobes)
        if self.axes.n:
            k = np.arange(1, min(12, self.axes.n) + 1)
            distance, nearest = self.axes.query(points_mm, k=k)
            inside &= (distance > self.axes_radius_mm[nearest]).all(axis=1)
        return inside

    def uniform(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw places that may be centres, every place of the lung alike.

        Parameters
        ----------
        count : int
            How many to try: fewer come out.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        (N, 3) float
            Grid points in mm.
        """
        step = self.chest.step_mm
        voxels = np.argwhere(self.chest.depth_mm > -step)
        points = voxels[rng.integers(0, max(len(voxels), 1), count if len(voxels) else 0)] * step
        points = points + rng.uniform(-0.5, 0.5, points.shape) * step
        return points[self.allowed(points)]


def make_site(chest: Chest, lobules: Lobules, trees: Trees, spec: PhantomSpec, lungs: str) -> Site:
    """Collect what the placement needs.

    Parameters
    ----------
    chest : Chest
        The lungs.
    lobules : Lobules
        Their lobules.
    trees : Trees
        Their vessels and airways.
    spec : PhantomSpec
        Which lobe is consolidated and bears none.
    lungs : str
        `both`, `right` or `left`.

    Returns
    -------
    Site
        The site.
    """
    airless = spec.disease.consolidated_lobe
    lobes = tuple(k for k in _LOBES_OF[lungs] if LOBES[k - 1] != airless)
    tubes = Tubes.join(trees.artery_tubes, trees.vein_tubes, trees.wall)
    wide = tubes.radius_mm > 0.4
    ends = tubes.start_mm[wide], tubes.end_mm[wide]
    axes_mm = np.concatenate([(1 - t) * ends[0] + t * ends[1] for t in (0.0, 0.33, 0.67)])
    return Site(chest, lobules, trees, lobes, KDTree(axes_mm), np.tile(tubes.radius_mm[wide], 3))
