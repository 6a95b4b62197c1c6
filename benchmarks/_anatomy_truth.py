"""Lungs, rinds, vessels and airways of one phantom against its truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import edt
import numpy as np
from scipy import ndimage

from miliary.anatomy import SIDES, Anatomy, RindMap
from miliary.config import Config
from miliary.detect import detect
from miliary.lungs import LungMasks, build_anatomy, segment_lungs
from miliary.measure import measure
from miliary.phantom import Phantom, PhantomSpec, Tissue, make_phantom
from miliary.quality import estimate_quality
from miliary.vessels import find_vessels
from miliary.volume import Volume

#: A nodule whose surface is this near to a vessel lies on or beside it.
BESIDE_MM = 1.0
#: Walls are looked for this near to the air that was found.
WALL_REACH_MM = 2.5
#: Kinds of airless tissue by their label, and what they are in the truth.
AIRLESS = {"rind": (1, Tissue.RIND), "consolidation": (2, Tissue.CONSOLIDATION)}


@dataclass
class Judged:
    """What was measured of one phantom: numbers that are asked for, and lines of the tables."""

    dice: list[float] = field(default_factory=list)
    surface_mm: list[float] = field(default_factory=list)
    swapped: int = 0
    gas: int = 0
    #: Nodules on or beside vessels; of these lost by the vessel step, and by a whole analysis.
    beside: int = 0
    lost: int = 0
    still: int = 0
    lungs: list[list[str]] = field(default_factory=list)
    airless: list[list[str]] = field(default_factory=list)
    tubes: list[str] = field(default_factory=list)


def judge(seed: int, illness: dict[str, Any], grid: dict[str, Any]) -> Judged:
    """Make a phantom, take it as far as an analysis, and hold it against its truth."""
    phantom = make_phantom(PhantomSpec.of(seed=seed, pattern="random", **{**grid, **illness}))
    volume, config = phantom.volume, Config()
    masks = segment_lungs(volume, config.lungs)
    vessel = find_vessels(volume, masks.box, masks.lung_labels, config.vessels)
    anatomy = build_anatomy(volume, masks, vessel, config.lungs)
    judged, name = Judged(), str(seed)
    found = np.zeros(volume.geometry.shape, np.uint8)
    place = np.zeros_like(found)
    found[masks.box], place[masks.box] = masks.lung_labels, masks.hemithorax_labels
    for side, label in SIDES.items():
        true, mask = phantom.lung_labels == label, found == label
        judged.dice.append(dice(mask, true))
        judged.surface_mm.append(surface_mm(mask, true, volume.geometry.spacing_mm))
        chest = dice(place == label, phantom.hemithorax_labels == label)
        numbers = f"{judged.dice[-1]:.4f}", f"{judged.surface_mm[-1]:.2f}", f"{chest:.3f}"
        judged.lungs.append([name, tell(illness), side, *numbers])
        judged.airless += [
            [name, side, *row] for row in airless(phantom, side, label, masks, anatomy)
        ]
    both = (found > 0) & (phantom.lung_labels > 0)
    judged.swapped = np.count_nonzero(both & (found != phantom.lung_labels))
    judged.gas = np.count_nonzero((found > 0) & phantom.is_tissue(Tissue.BOWEL_GAS))
    judged.beside, judged.lost = lost_nodules(phantom, masks.box, anatomy.vessel_mask)
    after = after_detection(volume, anatomy).vessel_mask
    _, judged.still = lost_nodules(phantom, masks.box, after)
    judged.tubes = [name, *tubes(phantom, anatomy)]
    return judged


def tell(illness: dict[str, Any]) -> str:
    """Say what a phantom has."""
    words = (f"{key.replace('_', ' ')} {value}" for key, value in illness.items())
    return ", ".join(words).replace(" True", "") or "no illness"


def surface_mm(one: np.ndarray, two: np.ndarray, spacing: np.ndarray) -> float:
    """Mean distance between the surfaces of two masks, both ways."""
    step = tuple(float(s) for s in spacing)
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (one, two)]
    ways = [
        edt.edt(~edges[1 - k], anisotropy=step, parallel=2)[edges[k]]
        for k in (0, 1)
        if edges[0].any() and edges[1].any()
    ]
    return float(np.concatenate(ways).mean()) if ways else np.nan


def dice(one: np.ndarray, two: np.ndarray) -> float:
    """Share of two masks that is in both."""
    return 2 * np.count_nonzero(one & two) / max(np.count_nonzero(one) + np.count_nonzero(two), 1)


def lost_nodules(phantom: Phantom, box: Any, vessel: np.ndarray) -> tuple[int, int]:
    """How many nodules touch a vessel, and of how many the mask takes the centre."""
    geometry = phantom.volume.geometry
    true = phantom.vessel_mask[box]
    away = edt.edt(~true, anisotropy=tuple(map(float, geometry.spacing_mm)), parallel=2)
    index = np.rint(geometry.to_index(phantom.nodules.points_mm)).astype(int)
    index -= [bounds.start for bounds in box]
    inside = ((index >= 0) & (index < np.array(true.shape))).all(axis=1)
    place = tuple(index[inside].T)
    beside = away[place] <= phantom.nodules.diameter_mm[inside] / 2 + BESIDE_MM
    return int(beside.sum()), int(vessel[place][beside].sum())


def after_detection(volume: Volume, anatomy: Anatomy) -> Anatomy:
    """The anatomy as an analysis has it: without vessels where a nodule was found."""
    config, hu = Config(), volume.hu[anatomy.box]
    quality = estimate_quality(hu, anatomy, config.quality)
    found = detect(hu, anatomy.inside_lung, anatomy.geometry.spacing_mm, config.detect)
    nodules = measure(hu, anatomy, found, quality, config.measure)
    return anatomy.without_vessels_at(nodules.points_mm, nodules.diameter_mm)


def airless(
    phantom: Phantom, side: str, label: int, masks: LungMasks, anatomy: Anatomy
) -> list[list[str]]:
    """Rind and consolidation of one side: ours, and the true ones."""
    voxel_ml = phantom.volume.geometry.voxel_ml
    chest = phantom.hemithorax_labels == label
    rows = []
    for name, (kind, tissue) in AIRLESS.items():
        ours = (masks.hemithorax_labels == label) & (masks.airless_labels == kind)
        true = chest & phantom.is_tissue(tissue)
        ml, true_ml = (np.count_nonzero(mask) * voxel_ml for mask in (ours, true))
        if ml >= 0.5 or true_ml:
            rows.append([f"{name}, ml", f"{ml:.0f}", f"{true_ml:.0f}"])
    for rind in masks.rinds:
        if rind.side == side:
            mean_mm = anatomy.lung(side).rind_mm
            true_mm = true_rind_mm(phantom, label, rind)
            rows.append(["rind, mean thickness in mm", f"{mean_mm:.1f}", f"{true_mm:.1f}"])
    return rows


def true_rind_mm(phantom: Phantom, label: int, rind: RindMap) -> float:
    """Mean of the true thickness at the points at which ours is given."""
    geometry = phantom.volume.geometry
    z, y, x = np.rint(geometry.to_index(rind.points_mm)).astype(int).T
    step = tuple(map(float, geometry.spacing_mm))
    whole, lung = (
        edt.edt(labels == label, anisotropy=step, parallel=2)[z, y, x]
        for labels in (phantom.hemithorax_labels, phantom.lung_labels)
    )
    return float((whole - lung).mean())


def tubes(phantom: Phantom, anatomy: Anatomy) -> list[str]:
    """How much of the true vessels, airways and walls is found, and how much of ours is right."""
    box, step = anatomy.box, tuple(map(float, phantom.volume.geometry.spacing_mm))
    inside = anatomy.inside_lung
    near_air = edt.edt(~anatomy.airway_mask, anisotropy=step, parallel=2) <= WALL_REACH_MM
    lumen, wall = (
        phantom.is_tissue(tissue)[box] for tissue in (Tissue.AIRWAY_LUMEN, Tissue.AIRWAY_WALL)
    )
    pairs = (
        (anatomy.vessel_mask & inside, phantom.vessel_mask[box] & inside),
        (anatomy.airway_mask, lumen),
        (anatomy.airway_wall_mask & near_air, wall & near_air),
    )
    return [
        f"{100 * np.mean(part):.0f} %" for ours, true in pairs for part in (ours[true], true[ours])
    ]
