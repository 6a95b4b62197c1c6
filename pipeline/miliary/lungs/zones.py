"""Zones of the lungs: upper, middle and lower by anatomy, central and peripheral by depth."""

from __future__ import annotations

import numpy as np

from miliary.anatomy import DEPTHS, SIDES, ZONES
from miliary.arrays import LabelArray
from miliary.config.lungs import LungSettings
from miliary.kernels.distance_image import Distances
from miliary.kernels.slabs import over_slabs, slab_of

#: Voxels worked on at a time: what they need stays in the cache.
_SLAB = 2**18


def zones_by_anatomy(
    lung_labels: LabelArray, slice_mm: float, carina_z: float | None, settings: LungSettings
) -> tuple[LabelArray, str]:
    """Divide the lungs at the carina and at the inferior pulmonary veins.

    The veins are not looked for: they are taken to lie a share of the taller lung's height below
    the carina. Without a carina each lung is divided into thirds of its own height.

    Parameters
    ----------
    lung_labels : (z, y, x) uint8
        1 right lung, 2 left lung; z upwards.
    slice_mm : float
        Distance of the slices.
    carina_z : float or None
        Slice in which the trachea divides.
    settings : LungSettings
        Limits.

    Returns
    -------
    zone_labels : (z, y, x) uint8
        1 upper, 2 middle, 3 lower, 0 outside the lungs.
    note : str
        How they were divided.
    """
    if carina_z is None:
        return thirds_of_height(lung_labels), (
            "The carina was not seen: zones are thirds of each lung's own height."
        )
    # Slice by slice: images of the whole would be memory touched for the first time.
    heights = [sum(bool((part == side).any()) for part in lung_labels) for side in SIDES.values()]
    veins_mm = min(settings.veins_below_mm, settings.veins_below_share * max(heights) * slice_mm)
    z = np.arange(len(lung_labels))
    veins_z = carina_z - veins_mm / slice_mm
    of_slice = np.where(
        z > carina_z, ZONES["upper"], np.where(z > veins_z, ZONES["middle"], ZONES["lower"])
    )
    zones = np.empty_like(lung_labels)
    for part, section, label in zip(zones, lung_labels, of_slice.astype(np.uint8), strict=True):
        np.multiply(section > 0, label, out=part)
    return zones, (
        f"Zones meet at the carina and {veins_mm:.0f} mm below it, where the inferior pulmonary "
        "veins are taken to be."
    )


def depth_zones(lung_labels: LabelArray, pleura_mm: Distances, peripheral_mm: float) -> LabelArray:
    """Part the lungs into what is near the pleura and what is not.

    Parameters
    ----------
    lung_labels : (z, y, x) uint8
        0 outside the lungs.
    pleura_mm : (z, y, x) float32 or DistanceImage
        Distance to the pleura.
    peripheral_mm : float
        Lung this near to the pleura is peripheral.

    Returns
    -------
    (z, y, x) uint8
        1 peripheral, 2 central, 0 outside the lungs.
    """
    peripheral, central = (np.uint8(DEPTHS[name]) for name in ("peripheral", "central"))
    labels: LabelArray = np.empty(lung_labels.shape, np.uint8)

    def work(start: int, stop: int) -> None:
        part = labels[start:stop]
        # By products: a choice of voxels takes eight times as long.
        np.multiply(pleura_mm[start:stop] > peripheral_mm, central - peripheral, out=part)
        part += peripheral
        part *= lung_labels[start:stop] > 0

    over_slabs(work, len(labels), slab_of(labels.shape, _SLAB))
    return labels


def thirds_of_height(lung_labels: LabelArray) -> LabelArray:
    """Divide each lung into thirds of its own height.

    A stand-in for zones by anatomy: in a lung that the scan cuts off, they are the thirds of
    what is seen.

    Parameters
    ----------
    lung_labels : (z, y, x) uint8
        1 right lung, 2 left lung; z upwards.

    Returns
    -------
    (z, y, x) uint8
        1 upper, 2 middle, 3 lower third, 0 outside the lungs.
    """
    zones = np.zeros_like(lung_labels)
    for label in SIDES.values():
        inside = lung_labels == label
        used = np.flatnonzero(inside.any(axis=(1, 2)))
        if len(used) == 0:
            continue
        share = (np.arange(len(inside)) - used[0] + 0.5) / (used[-1] + 1 - used[0])
        of_slice = np.select([share > 2 / 3, share > 1 / 3], [ZONES["upper"], ZONES["middle"]])
        of_slice[of_slice == 0] = ZONES["lower"]
        zones += inside * of_slice.astype(np.uint8)[:, None, None]
    return zones
