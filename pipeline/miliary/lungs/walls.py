"""Walls of the airways."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray
from miliary.config.lungs import LungSettings
from miliary.kernels.distances import within
from miliary.kernels.regions import bounding_box


def airway_walls(
    hu: AnyArray, airway_mask: BoolArray, spacing_mm: FloatArray, settings: LungSettings
) -> BoolArray:
    """Find the walls of trachea and bronchi: what is dense close to their air.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units.
    airway_mask : (z, y, x) bool
        Air in trachea and bronchi.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    settings : LungSettings
        Limits.

    Returns
    -------
    (z, y, x) bool
        Walls; of an artery beside a bronchus a rim as thick as a wall is taken for one.
    """
    walls = np.zeros_like(airway_mask)
    if not airway_mask.any():
        return walls
    margin = np.ceil(settings.wall_reach_mm / np.asarray(spacing_mm)).astype(int)
    box = bounding_box(airway_mask, margin)
    air = airway_mask[box]
    walls[box] = within(air, settings.wall_reach_mm, spacing_mm) & ~air
    walls[box] &= hu[box] > settings.wall_least_hu
    return walls
