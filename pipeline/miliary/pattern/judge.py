"""Whether it is miliary: criterion by criterion, and then the flag."""

from __future__ import annotations

from collections.abc import Mapping

from miliary.config.pattern import PatternSettings
from miliary.findings import Criterion, Distribution, Pattern, Share, SizeSummary, Verdict
from miliary.pattern.counts import LungCount, Sight, are_few, judge_sight
from miliary.pattern.name import CLASSES

#: Named distributions that are not the miliary one.
_OTHERS = tuple(name for name in CLASSES if name != "random")


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
    one that is told not to be met; everything between is indeterminate.

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
        judge_sight(sight, counts, settings),
        _numerous(counts, sight, settings),
        _small(size, settings),
        Criterion("uniform", size.uniform, size.cv_corrected, uniform_cv, size.sentence),
        _random(pattern, settings),
        _subpleural(distribution, settings),
        _fissural(distribution, settings),
        _no_predilection(distribution, pattern, settings),
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


def _numerous(counts: tuple[LungCount, ...], sight: Sight, settings: PatternSettings) -> Criterion:
    limit = settings.numerous_per_l
    if not counts:
        return Criterion("numerous", None, None, limit, "No lung can be judged.")
    densest = max(counts, key=lambda count: count.probability_numerous)
    if any(count.numerous for count in counts):
        met: bool | None = True
    else:
        met = False if are_few(counts, sight, settings) else None
    told = "; ".join(
        f"{c.side} lung {c.n} nodules, {c.per_l:.0f} a litre ({c.low:.0f} to {c.high:.0f})"
        for c in counts
    )
    false = sum(count.false for count in counts)
    besides = f"; {false:.0f} false positives are expected, and taken out" if false >= 0.5 else ""
    sentence = f"{told[0].upper()}{told[1:]}{besides}; the limit is {limit:g} a litre."
    return Criterion("numerous", met, densest.true_per_l, limit, sentence)


def _small(size: SizeSummary, settings: PatternSettings) -> Criterion:
    limit, median = settings.small_mm, size.median_mm
    if median is None:
        return Criterion("small", None, None, limit, "There are no nodules to measure.")
    sentence = f"Median diameter {median:.2f} mm; miliary nodules have {limit:g} mm or less."
    return Criterion("small", median <= limit, median, limit, sentence)


def _random(pattern: Pattern, settings: PatternSettings) -> Criterion:
    scores, limit = dict(pattern.scores), settings.min_probability
    if pattern.label == "none":
        sentence = "There are too few nodules to speak of a distribution."
        return Criterion("random", None, None, limit, sentence)
    value = scores["random"]
    met = True if pattern.label == "random" else None
    if pattern.label in _OTHERS:
        met = False
    sentence = f"Probability of a random distribution {value:.2f}; it is named from {limit:g} on."
    if value >= limit and not met and pattern.reasons:
        sentence += f" {pattern.reasons[-1]}"
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


def _no_predilection(
    distribution: Distribution, pattern: Pattern, settings: PatternSettings
) -> Criterion:
    limit = settings.max_preference_ratio
    shares = {
        "pleura": distribution.share("pleura", settings.shell_mm),
        "vessels": distribution.share("vessel", settings.contact_mm),
    }
    ratios = {
        name: share.ratio
        for name, share in shares.items()
        if share is not None and share.ratio is not None
    }
    if not ratios or distribution.n < settings.min_nodules:
        sentence = "A preference for vessels or pleura cannot be told in this scan."
        return Criterion("no_predilection", None, None, limit, sentence)
    surely = [name for name, share in shares.items() if share and (share.low or 0) > limit]
    # What is sure is what is told of.
    told = {name: ratio for name, ratio in ratios.items() if name in surely} or ratios
    name, value = max(told.items(), key=lambda item: item[1])
    sentence = f"Nodules near the {name}: {value:.2f} of what is expected, limit {limit:g}."
    if value <= limit:
        return Criterion("no_predilection", True, value, limit, sentence)
    if not surely and pattern.label == "random":
        sentence += " So few nodules lie so by chance; all evidence together speaks for random."
        return Criterion("no_predilection", True, value, limit, sentence)
    # False positives lie at vessels: alone, these do not speak against a random distribution.
    if surely == ["vessels"] and pattern.label not in _OTHERS:
        sentence += " It may come from false positives, which lie at vessels."
        surely = []
    return Criterion("no_predilection", False if surely else None, value, limit, sentence)
