"""What a comparison says in sentences."""

from __future__ import annotations

from miliary.compare.cautions import beyond
from miliary.compare.records import CaseRecord, LungRecord
from miliary.compare.rows import SAME, UNKNOWN, Change, LungChange, Rate
from miliary.config.compare import CompareSettings
from miliary.findings import Sensitivity

#: An interval of a ratio wider than by this factor is told by its lower end alone.
_OPEN = 10.0
#: Reason for which a lung as a whole is left out.
_TOO_LITTLE = "collapsed or encased"


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
    if lung.volume_ratio is not None and beyond(lung.volume_ratio, settings.volume_ratio):
        told.append(f"Its volume is {lung.volume_ratio:.0%} of what it was.")
    return " ".join(told)


def _nodules(change: Change, cases: tuple[CaseRecord, CaseRecord]) -> str:
    if change.raw is None:
        numbers = (change.earlier, change.later)
        missing = [
            f"in scan {number + 1} ({_why_not(case.side(change.lung))})"
            for number, case in zip(numbers, cases, strict=True)
            if case.lung(change.lung) is None
        ]
        return f"{UNKNOWN}, for it cannot be judged {' and '.join(missing)}"
    found = f"{change.per_l_earlier:.0f} a litre found then, {change.per_l_later:.0f} now"
    if change.density is None:
        return f"{UNKNOWN}, for how well the scans show nodules is not known or too poor; {found}"
    verdict = change.verdict if change.verdict == SAME else f"{change.verdict} nodules"
    return f"{verdict}, {_times(change.density)} as many a litre; {found}"


def _why_not(lung: LungRecord | None) -> str:
    """What of a lung is there, where it cannot be judged."""
    if lung is None:
        return "not found"
    told = [f"{ml:.0f} ml of {reason}" for reason, ml in lung.excluded if reason != _TOO_LITTLE]
    if lung.hemithorax_ml is not None:
        little = any(reason == _TOO_LITTLE for reason, _ in lung.excluded)
        aerated = f"{lung.volume_ml:.0f} of {lung.hemithorax_ml:.0f} ml aerated"
        told.insert(0, f"{aerated}, too little beside the other lung" if little else aerated)
    return ", ".join(told) or "no lung in which nodules could be seen"


def _times(rate: Rate) -> str:
    # Two digits, but no exponent.
    ratio, low, high = (
        f"{value:.0f}" if value >= 100 else f"{value:.2g}"
        for value in (rate.ratio, rate.low, rate.high)
    )
    # A ratio to nearly none has no middle worth telling.
    if rate.high > _OPEN * rate.low and rate.low > 1:
        return f"at least {low} times"
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
    if change.explained_by == "breath or coverage" and lung.evaluable_ratio is not None:
        told.append(
            f"A litre holds {'more' if density.ratio > 1 else 'fewer'}, but that goes with "
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
