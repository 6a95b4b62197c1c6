"""Lungs and vessels put together: the window of the statistics, zones and distances."""

from __future__ import annotations

import numpy as np

from miliary.anatomy import SIDES, ZONES, Anatomy, Excluded, Lung
from miliary.arrays import BoolArray, LabelArray
from miliary.config.lungs import LungSettings
from miliary.kernels.distances import depth_inside, distance_to, within
from miliary.kernels.filters import smooth
from miliary.lungs.refine import LungMasks
from miliary.volume import Volume


def build_anatomy(
    volume: Volume, masks: LungMasks, vessel_mask: BoolArray, settings: LungSettings
) -> Anatomy:
    """Join lungs and vessels to the anatomy that the other steps look at.

    Parameters
    ----------
    volume : Volume
        The scan.
    masks : LungMasks
        Lungs and airways.
    vessel_mask : (z, y, x) bool
        Vessels, on the grid of the masks.
    settings : LungSettings
        Limits.

    Returns
    -------
    Anatomy
        Without fissures and lobes.
    """
    labels, spacing = masks.lung_labels, masks.geometry.spacing_mm
    lump = _lumps(volume, masks, settings)
    vessel = vessel_mask & ~lump
    evaluable = np.where(vessel | lump | masks.airway_mask, np.uint8(0), labels)
    volumes = {side: _ml(labels == label, masks) for side, label in SIDES.items()}
    lungs = []
    for side, label in SIDES.items():
        if volumes[side] == 0:
            continue
        judged = _is_judged(side, volumes, masks, settings)
        if not judged:
            evaluable[evaluable == label] = 0
        lungs.append(_describe(side, volumes, judged, lump, evaluable, masks, settings))
    return Anatomy(
        box=masks.box,
        geometry=masks.geometry,
        lung_labels=labels,
        evaluable_labels=evaluable,
        zone_labels=thirds_of_height(labels),
        vessel_mask=vessel,
        airway_mask=masks.airway_mask,
        pleura_mm=depth_inside(labels, spacing),
        vessel_mm=distance_to(vessel, spacing),
        lungs=tuple(lungs),
        notes=tuple(f"No aerated {side} lung was found." for side in SIDES if not volumes[side]),
    )


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


def _lumps(volume: Volume, masks: LungMasks, settings: LungSettings) -> BoolArray:
    """Dense tissue inside the lungs that is too thick for a vessel: masses and consolidation."""
    spacing = masks.geometry.spacing_mm
    hu = smooth(volume.hu[masks.box].astype(np.float32), settings.smoothing_mm, spacing)
    dense = (hu > settings.lump_hu) & (masks.lung_labels > 0)
    core = depth_inside(dense, spacing) > settings.lump_radius_mm
    # A lung that is dense through and through has no surface to its density.
    return within(core, settings.lump_radius_mm, spacing) & dense if core.any() else core


def _is_judged(
    side: str, volumes: dict[str, float], masks: LungMasks, settings: LungSettings
) -> bool:
    """Whether a lung is large enough to be judged; one that the scan cuts off may be small."""
    if side in (cut for cut, _ in masks.cut):
        return True
    return volumes[side] >= max(settings.min_volume_ml, settings.min_ratio * max(volumes.values()))


def _describe(
    side: str,
    volumes: dict[str, float],
    judged: bool,
    lump: BoolArray,
    evaluable: LabelArray,
    masks: LungMasks,
    settings: LungSettings,
) -> Lung:
    label = SIDES[side]
    other = max(ml for name, ml in volumes.items() if name != side)
    lump_ml = _ml(lump & (masks.lung_labels == label), masks)
    excluded = [Excluded("mass or consolidation", lump_ml)] if lump_ml > 0 else []
    notes = [
        f"The {side} lung is cut off by the {edge} edge of the scan."
        for cut, edge in masks.cut
        if cut == side
    ]
    if volumes[side] < settings.asymmetry_ratio * other:
        notes.append(
            f"The {side} lung holds {volumes[side]:.0f} ml of aerated lung, the other "
            f"{other:.0f} ml: shrunken, collapsed in part, encased or displaced."
        )
    if not judged:
        excluded.append(Excluded("collapsed or encased", volumes[side] - lump_ml))
        notes.append(f"The {side} lung is not judged: too little of it is aerated.")
    return Lung(side, volumes[side], _ml(evaluable == label, masks), tuple(excluded), tuple(notes))


def _ml(mask: BoolArray, masks: LungMasks) -> float:
    return float(np.count_nonzero(mask)) * masks.geometry.voxel_ml
