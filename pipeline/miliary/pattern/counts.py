"""How many nodules each lung holds, and how few the scan would have missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from miliary.anatomy import Anatomy
from miliary.config.pattern import PatternSettings
from miliary.findings import Criterion
from miliary.nodules import Nodules

#: Two-sided 95 %.
_TAIL = 0.025


@dataclass(frozen=True)
class LungCount:
    """Nodules of one lung.

    Parameters
    ----------
    side : str
        `right` or `left`.
    n : int
        Nodules found.
    litres : float
        Evaluable lung.
    per_l, low, high : float
        Density with its 95 % interval (Poisson, Jeffreys prior).
    probability_numerous : float
        That the density is above the limit.
    """

    side: str
    n: int
    litres: float
    per_l: float
    low: float
    high: float
    probability_numerous: float

    @property
    def numerous(self) -> bool | None:
        """Whether it is surely above the limit, surely below, or neither."""
        if self.probability_numerous >= 1 - _TAIL:
            return True
        return False if self.probability_numerous <= _TAIL else None


@dataclass(frozen=True)
class Sight:
    """How small a nodule a scan can show.

    Parameters
    ----------
    slice_mm : float
        The larger of slice thickness and distance.
    pixel_mm : float
        Voxel size in plane.
    sensitivity : float or None
        Share found of nodules of 2 mm put into the scan; None when it was not calibrated.
    """

    slice_mm: float
    pixel_mm: float
    sensitivity: float | None


def surely_few(counts: tuple[LungCount, ...], sight: Sight, settings: PatternSettings) -> bool:
    """Tell whether even with what the scan misses no lung can hold numerous nodules.

    Parameters
    ----------
    counts : tuple of LungCount
        Lungs that can be judged.
    sight : Sight
        What the scan shows.
    settings : PatternSettings
        What counts as numerous.

    Returns
    -------
    bool
        True when the upper end of every density, divided by the sensitivity, is below the limit.
    """
    shown = 1.0 if sight.sensitivity is None else max(sight.sensitivity, 1e-6)
    return all(count.high / shown < settings.numerous_per_l for count in counts)


def count_by_lung(
    nodules: Nodules, anatomy: Anatomy, settings: PatternSettings
) -> tuple[LungCount, ...]:
    """Count the nodules of each lung that can be judged.

    Parameters
    ----------
    nodules : Nodules
        Those found.
    anatomy : Anatomy
        Lungs with their evaluable volumes.
    settings : PatternSettings
        What counts as numerous.

    Returns
    -------
    tuple of LungCount
        Lungs with evaluable tissue, right first.
    """
    counts = []
    for lung in anatomy.lungs:
        litres = lung.evaluable_ml / 1000
        if litres <= 0:
            continue
        n = int(np.count_nonzero(nodules.lung == lung.side))
        # Jeffreys prior of a Poisson mean.
        shape = n + 0.5
        low, high = special.gammaincinv(shape, [_TAIL, 1 - _TAIL]) / litres
        above = float(special.gammaincc(shape, settings.numerous_per_l * litres))
        counts.append(LungCount(lung.side, n, litres, n / litres, float(low), float(high), above))
    return tuple(counts)


def involved_lungs(counts: tuple[LungCount, ...]) -> tuple[str, ...]:
    """Name the lungs whose nodules are looked at together.

    A lung without disease holds only false positives; they would dilute the pattern of the other.

    Parameters
    ----------
    counts : tuple of LungCount
        Lungs that can be judged.

    Returns
    -------
    tuple of str
        Those with numerous nodules; all of them when none has.
    """
    numerous = tuple(count.side for count in counts if count.numerous)
    return numerous or tuple(count.side for count in counts)


def judge_sight(
    sight: Sight, counts: tuple[LungCount, ...], settings: PatternSettings
) -> Criterion:
    """Tell whether the scan can show nodules of 2 mm in a lung that can be judged.

    Parameters
    ----------
    sight : Sight
        What the scan shows.
    counts : tuple of LungCount
        Lungs that can be judged.
    settings : PatternSettings
        Limits.

    Returns
    -------
    Criterion
        About the first limit of sight that the scan misses; the slices when it misses none.
    """
    if not counts:
        return Criterion("assessable", False, None, None, "No lung can be judged.")
    slices = f"Slices of {sight.slice_mm:.2f} mm", sight.slice_mm, settings.max_slice_mm
    pixels = f"Pixels of {sight.pixel_mm:.2f} mm", sight.pixel_mm, settings.max_pixel_mm
    for what, value, limit in (slices, pixels):
        if value > limit:
            sentence = f"{what} do not show nodules of 2 mm; the limit is {limit:g} mm."
            return Criterion("assessable", False, value, limit, sentence)
    shown, least = sight.sensitivity, settings.min_sensitivity
    if shown is not None and shown < least:
        sentence = (
            f"Of nodules of 2 mm put into the scan {shown:.0%} are found; {least:.0%} must be."
        )
        return Criterion("assessable", False, shown, least, sentence)
    what, value, limit = slices
    sentence = f"{what} show nodules of 2 mm; the limit is {limit:g} mm."
    return Criterion("assessable", True, value, limit, sentence)
