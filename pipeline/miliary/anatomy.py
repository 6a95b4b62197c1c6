"""Where things are in this patient's chest, cropped to the lungs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from miliary.arrays import AnyArray, BoolArray, Box, FloatArray, LabelArray
from miliary.geometry import Geometry
from miliary.kernels.ball_labels import list_ball_labels
from miliary.kernels.distance_image import DistanceImage, Distances

RIGHT, LEFT = 1, 2
SIDES: dict[str, int] = {"right": RIGHT, "left": LEFT}
ZONES: dict[str, int] = {"upper": 1, "middle": 2, "lower": 3}
DEPTHS: dict[str, int] = {"peripheral": 1, "central": 2}
LOBES: dict[str, int] = {"RUL": 1, "RML": 2, "RLL": 3, "LUL": 4, "LLL": 5}


@dataclass(frozen=True)
class Excluded:
    """A part of a hemithorax that cannot be judged.

    Parameters
    ----------
    reason : str
        Why: consolidation, collapse, rind, not covered by the scan, ...
    ml : float
        Its volume.
    """

    reason: str
    ml: float


@dataclass(frozen=True)
class Lung:
    """One lung, as far as it was found.

    Parameters
    ----------
    side : str
        `right` or `left`.
    volume_ml : float
        Aerated lung with its vessels and nodules.
    evaluable_ml : float
        The part of it in which micronodules can be seen: without vessels, 0 when the lung
        cannot be judged.
    excluded : tuple of Excluded
        What was left out, and why.
    notes : tuple of str
        Sentences for a reader.
    hemithorax_ml : float or None
        Everything inside the pleura: aerated lung, rind, consolidation; None where unknown.
    rind_mm : float or None
        Mean thickness of the pleural rind over the surface of the lung; None without one.
    septa_cm2_per_ml : float or None
        Area of the sheets between lobules that are seen, a volume of lung; None where the scan
        does not show it.
    """

    side: str
    volume_ml: float
    evaluable_ml: float
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[str, ...] = ()
    hemithorax_ml: float | None = None
    rind_mm: float | None = None
    septa_cm2_per_ml: float | None = None

    @property
    def evaluable_share(self) -> float | None:
        """Part of the hemithorax in which micronodules can be seen."""
        return self.evaluable_ml / self.hemithorax_ml if self.hemithorax_ml else None


@dataclass(frozen=True, eq=False)
class RindMap:
    """Thickness of a pleural rind, point by point.

    Parameters
    ----------
    side : str
        `right` or `left`.
    points_mm : (N, 3) float
        Places on the surface of the aerated lung, world `(x, y, z)` in mm (LPS).
    thickness_mm : (N,) float
        Shortest way from each through the rind.
    """

    side: str
    points_mm: FloatArray
    thickness_mm: FloatArray


@dataclass(frozen=True)
class Fissure:
    """What is known of one fissure.

    Parameters
    ----------
    name : str
        `right_oblique`, `right_horizontal` or `left_oblique`.
    confidence : float
        0 to 1: how much more of it is seen than of the same surface beside it.
    completeness : float
        Share of the surface in the lung that is seen, 0 to 1.
    area_cm2 : float
        Area of the surface in the lung, seen or not.
    """

    name: str
    confidence: float
    completeness: float
    area_cm2: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Labels and distances on one grid, cropped to the lungs.

    Images that a scan does not let us make are None; every other step must bear that.

    Parameters
    ----------
    box : tuple of three slices
        Where the crop lies in the volume.
    geometry : Geometry
        The grid of the crop.
    lung_labels : (z, y, x) uint8
        1 right lung, 2 left lung: aerated lung with the nodules and vessels inside it.
    evaluable_labels : (z, y, x) uint8
        The part of `lung_labels` in which a micronodule could be seen: the window of every
        spatial statistic. Vessels are not in it.
    zone_labels : (z, y, x) uint8
        1 upper, 2 middle, 3 lower, inside the lungs.
    vessel_mask, airway_mask : (z, y, x) bool
        Vessels, and the air inside trachea and bronchi.
    pleura_mm, vessel_mm : (z, y, x) DistanceImage or float32
        Inside the lungs, distance of a voxel's centre to the surface of each.
    lungs : tuple of Lung
        Right and left, in this order, those that were found.
    fissure_mask : (z, y, x) bool or None
        Fissures, one to two voxels thick.
    fissure_mm : (z, y, x) DistanceImage, float32 or None
        Distance to the nearest fissure.
    lobe_labels : (z, y, x) uint8 or None
        1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL, 0 unknown.
    notes : tuple of str
        Sentences for a reader.
    hemithorax_labels : (z, y, x) uint8 or None
        1 right, 2 left: everything inside the parietal pleura, aerated or not.
    airless_labels : (z, y, x) uint8 or None
        Of that what holds no air: 1 rind or effusion, 2 consolidation or collapse.
    depth_labels : (z, y, x) uint8 or None
        1 peripheral, 2 central, inside the lungs.
    airway_wall_mask : (z, y, x) bool or None
        Walls of trachea and bronchi.
    rinds : tuple of RindMap
        The rind of each side that has one.
    fissures : tuple of Fissure
        How sure and how complete each fissure is that was looked for.
    """

    box: Box
    geometry: Geometry
    lung_labels: LabelArray
    evaluable_labels: LabelArray
    zone_labels: LabelArray
    vessel_mask: BoolArray
    airway_mask: BoolArray
    pleura_mm: Distances
    vessel_mm: Distances
    lungs: tuple[Lung, ...]
    fissure_mask: BoolArray | None = None
    fissure_mm: Distances | None = None
    lobe_labels: LabelArray | None = None
    notes: tuple[str, ...] = ()
    hemithorax_labels: LabelArray | None = None
    airless_labels: LabelArray | None = None
    depth_labels: LabelArray | None = None
    airway_wall_mask: BoolArray | None = None
    rinds: tuple[RindMap, ...] = ()
    fissures: tuple[Fissure, ...] = ()

    @property
    def inside_lung(self) -> BoolArray:
        """Both lungs as one mask."""
        return self.lung_labels > 0

    def lung(self, side: str) -> Lung | None:
        """Give one lung, or None where it was not found.

        Parameters
        ----------
        side : str
            `right` or `left`.

        Returns
        -------
        Lung or None
            The lung.
        """
        return next((lung for lung in self.lungs if lung.side == side), None)

    def at(self, image: AnyArray | DistanceImage, index_zyx: FloatArray) -> AnyArray:
        """Read an image of this grid at the nearest voxels.

        Parameters
        ----------
        image : (z, y, x) array
            Any image of this anatomy.
        index_zyx : (N, 3) float
            Indices into the crop; those outside are moved to its border.

        Returns
        -------
        (N,) array
            The image's values.
        """
        nearest = np.rint(np.asarray(index_zyx, float).reshape(-1, 3)).astype(np.intp)
        z, y, x = np.clip(nearest, 0, np.array(self.geometry.shape) - 1).T
        values: AnyArray = image[z, y, x]
        return values

    def distance_at(self, image: Distances, index_zyx: FloatArray) -> FloatArray:
        """Read an image of distances at the nearest voxels.

        Parameters
        ----------
        image : (z, y, x) DistanceImage or float
            Distances in mm, infinite where there is nothing to be near to.
        index_zyx : (N, 3) float
            As for `at`.

        Returns
        -------
        (N,) float64
            Distances in mm, NaN where they are infinite.
        """
        values = self.at(image, index_zyx).astype(float)
        return np.where(np.isfinite(values), values, np.nan)

    def without_vessels_at(self, points_mm: FloatArray, diameter_mm: FloatArray) -> Anatomy:
        """Give the same anatomy where what was taken for vessel and is nodule can be evaluated.

        Parameters
        ----------
        points_mm : (N, 3) float
            Centres of nodules in the world.
        diameter_mm : (N,) float
            Their diameters.

        Returns
        -------
        Anatomy
            With smaller vessels and a larger window, in lungs that are judged. Distances to
            vessels stay: that a nodule beside a vessel now ends it moves its surface by less
            than the nodule's radius.
        """
        grid = self.geometry
        index_zyx = grid.to_index(points_mm)
        nodule, _ = list_ball_labels(grid.shape, grid.spacing_mm, index_zyx, diameter_mm)
        judged = [SIDES[lung.side] for lung in self.lungs if lung.evaluable_ml > 0]
        # Few voxels, by their places: whole images would be a gigabyte for a moment.
        freed = nodule[self.vessel_mask.ravel()[nodule]]
        sides = self.lung_labels.ravel()[freed]
        counts = np.isin(sides, judged)
        freed, sides = freed[counts], sides[counts]
        gained = np.bincount(sides, minlength=max(SIDES.values()) + 1)
        vessel_mask, evaluable_labels = self.vessel_mask.copy(), self.evaluable_labels.copy()
        vessel_mask.ravel()[freed], evaluable_labels.ravel()[freed] = False, sides
        millilitres = self.geometry.voxel_ml * gained
        return replace(
            self,
            vessel_mask=vessel_mask,
            evaluable_labels=evaluable_labels,
            lungs=tuple(
                replace(lung, evaluable_ml=lung.evaluable_ml + float(millilitres[SIDES[lung.side]]))
                for lung in self.lungs
            ),
        )
