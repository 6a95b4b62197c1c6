"""What a phantom is: the scan, and everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, LabelArray
from miliary.phantom.spec import PhantomSpec
from miliary.volume import Volume


class Tissue(IntEnum):
    """What a voxel of a phantom mostly is; every voxel is something."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    BONE = 3
    MARROW = 4
    MEDIASTINUM = 5
    HEART = 6
    ABDOMEN = 7
    BOWEL_GAS = 8
    TABLE = 9
    LUNG = 10
    ARTERY = 11
    VEIN = 12
    AIRWAY_LUMEN = 13
    AIRWAY_WALL = 14
    FISSURE = 15
    SEPTUM = 16
    GROUND_GLASS = 17
    CONSOLIDATION = 18
    RIND = 19
    NODULE = 20
    BRONCHIOLE = 21
    SKIN = 22


@dataclass(frozen=True, eq=False)
class TrueNodules:
    """The nodules that a phantom holds, one row each.

    Parameters
    ----------
    points_mm : (N, 3) float
        Centres `(x, y, z)` in mm (LPS).
    diameter_mm : (N,) float
        Diameters of the balls.
    lung : (N,) str
        `right` or `left`.
    pattern : (N,) str
        Pattern of the population that it belongs to.
    """

    points_mm: FloatArray
    diameter_mm: FloatArray
    lung: AnyArray
    pattern: AnyArray

    def __len__(self) -> int:
        return len(self.points_mm)

    def columns(self) -> dict[str, AnyArray]:
        """Give the columns of `truth.csv` by name, in order.

        Returns
        -------
        dict of str to (N,) array
            x_mm, y_mm, z_mm, diameter_mm, lung, pattern.
        """
        x, y, z = self.points_mm.reshape(-1, 3).T
        places = {"x_mm": x, "y_mm": y, "z_mm": z}
        rest = {"diameter_mm": self.diameter_mm, "lung": self.lung, "pattern": self.pattern}
        return {**places, **rest}


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic chest CT with everything that is known of it.

    Parameters
    ----------
    spec : PhantomSpec
        What was asked for.
    volume : Volume
        The scan, int16.
    nodules : TrueNodules
        The nodules in it.
    tissue_labels : (z, y, x) uint8
        What every voxel is, by `Tissue`.
    lung_labels : (z, y, x) uint8
        1 right lung, 2 left lung: the aerated lung with the vessels, airways and nodules inside
        it, without rind and consolidation.
    hemithorax_labels : (z, y, x) uint8
        1 right, 2 left: everything inside the parietal pleura.
    lobe_labels : (z, y, x) uint8
        1 RUL, 2 RML, 3 RLL, 4 LUL, 5 LLL; a consolidated lobe has its label too, a rind none.
    fissure_mask : (z, y, x) bool
        Voxels whose centre lies within 0.75 mm of a fissure, where the fissure is there.
    """

    spec: PhantomSpec
    volume: Volume
    nodules: TrueNodules
    tissue_labels: LabelArray
    lung_labels: LabelArray
    hemithorax_labels: LabelArray
    lobe_labels: LabelArray
    fissure_mask: BoolArray

    def is_tissue(self, *tissues: Tissue) -> BoolArray:
        """Tell which voxels are of some tissues.

        Parameters
        ----------
        *tissues : Tissue
            Which.

        Returns
        -------
        (z, y, x) bool
            Whether a voxel is one of them.
        """
        chosen = np.zeros(max(Tissue) + 1, bool)
        chosen[list(tissues)] = True
        mask: BoolArray = chosen[self.tissue_labels]
        return mask

    @property
    def vessel_mask(self) -> BoolArray:
        """Voxels of which an artery or a vein fills a quarter or more, after the point spread."""
        return self.is_tissue(Tissue.ARTERY, Tissue.VEIN)

    @property
    def airway_mask(self) -> BoolArray:
        """Air in trachea and bronchi, half of the voxel or more."""
        return self.is_tissue(Tissue.AIRWAY_LUMEN)


def nothing() -> TrueNodules:
    """Give the truth of a phantom without nodules.

    Returns
    -------
    TrueNodules
        No rows.
    """
    return TrueNodules(np.empty((0, 3)), *(np.empty(0) for _ in fields(TrueNodules)[1:]))
