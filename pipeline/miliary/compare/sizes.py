"""How large the nodules of a scan are, and how that changed: selection by size taken out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from miliary.arrays import FloatArray
from miliary.compare.records import CaseRecord, LungRecord
from miliary.config.compare import CompareSettings
from miliary.findings import Sensitivity
from miliary.kernels.found_sizes import (
    Populations,
    log_likelihood,
    log_normal_populations,
    most_likely,
)

_NORMAL_95 = 1.96
#: Standard error of a median of normal deviates over that of their mean: sqrt(pi / 2).
_OF_MEDIAN = 1.2533
#: Errors of size where a scan does not tell them: those of 1 mm slices.
_USUAL_ERROR_MM = 0.1


@dataclass(frozen=True, eq=False)
class Sizes:
    """The nodules that are there, found or not, by size.

    Parameters
    ----------
    share : (G,) float
        Part of them at each size of the grid.
    median_mm, error_mm : float
        Their median, and its standard error.
    """

    share: FloatArray
    median_mm: float
    error_mm: float


def sensitivity_of(case: CaseRecord, sizes: Sizes) -> Sensitivity | None:
    """Read the sensitivity of a scan for nodules of many sizes.

    Parameters
    ----------
    case : CaseRecord
        The scan.
    sizes : Sizes
        The nodules.

    Returns
    -------
    Sensitivity or None
        Named by their median diameter; None when the scan was not calibrated.
    """
    if not case.sensitivity:
        return None
    value, low, high = (
        float(sizes.share @ _curve(case, name)) for name in ("value", "low", "high")
    )
    return Sensitivity("all", sizes.median_mm, value, low, high)


def usual_sizes(
    cases: tuple[CaseRecord, CaseRecord], settings: CompareSettings
) -> tuple[Sizes, Sizes]:
    """Tell for which nodules the sensitivities of two scans are to be read.

    A scan that shows less shows the larger nodules. The population that explains the sizes found
    in both, each by its own sensitivity, is that of both scans; only where sizes surely changed
    has each its own.

    Parameters
    ----------
    cases : tuple of two CaseRecord
        The scans.
    settings : CompareSettings
        How many nodules tell a size, and what change of size may be no change.

    Returns
    -------
    earlier, later : Sizes
        The same for both unless sizes changed; all of one size where too few were found.
    """
    found = [np.concatenate([np.empty(0), *map(_known, case.lungs)]) for case in cases]
    likely = [_likelihood(case, size, settings) for case, size in zip(cases, found, strict=True)]
    if sum(map(len, found)) < settings.min_nodules:
        one = _all_of(settings.usual_diameter_mm)
        return one, one
    if min(map(len, found)) >= settings.min_nodules:
        first, second = (_sizes(one) for one in likely)
        error = np.hypot(_error(cases[0], first), _error(cases[1], second))
        apart = abs(second.median_mm - first.median_mm) - _NORMAL_95 * float(error)
        if apart > settings.size_margin_mm:
            return first, second
    common = _sizes(likely[0] + likely[1])
    return common, common


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
        Of the nodules that are there, found or not, in mm with its 95 % interval; None for too
        few nodules.
    """
    found = [_known(lung) for lung in (before, now)]
    if min(map(len, found)) < settings.min_nodules:
        return None
    sizes = [_sizes(_likelihood(c, x, settings)) for c, x in zip(cases, found, strict=True)]
    error = np.hypot(_error(cases[0], sizes[0]), _error(cases[1], sizes[1]))
    change, half = sizes[1].median_mm - sizes[0].median_mm, _NORMAL_95 * float(error)
    return change, change - half, change + half


def _known(lung: LungRecord) -> FloatArray:
    diameter: FloatArray = lung.diameter_mm[np.isfinite(lung.diameter_mm)]
    return diameter


@lru_cache(maxsize=1)
def _populations() -> Populations:
    # Steps of 1 % in the median: a few hundred nodules tell no more.
    return log_normal_populations(
        np.arange(0.5, 10.0, 0.05),
        np.geomspace(1.0, 8.0, 210),
        np.array([0.05, 0.1, 0.15, 0.2, 0.3, 0.45]),
    )


def _curve(case: CaseRecord, name: str) -> FloatArray:
    """A column of the sensitivity at every size; those of the ends beyond them."""
    at = [row.diameter_mm for row in case.sensitivity]
    rows = [getattr(row, name) for row in case.sensitivity]
    curve: FloatArray = np.interp(_populations().grid, at, rows)
    return curve


def _likelihood(case: CaseRecord, diameter_mm: FloatArray, settings: CompareSettings) -> FloatArray:
    grid = _populations().grid
    found = _curve(case, "value") if case.sensitivity else np.ones(len(grid))
    return log_likelihood(
        np.clip(diameter_mm, grid[0], grid[-1]),
        # What is never found would make what was found impossible.
        np.maximum(found, settings.min_sensitivity / 10),
        np.array([_error_at(case, size) for size in grid]),
        _populations(),
        stray=settings.stray_sizes,
    )


def _sizes(likelihood: FloatArray) -> Sizes:
    return Sizes(*most_likely(likelihood, _populations()))


def _all_of(diameter_mm: float) -> Sizes:
    grid = _populations().grid
    share = np.zeros(len(grid))
    share[np.abs(grid - diameter_mm).argmin()] = 1.0
    return Sizes(share, diameter_mm, 0.0)


def _error_at(case: CaseRecord, diameter_mm: float) -> float:
    """Standard deviation of one measured diameter."""
    if not case.size_sd_mm:
        return _USUAL_ERROR_MM
    return float(np.interp(diameter_mm, *np.transpose(case.size_sd_mm)))


def _error(case: CaseRecord, sizes: Sizes) -> float:
    """Standard error of a median, with that of the bias that was taken out of the diameters."""
    if not case.size_sd_mm or not case.injected:
        return sizes.error_mm
    sensitivity = sensitivity_of(case, sizes)
    share = sensitivity.value if sensitivity else 1.0
    balls = max(case.injected * share / max(len(case.sensitivity), 1), 1.0)
    of_bias = _OF_MEDIAN * _error_at(case, sizes.median_mm) / float(np.sqrt(balls))
    return float(np.hypot(sizes.error_mm, of_bias))
