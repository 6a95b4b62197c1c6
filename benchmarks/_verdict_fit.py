"""What each distribution leads to expect of every clue, fitted to cases that are kept for it.

The package's numbers are rounded from these, their spreads widened: two generators of nodules stand
for all patients.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from _results import print_table
from _verdict_cases import PATTERNS
from _verdict_evidence import Evidence
from _verdict_judge import judge
from scipy import optimize

from miliary.config.pattern import CLUES, PatternSettings
from miliary.pattern.clues import Count, gather_clues, log_likelihood
from miliary.pattern.weigh import weigh_nodules

#: A spread is drawn to this, as by one case in its favour.
_USUAL_SPREAD = 0.3


def fit(cases: list[Evidence]) -> None:
    """Print centre and scale of every clue for every distribution, and for false positives."""
    settings = PatternSettings()
    found: dict[tuple[str, str], list[Count]] = defaultdict(list)
    for evidence in cases:
        case = evidence.case
        mixed = case.contamination or case.kind.startswith(("half", "slices"))
        if mixed or case.pattern == "metastases":
            continue
        for count in count_clues(evidence, settings):
            found[count.name, case.pattern].append(count)
    rows = []
    for clue in CLUES:
        for k, label in enumerate((*PATTERNS, "none")):
            counts = found[clue, label]
            mean, spread = _fit_one(counts, settings.freedom) if counts else (np.nan, np.nan)
            used = [getattr(settings, f"{clue}_{of}")[k] for of in ("means", "spreads")]
            rows.append([clue, label, str(len(counts)), f"{mean:.2f}", f"{spread:.2f}",
                         *(f"{value:g}" for value in used)])  # fmt: skip
    heads = ["clue", "distribution", "cases", "mean", "spread", "mean used", "spread used"]
    print_table("Clues, fitted; none stands for false positives", heads, rows)
    told = [judge(evidence) for evidence in cases if evidence.case.pattern in PATTERNS]
    print(f"of {len(told)} cases {sum(c.right for c in told)} right, "
          f"{sum(not c.confident for c in told)} not called")  # fmt: skip


def count_clues(evidence: Evidence, settings: PatternSettings) -> tuple[Count, ...]:
    """Count the clues of a case as the package does."""
    inside = np.isin(evidence.nodules.lung, evidence.described)
    nodules = evidence.nodules.take(inside)
    litres = sum(x.evaluable_ml for x in evidence.lungs if x.side in evidence.described) / 1000
    false = (evidence.calibration.false_per_litre or 0.0) * litres
    if evidence.case.pattern == "none":
        # All of them are false, and the clues are to be theirs.
        false = 0.0
    weights = weigh_nodules(nodules.score, false)
    return gather_clues(nodules, weights, evidence.spatial, litres, settings)


def _fit_one(counts: list[Count], freedom: float) -> tuple[float, float]:
    def misfit(of: np.ndarray) -> float:
        chances = [log_likelihood(c, of[0], np.exp(of[1]), 1.0, freedom=freedom) for c in counts]
        return float(-sum(chances) + 0.5 * (of[1] - np.log(_USUAL_SPREAD)) ** 2)

    start = [float(np.median([count.move for count in counts])), np.log(_USUAL_SPREAD)]
    best = optimize.minimize(misfit, start, method="Nelder-Mead").x
    return float(best[0]), float(np.exp(best[1]))
