"""What a comparison says, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from miliary.anatomy import ZONES
from miliary.compare.order import days_since_first
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

THICKER, THINNER, NEW_RIND = "thicker", "thinner", "new"
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


@dataclass(frozen=True)
class Density:
    """Nodules a litre in one lung of one scan, corrected for what is missed and what is false.

    Parameters
    ----------
    scan : int
        Number of the scan, from 0.
    lung : str
        `right` or `left`.
    per_l, low, high : float
        With its interval.
    """

    scan: int
    lung: str
    per_l: float
    low: float
    high: float


@dataclass(frozen=True)
class RindMeasure:
    """The rind of one lung in one scan.

    Parameters
    ----------
    volume_ml : float
        Rind or effusion; 0 where there is none.
    mean_mm, largest_mm : float or None
        Mean thickness over the surface of the lung, and that which 95 % of it stay below.
    circumference : float or None
        Part of the way round the lung that is involved, on average over its heights.
    evaluable_share : float or None
        Part of the hemithorax in which nodules can be seen.
    map_mm : tuple of tuple of (float or None), or None
        Thickness by height (lowest first) and angle (from the patient's right by the front).
    septa : None
        Thickening of the septa of this lung: not assessable by this version.
    septa_reason : str
        Why.
    """

    volume_ml: float
    mean_mm: float | None
    largest_mm: float | None
    circumference: float | None
    evaluable_share: float | None
    map_mm: tuple[tuple[float | None, ...], ...] | None
    septa: None = None
    septa_reason: str = (
        "Septal thickening is not assessable: case folders hold no measure of the sheets between "
        "lobules."
    )


@dataclass(frozen=True)
class RindChange:
    """How the rind of one lung changed.

    Parameters
    ----------
    earlier, later : int
        Numbers of the scans, from 0.
    lung : str
        `right` or `left`.
    before, now : RindMeasure or None
        In each scan; None where it is not known.
    verdict : str
        `new`, `thicker`, `thinner`, `no change shown`, `not assessable`.
    sentence : str
        All of this in words.
    """

    earlier: int
    later: int
    lung: str
    before: RindMeasure | None
    now: RindMeasure | None
    verdict: str
    sentence: str


@dataclass(frozen=True)
class Match:
    """One nodule in two scans.

    Parameters
    ----------
    earlier, later : int
        Numbers of the scans, from 0.
    lung : str
        `right` or `left`.
    row_earlier, row_later : int
        Its number among the nodules of the lung in each scan, from 0.
    distance_mm : float
        Between the two after alignment.
    wrong_chance : float
        Chance that they are not the same.
    """

    earlier: int
    later: int
    lung: str
    row_earlier: int
    row_later: int
    distance_mm: float
    wrong_chance: float


@dataclass(frozen=True)
class Alignment:
    """How well two scans of one lung were laid over each other, and what that allows.

    Parameters
    ----------
    earlier, later : int
        Numbers of the scans, from 0.
    lung : str
        `right` or `left`.
    dice_before, dice : float
        Overlap of the lungs as scanned and as aligned, 0 to 1.
    surface_mm : float
        Mean distance of their surfaces.
    error_mm : float or None
        Median distance of vessels of one scan to those of the other: how far off single things
        are likely to be; None where there are too few vessels.
    model : str
        `rigid`, `affine` or `deformable`: the simplest that was no worse than the next.
    matched : int
        Single nodules of the earlier scan that were found again.
    wrong_chance : float or None
        Chance that such a match is wrong; None where there is nothing to match.
    sentence : str
        What was matched, or why nothing was.
    """

    earlier: int
    later: int
    lung: str
    dice_before: float
    dice: float
    surface_mm: float
    error_mm: float | None
    model: str
    matched: int
    wrong_chance: float | None
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
    densities : tuple of Density
        By scan and lung, where they can be told.
    rinds : tuple of RindChange
        By pair of scans and lung, where there is a rind.
    alignments : tuple of Alignment
        By pair of neighbouring scans and lung, where the scans were aligned.
    matches : tuple of Match
        Single nodules found again; only where a wrong match is unlikely.
    """

    cases: tuple[CaseRecord, ...]
    sensitivity: tuple[Sensitivity | None, ...]
    changes: tuple[Change, ...]
    lungs: tuple[LungChange, ...]
    warnings: tuple[str, ...]
    densities: tuple[Density, ...] = ()
    rinds: tuple[RindChange, ...] = ()
    alignments: tuple[Alignment, ...] = ()
    matches: tuple[Match, ...] = ()

    @property
    def days(self) -> tuple[int | None, ...]:
        """Days of the scans since the first; None for each where one is unknown."""
        return days_since_first(self.cases)

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
                _case(case, sensitivity) | {"day": day}
                for case, sensitivity, day in zip(
                    self.cases, self.sensitivity, self.days, strict=True
                )
            ],
            "changes": [asdict(change) for change in self.changes],
            "lungs": [asdict(lung) for lung in self.lungs],
            "warnings": list(self.warnings),
            "densities": [asdict(density) for density in self.densities],
            "rinds": [asdict(rind) for rind in self.rinds],
            "alignments": [asdict(alignment) for alignment in self.alignments],
            "matches": [asdict(match) for match in self.matches],
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
    acquisition = ("spacing_mm", "slice_thickness_mm", "kernel", "noise_hu", "exposure_mas")
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
        "hemithorax_ml": lung.hemithorax_ml,
        "evaluable_share": lung.evaluable_share,
        "rind_ml": lung.rind_ml,
        "zones": [
            {"zone": zone, "evaluable_ml": lung.evaluable(zone), "n": lung.count(zone)}
            for zone in zones
        ],
    }
