"""How the diameters of the nodules of a lung changed."""

from __future__ import annotations

import numpy as np

from miliary.compare.records import CaseRecord, LungRecord
from miliary.config.compare import CompareSettings
from miliary.kernels.rates import median_with_error

_NORMAL_95 = 1.96
#: Standard error of a median of normal deviates over that of their mean: sqrt(pi / 2).
_OF_MEDIAN = 1.2533


def diameter_change(
    cases: tuple[CaseRecord, CaseRecord],
    before: LungRecord,
    now: LungRecord,
    settings: CompareSettings,
) -> tuple[float, float, float] | None:
    """Hold the median diameters of a lung in two scans against each other.

    Parameters
    ----------
    cases : tuple of two CaseRecord
        The scans, with their errors of size.
    before, now : LungRecord
        The lung in each.
    settings : CompareSettings
        How many nodules a median needs.

    Returns
    -------
    change, low, high : float, or None
        In mm, with its 95 % interval, the bias of each scan taken out and its own error counted;
        None for too few nodules.
    """
    sizes = [lung.diameter_mm[np.isfinite(lung.diameter_mm)] for lung in (before, now)]
    if min(map(len, sizes)) < settings.min_nodules:
        return None
    medians, errors = zip(*(median_with_error(size) for size in sizes), strict=True)
    if all(case.size_bias_mm for case in cases):
        errors = (*errors, *(_bias_error(case, m) for case, m in zip(cases, medians, strict=True)))
        medians = tuple(m - case.bias_at(m) for m, case in zip(medians, cases, strict=True))
    change, half = medians[1] - medians[0], _NORMAL_95 * float(np.linalg.norm(errors))
    return change, change - half, change + half


def usual_diameters(
    cases: tuple[CaseRecord, CaseRecord], settings: CompareSettings
) -> tuple[float, float]:
    """Give the diameters at which the sensitivities of two scans are to be read.

    A scan that shows less shows the larger nodules, and so seems to hold larger ones: only where
    sizes changed by more than that has each scan its own diameter.

    Parameters
    ----------
    cases : tuple of two CaseRecord
        The scans.
    settings : CompareSettings
        How many nodules a median needs, and what change of size may be no change.

    Returns
    -------
    earlier, later : float
        Medians in mm, the bias of each scan taken out; one for both unless sizes changed.
    """
    known = [case for case in cases if _usual(case, settings) is not None]
    medians = [_usual(case, settings) or 0.0 for case in known]
    if not known:
        return settings.usual_diameter_mm, settings.usual_diameter_mm
    if len(known) == len(cases):
        error = _NORMAL_95 * float(np.linalg.norm([_size_error(case, settings) for case in cases]))
        if abs(medians[1] - medians[0]) - error > settings.size_margin_mm:
            return medians[0], medians[1]
    weights = [case.n_sized for case in known]
    common = float(np.average(medians, weights=weights))
    return common, common


def _usual(case: CaseRecord, settings: CompareSettings) -> float | None:
    if case.median_mm is None or case.n_sized < settings.min_nodules:
        return None
    return case.median_mm - case.bias_at(case.median_mm)


def _size_error(case: CaseRecord, settings: CompareSettings) -> float:
    """Standard error of the median diameter of a scan, its bias taken out."""
    sizes = np.concatenate([lung.diameter_mm for lung in case.lungs])
    sizes = sizes[np.isfinite(sizes)]
    if len(sizes) < settings.min_nodules:
        return float("inf")
    median, error = median_with_error(sizes)
    return float(np.hypot(error, _bias_error(case, median)))


def _bias_error(case: CaseRecord, diameter_mm: float) -> float:
    """Standard error of the bias of a scan, from the nodules of one diameter put into it."""
    if not case.size_sd_mm or not case.injected:
        return 0.0
    sensitivity = case.sensitivity_at(diameter_mm)
    share = sensitivity.value if sensitivity else 1.0
    found = max(case.injected * share / max(len(case.sensitivity), 1), 1.0)
    spread = float(np.interp(diameter_mm, *np.transpose(case.size_sd_mm)))
    return _OF_MEDIAN * spread / float(np.sqrt(found))
