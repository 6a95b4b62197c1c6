"""Which distribution it is: the evidence weighed for each."""

from __future__ import annotations

import numpy as np

from miliary.config.pattern import PatternSettings
from miliary.findings import Distribution, Pattern, Share
from miliary.pattern.counts import LungCount, Sight, judge_sight, surely_few

CLASSES = ("random", "centrilobular", "perilymphatic")


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
    assessable = judge_sight(sight, counts, settings)
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
