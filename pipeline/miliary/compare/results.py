"""What a comparison says, whole: as data, and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from miliary.anatomy import ZONES
from miliary.compare.order import days_since_first
from miliary.compare.records import CaseRecord, LungRecord
from miliary.compare.rows import (
    Alignment,
    Change,
    Density,
    LungChange,
    Match,
    RindChange,
)
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
        "septa_cm2_per_ml": lung.septa_cm2_per_ml,
        "zones": [
            {"zone": zone, "evaluable_ml": lung.evaluable(zone), "n": lung.count(zone)}
            for zone in zones
        ],
    }
