"""The rows of a comparison: what changed in one place, from one scan to another."""

from __future__ import annotations

from dataclasses import dataclass

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
        `more` or `fewer` when density and count both surely are (that it is one of two lungs or
        three zones taken into account), `no change shown`, or `not assessable`.
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
    septa_cm2_per_ml : float or None
        Area of the septa that are seen, a volume of lung; None where the scan does not show it.
    """

    volume_ml: float
    mean_mm: float | None
    largest_mm: float | None
    circumference: float | None
    evaluable_share: float | None
    map_mm: tuple[tuple[float | None, ...], ...] | None
    septa_cm2_per_ml: float | None = None


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
        `rigid` or `affine`: what lays the vessels nearest among those that overlap as well.
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
