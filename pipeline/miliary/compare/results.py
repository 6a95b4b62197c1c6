"""What a comparison says, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from miliary.anatomy import ZONES
from miliary.compare.records import CaseRecord, LungRecord
from miliary.findings import Sensitivity

#: Version of the layout of `comparison.json`.
COMPARISON_SCHEMA = "miliary-comparison-1.0"

#: The columns of `changes.csv`, in their order.
CHANGE_COLUMNS = (
    "earlier",
    "later",
    "lung",
    "zone",
    "n_earlier",
    "n_later",
    "per_l_earlier",
    "per_l_later",
    "ratio_raw",
    "ratio",
    "low",
    "high",
    "verdict",
    "count_ratio",
    "count_low",
    "count_high",
    "false_earlier",
    "false_later",
    "explained_by",
)

MORE, FEWER, SAME, UNKNOWN = "more", "fewer", "no change shown", "not assessable"


@dataclass(frozen=True)
class Rate:
    """A ratio later over earlier.

    Parameters
    ----------
    ratio, low, high : float
        With its interval.
    """

    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """How the nodules of one lung or zone changed from one scan to another.

    Parameters
    ----------
    earlier, later : int
        Numbers of the scans, from 0.
    lung, zone : str
        `right`, `left` or `both`; `upper`, `middle`, `lower` or `all`.
    n_earlier, n_later : int or None
        Nodules; None where the lung cannot be judged.
    per_l_earlier, per_l_later : float or None
        The same a litre of evaluable lung, as found.
    raw : Rate or None
        Ratio of the densities as found, half a nodule added to each number.
    density : Rate or None
        The same, sensitivity and expected false positives of each scan taken out.
    count : Rate or None
        Ratio of the numbers, corrected likewise: breath changes density, not this.
    verdict : str
        `more` or `fewer` when density and count both surely are (in zones: one of three taken
        into account), `no change shown`, or `not assessable`.
    false_earlier, false_later : float or None
        How many of the nodules found are expected to be none.
    explained_by : str or None
        What makes the numbers differ where the disease does not: `image quality`, `breath or
        coverage`.
    """

    earlier: int
    later: int
    lung: str
    zone: str
    n_earlier: int | None
    n_later: int | None
    per_l_earlier: float | None
    per_l_later: float | None
    raw: Rate | None
    density: Rate | None
    count: Rate | None
    verdict: str
    false_earlier: float | None = None
    false_later: float | None = None
    explained_by: str | None = None


@dataclass(frozen=True)
class LungChange:
    """How one lung changed from one scan to another.

    Parameters
    ----------
    earlier, later : int
        Numbers of the scans, from 0.
    lung : str
        `right` or `left`.
    verdict : str
        That of its nodules.
    newly_involved : bool or None
        Whether nodules are numerous now and were not before.
    volume_ratio, evaluable_ratio : float or None
        Later over earlier.
    diameter_change_mm : float or None
        Of the median, the bias of each scan taken out; None for too few nodules.
    diameter_low_mm, diameter_high_mm : float or None
        Its interval.
    sentence : str
        All of this in words.
    """

    earlier: int
    later: int
    lung: str
    verdict: str
    newly_involved: bool | None
    volume_ratio: float | None
    evaluable_ratio: float | None
    diameter_change_mm: float | None
    diameter_low_mm: float | None
    diameter_high_mm: float | None
    sentence: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """What changed between scans of one patient.

    Parameters
    ----------
    cases : tuple of CaseRecord
        The scans, oldest first.
    sensitivity : tuple of Sensitivity or None
        Of each scan at the median diameter of its nodules.
    changes : tuple of Change
        By pair of scans, lung and zone.
    lungs : tuple of LungChange
        By pair of scans and lung.
    warnings : tuple of str
        What else than disease may have changed the numbers.
    """

    cases: tuple[CaseRecord, ...]
    sensitivity: tuple[Sensitivity | None, ...]
    changes: tuple[Change, ...]
    lungs: tuple[LungChange, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the content of `comparison.json`.

        Returns
        -------
        dict
            Plain numbers, strings, lists and None.
        """
        return {
            "schema": COMPARISON_SCHEMA,
            "cases": [
                _case(case, sensitivity)
                for case, sensitivity in zip(self.cases, self.sensitivity, strict=True)
            ],
            "changes": [asdict(change) for change in self.changes],
            "lungs": [asdict(lung) for lung in self.lungs],
            "warnings": list(self.warnings),
        }

    def columns(self) -> dict[str, list[Any]]:
        """Give the columns of `changes.csv` by name, in order.

        Returns
        -------
        dict of str to (N,) list
            `CHANGE_COLUMNS`; None where unknown.
        """
        rows = [self._row(change) for change in self.changes]
        return {name: [row[name] for row in rows] for name in CHANGE_COLUMNS}

    def _row(self, change: Change) -> dict[str, Any]:
        rates = {
            "ratio_raw": (change.raw, "ratio"),
            "ratio": (change.density, "ratio"),
            "low": (change.density, "low"),
            "high": (change.density, "high"),
            "count_ratio": (change.count, "ratio"),
            "count_low": (change.count, "low"),
            "count_high": (change.count, "high"),
        }
        return {
            **{name: getattr(change, name, None) for name in CHANGE_COLUMNS if name not in rates},
            **{name: rate and getattr(rate, part) for name, (rate, part) in rates.items()},
            "earlier": self.cases[change.earlier].name,
            "later": self.cases[change.later].name,
        }


def _case(case: CaseRecord, sensitivity: Sensitivity | None) -> dict[str, Any]:
    names = ("pattern", "flag", "extent", "median_mm")
    acquisition = ("spacing_mm", "slice_thickness_mm", "kernel", "noise_hu")
    return {
        "case": case.name,
        **{name: getattr(case, name) for name in names},
        "acquisition": {name: getattr(case, name) for name in acquisition},
        "sensitivity": None if sensitivity is None else asdict(sensitivity),
        "lungs": {lung.side: _lung(lung) for lung in case.lungs},
    }


def _lung(lung: LungRecord) -> dict[str, Any]:
    zones = ("all", *ZONES)
    return {
        "volume_ml": lung.volume_ml,
        "evaluable_ml": lung.evaluable_ml,
        "median_mm": float(np.median(lung.diameter_mm)) if len(lung.diameter_mm) else None,
        "zones": [
            {"zone": zone, "evaluable_ml": lung.evaluable(zone), "n": lung.count(zone)}
            for zone in zones
        ],
    }
