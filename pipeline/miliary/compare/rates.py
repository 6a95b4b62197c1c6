"""Ratios of nodules by lung and zone, as far as two scans can tell them.

What each scan finds is corrected for what it misses, known from the nodules put into it, and for
the false positives to be expected. What is left is held against the other scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from miliary.anatomy import SIDES, ZONES
from miliary.arrays import FloatArray
from miliary.compare.records import CaseRecord, LungRecord
from miliary.compare.rows import FEWER, MORE, SAME, UNKNOWN, Change, Density, Rate
from miliary.compare.sizes import sensitivity_of, usual_sizes
from miliary.config.compare import CompareSettings
from miliary.findings import Sensitivity
from miliary.kernels.rates import rate_ratio
from miliary.kernels.thinned import Doubts, draw_numbers, middle_and_interval

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

    @property
    def chances(self) -> int:
        """How many of its kind there are: as many chances to be wrong."""
        if self.zone != "all":
            return len(ZONES)
        return len(SIDES) if self.lung in SIDES else 1


@dataclass(frozen=True)
class _Told:
    """What is known of a place: ratios, and whether they are surely above or below 1."""

    raw: Rate
    false: tuple[float, float]
    density: Rate | None = None
    count: Rate | None = None
    sure: tuple[int, int] | None = None


@dataclass(frozen=True)
class Pair:
    """Two scans with the sensitivities to hold against each other.

    Parameters
    ----------
    earlier, later : int
        Numbers of the scans, from 0.
    cases : tuple of two CaseRecord
        The scans.
    sensitivity : tuple of two Sensitivity, or None
        Each for the nodules that are there; None where unusable.
    """

    earlier: int
    later: int
    cases: tuple[CaseRecord, CaseRecord]
    sensitivity: tuple[Sensitivity, Sensitivity] | None


def make_pair(
    cases: tuple[CaseRecord, CaseRecord], earlier: int, later: int, settings: CompareSettings
) -> Pair:
    """Read the sensitivities of two scans, where both have one that can be used.

    Parameters
    ----------
    cases : tuple of two CaseRecord
        The scans.
    earlier, later : int
        Their numbers, from 0.
    settings : CompareSettings
        Limits.

    Returns
    -------
    Pair
        Of the scans.
    """
    first, second = (
        sensitivity_of(case, sizes)
        for case, sizes in zip(cases, usual_sizes(cases, settings), strict=True)
    )
    if first is None or second is None:
        return Pair(earlier, later, cases, None)
    # The logarithm of an interval that reaches 0 says nothing.
    usable = all(s.value >= settings.min_sensitivity and s.low > 0 for s in (first, second))
    return Pair(earlier, later, cases, (first, second) if usable else None)


def compare_rates(pair: Pair, settings: CompareSettings, rng: np.random.Generator) -> list[Change]:
    """Hold the nodules of two scans against each other, lung by lung and zone by zone.

    Parameters
    ----------
    pair : Pair
        The scans.
    settings : CompareSettings
        Limits and what is unsure.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    list of Change
        Right and left lung with their zones, and both where both can be judged.
    """
    places = _places(pair.cases)
    known = [place for place in places if place.assessable]
    told = dict(zip(known, _told(pair, known, settings, rng), strict=True))
    return [_change(pair, place, told.get(place)) for place in places]


def corrected_densities(
    case: CaseRecord, scan: int, settings: CompareSettings, rng: np.random.Generator
) -> list[Density]:
    """Tell how many nodules a litre each lung of a scan really holds.

    Parameters
    ----------
    case : CaseRecord
        The scan.
    scan : int
        Its number, from 0.
    settings : CompareSettings
        Limits and what is unsure.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    list of Density
        One a lung that can be judged; none where the scan does not tell how well it shows nodules.
    """
    pair = make_pair((case, case), scan, scan, settings)
    lungs = [lung for lung in map(case.lung, SIDES) if lung is not None]
    if pair.sensitivity is None or not lungs:
        return []
    litres = np.array([[lung.evaluable_ml / 1000] * 2 for lung in lungs])
    n = np.array([[lung.count()] * 2 for lung in lungs], float)
    numbers = _numbers(pair.sensitivity, n, settings.false_per_l * litres, settings, rng)
    per_l = middle_and_interval(numbers[..., 0] / litres[:, 0], settings.confidence)
    rows = np.column_stack(per_l).tolist()
    return [Density(scan, lung.side, *row) for lung, row in zip(lungs, rows, strict=True)]


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


def _told(
    pair: Pair, places: list[_Place], settings: CompareSettings, rng: np.random.Generator
) -> list[_Told]:
    n = np.array([place.n for place in places], float).reshape(-1, 2)
    litres = np.array([place.litres for place in places], float).reshape(-1, 2)
    raw = _as_rates(
        *rate_ratio(
            *n.T,
            *litres.T,
            log_variance=0.0,
            continuity=settings.continuity,
            confidence=settings.confidence,
        )
    )
    false = settings.false_per_l * litres
    expected = [(float(row[0]), float(row[1])) for row in false]
    if pair.sensitivity is None or not places:
        return [_Told(*row) for row in zip(raw, expected, strict=True)]
    numbers = _numbers(pair.sensitivity, n, false, settings, rng)
    count = np.log(numbers[..., 1] / numbers[..., 0])
    density = count - np.log(litres[:, 1] / litres[:, 0])
    chances = np.array([place.chances for place in places])
    sure = np.zeros((2, len(places)), int)
    for k in np.unique(chances):
        of_kind = _sure(density, count, 1 - (1 - settings.confidence) / float(k))
        sure = np.where(chances == k, of_kind, sure)
    rates = (
        _as_rates(*np.exp(middle_and_interval(draws, settings.confidence)))
        for draws in (density, count)
    )
    return [_Told(*row) for row in zip(raw, expected, *rates, sure.T.tolist(), strict=True)]


def _numbers(
    sensitivity: tuple[Sensitivity, Sensitivity],
    n: FloatArray,
    false: FloatArray,
    settings: CompareSettings,
    rng: np.random.Generator,
) -> FloatArray:
    """Draws of the true numbers of nodules, by place and scan."""
    value, low, high = (
        _logit(np.array([getattr(row, name) for row in sensitivity]))
        for name in ("value", "low", "high")
    )
    return draw_numbers(
        n,
        false,
        value,
        (high - low) / (2 * _NORMAL_95),
        doubts=Doubts(
            settings.false_sd,
            settings.false_shared,
            settings.found_shared,
            settings.shift,
            settings.shift_sd,
            settings.model_sd,
        ),
        draws=settings.draws,
        rng=rng,
    )


def _logit(share: FloatArray) -> FloatArray:
    share = np.clip(share, 1e-3, 1 - 1e-3)
    odds: FloatArray = np.log(share) - np.log1p(-share)
    return odds


def _sure(density: FloatArray, count: FloatArray, confidence: float) -> FloatArray:
    """Whether density and number are surely above 1 (1), below (-1), or neither (0)."""
    signs = []
    for draws in (density, count):
        _, low, high = middle_and_interval(draws, confidence)
        signs.append((low > 0).astype(int) - (high < 0).astype(int))
    return np.stack(signs)


def _as_rates(ratio: FloatArray, low: FloatArray, high: FloatArray) -> list[Rate]:
    return [Rate(*row) for row in np.column_stack([ratio, low, high]).tolist()]


def _change(pair: Pair, place: _Place, told: _Told | None) -> Change:
    before, now = (
        n / litres if n is not None and litres else None
        for n, litres in zip(place.n, place.litres, strict=True)
    )
    false = told.false if told else (None, None)
    return Change(
        earlier=pair.earlier,
        later=pair.later,
        lung=place.lung,
        zone=place.zone,
        n_earlier=place.n[0],
        n_later=place.n[1],
        per_l_earlier=before,
        per_l_later=now,
        raw=told.raw if told else None,
        density=told.density if told else None,
        count=told.count if told else None,
        verdict=_verdict(told),
        false_earlier=false[0],
        false_later=false[1],
        explained_by=_explained(told),
    )


def _verdict(told: _Told | None) -> str:
    """Ask both: breath changes the density alone, coverage the count alone."""
    if told is None or told.sure is None:
        return UNKNOWN
    density, count = told.sure
    if density != count:
        return SAME
    return {1: MORE, -1: FEWER, 0: SAME}[density]


def _explained(told: _Told | None) -> str | None:
    """Name what else made a difference that is none of the disease."""
    if told is None or told.sure is None:
        return None
    density, count = told.sure
    if density != count:
        return "breath or coverage"
    raw = int(told.raw.low > 1) - int(told.raw.high < 1)
    return "image quality" if raw and not density else None
