"""The content of `summary.json`: an analysis as plain numbers, strings, lists and None.

Its keys are described, each with type and unit, by `schemas/summary.schema.json`; a key that is
added here is added there.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from miliary.anatomy import DEPTHS, LOBES, SIDES, ZONES, Anatomy
from miliary.arrays import BoolArray, IntArray
from miliary.findings import Curve, DensityMap, Distribution, Share
from miliary.kernels.joint_counts import count_together

if TYPE_CHECKING:
    from miliary.analysis import Analysis

#: Version of the layout of `summary.json`; the first number changes when a key is renamed.
SUMMARY_SCHEMA = "miliary-summary-1.1"

#: The shells that `involvement` tells of, structure by structure, in mm; the others stand in
#: `shells`.
_SHELLS_MM = {
    "subpleural": ("pleura", 5.0),
    "fissural": ("fissure", 5.0),
    "vascular": ("vessel", 2.5),
}


def summarise(analysis: Analysis) -> dict[str, Any]:
    """Give the content of `summary.json`.

    Parameters
    ----------
    analysis : Analysis
        One case.

    Returns
    -------
    dict
        Plain numbers, strings, lists and None, of the layout `SUMMARY_SCHEMA`.
    """
    pattern, verdict = analysis.pattern, analysis.miliary
    return {
        "schema": SUMMARY_SCHEMA,
        "case": analysis.volume.case,
        "acquisition": _acquisition(analysis),
        "lungs": _lungs(analysis.anatomy),
        "fissures": _fissures(analysis),
        "detection": _detection(analysis),
        "size": {
            "lungs": list(analysis.described),
            **asdict(analysis.size),
            "trends": [asdict(trend) for trend in analysis.spatial.marks],
        },
        "randomness": _randomness(analysis.spatial, analysis.described),
        "involvement": _involvement(analysis.spatial),
        "density": describe_density(analysis.spatial.density, analysis.anatomy),
        "pattern": {
            "label": pattern.label,
            "scores": dict(pattern.scores),
            "reasons": list(pattern.reasons),
            "evidence": [
                {**asdict(clue), "support": dict(clue.support)} for clue in pattern.evidence
            ],
        },
        "miliary": {
            "flag": verdict.flag,
            "extent": verdict.extent,
            "criteria": [asdict(criterion) for criterion in verdict.criteria],
        },
        "notes": list(analysis.notes),
    }


def outside_envelope(curve: Curve) -> tuple[list[list[float]], list[list[float]]]:
    """Find where a curve leaves its envelope.

    Parameters
    ----------
    curve : Curve
        Observed values with their envelope; NaN counts as inside.

    Returns
    -------
    above, below : list of [from, to]
        Ranges of `r_mm`, both ends included.
    """
    with np.errstate(invalid="ignore"):
        over, under = curve.observed > curve.high, curve.observed < curve.low
    above, below = (
        [[float(curve.r_mm[a]), float(curve.r_mm[b])] for a, b in _runs(outside)]
        for outside in (over, under)
    )
    return above, below


def _runs(outside: BoolArray) -> list[tuple[int, int]]:
    """Give first and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], outside, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in list(pairwise(edges))[::2]]


def _acquisition(analysis: Analysis) -> dict[str, Any]:
    volume, quality = analysis.volume, analysis.quality
    return {
        "spacing_mm": [float(length) for length in volume.geometry.spacing_mm],
        "shape": list(volume.geometry.shape),
        **asdict(volume.acquisition),
        "noise_hu": quality.noise_hu,
        "psf_fwhm_mm": list(quality.psf_fwhm_mm),
        "psf_estimated": quality.psf_estimated,
        "nodule_blur": quality.nodule_blur,
    }


def _lungs(anatomy: Anatomy) -> dict[str, Any]:
    voxels = _count_parts(anatomy)
    return {side: _lung(anatomy, side, voxels) for side in SIDES}


def _lung(anatomy: Anatomy, side: str, voxels: IntArray) -> dict[str, Any] | None:
    """A lung as plain data, without the sentences, which stand in the notes."""
    lung = anatomy.lung(side)
    if lung is None:
        return None
    return {
        "volume_ml": lung.volume_ml,
        "evaluable_ml": lung.evaluable_ml,
        "evaluable_share": lung.evaluable_share,
        "hemithorax_ml": lung.hemithorax_ml,
        "rind_mm": lung.rind_mm,
        "rind": _rind(anatomy, side),
        "septa_cm2_per_ml": lung.septa_cm2_per_ml,
        "excluded": [asdict(part) for part in lung.excluded],
        **_parts(anatomy, side, voxels),
    }


def _count_parts(anatomy: Anatomy) -> IntArray:
    """Voxels by lung, evaluable lung, zone, lobe and depth; what is unknown is 0 everywhere."""
    unknown = np.broadcast_to(np.uint8(0), anatomy.geometry.shape)
    lobes, depths = anatomy.lobe_labels, anatomy.depth_labels
    return count_together(
        (
            anatomy.lung_labels,
            anatomy.evaluable_labels,
            anatomy.zone_labels,
            unknown if lobes is None else lobes,
            unknown if depths is None else depths,
        ),
        [max(names.values()) + 1 for names in (SIDES, SIDES, ZONES, LOBES, DEPTHS)],
    )


def _parts(anatomy: Anatomy, side: str, voxels: IntArray) -> dict[str, Any]:
    """Volumes of the zones, lobes and depths of a lung."""
    whole, seen = voxels[SIDES[side]].sum(axis=0), voxels[:, SIDES[side]].sum(axis=0)
    # Of zones, lobes and depths: each summed over the other two.
    zones, lobes, depths, whole_lobes = (
        anatomy.geometry.voxel_ml * part.sum(axis=others)
        for part, others in ((seen, (1, 2)), (seen, (0, 2)), (seen, (0, 1)), (whole, (0, 2)))
    )
    no_lobes, no_depths = anatomy.lobe_labels is None, anatomy.depth_labels is None
    return {
        "zones": [
            {"zone": zone, "evaluable_ml": float(zones[label])} for zone, label in ZONES.items()
        ],
        "lobes": [
            {
                "lobe": lobe,
                "volume_ml": None if no_lobes else float(whole_lobes[label]),
                "evaluable_ml": None if no_lobes else float(lobes[label]),
            }
            for lobe, label in LOBES.items()
            if lobe.startswith(side[0].upper())
        ],
        "depths": [
            {"depth": depth, "evaluable_ml": None if no_depths else float(depths[label])}
            for depth, label in DEPTHS.items()
        ],
    }


def _rind(anatomy: Anatomy, side: str) -> dict[str, Any] | None:
    """How thick the rind of a lung is, over its surface; None without one."""
    thickness = [rind.thickness_mm for rind in anatomy.rinds if rind.side == side]
    if not thickness or not len(thickness[0]):
        return None
    quantiles = np.percentile(thickness[0], [25, 50, 75, 95])
    names = ("q25_mm", "median_mm", "q75_mm", "q95_mm")
    return {
        "mean_mm": float(thickness[0].mean()),
        **dict(zip(names, map(float, quantiles), strict=True)),
        "points": len(thickness[0]),
    }


def _fissures(analysis: Analysis) -> list[dict[str, Any]]:
    least = analysis.config.fissures.min_confidence
    return [
        {
            "fissure": fissure.name,
            "confidence": fissure.confidence,
            "completeness": fissure.completeness,
            "area_cm2": fissure.area_cm2,
            "used": fissure.confidence >= least,
        }
        for fissure in analysis.anatomy.fissures
    ]


def _detection(analysis: Analysis) -> dict[str, Any]:
    calibration = analysis.calibration
    return {
        "found": len(analysis.accepted),
        "operating_point": analysis.config.detect.threshold,
        "injected": calibration.injected,
        "sensitivity": [asdict(row) for row in calibration.sensitivity],
        "size_bias_mm": _by_diameter(calibration.size_bias_mm),
        "se_factors": _by_diameter(calibration.se_factors),
        "expected_false_per_litre": calibration.false_per_litre,
        "expected_false_per_litre_se": calibration.false_per_litre_se,
        "size_sd_mm": _by_diameter(calibration.size_sd_mm),
    }


def _by_diameter(pairs: tuple[tuple[float, float], ...]) -> list[dict[str, float]]:
    return [{"diameter_mm": diameter, "value": value} for diameter, value in pairs]


def _randomness(spatial: Distribution, described: tuple[str, ...]) -> dict[str, Any]:
    return {
        "lungs": list(described),
        "n": spatial.n,
        "csr_p": spatial.csr_p,
        "clark_evans": spatial.clark_evans,
        "clustered": spatial.clustered,
        "p_adjustment": "Holm over all tests but the first, which is csr_p",
        "tests": [asdict(test) for test in spatial.tests],
        "curves": [_curve(curve) for curve in spatial.curves],
    }


def _curve(curve: Curve) -> dict[str, Any]:
    """Where a curve of `curves.csv` leaves its envelope; null where it has none."""
    known = np.isfinite(curve.observed) & np.isfinite(curve.low) & np.isfinite(curve.high)
    above, below = outside_envelope(curve)
    return {
        "function": curve.function,
        "lung": curve.lung,
        "above_mm": above if known.any() else None,
        "below_mm": below if known.any() else None,
    }


def _involvement(spatial: Distribution) -> dict[str, Any]:
    shares = {
        name: _share(spatial.share(structure, within_mm))
        for name, (structure, within_mm) in _SHELLS_MM.items()
    }
    lobes = [asdict(lobe) for lobe in spatial.lobes]
    return {
        **shares,
        "shells": [asdict(share) for share in spatial.shares],
        "zones": [asdict(zone) for zone in spatial.zones],
        # The same type as a zone's, which calls the region so.
        "lobes": [{"lobe": lobe.pop("zone"), **lobe} for lobe in lobes],
        "preferences": [asdict(item) for item in spatial.preferences],
    }


def _share(share: Share | None) -> dict[str, Any]:
    """The keys of the contract, null where the structure is unknown."""
    keys = ("within_mm", "observed", "expected", "ratio", "low", "high", "p", "auc")
    return {key: None if share is None else getattr(share, key) for key in keys}


def describe_density(density: DensityMap | None, anatomy: Anatomy) -> dict[str, Any] | None:
    """Tell lowest, usual and highest smoothed density, and where it is highest.

    Parameters
    ----------
    density : DensityMap or None
        The map.
    anatomy : Anatomy
        Gives its place.

    Returns
    -------
    dict or None
        None where there is no map.
    """
    if density is None or not np.isfinite(density.per_ml).any():
        return None
    per_l = 1000.0 * density.per_ml.astype(float)
    low, median, high = (float(value) for value in np.nanpercentile(per_l, [5, 50, 95]))
    return {
        "sigma_mm": density.sigma_mm,
        "voxel_mm": [float(length) for length in density.voxel_mm],
        "low_per_l": low,
        "median_per_l": median,
        "high_per_l": high,
        "peak": _peak(density, anatomy) if np.nanmax(per_l) > 0 else None,
    }


def _peak(density: DensityMap, anatomy: Anatomy) -> dict[str, float]:
    at = np.unravel_index(np.nanargmax(density.per_ml), density.per_ml.shape)
    grid_mm = density.first_mm + np.array(at) * density.voxel_mm
    x, y, z = anatomy.geometry.to_world(grid_mm / anatomy.geometry.spacing_mm)[0]
    return {
        "x_mm": float(x),
        "y_mm": float(y),
        "z_mm": float(z),
        "per_l": 1000.0 * float(density.per_ml[at]),
        "error_per_l": 1000.0 * float(density.error_per_ml[at]),
    }
