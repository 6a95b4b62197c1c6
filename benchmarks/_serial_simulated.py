"""Pairs of scans made of numbers alone: true nodules, thinned, mixed with false ones, calibrated.

Written apart from `miliary.compare`: nodules are found one by one, each with a place of its own
that makes it easy or hard to find in both scans, and every scan is calibrated by balls of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.calibrate import Trials, describe_calibration
from miliary.compare import CaseRecord, LungRecord
from miliary.config.calibrate import CalibrateSettings

ZONES = np.array(["upper", "middle", "lower"])
_SHARES = np.array([0.25, 0.35, 0.4])
#: Regions of the calibration: share of the lung, and how much harder a nodule is to find there.
_REGIONS, _HARDER = np.array([0.3, 0.3, 0.4]), np.array([-0.5, -1.0, 0.3])
#: Spread of the log odds from place to place: two scans then agree as the phantoms' do.
_PLACE_SD = 2.2
#: By how much nodules are found more easily than balls, in log odds: on average, and how that
#: varies from patient to patient and from scan to scan.
_EASIER, _EASIER_PATIENT, _EASIER_SCAN = 0.35, 0.1, 0.18
#: False positives stand at places of the patient, of which each scan shows this part.
_FALSE_SHOWN = 0.4


@dataclass(frozen=True)
class Look:
    """How well a scan shows nodules: log odds at 2 mm in the easiest place, its slope, its noise.

    Parameters
    ----------
    level, slope : float
        Of the log odds over the logarithm of the diameter.
    easier : float
        Log odds by which nodules are found more easily than balls.
    breath : float
        Volume of the lungs as a part of that in inspiration.
    bias_mm : float
        Error of all diameters.
    """

    level: float
    slope: float
    easier: float
    breath: float
    bias_mm: float


def draw_look(rng: np.random.Generator, easier: float) -> Look:
    """Draw a scan; `easier` is what nodules of the patient are found more easily by."""
    return Look(
        level=rng.uniform(1.0, 3.5),
        slope=rng.uniform(4.0, 8.0),
        easier=easier + _EASIER_SCAN * rng.standard_normal(),
        breath=rng.uniform(0.85, 1.0),
        bias_mm=rng.uniform(-0.05, 0.05),
    )


def simulate_pair(
    n: int, ratio: float, rng: np.random.Generator, *, litres: float = 2.0, balls: int = 400
) -> tuple[tuple[CaseRecord, CaseRecord], tuple[dict, dict]]:
    """Make two scans: `n` nodules a lung, then `ratio` times as many, the fewer among them."""
    most = round(n * max(1.0, ratio))
    false_per_l = 12.0 * np.exp(0.35 * rng.standard_normal() - 0.06)
    people = [_lung(most, false_per_l * litres, rng) for _ in range(2)]
    easier = _EASIER + _EASIER_PATIENT * rng.standard_normal()
    looks = draw_look(rng, easier), draw_look(rng, easier)
    shown = (n, round(n * ratio))
    cases, truths = [], []
    for look, count, name in zip(looks, shown, "ab", strict=True):
        seen = [_scan(person, count, look, rng) for person in people]
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


def _lung(n: int, n_false: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    false = rng.poisson(n_false / _FALSE_SHOWN)
    return {
        "false_d": rng.normal(1.8, 0.3, false),
        "false_zone": rng.choice(ZONES, false, p=_SHARES),
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
    person: dict[str, np.ndarray], count: int, look: Look, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    d, zone, region, place = (person[key][:count] for key in ("d", "zone", "region", "place"))
    # What is found of a place is wider spread than one logistic curve: easier by the same factor.
    easier = look.easier * np.sqrt(1 + 0.346 * _PLACE_SD**2)
    found = rng.random(count) < _p(look, d, region, place, easier)
    shown = rng.random(len(person["false_d"])) < _FALSE_SHOWN * look.breath
    measured = d[found] + look.bias_mm + 0.12 * rng.standard_normal(found.sum())
    return (
        np.concatenate([measured, person["false_d"][shown]]),
        np.concatenate([zone[found], person["false_zone"][shown]]),
    )


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
    trials = Trials(
        d, region + 1, rng.integers(1, 4, balls), found.astype(float), found, measured,
        np.full(balls, 0.12),
    )  # fmt: skip
    told = describe_calibration(trials, np.outer([*_REGIONS, 0.0], _SHARES), settings)
    ml = 1000 * litres * look.breath
    zones = tuple((str(zone), float(ml * part)) for zone, part in zip(ZONES, _SHARES, strict=True))
    at, bias = np.array(told.size_bias_mm).T
    lungs = tuple(
        LungRecord(side, 1.1 * ml, ml, size - np.interp(size, at + bias, bias), zone, zones)
        for side, (size, zone) in zip(("right", "left"), seen, strict=True)
    )
    sizes = np.concatenate([size for size, _ in seen])
    return CaseRecord(
        name,
        lungs,
        tuple(row for row in told.sensitivity if row.region == "all"),
        median_mm=float(np.median(sizes)) if len(sizes) else None,
        numerous_per_l=30.0,
        size_sd_mm=told.size_sd_mm,
        injected=balls,
    )
