"""Pairs of scans made of numbers alone: true nodules, thinned, mixed with false ones, calibrated.

Written apart from `miliary.compare`: nodules are found one by one, each with a place of its own
that makes it easy or hard to find in both scans, and every scan is calibrated by balls of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.calibrate import describe_calibration
from miliary.compare import CaseRecord, LungRecord
from miliary.config.calibrate import CalibrateSettings

ZONES = np.array(["upper", "middle", "lower"])
_SHARES = np.array([0.25, 0.35, 0.4])
#: Regions of the calibration: share of the lung, and how much harder a nodule is to find there.
_REGIONS, _HARDER = np.array([0.3, 0.3, 0.4]), np.array([-0.5, -1.0, 0.3])
#: Spread of the log odds from place to place: two scans then agree as the phantoms' do.
_PLACE_SD = 2.2
#: By how much nodules are found more easily than balls, in log odds.
_EASIER = 0.4


@dataclass(frozen=True)
class Look:
    """How well a scan shows nodules: log odds at 2 mm in the easiest place, its slope, its noise.

    Parameters
    ----------
    level, slope : float
        Of the log odds over the logarithm of the diameter.
    false_per_l : float
        False positives.
    breath : float
        Volume of the lungs as a part of that in inspiration.
    bias_mm : float
        Error of all diameters.
    """

    level: float
    slope: float
    false_per_l: float
    breath: float
    bias_mm: float


def draw_look(rng: np.random.Generator, usual: float) -> Look:
    """Draw a scan; `usual` is the rate of false positives of the patient."""
    return Look(
        level=rng.uniform(1.0, 3.5),
        slope=rng.uniform(4.0, 8.0),
        false_per_l=usual * np.exp(0.3 * rng.standard_normal()),
        breath=rng.uniform(0.85, 1.0),
        bias_mm=rng.uniform(-0.05, 0.05),
    )


def simulate_pair(
    n: int, ratio: float, rng: np.random.Generator, *, litres: float = 2.0, balls: int = 400
) -> tuple[tuple[CaseRecord, CaseRecord], tuple[dict, dict]]:
    """Make two scans: `n` nodules a lung, then `ratio` times as many, the fewer among them."""
    most = round(n * max(1.0, ratio))
    people = [_lung(most, rng) for _ in range(2)]
    usual = 12.0 * np.exp(0.35 * rng.standard_normal())
    looks = draw_look(rng, usual), draw_look(rng, usual)
    shown = (n, round(n * ratio))
    cases, truths = [], []
    for look, count, name in zip(looks, shown, "ab", strict=True):
        seen = [_scan(person, count, look, litres, rng) for person in people]
        cases.append(_record(name, look, seen, litres, balls, rng))
        truths.append(
            {
                (side, zone): count
                if zone == "all"
                else int((person["zone"][:count] == zone).sum())
                for side, person in zip(("right", "left"), people, strict=True)
                for zone in ("all", *ZONES)
            }
        )
    return (cases[0], cases[1]), (truths[0], truths[1])


def _lung(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "d": np.maximum(rng.normal(1.9, 0.2, n), 0.8),
        "zone": rng.choice(ZONES, n, p=_SHARES),
        "region": rng.choice(3, n, p=_REGIONS),
        "place": _PLACE_SD * rng.standard_normal(n),
    }


def _p(
    look: Look, d: np.ndarray, region: np.ndarray, place: np.ndarray, easier: float
) -> np.ndarray:
    odds = look.level + look.slope * np.log(d / 2) + _HARDER[region] + place + easier
    return 1 / (1 + np.exp(-odds))


def _scan(
    person: dict[str, np.ndarray], count: int, look: Look, litres: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    first = {key: value[:count] for key, value in person.items()}
    # What is found of a place is wider spread than one logistic curve: easier by the same factor.
    p = _p(
        look,
        first["d"],
        first["region"],
        first["place"],
        _EASIER * np.sqrt(1 + 0.346 * _PLACE_SD**2),
    )
    found = rng.random(count) < p
    n_false = rng.poisson(look.false_per_l * litres * look.breath)
    d = np.concatenate(
        [
            first["d"][found] + look.bias_mm + 0.12 * rng.standard_normal(found.sum()),
            rng.normal(1.8, 0.3, n_false),
        ]
    )
    return d, np.concatenate([first["zone"][found], rng.choice(ZONES, n_false, p=_SHARES)])


def _record(
    name: str,
    look: Look,
    seen: list[tuple[np.ndarray, np.ndarray]],
    litres: float,
    balls: int,
    rng: np.random.Generator,
) -> CaseRecord:
    settings = CalibrateSettings()
    region = np.resize(np.arange(3), balls)
    d = rng.permutation(np.resize(np.array(settings.diameters_mm), balls))
    found = rng.random(balls) < _p(look, d, region, _PLACE_SD * rng.standard_normal(balls), 0.0)
    measured = np.where(found, d + look.bias_mm + 0.12 * rng.standard_normal(balls), np.nan)
    told = describe_calibration(found, d, region + 1, measured, _REGIONS, settings)
    ml = 1000 * litres * look.breath
    zones = tuple((str(zone), float(ml * part)) for zone, part in zip(ZONES, _SHARES, strict=True))
    lungs = tuple(
        LungRecord(side, 1.1 * ml, ml, size, zone, zones)
        for side, (size, zone) in zip(("right", "left"), seen, strict=True)
    )
    sizes = np.concatenate([size for size, _ in seen])
    return CaseRecord(
        name,
        lungs,
        tuple(row for row in told.sensitivity if row.region == "all"),
        told.size_bias_mm,
        median_mm=float(np.median(sizes)) if len(sizes) else None,
        n_sized=len(sizes),
        numerous_per_l=30.0,
        size_sd_mm=told.size_sd_mm,
        injected=balls,
    )
