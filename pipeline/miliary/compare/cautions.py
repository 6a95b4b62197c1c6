"""What else than disease may have changed the numbers from one scan to the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from miliary.compare.records import CaseRecord
from miliary.config.compare import CompareSettings


def warn(cases: Sequence[CaseRecord], settings: CompareSettings) -> tuple[str, ...]:
    """Name what else than disease may have changed the numbers from one scan to the next.

    Parameters
    ----------
    cases : sequence of CaseRecord
        Scans, oldest first.
    settings : CompareSettings
        What difference is worth a warning.

    Returns
    -------
    tuple of str
        Sentences; empty where nothing stands out.
    """
    told = [
        f"Scan {number} was not calibrated: its ratios cannot be corrected and are not judged."
        for number, case in enumerate(cases, start=1)
        if not case.sensitivity
    ]
    for number, (before, now) in enumerate(pairwise(cases), start=1):
        scans = f"Scans {number} and {number + 1}"
        told += [f"{scans} {text}" for text in _differences(before, now, settings)]
    return tuple(told)


def _differences(before: CaseRecord, now: CaseRecord, settings: CompareSettings) -> list[str]:
    told = []
    if before.name == now.name:
        told.append(f"have the same name, {now.name}: they may be one scan.")
    if before.settings_hash != now.settings_hash and before.settings_hash and now.settings_hash:
        told.append("were analysed by different versions or with different settings.")
    if before.kernel != now.kernel:
        names = [case.kernel or "unknown" for case in (before, now)]
        told.append(f"have different kernels: {names[0]}, then {names[1]}.")
    for name, unit, limit in (
        ("slice thickness", "mm", settings.slice_ratio),
        ("slice distance", "mm", settings.slice_ratio),
        ("noise", "HU", settings.noise_ratio),
        ("exposure", "mAs", settings.dose_ratio),
    ):
        values = [_acquired(case, name) for case in (before, now)]
        if values[0] and values[1] and beyond(values[1] / values[0], limit):
            told.append(f"differ in {name}: {values[0]:.3g} {unit}, then {values[1]:.3g} {unit}.")
    return told + _breath(before, now, settings)


def _breath(before: CaseRecord, now: CaseRecord, settings: CompareSettings) -> list[str]:
    volumes = [sum(lung.volume_ml for lung in case.lungs) / 1000 for case in (before, now)]
    if not min(volumes) or not beyond(volumes[1] / volumes[0], settings.volume_ratio):
        return []
    return [
        f"differ in lung volume: {volumes[0]:.1f} l, then {volumes[1]:.1f} l; density changes "
        "with it, the number of nodules does not."
    ]


def _acquired(case: CaseRecord, name: str) -> float | None:
    if name == "slice distance":
        return None if case.spacing_mm is None else case.spacing_mm[0]
    named = {"noise": case.noise_hu, "exposure": case.exposure_mas}
    return named.get(name, case.slice_thickness_mm)


def beyond(ratio: float, limit: float) -> bool:
    """Tell whether a ratio is farther from 1 than a limit, either way.

    Parameters
    ----------
    ratio : float
        Of two positive numbers.
    limit : float
        Above 1.

    Returns
    -------
    bool
        True for what is no ratio of positive numbers, too.
    """
    # A hair of rounding in a header is no difference.
    return max(ratio, 1 / ratio) > limit * (1 + 1e-6) if ratio > 0 else True
