"""What calibration says of the scan's own nodules: how many were seen, and how large they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import special

from miliary.anatomy import ZONES
from miliary.arrays import FloatArray, LabelArray
from miliary.calibrate.places import REGIONS
from miliary.findings import Calibration
from miliary.nodules import Nodules

#: Certainty has no log odds.
_SURE = 1e-4


def sensitivity_at(calibration: Calibration, region: str, diameter_mm: float) -> float | None:
    """Read the sensitivity for a diameter, between those that were reported.

    Parameters
    ----------
    calibration : Calibration
        Sensitivity of the scan.
    region : str
        `all`, one of `REGIONS` or of `ZONES`.
    diameter_mm : float
        Diameter.

    Returns
    -------
    float or None
        None when the scan was not calibrated, or has no such region.
    """
    rows = [row for row in calibration.sensitivity if row.region == region]
    if not rows:
        return None
    return float(np.interp(diameter_mm, [r.diameter_mm for r in rows], [r.value for r in rows]))


def sensitivity_map(
    regions: LabelArray, zone_labels: LabelArray, calibration: Calibration, diameter_mm: float
) -> tuple[LabelArray, FloatArray] | None:
    """Spread the sensitivity of regions and zones over the lung.

    Parameters
    ----------
    regions : (z, y, x) uint8
        `REGIONS`.
    zone_labels : (z, y, x) uint8
        `ZONES`.
    calibration : Calibration
        Sensitivity of the scan.
    diameter_mm : float
        Diameter it is for.

    Returns
    -------
    places : (z, y, x) uint8
        Where the sensitivity of each voxel stands among the chances: an image of them would take
        four times the memory.
    chances : (C,) float32
        The effects of region and zone add up in the log odds, as they were fitted; 0 where
        nothing can be seen. None in place of both when the scan was not calibrated.
    """
    whole = sensitivity_at(calibration, "all", diameter_mm)
    if whole is None:
        return None

    def log_odds(names: dict[str, int]) -> FloatArray:
        values = [sensitivity_at(calibration, name, diameter_mm) for name in names]
        known = [whole if value is None else value for value in values]
        return special.logit(np.clip([whole, *known], _SURE, 1 - _SURE))

    region, zone = log_odds(REGIONS), log_odds(ZONES)
    table = special.expit(region[:, None] + zone - zone[0]).astype(np.float32)
    table[0] = 0.0
    places = regions * np.uint8(len(zone))
    places += zone_labels
    return places, table.ravel()


def correct_sizes(nodules: Nodules, calibration: Calibration, micronodule_mm: float) -> Nodules:
    """Take the measured bias out of diameters, and make their standard errors true.

    Beyond the diameters that were put in, bias and error are those of the nearest one.

    Parameters
    ----------
    nodules : Nodules
        As measured.
    calibration : Calibration
        Errors of size in this scan.
    micronodule_mm : float
        What counts as a micronodule.

    Returns
    -------
    Nodules
        The same rows; unchanged when the scan was not calibrated.
    """
    size = nodules.diameter_mm
    if calibration.size_bias_mm:
        at, bias = np.array(calibration.size_bias_mm).T
        # A ball of diameter `at` measures `at + bias` in the median.
        size = size - np.interp(size, np.maximum.accumulate(at + bias), bias)
    factor = np.ones(len(nodules))
    if calibration.se_factors:
        factor = np.interp(size, *np.array(calibration.se_factors).T)
    return replace(
        nodules,
        diameter_mm=size,
        diameter_se_mm=factor * nodules.diameter_se_mm,
        micronodule=size <= micronodule_mm,
    )
