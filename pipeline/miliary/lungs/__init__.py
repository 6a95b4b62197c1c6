"""Lungs and large airways: coarse first, then the boundary at full resolution."""

from __future__ import annotations

from miliary.config.lungs import LungSettings
from miliary.lungs.assemble import build_anatomy
from miliary.lungs.coarse import find_coarse_lungs
from miliary.lungs.hemithorax import find_airless
from miliary.lungs.refine import LungMasks, refine_lungs
from miliary.lungs.zones import thirds_of_height, zones_by_anatomy
from miliary.volume import Volume

__all__ = [
    "LungMasks",
    "build_anatomy",
    "segment_lungs",
    "thirds_of_height",
    "zones_by_anatomy",
]


def segment_lungs(volume: Volume, settings: LungSettings) -> LungMasks:
    """Find the lungs and the large airways.

    Parameters
    ----------
    volume : Volume
        The scan.
    settings : LungSettings
        Limits.

    Returns
    -------
    LungMasks
        Right and left lung with their vessels and nodules, on a crop; trachea and main bronchi
        are not in them.

    Raises
    ------
    AnatomyError
        When the image shows no lung.
    """
    found = find_coarse_lungs(volume, settings)
    airless = find_airless(found, settings)
    return refine_lungs(volume, airless.without(found), airless, settings)
