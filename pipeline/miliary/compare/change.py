"""The comparison itself: ratios by lung and zone, volumes and sizes, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from miliary.anatomy import SIDES, ZONES
from miliary.compare.records import (
    FEWER,
    MORE,
    SAME,
    UNKNOWN,
    CaseRecord,
    Change,
    Comparison,
    LungChange,
    LungRecord,
    Rate,
)
from miliary.compare.words import lung_sentence, warn
from miliary.config.compare import CompareSettings
from miliary.errors import UsageError
from miliary.findings import Sensitivity
from miliary.kernels.rates import median_with_error, probability_above, rate_ratio

#: Half width of a 95 % interval, which is what sensitivities come with, in standard errors.
_NORMAL_95 = 1.96


class _Place(NamedTuple):
    """A lung or zone with its nodules and evaluable litres in two scans."""

    lung: str
    zone: str
    n: tuple[int | None, int | None]
    litres: tuple[float | None, float | None]

    @property
    def assessable(self) -> bool:
        return all(value is not None and value > 0 for value in self.litres)


@dataclass(frozen=True)
class _Pair:
    """Two scans with the sensitivities to hold against each other, None where unusable."""

    earlier: int
    later: int
    cases: tuple[CaseRecord, CaseRecord]
    sensitivity: tuple[Sensitivity, Sensitivity] | None


def compare(cases: Sequence[CaseRecord], settings: CompareSettings | None = None) -> Comparison:
    """Say what changed between scans of one patient, lung by lung and zone by zone.

    Each scan is held against the one before it and against the first. Nodules are too many to
    be matched one by one: compared are their densities in the evaluable lung and their numbers,
    with the sensitivity of each scan taken out. False positives are not: they draw ratios of
    few nodules towards 1. Intervals are for each place alone, not adjusted for their number.

    Parameters
    ----------
    cases : sequence of CaseRecord
        Two scans or more, oldest first.
    settings : CompareSettings or None
        Limits; the defaults unless given.

    Returns
    -------
    Comparison
        With None, and `not assessable`, for what these scans cannot tell.

    Raises
    ------
    UsageError
        For fewer than two cases.
    """
    settings = settings or CompareSettings()
    if len(cases) < 2:
        raise UsageError(
            f"a comparison must have two cases or more, got {len(cases)}; name them oldest first"
        )
    changes: list[Change] = []
    lungs: list[LungChange] = []
    for pair in (_pair(cases, *numbers, settings) for numbers in _pairs(len(cases))):
        found = _changes(pair, settings)
        changes += found
        of_lungs = {change.lung: change for change in found if change.zone == "all"}
        lungs += [_lung_change(pair, of_lungs[side], settings) for side in SIDES]
    return Comparison(
        cases=tuple(cases),
        sensitivity=tuple(case.sensitivity_at(_diameter((case,), settings)) for case in cases),
        changes=tuple(changes),
        lungs=tuple(lungs),
        warnings=warn(cases, settings),
    )


def _pairs(n: int) -> list[tuple[int, int]]:
    """Every scan with the one before it, and with the first."""
    pairs = [*pairwise(range(n)), *((0, later) for later in range(2, n))]
    return sorted(pairs, key=lambda pair: (pair[1], -pair[0]))


def _pair(
    cases: Sequence[CaseRecord], earlier: int, later: int, settings: CompareSettings
) -> _Pair:
    two = cases[earlier], cases[later]
    first = two[0].sensitivity_at(_diameter(two, settings))
    second = two[1].sensitivity_at(_diameter(two[::-1], settings))
    if first is None or second is None:
        return _Pair(earlier, later, two, None)
    # The logarithm of an interval that reaches 0 says nothing.
    usable = all(s.value >= settings.min_sensitivity and s.low > 0 for s in (first, second))
    return _Pair(earlier, later, two, (first, second) if usable else None)


def _diameter(cases: Sequence[CaseRecord], settings: CompareSettings) -> float:
    """Median diameter of the first of these scans that has enough nodules for one."""
    return next(
        (
            case.median_mm
            for case in cases
            if case.median_mm is not None and case.n_sized >= settings.min_nodules
        ),
        settings.usual_diameter_mm,
    )


def _places(cases: tuple[CaseRecord, CaseRecord]) -> list[_Place]:
    lungs = {side: (cases[0].lung(side), cases[1].lung(side)) for side in SIDES}
    places = [
        _Place(
            side,
            zone,
            (_count(before, zone), _count(now, zone)),
            (_litres(before, zone), _litres(now, zone)),
        )
        for side, (before, now) in lungs.items()
        for zone in ("all", *ZONES)
    ]
    whole = [place for place in places if place.zone == "all" and place.assessable]
    if len(whole) == len(SIDES):
        n = [sum(place.n[k] or 0 for place in whole) for k in (0, 1)]
        litres = [sum(place.litres[k] or 0.0 for place in whole) for k in (0, 1)]
        places.append(_Place("both", "all", (n[0], n[1]), (litres[0], litres[1])))
    return places


def _count(lung: LungRecord | None, zone: str) -> int | None:
    return None if lung is None else lung.count(zone)


def _litres(lung: LungRecord | None, zone: str) -> float | None:
    ml = None if lung is None else lung.evaluable(zone)
    return None if ml is None else ml / 1000


def _changes(pair: _Pair, settings: CompareSettings) -> list[Change]:
    places = _places(pair.cases)
    known = [place for place in places if place.assessable]
    litres = np.array([place.litres for place in known], float).reshape(-1, 2)
    raw = _rates(known, litres, 0.0, settings)
    density: list[Rate] | list[None] = [None] * len(known)
    count: list[Rate] | list[None] = [None] * len(known)
    if pair.sensitivity is not None:
        value = np.array([s.value for s in pair.sensitivity])
        variance = sum((np.log(s.high / s.low) / (2 * _NORMAL_95)) ** 2 for s in pair.sensitivity)
        density = _rates(known, litres * value, variance, settings)
        count = _rates(known, np.broadcast_to(value, litres.shape), variance, settings)
    rates = dict(zip(known, zip(raw, density, count, strict=True), strict=True))
    return [_change(pair, place, *rates.get(place, (None, None, None))) for place in places]


def _rates(
    places: list[_Place], exposure: np.ndarray, variance: float, settings: CompareSettings
) -> list[Rate]:
    n = np.array([place.n for place in places], float).reshape(-1, 2)
    columns = rate_ratio(
        *n.T,
        *exposure.T,
        log_variance=variance,
        continuity=settings.continuity,
        confidence=settings.confidence,
    )
    return [Rate(*row) for row in np.column_stack(columns).tolist()]


def _change(
    pair: _Pair, place: _Place, raw: Rate | None, density: Rate | None, count: Rate | None
) -> Change:
    before, now = (
        n / litres if n is not None and litres else None
        for n, litres in zip(place.n, place.litres, strict=True)
    )
    return Change(
        earlier=pair.earlier,
        later=pair.later,
        lung=place.lung,
        zone=place.zone,
        n_earlier=place.n[0],
        n_later=place.n[1],
        per_l_earlier=before,
        per_l_later=now,
        raw=raw,
        density=density,
        count=count,
        verdict=_verdict(density, count),
    )


def _verdict(density: Rate | None, count: Rate | None) -> str:
    """Ask both: breath changes the density alone, coverage the count alone."""
    if density is None or count is None:
        return UNKNOWN
    if min(density.low, count.low) > 1:
        return MORE
    return FEWER if max(density.high, count.high) < 1 else SAME


def _lung_change(pair: _Pair, change: Change, settings: CompareSettings) -> LungChange:
    before, now = (case.lung(change.lung) for case in pair.cases)
    volume = evaluable = size = None
    if before is not None and now is not None:
        evaluable = now.evaluable_ml / before.evaluable_ml
        volume = now.volume_ml / before.volume_ml if before.volume_ml > 0 else None
        size = _diameter_change(pair.cases, before, now, settings)
    told = LungChange(
        earlier=pair.earlier,
        later=pair.later,
        lung=change.lung,
        verdict=change.verdict,
        newly_involved=_newly_involved(pair, change, before, now, settings),
        volume_ratio=volume,
        evaluable_ratio=evaluable,
        diameter_change_mm=size and size[0],
        diameter_low_mm=size and size[1],
        diameter_high_mm=size and size[2],
        sentence="",
    )
    return replace(
        told, sentence=lung_sentence(change, told, pair.cases, pair.sensitivity, settings)
    )


def _newly_involved(
    pair: _Pair,
    change: Change,
    before: LungRecord | None,
    now: LungRecord | None,
    settings: CompareSettings,
) -> bool | None:
    """Whether nodules are numerous now, were not before, and are surely more."""
    limit = pair.cases[1].numerous_per_l
    if before is None or now is None or limit is None or change.verdict == UNKNOWN:
        return None
    numerous = [
        probability_above(lung.count(), lung.evaluable_ml / 1000, limit)
        >= (1 + settings.confidence) / 2
        for lung in (before, now)
    ]
    return change.verdict == MORE and numerous == [False, True]


def _diameter_change(
    cases: tuple[CaseRecord, CaseRecord],
    before: LungRecord,
    now: LungRecord,
    settings: CompareSettings,
) -> tuple[float, float, float] | None:
    sizes = [lung.diameter_mm[np.isfinite(lung.diameter_mm)] for lung in (before, now)]
    if min(map(len, sizes)) < settings.min_nodules:
        return None
    medians, errors = zip(*(median_with_error(size) for size in sizes), strict=True)
    if all(case.size_bias_mm for case in cases):
        medians = tuple(
            median - float(np.interp(median, *np.transpose(case.size_bias_mm)))
            for median, case in zip(medians, cases, strict=True)
        )
    change, half = medians[1] - medians[0], _NORMAL_95 * float(np.hypot(*errors))
    return change, change - half, change + half
