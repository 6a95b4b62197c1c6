#!/usr/bin/env python3
"""Lungs, hemithorax, rind, carina and vessels on phantoms that took no part in building them.

    benchmarks/anatomy.py [--seeds 100 101 ...] [--small] [--times]

Every seed has its own illness: none, encased left or right, a consolidated lobe, ground glass
and arms, expiration. Dice and mean distance of the surfaces for each aerated lung, hemithorax
and rind against the truth, nodules at most 1 mm from a vessel whose centre the vessel mask
takes, and seconds. `--times` measures one volume of 512 x 512 x 400 voxels instead, each step
alone, beside what peers were measured or estimated to take on such a volume, on 2 cores under
other load, with random weights.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import edt
import numpy as np
from fissures import Peak
from scipy import ndimage

from miliary.anatomy import SIDES, Anatomy, RindMap
from miliary.config import Config
from miliary.config.lungs import LungSettings
from miliary.config.vessels import VesselSettings
from miliary.detect import detect
from miliary.fissures import find_fissures
from miliary.kernels.distances import depth_inside, distance_to
from miliary.lungs import LungMasks, build_anatomy, segment_lungs
from miliary.measure import measure
from miliary.phantom import Phantom, PhantomSpec, Tissue, make_phantom
from miliary.quality import estimate_quality
from miliary.vessels import find_vessels
from miliary.volume import Volume

GRID = {"shape": (300, 400, 512), "spacing_mm": (1.0, 0.75, 0.75), "n_nodules": 400}
SMALL = {"shape": (200, 267, 341), "spacing_mm": (1.5, 1.125, 1.125), "n_nodules": 400}
ILLNESSES: tuple[dict[str, Any], ...] = (
    {},
    {"encased_lung": "left", "rind_mm": 12.0, "volume_loss": 0.3},
    {"consolidated_lobe": "RLL"},
    {"encased_lung": "right", "rind_mm": 8.0, "volume_loss": 0.2, "consolidated_lobe": "LUL"},
    {"ground_glass_share": 0.3, "arms": True, "breath": 0.85},
    {"consolidated_lobe": "RUL", "noise_hu": 50.0},
)
#: CPU seconds and memory of others, measured or estimated by the project beforehand.
PEERS = {
    "lungs": "lungmask R231: 560 to 680, 2.0 GB",
    "vessels": "travel, a third fewer slices: 422, 10.6 GB",
    "lobes": "TotalSegmentator: 540 to 650, 2.1 GB a patch",
    "distances": "SciPy: 42 a map, 4.9 GB",
}
#: A nodule whose surface is this near to a vessel lies on or beside it.
BESIDE_MM = 1.0
#: Walls are looked for this near to the air that was found.
WALL_REACH_MM = 2.5


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
    return 2 * np.count_nonzero(one & two) / max(np.count_nonzero(one) + np.count_nonzero(two), 1)


def timed(step: Callable[[], Any]) -> tuple[Any, str]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = step()
    return result, f"{time.perf_counter() - wall:.1f}/{time.process_time() - cpu:.1f}"


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


def tell_airless(phantom: Phantom, label: int, masks: LungMasks, anatomy: Anatomy) -> str:
    """Rind and consolidation of one side: ours, and the true ones."""
    voxel_ml = phantom.volume.geometry.voxel_ml
    chest = phantom.hemithorax_labels == label
    told = []
    for kind, name, tissue in (
        (1, "rind", Tissue.RIND),
        (2, "consolidation", Tissue.CONSOLIDATION),
    ):
        ours = (masks.hemithorax_labels == label) & (masks.airless_labels == kind)
        true = chest & phantom.is_tissue(tissue)
        ml, true_ml = (np.count_nonzero(mask) * voxel_ml for mask in (ours, true))
        if ml or true_ml:
            told.append(f"{name} {ml:.0f} of {true_ml:.0f} ml")
    for rind in masks.rinds:
        if SIDES[rind.side] == label:
            mean_mm = anatomy.lung(rind.side).rind_mm
            true_mm = true_rind_mm(phantom, label, rind)
            told.append(f"thickness {mean_mm:.1f} of {true_mm:.1f} mm")
    return "; ".join(told) or "no rind, no consolidation"


def tell_tubes(phantom: Phantom, anatomy: Anatomy) -> str:
    """How much of the true vessels, airways and walls is found, and how much of ours is right."""
    box, step = anatomy.box, tuple(map(float, phantom.volume.geometry.spacing_mm))
    inside = anatomy.inside_lung
    near_air = edt.edt(~anatomy.airway_mask, anisotropy=step, parallel=2) <= WALL_REACH_MM
    lumen, wall = (
        phantom.is_tissue(tissue)[box] for tissue in (Tissue.AIRWAY_LUMEN, Tissue.AIRWAY_WALL)
    )
    pairs = {
        "vessels": (anatomy.vessel_mask & inside, phantom.vessel_mask[box] & inside),
        "airway lumen": (anatomy.airway_mask, lumen),
        "walls beside it": (anatomy.airway_wall_mask & near_air, wall & near_air),
    }
    return ", ".join(
        f"{name} {np.mean(ours[true]):.2f} found {np.mean(true[ours]):.2f} right"
        for name, (ours, true) in pairs.items()
    )


def measure_phantom(
    seed: int, illness: dict[str, Any], grid: dict[str, Any]
) -> tuple[int, int, int]:
    phantom = make_phantom(PhantomSpec.of(seed=seed, pattern="random", **{**grid, **illness}))
    volume = phantom.volume
    masks, lung_s = timed(lambda: segment_lungs(volume, LungSettings()))
    vessel, vessel_s = timed(
        lambda: find_vessels(volume, masks.box, masks.lung_labels, VesselSettings())
    )
    anatomy, rest_s = timed(lambda: build_anatomy(volume, masks, vessel, LungSettings()))
    name = ", ".join(f"{key} {value}" for key, value in illness.items()) or "no illness"
    print(f"seed {seed}: {name}")
    found = np.zeros(volume.geometry.shape, np.uint8)
    place = np.zeros_like(found)
    found[masks.box], place[masks.box] = masks.lung_labels, masks.hemithorax_labels
    for side, label in SIDES.items():
        true, mask = phantom.lung_labels == label, found == label
        chest = phantom.hemithorax_labels == label
        told = tell_airless(phantom, label, masks, anatomy)
        print(
            f"  {side:5s} Dice {dice(mask, true):.4f}, surface "
            f"{surface_mm(mask, true, volume.geometry.spacing_mm):.2f} mm, "
            f"hemithorax Dice {dice(place == label, chest):.3f}; {told}"
        )
    print("  " + tell_tubes(phantom, anatomy))
    swapped = np.count_nonzero((found > 0) & (phantom.lung_labels > 0))
    swapped -= np.count_nonzero((found == phantom.lung_labels) & (found > 0))
    gas = np.count_nonzero((found > 0) & phantom.is_tissue(Tissue.BOWEL_GAS))
    beside, lost = lost_nodules(phantom, masks.box, anatomy.vessel_mask)
    _, still = lost_nodules(phantom, masks.box, after_detection(volume, anatomy).vessel_mask)
    print(
        f"  swapped {swapped} voxels, bowel gas {gas} voxels; nodules on or beside vessels "
        f"{beside}, lost {lost}, with those taken out that are found {still}; "
        f"s wall/CPU lungs {lung_s}, vessels {vessel_s}, rest {rest_s}",
        flush=True,
    )
    return beside, lost, still


def measure_times() -> None:
    """Print seconds and memory of each step on a large volume, beside those of peers."""
    grid = {"shape": (400, 512, 512), "spacing_mm": (0.75, 0.73, 0.73)}
    volume = make_phantom(PhantomSpec.of(seed=100, pattern="random", **grid)).volume
    config = Config()
    rows = []

    def told(step: str, limit: str, peers: str, work: Callable[[], Any]) -> Any:
        with Peak() as peak:
            result, seconds = timed(work)
        rows.append(f"| {step} | {seconds} | {limit} | {peak.megabytes} | {peers} |")
        return result

    masks = told(
        "lungs with airways", "6", PEERS["lungs"], lambda: segment_lungs(volume, config.lungs)
    )
    labels, spacing = masks.lung_labels, masks.geometry.spacing_mm
    vessel = told(
        "vessels",
        "12 with fissures",
        PEERS["vessels"],
        lambda: find_vessels(volume, masks.box, labels, config.vessels),
    )
    told(
        "fissures and lobes, distances to them",
        "12 with vessels",
        PEERS["lobes"],
        lambda: find_fissures(volume, masks.box, labels, vessel, config.fissures, cut=masks.cut),
    )
    told(
        "distances to pleura and vessels",
        "4",
        PEERS["distances"],
        lambda: (depth_inside(labels, spacing), distance_to(vessel, spacing)),
    )
    told(
        "anatomy put together, these distances too",
        "",
        "",
        lambda: build_anatomy(volume, masks, vessel, config.lungs),
    )
    print(f"{volume.geometry.shape} voxels, crop {masks.geometry.shape}\n")
    print("| step | s wall/CPU | limit, s | MB above the scan | peers |\n|" + "---|" * 5)
    print("\n".join(rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(100, 106)))
    parser.add_argument("--small", action="store_true", help="voxels half as fine again")
    parser.add_argument("--times", action="store_true", help="one large volume, each step alone")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if options.times:
        measure_times()
        return
    grid = SMALL if options.small else GRID
    counts = [
        measure_phantom(seed, ILLNESSES[seed % len(ILLNESSES)], grid) for seed in options.seeds
    ]
    beside, lost, still = np.sum(counts, axis=0)
    print(
        f"all: {lost} of {beside} nodules on or beside vessels lost by the vessel step "
        f"({100 * lost / beside:.1f} %), {still} by a whole analysis ({100 * still / beside:.1f} %)"
    )


if __name__ == "__main__":
    main()
