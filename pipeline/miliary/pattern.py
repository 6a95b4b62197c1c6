"""From numbers to a name: which distribution it is, and whether it is miliary, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from miliary.anatomy import Anatomy
from miliary.config.pattern import PatternSettings
from miliary.findings import Criterion, Distribution, Pattern, Share, SizeSummary, Verdict
from miliary.nodules import Nodules

CLASSES = ("random", "centrilobular", "perilymphatic")

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


def name_pattern(
    counts: tuple[LungCount, ...],
    sight: Sight,
    distribution: Distribution,
    settings: PatternSettings,
) -> Pattern:
    """Weigh the evidence for each distribution.

    The share near the pleura and the presence of close pairs are held against what each
    distribution leads to expect; equal odds before. `none` stands for fewer nodules than are
    called numerous: too few for a distribution.

    Parameters
    ----------
    counts : tuple of LungCount
        Lungs that can be judged.
    sight : Sight
        What the scan shows.
    distribution : Distribution
        Of the nodules of the lungs involved.
    settings : PatternSettings
        What each distribution leads to expect.

    Returns
    -------
    Pattern
        Label, probabilities, reasons.
    """
    numerous = max((count.probability_numerous for count in counts), default=0.0)
    share = distribution.share("pleura", settings.shell_mm)
    logs, reasons = _evidence(share, distribution, settings)
    weights = np.exp(logs - logs.max())
    scores = dict(zip(CLASSES, (numerous * weights / weights.sum()).tolist(), strict=True))
    scores["none"] = 1 - numerous
    best = max(scores, key=lambda name: scores[name])
    label = best if scores[best] >= settings.min_probability else "indeterminate"
    if label in CLASSES and distribution.n < settings.min_nodules:
        label = "indeterminate"
        reasons.append(
            f"{distribution.n} nodules do not bear a call; {settings.min_nodules} would."
        )
    assessable = _assessable(sight, counts, settings)
    if not assessable.met:
        label, reasons = "indeterminate", [assessable.sentence]
    elif label == "none" and surely_few(counts, sight, settings):
        limit = settings.numerous_per_l
        reasons = [f"Fewer than {limit:g} nodules a litre were found: too few for a distribution."]
    elif label == "none":
        label = "indeterminate"
        reasons = ["Few nodules were found, but the scan may hide as many as would be numerous."]
    return Pattern(label, tuple(scores.items()), tuple(reasons))


def _evidence(
    share: Share | None, distribution: Distribution, settings: PatternSettings
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], list[str]]:
    """Log likelihood of each class, with sentences."""
    logs, reasons = np.zeros(len(CLASSES)), []
    if share is not None and share.observed is not None and share.expected:
        expected_n = distribution.n * share.expected
        # Half a nodule on both sides keeps the logarithm of none finite.
        log_ratio = np.log((distribution.n * share.observed + 0.5) / (expected_n + 0.5))
        error = _log_error(share, expected_n)
        for k, name in enumerate(CLASSES):
            mean, spread = getattr(settings, f"log_ratio_{name}")
            variance = spread**2 + error**2
            logs[k] += -0.5 * (log_ratio - mean) ** 2 / variance - 0.5 * np.log(variance)
        reasons.append(
            f"{share.observed:.0%} of the nodules lie within {share.within_mm:g} mm of the pleura; "
            f"{share.expected:.0%} would at random, with what this scan shows where."
        )
    if distribution.clustered is not None:
        odds = np.array(settings.clustered_odds)
        logs += np.log(odds if distribution.clustered else 1 - odds)
        reasons.append(
            "Close pairs of nodules are more frequent than chance allows."
            if distribution.clustered
            else "Close pairs of nodules are not more frequent than chance allows."
        )
    return logs, reasons


def _log_error(share: Share, expected_n: float) -> float:
    """Standard error of a log ratio: from its interval, no smaller than counting allows."""
    counting = 1 / np.sqrt(max(expected_n, 1.0))
    if share.low and share.high and share.low > 0:
        return float(max(np.log(share.high / share.low) / 3.92, 0.5 * counting))
    return float(counting)


def judge(
    sight: Sight,
    counts: tuple[LungCount, ...],
    size: SizeSummary,
    distribution: Distribution,
    pattern: Pattern,
    settings: PatternSettings,
    *,
    uniform_cv: float,
) -> Verdict:
    """Judge whether the pattern is miliary, criterion by criterion.

    Present needs every criterion met but those that no scan of this kind can tell; absent needs
    one that is surely not met; everything between is indeterminate.

    Parameters
    ----------
    sight : Sight
        What the scan shows.
    counts : tuple of LungCount
        Lungs that can be judged.
    size : SizeSummary
        Of the nodules of the lungs involved.
    distribution : Distribution
        Of the same.
    pattern : Pattern
        Its name.
    settings : PatternSettings
        Limits.
    uniform_cv : float
        Limit that `size.uniform` was held against.

    Returns
    -------
    Verdict
        Flag, extent, criteria.
    """
    criteria = (
        _assessable(sight, counts, settings),
        _numerous(counts, sight, settings),
        _small(size, settings),
        Criterion("uniform", size.uniform, size.cv_corrected, uniform_cv, size.sentence),
        _random(pattern, settings),
        _subpleural(distribution, settings),
        _fissural(distribution, settings),
        _no_predilection(distribution, settings),
    )
    flag = _flag({criterion.name: criterion.met for criterion in criteria})
    sides = [count.side for count in counts if count.numerous]
    extent = None
    if flag == "present":
        extent = "bilateral" if len(sides) > 1 else sides[0]
    return Verdict(flag, extent, criteria)


def _flag(met: Mapping[str, bool | None]) -> str:
    if not met["assessable"]:
        return "not_assessable"
    if any(value is False for value in met.values()):
        return "absent"
    # Fissures are not found in every scan; the pleura then stands for both.
    needed = [value for name, value in met.items() if name != "fissural"]
    return "present" if all(needed) else "indeterminate"


def _assessable(
    sight: Sight, counts: tuple[LungCount, ...], settings: PatternSettings
) -> Criterion:
    """The first limit of sight that the scan misses; the slices when it misses none."""
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


def _numerous(counts: tuple[LungCount, ...], sight: Sight, settings: PatternSettings) -> Criterion:
    limit = settings.numerous_per_l
    if not counts:
        return Criterion("numerous", None, None, limit, "No lung can be judged.")
    densest = max(counts, key=lambda count: count.probability_numerous)
    if any(count.numerous for count in counts):
        met: bool | None = True
    else:
        met = False if surely_few(counts, sight, settings) else None
    told = "; ".join(
        f"{c.side} lung {c.n} nodules, {c.per_l:.0f} a litre ({c.low:.0f} to {c.high:.0f})"
        for c in counts
    )
    sentence = f"{told[0].upper()}{told[1:]}; the limit is {limit:g} a litre."
    return Criterion("numerous", met, densest.per_l, limit, sentence)


def _small(size: SizeSummary, settings: PatternSettings) -> Criterion:
    limit, median = settings.small_mm, size.median_mm
    if median is None:
        return Criterion("small", None, None, limit, "There are no nodules to measure.")
    sentence = f"Median diameter {median:.2f} mm; miliary nodules have {limit:g} mm or less."
    return Criterion("small", median <= limit, median, limit, sentence)


def _random(pattern: Pattern, settings: PatternSettings) -> Criterion:
    scores, limit = dict(pattern.scores), settings.min_probability
    many = 1 - scores["none"]
    if pattern.label == "none" or many <= 0:
        sentence = "There are too few nodules to speak of a distribution."
        return Criterion("random", None, None, limit, sentence)
    value = scores["random"] / many
    met = True if pattern.label == "random" else None
    if pattern.label in CLASSES and pattern.label != "random":
        met = False
    sentence = f"Probability of a random distribution {value:.2f}; it is named from {limit:g} on."
    return Criterion("random", met, value, limit, sentence)


def _subpleural(distribution: Distribution, settings: PatternSettings) -> Criterion:
    share = distribution.share("pleura", settings.shell_mm)
    limit = settings.min_subpleural_ratio
    return _involved("subpleural", "pleura", share, limit, distribution.n, settings)


def _fissural(distribution: Distribution, settings: PatternSettings) -> Criterion:
    share = distribution.share("fissure", settings.shell_mm)
    limit = settings.min_subpleural_ratio
    return _involved("fissural", "fissures", share, limit, distribution.n, settings)


def _involved(
    name: str, place: str, share: Share | None, limit: float, n: int, settings: PatternSettings
) -> Criterion:
    if share is None or share.ratio is None or n < settings.min_nodules:
        sentence = f"Whether nodules reach the {place} cannot be told in this scan."
        return Criterion(name, None, None if share is None else share.ratio, limit, sentence)
    sentence = (
        f"Nodules within {share.within_mm:g} mm of the {place}: {share.ratio:.2f} of what is "
        f"expected; {limit:g} is called involved."
    )
    met: bool | None = share.ratio >= limit
    # Of the few nodules that belong at a fissure, half may be missing by chance.
    if not met and share.high is not None and share.high >= limit:
        met = None
    return Criterion(name, met, share.ratio, limit, sentence)


def _no_predilection(distribution: Distribution, settings: PatternSettings) -> Criterion:
    limit = settings.max_preference_ratio
    shares = {
        "pleura": distribution.share("pleura", settings.shell_mm),
        "vessels": distribution.share("vessel", settings.vascular_shell_mm),
    }
    ratios = {name: s.ratio for name, s in shares.items() if s is not None and s.ratio is not None}
    if not ratios or distribution.n < settings.min_nodules:
        sentence = "A preference for vessels or pleura cannot be told in this scan."
        return Criterion("no_predilection", None, None, limit, sentence)
    name, value = max(ratios.items(), key=lambda item: item[1])
    sentence = f"Nodules near the {name}: {value:.2f} of what is expected, limit {limit:g}."
    met: bool | None = value <= limit
    lows = [s.low for s in shares.values() if s is not None and s.low is not None]
    if not met and max(lows, default=value) <= limit:
        met = None
    return Criterion("no_predilection", met, value, limit, sentence)
