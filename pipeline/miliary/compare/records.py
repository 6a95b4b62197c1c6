"""Scans as a comparison sees them, and what it says of them, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from miliary.anatomy import ZONES
from miliary.arrays import AnyArray, FloatArray
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
)

MORE, FEWER, SAME, UNKNOWN = "more", "fewer", "no change shown", "not assessable"


@dataclass(frozen=True, eq=False)
class LungRecord:
    """One lung of one scan.

    Parameters
    ----------
    side : str
        `right` or `left`.
    volume_ml, evaluable_ml : float
        Aerated lung, and the part of it in which nodules can be seen.
    diameter_mm : (N,) float
        Of the nodules that the operating point accepts.
    zone : (N,) str
        Zone of each: `upper`, `middle`, `lower`.
    zones_ml : tuple of (zone, ml)
        Evaluable volume of each zone, as far as known.
    """

    side: str
    volume_ml: float
    evaluable_ml: float
    diameter_mm: FloatArray
    zone: AnyArray
    zones_ml: tuple[tuple[str, float], ...] = ()

    def count(self, zone: str = "all") -> int:
        """Count the nodules.

        Parameters
        ----------
        zone : str
            A zone, or `all`.

        Returns
        -------
        int
            Their number.
        """
        return len(self.zone) if zone == "all" else int(np.count_nonzero(self.zone == zone))

    def evaluable(self, zone: str = "all") -> float | None:
        """Give the evaluable volume.

        Parameters
        ----------
        zone : str
            A zone, or `all`.

        Returns
        -------
        float or None
            In ml; None where unknown.
        """
        return self.evaluable_ml if zone == "all" else dict(self.zones_ml).get(zone)


@dataclass(frozen=True, eq=False)
class CaseRecord:
    """One scan, as far as a comparison needs it; what is unknown is None.

    Parameters
    ----------
    name : str
        Pseudonymous name of the case.
    lungs : tuple of LungRecord
        Those found, right first.
    sensitivity : tuple of Sensitivity
        Of the whole lungs, diameters increasing; empty when not calibrated.
    size_bias_mm : tuple of (diameter_mm, value)
        Median error of the measured diameters.
    median_mm : float or None
        Median diameter of the nodules of the lungs involved.
    n_sized : int
        Their number.
    pattern, flag : str
        As in `summary.json`.
    extent : str or None
        `bilateral`, `right`, `left`.
    numerous_per_l : float or None
        Limit that the scan was judged with.
    spacing_mm : (3,) float or None
        Voxel size along z, y and x.
    slice_thickness_mm, noise_hu : float or None
        Nominal thickness, standard deviation of the noise.
    kernel : str or None
        As the maker names it.
    settings_hash : str
        Equal for scans analysed by one version with one configuration; empty where unknown.
    """

    name: str
    lungs: tuple[LungRecord, ...]
    sensitivity: tuple[Sensitivity, ...] = ()
    size_bias_mm: tuple[tuple[float, float], ...] = ()
    median_mm: float | None = None
    n_sized: int = 0
    pattern: str = "indeterminate"
    flag: str = "indeterminate"
    extent: str | None = None
    numerous_per_l: float | None = None
    spacing_mm: tuple[float, float, float] | None = None
    slice_thickness_mm: float | None = None
    noise_hu: float | None = None
    kernel: str | None = None
    settings_hash: str = ""

    def lung(self, side: str) -> LungRecord | None:
        """Give one lung, or None where it was not found or cannot be judged.

        Parameters
        ----------
        side : str
            `right` or `left`.

        Returns
        -------
        LungRecord or None
            The lung.
        """
        return next((x for x in self.lungs if x.side == side and x.evaluable_ml > 0), None)

    def sensitivity_at(self, diameter_mm: float) -> Sensitivity | None:
        """Read the sensitivity for a diameter, between those that were reported.

        Parameters
        ----------
        diameter_mm : float
            Diameter.

        Returns
        -------
        Sensitivity or None
            None when the scan was not calibrated.
        """
        if not self.sensitivity:
            return None
        at = [row.diameter_mm for row in self.sensitivity]
        value, low, high = (
            float(np.interp(diameter_mm, at, [getattr(row, name) for row in self.sensitivity]))
            for name in ("value", "low", "high")
        )
        return Sensitivity("all", diameter_mm, value, low, high)


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
        Ratio of the densities as found; half a nodule is added to each number, here and below.
    density : Rate or None
        The same, the sensitivity of each scan taken out.
    count : Rate or None
        Ratio of the numbers, sensitivities taken out: breath changes density, not this.
    verdict : str
        `more` or `fewer` when density and count both surely are, `no change shown`, or
        `not assessable`.
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
