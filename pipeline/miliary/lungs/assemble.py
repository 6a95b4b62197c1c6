"""Lungs and vessels put together: the window of the statistics, zones and distances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from miliary.anatomy import SIDES, Anatomy, Excluded, Lung
from miliary.arrays import BoolArray, LabelArray
from miliary.config.lungs import LungSettings
from miliary.kernels.bitmasks import unpack
from miliary.kernels.distances import depth_inside, within
from miliary.kernels.fields import depth_field, distance_beside
from miliary.kernels.regions import bounding_box
from miliary.lungs.hemithorax import KINDS
from miliary.lungs.refine import LungMasks
from miliary.lungs.walls import airway_walls
from miliary.lungs.zones import depth_zones, zones_by_anatomy
from miliary.volume import Volume

#: How far round lungs distances to vessels are told too: fitted balls may have their centre outside
#: of their lung, the largest by a quarter of 15 mm.
_MARGIN_MM = 5.0


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
    lump = _lumps(masks, settings)
    vessel, unseen = vessel_mask, vessel_mask | masks.airway_mask
    if lump is not None:
        vessel = vessel & ~lump
        unseen |= lump
    walls = airway_walls(volume.hu[masks.box], masks.airway_mask, spacing, settings)
    # By products: a choice of voxels takes eight times as long.
    evaluable = labels * np.logical_not(unseen, out=unseen)
    volumes = {side: _ml_of(labels, label, masks) for side, label in SIDES.items()}
    lungs = []
    for side, label in SIDES.items():
        if volumes[side] == 0:
            continue
        judged = _is_judged(side, volumes, masks, settings)
        if not judged:
            evaluable[evaluable == label] = 0
        lungs.append(_describe(side, volumes, judged, lump, evaluable, masks, settings))
    zones, zone_note = zones_by_anatomy(labels, float(spacing[0]), masks.carina_z, settings)
    pleura_mm = depth_field(labels, spacing)
    return Anatomy(
        box=masks.box,
        geometry=masks.geometry,
        lung_labels=labels,
        evaluable_labels=evaluable,
        zone_labels=zones,
        vessel_mask=vessel,
        airway_mask=masks.airway_mask,
        pleura_mm=pleura_mm,
        vessel_mm=distance_beside(vessel, labels, spacing, margin_mm=_MARGIN_MM),
        lungs=tuple(lungs),
        notes=(*_missing(volumes, masks), zone_note),
        hemithorax_labels=masks.hemithorax_labels,
        airless_labels=masks.airless_labels,
        depth_labels=depth_zones(labels, pleura_mm, settings.peripheral_mm),
        airway_wall_mask=walls,
        rinds=masks.rinds,
    )


def _missing(volumes: dict[str, float], masks: LungMasks) -> list[str]:
    """Sentences on sides without a lung, and on what lies there instead."""
    notes = []
    for side, label in SIDES.items():
        if volumes[side] > 0:
            continue
        airless_ml = _ml_of(masks.hemithorax_labels, label, masks)
        instead = f" Some {airless_ml:.0f} ml without air lie in its place." if airless_ml else ""
        notes.append(f"No aerated {side} lung was found.{instead}")
    return notes


def _lumps(masks: LungMasks, settings: LungSettings) -> BoolArray | None:
    """Dense tissue inside the lungs that is too thick for a vessel: masses and consolidation."""
    spacing, radius = masks.geometry.spacing_mm, settings.lump_radius_mm
    # Most lungs have none: what is left of vessels, if anything, shows where to look closely.
    thick = masks.dense.eroded(radius / 2, spacing)
    if not thick.any:
        return None
    box = bounding_box(unpack(thick), np.ceil(radius / spacing).astype(int) + 1)
    dense = unpack(masks.dense)[box]
    core = depth_inside(dense, spacing) > radius
    # A lung that is dense through and through has no surface to its density.
    if not core.any():
        return None
    lumps = np.zeros(masks.lung_labels.shape, bool)
    lumps[box] = within(core, radius, spacing) & dense
    return lumps


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
    lump: BoolArray | None,
    evaluable: LabelArray,
    masks: LungMasks,
    settings: LungSettings,
) -> Lung:
    label = SIDES[side]
    other = max(ml for name, ml in volumes.items() if name != side)
    lump_ml = 0.0 if lump is None else _ml(lump & (masks.lung_labels == label), masks)
    excluded = [Excluded("mass or consolidation", lump_ml)] if lump_ml > 0 else []
    airless = _airless_of(masks, label)
    for kind, reason in KINDS.items():
        ml = _ml_of(airless, kind, masks)
        if ml > 0:
            excluded.append(Excluded(reason, ml))
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
    rinds = [rind for rind in masks.rinds if rind.side == side]
    lung = Lung(
        side,
        volumes[side],
        _ml_of(evaluable, label, masks),
        tuple(excluded),
        hemithorax_ml=_ml_of(masks.hemithorax_labels, label, masks),
        rind_mm=float(rinds[0].thickness_mm.mean()) if rinds else None,
    )
    if airless.any():
        notes.append(_share_note(lung))
    return replace(lung, notes=tuple(notes))


def _share_note(lung: Lung) -> str:
    """Say what fills the hemithorax."""
    airless = [part for part in lung.excluded if part.reason in KINDS.values()]
    told = " and ".join(f"{part.ml:.0f} ml of {part.reason}" for part in airless)
    thick = "" if lung.rind_mm is None else f", the rind {lung.rind_mm:.0f} mm thick on average"
    share = lung.evaluable_share or 0.0
    return (
        f"The {lung.side} hemithorax of {lung.hemithorax_ml:.0f} ml holds {told}{thick}; "
        f"{100 * share:.0f} % of it can be judged."
    )


def _airless_of(masks: LungMasks, label: int) -> LabelArray:
    """Kinds of what holds no air in one hemithorax; nothing at all where there is none."""
    if not masks.any_airless:
        return masks.airless_labels[:0]
    airless: LabelArray = masks.airless_labels * (masks.hemithorax_labels == label)
    return airless


def _ml_of(labels: LabelArray, label: int, masks: LungMasks) -> float:
    """Volume of a label, slice by slice: its mask would be as large as the image."""
    n = sum(int(np.count_nonzero(section == label)) for section in labels)
    return float(n) * masks.geometry.voxel_ml


def _ml(mask: BoolArray, masks: LungMasks) -> float:
    return float(np.count_nonzero(mask)) * masks.geometry.voxel_ml
