"""How many nodules each lung holds, and how few the scan would have missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from miliary.anatomy import Anatomy
from miliary.config.pattern import PatternSettings
from miliary.findings import Calibration, Criterion
from miliary.nodules import Nodules

#: Two-sided 95 %.
_TAIL = 0.025

#: Points of the average over the rate of false positives; 15 make it exact to 1e-4.
_NODES = 15


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
        That the density of true nodules is above the limit.
    false : float
        False positives to be expected among the nodules.
    """

    side: str
    n: int
    litres: float
    per_l: float
    low: float
    high: float
    probability_numerous: float
    false: float = 0.0

    @property
    def true_per_l(self) -> float:
        """Density without the false positives to be expected."""
        return (self.n - self.false) / self.litres

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


def are_few(counts: tuple[LungCount, ...], sight: Sight, settings: PatternSettings) -> bool:
    """Tell whether even with what the scan misses no lung is likely to hold numerous nodules.

    Few is said with the probability from which any other distribution is named. A lung of 0.2 l
    with 30 nodules a litre holds but 6: in such no more could be said without doubt.

    Parameters
    ----------
    counts : tuple of LungCount
        Lungs that can be judged.
    sight : Sight
        What the scan shows.
    settings : PatternSettings
        What counts as numerous, and the probability from which a name is given.

    Returns
    -------
    bool
        True when every density without false positives, divided by the sensitivity, is below the
        limit with that probability.
    """
    doubt = 1 - settings.min_probability
    shown = 1.0 if sight.sensitivity is None else max(sight.sensitivity, 1e-6)
    seen_per_l = shown * settings.numerous_per_l
    return all(
        special.gammaincc(count.n + 0.5, seen_per_l * count.litres + count.false) <= doubt
        for count in counts
    )


def count_by_lung(
    nodules: Nodules,
    anatomy: Anatomy,
    settings: PatternSettings,
    calibration: Calibration | None = None,
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
    calibration : Calibration or None
        Tells how many false positives to expect; none are where it does not.

    Returns
    -------
    tuple of LungCount
        Lungs with evaluable tissue, right first.
    """
    false_per_l = (calibration.false_per_litre if calibration else None) or 0.0
    error_per_l = (calibration.false_per_litre_se if calibration else None) or 0.0
    # Where nodules are dense many score low, and are taken for false: no scan has so many.
    false_per_l, error_per_l = (
        min(rate, settings.max_false_per_l) for rate in (false_per_l, error_per_l)
    )
    counts = []
    for lung in anatomy.lungs:
        litres = lung.evaluable_ml / 1000
        if litres <= 0:
            continue
        n = int(np.count_nonzero(nodules.lung == lung.side))
        # Jeffreys prior of a Poisson mean.
        low, high = special.gammaincinv(n + 0.5, [_TAIL, 1 - _TAIL]) / litres
        above = _probability_above(n, litres, settings.numerous_per_l, (false_per_l, error_per_l))
        false = min(false_per_l * litres, float(n))
        counts.append(
            LungCount(lung.side, n, litres, n / litres, float(low), float(high), above, false)
        )
    return tuple(counts)


def _probability_above(
    n: int, litres: float, limit_per_l: float, false_per_l: tuple[float, float]
) -> float:
    """Give the probability that more than false positives and the limit stand behind a count.

    The rate of false positives is known with an error, over which is averaged.
    """
    mean, error = false_per_l
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    rates = limit_per_l + np.maximum(mean + error * nodes, 0.0)
    above = special.gammaincc(n + 0.5, rates * litres)
    return float(np.clip((weights * above).sum() / weights.sum(), 0.0, 1.0))


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
