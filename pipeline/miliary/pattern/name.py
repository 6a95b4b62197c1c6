"""Which distribution it is: the evidence weighed for each."""

from __future__ import annotations

import numpy as np
from scipy import special

from miliary.arrays import FloatArray
from miliary.config.pattern import PatternSettings
from miliary.findings import Clue, Distribution, Pattern
from miliary.nodules import Nodules
from miliary.pattern.clues import Count, gather_clues, log_likelihood
from miliary.pattern.counts import LungCount, Sight, are_few, involved_lungs, judge_sight
from miliary.pattern.weigh import weigh_nodules

CLASSES = ("random", "centrilobular", "perilymphatic")


def name_pattern(
    counts: tuple[LungCount, ...],
    sight: Sight,
    nodules: Nodules,
    distribution: Distribution,
    settings: PatternSettings,
) -> Pattern:
    """Weigh the evidence for each distribution.

    Every clue is held against what each distribution leads to expect; equal odds before. `none`
    stands for fewer nodules than are called numerous: too few for a distribution.

    Parameters
    ----------
    counts : tuple of LungCount
        Lungs that can be judged.
    sight : Sight
        What the scan shows.
    nodules : Nodules
        Those of the lungs involved.
    distribution : Distribution
        Of the same.
    settings : PatternSettings
        What each distribution leads to expect.

    Returns
    -------
    Pattern
        Label, probabilities, reasons, evidence.
    """
    sides = involved_lungs(counts)
    involved = [count for count in counts if count.side in sides]
    weights = weigh_nodules(nodules.score, sum(count.false for count in involved))
    litres = sum(count.litres for count in involved)
    clues, logs = weigh_clues(
        gather_clues(nodules, weights, distribution, litres, settings), settings
    )
    numerous = max((count.probability_numerous for count in counts), default=0.0)
    shares = special.softmax(logs)
    scores = dict(zip(CLASSES, (numerous * shares).tolist(), strict=True))
    scores["none"] = 1 - numerous
    label, reasons = _label(scores, float(weights.sum()), clues, counts, sight, settings)
    return Pattern(label, tuple(scores.items()), reasons, clues)


def weigh_clues(
    found: tuple[Count, ...], settings: PatternSettings
) -> tuple[tuple[Clue, ...], FloatArray]:
    """Hold counts against what each distribution leads to expect, pure and mixed.

    A distribution comes pure, or half of the nodules lie at random; random comes pure, or with
    false positives, which lie at vessels. Each form is as likely as the other.

    Parameters
    ----------
    found : tuple of Count
        What was counted.
    settings : PatternSettings
        What each distribution leads to expect, and how it is mixed.

    Returns
    -------
    clues : tuple of Clue
        Each with its support alone.
    logs : (3,) float
        Log probability of all of them under each of `CLASSES`, up to a constant.
    """
    forms = np.array([[_forms(count, k, settings) for k in range(len(CLASSES))] for count in found])
    logs = forms.reshape(len(found), len(CLASSES), 2)
    alone = special.logsumexp(logs, axis=2)
    alone -= alone.max(axis=1, keepdims=True)
    clues = tuple(
        Clue(count.name, count.move, tuple(zip(CLASSES, row, strict=True)), count.sentence)
        for count, row in zip(found, alone.tolist(), strict=True)
    )
    together: FloatArray = special.logsumexp(logs.sum(axis=0), axis=1)
    return clues, together


def _forms(count: Count, k: int, settings: PatternSettings) -> tuple[float, float]:
    """Log probability of a count under a distribution pure and mixed."""
    means, spreads = (getattr(settings, f"{count.name}_{of}") for of in ("means", "spreads"))
    pure = log_likelihood(count, means[k], spreads[k], 1.0, freedom=settings.freedom)
    if CLASSES[k] == "random":
        moved, part = len(CLASSES), settings.false_share
    else:
        moved, part = k, settings.mild_share
    mixed = log_likelihood(count, means[moved], spreads[moved], part, freedom=settings.freedom)
    return pure, mixed


def _label(
    scores: dict[str, float],
    n_true: float,
    clues: tuple[Clue, ...],
    counts: tuple[LungCount, ...],
    sight: Sight,
    settings: PatternSettings,
) -> tuple[str, tuple[str, ...]]:
    """Name the likeliest, or say why none is named."""
    assessable = judge_sight(sight, counts, settings)
    if not assessable.met:
        return "indeterminate", (assessable.sentence,)
    reasons = [clue.sentence for clue in clues]
    best = max(scores, key=lambda name: scores[name])
    if scores[best] < settings.min_probability:
        reasons.append(
            f"No distribution reaches a probability of {settings.min_probability:g}: "
            f"{best} has {scores[best]:.2f}."
        )
        return "indeterminate", tuple(reasons)
    if best != "none":
        if n_true >= settings.min_nodules:
            return best, tuple(reasons)
        few = f"{n_true:.0f} nodules, false positives taken out, do not bear a call"
        return "indeterminate", (*reasons, f"{few}; {settings.min_nodules} would.")
    if are_few(counts, sight, settings):
        limit = settings.numerous_per_l
        few = (
            f"Without the false positives expected, fewer than {limit:g} nodules a litre: too few "
            "for a distribution."
        )
        return "none", (few,)
    hidden = "Few nodules were found, but the scan may hide as many as would be numerous."
    return "indeterminate", (hidden,)
