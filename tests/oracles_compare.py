"""Scans made of numbers, as a comparison sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from miliary.compare import CaseRecord, LungRecord
from miliary.config.compare import CompareSettings
from miliary.findings import Sensitivity

ZONES = ("upper", "middle", "lower")
#: Nothing false and nodules found as balls are: the numbers in the tests can then be seen.
SETTINGS = CompareSettings(false_per_l=0.0, shift=0.0, draws=2000)
#: Medians of 2,000 draws of ratios that are unsure by a fifth, and the half of one that is added.
CLOSE = 0.03


def make_lung(side, n, evaluable_ml=2000.0, *, diameter_mm=1.9):
    """So many nodules, as many in each zone, with a spread of 0.2 mm."""
    spread = 0.2 * np.sin(np.arange(n))
    return LungRecord(
        side, 1.1 * evaluable_ml, evaluable_ml, diameter_mm + spread,
        np.resize(np.array(ZONES), n), tuple((zone, evaluable_ml / 3) for zone in ZONES),
    )  # fmt: skip


def flat(value, half=0.06):
    """A sensitivity that is the same for all diameters."""
    return tuple(
        Sensitivity("all", d, value, value - half, min(value + half, 1.0)) for d in (1.2, 3.0)
    )


def make_case(name, right=100, left=100, *, sensitivity=0.7, **changes):
    lungs = [make_lung(side, n) if isinstance(n, int) else n
             for side, n in (("right", right), ("left", left)) if n is not None]  # fmt: skip
    case = CaseRecord(
        name, tuple(lungs), flat(sensitivity), median_mm=1.9,
        pattern="random", flag="present", numerous_per_l=30.0, spacing_mm=(1.0, 0.7, 0.8),
        slice_thickness_mm=1.25, noise_hu=30.0, kernel="B60f",
    )  # fmt: skip
    return replace(case, **changes)


def change(comparison, lung, zone="all", later=1):
    (found,) = [
        c
        for c in comparison.changes
        if (c.lung, c.zone, c.later - c.earlier) == (lung, zone, later)
    ]
    return found


def about(comparison, lung):
    """Verdict and sentence of a lung in the only pair."""
    (found,) = [c for c in comparison.lungs if c.lung == lung]
    return found
