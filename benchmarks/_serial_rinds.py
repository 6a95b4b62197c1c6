"""Rinds of either lung, thin and thick, in phantoms: volume, thickness, how far round."""

from __future__ import annotations

from typing import Any

import edt
import numpy as np
from _results import Results

from miliary.anatomy import SIDES, RindMap
from miliary.config import Config
from miliary.config.compare import CompareSettings
from miliary.kernels.cylinder import share_round, unroll
from miliary.lungs import LungMasks, segment_lungs
from miliary.phantom import Phantom, PhantomSpec, Tissue, make_phantom

#: Seed, lung, thickness of the rind in mm, loss of volume, what else differs. Seeds 9201, 9411 and
#: 9601 to 9606 were used in development.
RINDS: tuple[tuple[int, str, float, float, dict[str, Any]], ...] = (
    (9501, "left", 3.0, 0.05, {}),
    (9502, "right", 5.0, 0.1, {"noise_hu": 35.0}),
    (9508, "right", 6.0, 0.15, {}),
    (9509, "left", 7.0, 0.2, {"noise_hu": 30.0, "breath": 0.92}),
    (9503, "right", 8.0, 0.25, {}),
    (9504, "left", 10.0, 0.3, {"breath": 0.95}),
    (9505, "right", 12.0, 0.3, {"noise_hu": 25.0}),
    (9506, "left", 15.0, 0.4, {}),
    (9507, "none", 1.0, 0.0, {}),
    (9510, "none", 1.0, 0.0, {"noise_hu": 40.0, "breath": 0.85}),
)
_HEADS = ["seed", "lung", "rind, ml", "mean, mm", "Dice", "circumference", "other lung, ml"]


def spec(seed: int, side: str, rind_mm: float, loss: float, more: dict[str, Any]) -> PhantomSpec:
    """A chest with a rind round one lung, on voxels of 1.6 x 1.4 x 1.4 mm."""
    base = PhantomSpec.of(
        seed=seed, shape=(172, 182, 230), spacing_mm=(1.6, 1.4, 1.4), psf_fwhm_mm=(1.8, 1.5, 1.5),
        pattern="random", n_nodules=0, lungs="right",
    )  # fmt: skip
    if side != "none":
        base = base.but(encased_lung=side, rind_mm=rind_mm, volume_loss=loss)
    return base.but(**more) if more else base


def run_rinds(results: Results) -> None:
    """Measure every rind of the list."""
    rows = []
    for seed, side, *rest in RINDS:
        phantom = make_phantom(spec(seed, side, *rest))
        rows.append([str(seed), side, *_measure(phantom, side)])
    results.table("Rinds of phantoms: told of true", _HEADS, rows)


def _measure(phantom: Phantom, side: str) -> list[str]:
    masks = segment_lungs(phantom.volume, Config().lungs)
    ml = {name: _ml(_told(masks, label), masks) for name, label in SIDES.items()}
    if side == "none":
        return ["none", "-", "-", "-", f"{sum(ml.values()):.0f}"]
    label = SIDES[side]
    true = (phantom.tissue_labels == Tissue.RIND) & (phantom.hemithorax_labels == label)
    true_ml = float(true.sum()) * phantom.volume.geometry.voxel_ml
    other = f"{sum(v for name, v in ml.items() if name != side):.0f}"
    volume = f"{ml[side]:.0f} of {true_ml:.0f} ({ml[side] / true_ml - 1:+.1%})"
    rind = next((rind for rind in masks.rinds if rind.side == side), None)
    if rind is None:
        return [volume, "not told", "-", "-", other]
    depth_mm = _true_mm(phantom, label, rind)
    thick, true_mm = float(rind.thickness_mm.mean()), float(depth_mm.mean())
    whole = np.zeros(true.shape, bool)
    whole[masks.box] = _told(masks, label)
    dice = 2 * np.count_nonzero(whole & true) / (np.count_nonzero(whole) + np.count_nonzero(true))
    told_round, true_round = (_round(rind.points_mm, mm) for mm in (rind.thickness_mm, depth_mm))
    return [
        volume,
        f"{thick:.1f} of {true_mm:.1f} ({thick - true_mm:+.1f})",
        f"{dice:.2f}",
        f"{told_round:.0%} of {true_round:.0%}",
        other,
    ]


def _told(masks: LungMasks, label: int) -> np.ndarray:
    return (masks.hemithorax_labels == label) & (masks.airless_labels == 1)


def _ml(mask: np.ndarray, masks: LungMasks) -> float:
    return float(np.count_nonzero(mask)) * masks.geometry.voxel_ml


def _true_mm(phantom: Phantom, label: int, rind: RindMap) -> np.ndarray:
    """True thickness where ours is given."""
    geometry = phantom.volume.geometry
    step = tuple(float(mm) for mm in geometry.spacing_mm)
    whole, lung = (
        edt.edt(labels == label, anisotropy=step)
        for labels in (phantom.hemithorax_labels, phantom.lung_labels)
    )
    index = np.rint(geometry.to_index(rind.points_mm)).astype(int)
    depth_mm: np.ndarray = (whole - lung)[tuple(index.T)]
    return depth_mm


def _round(points_mm: np.ndarray, thickness_mm: np.ndarray) -> float:
    """Share of the circumference involved, as `miliary compare` tells it."""
    settings = CompareSettings()
    cells = unroll(
        points_mm, thickness_mm, n_heights=settings.rind_heights, n_angles=settings.rind_angles
    )
    return float(np.nanmean(share_round(cells, settings.rind_least_mm)))
