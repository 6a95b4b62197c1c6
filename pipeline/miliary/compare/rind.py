"""The diseased side: rind round a lung, how much of it, how far round, and what is left to see."""

from __future__ import annotations

import numpy as np

from miliary.anatomy import SIDES
from miliary.compare.records import CaseRecord, LungRecord
from miliary.compare.rows import (
    NEW_RIND,
    SAME,
    THICKER,
    THINNER,
    UNKNOWN,
    RindChange,
    RindMeasure,
)
from miliary.config.compare import CompareSettings
from miliary.kernels.cylinder import share_round, unroll


def measure_rind(lung: LungRecord | None, settings: CompareSettings) -> RindMeasure | None:
    """Measure the rind of one lung in one scan.

    Parameters
    ----------
    lung : LungRecord or None
        The lung.
    settings : CompareSettings
        Cells of the map, and what thickness counts as involved.

    Returns
    -------
    RindMeasure or None
        None where the lung was not found or its hemithorax is unknown. Without a rind the volume
        is 0, and there is no thickness.
    """
    if lung is None or lung.hemithorax_ml is None:
        return None
    if lung.rind is None or not len(lung.rind.points_mm):
        return RindMeasure(
            lung.rind_ml, None, None, None, lung.evaluable_share, None, lung.septa_cm2_per_ml
        )
    cells = unroll(
        lung.rind.points_mm,
        lung.rind.thickness_mm,
        n_heights=settings.rind_heights,
        n_angles=settings.rind_angles,
    )
    round_ = share_round(cells, settings.rind_least_mm)
    return RindMeasure(
        volume_ml=lung.rind_ml,
        mean_mm=float(lung.rind.thickness_mm.mean()),
        largest_mm=float(np.quantile(lung.rind.thickness_mm, 0.95)),
        circumference=float(np.nanmean(round_)),
        evaluable_share=lung.evaluable_share,
        map_mm=tuple(
            tuple(None if np.isnan(cell) else round(float(cell), 2) for cell in row)
            for row in cells
        ),
        septa_cm2_per_ml=lung.septa_cm2_per_ml,
    )


def compare_rinds(
    cases: tuple[CaseRecord, CaseRecord], numbers: tuple[int, int], settings: CompareSettings
) -> list[RindChange]:
    """Hold the rinds of two scans against each other.

    Parameters
    ----------
    cases : tuple of two CaseRecord
        The scans.
    numbers : tuple of two int
        Their numbers, from 0.
    settings : CompareSettings
        What difference is one.

    Returns
    -------
    list of RindChange
        One a side that has a rind in either scan.
    """
    changes = []
    for side in SIDES:
        before, now = (measure_rind(case.side(side), settings) for case in cases)
        if not any(rind is not None and rind.volume_ml > 0 for rind in (before, now)):
            continue
        verdict = _verdict(before, now, settings)
        sentence = _sentence(side, numbers, before, now, verdict)
        sentence += _aerated(side, cases) + _septa(side, cases)
        changes.append(RindChange(*numbers, side, before, now, verdict, sentence))
    return changes


def _verdict(before: RindMeasure | None, now: RindMeasure | None, settings: CompareSettings) -> str:
    if before is None or now is None:
        return UNKNOWN
    if before.volume_ml == 0:
        return NEW_RIND
    thinner_ml, thicker_ml = (
        before.volume_ml / settings.rind_ratio,
        (before.volume_ml * settings.rind_ratio),
    )
    # A shrinking lung has less surface: volume alone does not tell thickness.
    step_mm = (now.mean_mm or 0.0) - (before.mean_mm or 0.0)
    if step_mm > settings.rind_step_mm or (now.volume_ml > thicker_ml and step_mm > 0):
        return THICKER
    if step_mm < -settings.rind_step_mm or (now.volume_ml < thinner_ml and step_mm < 0):
        return THINNER
    return SAME


def _sentence(
    side: str,
    numbers: tuple[int, int],
    before: RindMeasure | None,
    now: RindMeasure | None,
    verdict: str,
) -> str:
    told = (
        f"{side.capitalize()} rind or effusion, scan {numbers[0] + 1} to scan {numbers[1] + 1}: "
        f"{verdict}; {_told(before)}, then {_told(now)}."
    )
    shares = [rind and rind.evaluable_share for rind in (before, now)]
    if shares[0] is not None and shares[1] is not None:
        told += f" Of the hemithorax {shares[0]:.0%} could be judged, then {shares[1]:.0%}."
    return told


def _aerated(side: str, cases: tuple[CaseRecord, CaseRecord]) -> str:
    """How much of the hemithorax holds air, whether it can be judged or not."""
    shares = [
        lung.volume_ml / lung.hemithorax_ml if lung and lung.hemithorax_ml else None
        for lung in (case.side(side) for case in cases)
    ]
    if shares[0] is None or shares[1] is None:
        return ""
    return f" Aerated were {shares[0]:.0%} of it, then {shares[1]:.0%}."


def _septa(side: str, cases: tuple[CaseRecord, CaseRecord]) -> str:
    """How much of the septa is seen on the affected side, beside the other lung."""
    told = []
    for name in (side, *(other for other in SIDES if other != side)):
        lungs = [case.side(name) for case in cases]
        areas = [lung and lung.septa_cm2_per_ml for lung in lungs]
        if all(area is None for area in areas):
            told.append(f"not assessable in the {name} lung")
        else:
            first, then = ("not assessable" if a is None else f"{a:.2g} cm2 a ml" for a in areas)
            told.append(f"{first}, then {then} in the {name} lung")
    return f" Septa that are seen: {'; '.join(told)}."


def _told(rind: RindMeasure | None) -> str:
    if rind is None:
        return "not known"
    if rind.mean_mm is None or rind.circumference is None:
        return f"{rind.volume_ml:.0f} ml"
    return (
        f"{rind.volume_ml:.0f} ml, {rind.mean_mm:.1f} mm thick on average, round "
        f"{rind.circumference:.0%} of the lung"
    )
