"""What a comparison says in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from miliary.compare.records import SAME, UNKNOWN, CaseRecord, Change, LungChange, Rate
from miliary.config.compare import CompareSettings
from miliary.findings import Sensitivity


def lung_sentence(
    change: Change,
    lung: LungChange,
    cases: tuple[CaseRecord, CaseRecord],
    sensitivity: tuple[Sensitivity, Sensitivity] | None,
    settings: CompareSettings,
) -> str:
    """Tell how a lung changed.

    Parameters
    ----------
    change : Change
        Of its nodules, all zones.
    lung : LungChange
        The rest, the sentence still empty.
    cases : tuple of two CaseRecord
        The scans.
    sensitivity : tuple of two Sensitivity, or None
        Of the scans, None where unusable.
    settings : CompareSettings
        Limits.

    Returns
    -------
    str
        One sentence or a few.
    """
    scans = f"scan {change.earlier + 1} to scan {change.later + 1}"
    told = [f"{change.lung.capitalize()} lung, {scans}: {_nodules(change, cases)}."]
    if change.density is not None and sensitivity is not None:
        told += _doubts(change, change.density, lung, sensitivity)
    if lung.newly_involved:
        told.append(
            f"The {change.lung} lung is newly involved: nodules are numerous now (above "
            f"{cases[1].numerous_per_l:g} a litre) and were not before."
        )
    if lung.diameter_change_mm is not None:
        told.append(_size(lung))
    if lung.volume_ratio is not None and _beyond(lung.volume_ratio, settings.volume_ratio):
        told.append(f"Its volume is {lung.volume_ratio:.0%} of what it was.")
    return " ".join(told)


def _nodules(change: Change, cases: tuple[CaseRecord, CaseRecord]) -> str:
    if change.raw is None:
        numbers = (change.earlier, change.later)
        missing = [
            f"scan {number + 1}"
            for number, case in zip(numbers, cases, strict=True)
            if case.lung(change.lung) is None
        ]
        return f"{UNKNOWN}, for it cannot be judged in {' and '.join(missing)}"
    found = f"{change.per_l_earlier:.0f} a litre found then, {change.per_l_later:.0f} now"
    if change.density is None:
        return f"{UNKNOWN}, for how well the scans show nodules is not known or too poor; {found}"
    verdict = change.verdict if change.verdict == SAME else f"{change.verdict} nodules"
    return f"{verdict}, {_times(change.density)} as many a litre; {found}"


def _times(rate: Rate) -> str:
    # Two digits, but no exponent.
    ratio, low, high = (
        f"{value:.0f}" if value >= 100 else f"{value:.2g}"
        for value in (rate.ratio, rate.low, rate.high)
    )
    return f"{ratio} times ({low} to {high})"


def _doubts(
    change: Change,
    density: Rate,
    lung: LungChange,
    sensitivity: tuple[Sensitivity, Sensitivity],
) -> list[str]:
    """Where the raw ratio, or the density alone, would have said something else."""
    told = []
    if change.raw is not None and _direction(change.raw) != _direction(density):
        before, now = sensitivity
        told.append(
            f"Uncorrected it would be {_times(change.raw)}, but of nodules of "
            f"{before.diameter_mm:.1f} and {now.diameter_mm:.1f} mm the earlier scan finds "
            f"{before.value:.0%}, the later {now.value:.0%}."
        )
    if change.verdict == SAME and _direction(density) and lung.evaluable_ratio is not None:
        told.append(
            f"A litre holds {'more' if _direction(density) > 0 else 'fewer'}, but that goes with "
            f"the evaluable volume, {lung.evaluable_ratio:.0%} of what it was: their number has "
            "not surely changed."
        )
    return told


def _direction(rate: Rate) -> int:
    """Tell whether a ratio is surely above 1 (1), below (-1), or neither (0)."""
    return int(rate.low > 1) - int(rate.high < 1)


def _size(lung: LungChange) -> str:
    change, low, high = lung.diameter_change_mm, lung.diameter_low_mm, lung.diameter_high_mm
    told = f"({low:+.2f} to {high:+.2f} mm)"
    if low is not None and high is not None and low <= 0 <= high:
        return f"No change of the median diameter is shown: {change:+.2f} mm {told}."
    return f"The median diameter changed by {change:+.2f} mm {told}."


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
    ):
        values = [_acquired(case, name) for case in (before, now)]
        if values[0] and values[1] and _beyond(values[1] / values[0], limit):
            told.append(f"differ in {name}: {values[0]:.3g} {unit}, then {values[1]:.3g} {unit}.")
    return told + _breath(before, now, settings)


def _breath(before: CaseRecord, now: CaseRecord, settings: CompareSettings) -> list[str]:
    volumes = [sum(lung.volume_ml for lung in case.lungs) / 1000 for case in (before, now)]
    if not min(volumes) or not _beyond(volumes[1] / volumes[0], settings.volume_ratio):
        return []
    return [
        f"differ in lung volume: {volumes[0]:.1f} l, then {volumes[1]:.1f} l; density changes "
        "with it, the number of nodules does not."
    ]


def _acquired(case: CaseRecord, name: str) -> float | None:
    if name == "slice distance":
        return None if case.spacing_mm is None else case.spacing_mm[0]
    return case.noise_hu if name == "noise" else case.slice_thickness_mm


def _beyond(ratio: float, limit: float) -> bool:
    # A hair of rounding in a header is no difference.
    return max(ratio, 1 / ratio) > limit * (1 + 1e-6) if ratio > 0 else True
