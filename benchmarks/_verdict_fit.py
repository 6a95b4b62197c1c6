"""What each distribution leads to expect of every clue, fitted to cases that are kept for it.

The package's numbers are rounded from these, their spreads widened: two generators of nodules stand
for all patients.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
from _results import print_table
from _verdict_cases import PATTERNS
from _verdict_evidence import Evidence
from _verdict_judge import judge
from scipy import optimize, special
from scipy.spatial import KDTree

from miliary.config.pattern import CLUES, PatternSettings
from miliary.pattern import CLASSES
from miliary.pattern.clues import Count, gather_clues, log_likelihood
from miliary.pattern.name import weigh_clues
from miliary.pattern.weigh import weigh_nodules

#: A spread is drawn to this, as by one case in its favour.
_USUAL_SPREAD = 0.3

#: Numbers of nodules that are left when cases are thinned.
_FEW = (15, 20, 30, 40, 50, 75)


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
    right, called = (sum(getattr(c, of) for c in told) for of in ("right", "confident"))
    print(f"of {len(told)} cases {right} right, {len(told) - called} not called")
    _thin([e for e in cases if not e.case.contamination and "half" not in e.case.kind], settings)


def _thin(cases: list[Evidence], settings: PatternSettings) -> None:
    """Print what a few of the nodules of each case, drawn by chance, would be called."""
    rng, told = np.random.default_rng(0), defaultdict(list)
    for evidence in cases:
        label = evidence.case.pattern
        if label not in CLASSES or evidence.case.kind.startswith("slices"):
            continue
        for n in _FEW:
            for _ in range(6 if n <= 0.9 * len(evidence.nodules) else 0):
                chosen = np.sort(rng.choice(len(evidence.nodules), n, replace=False))
                clues = _thinned(evidence, chosen, settings)
                shares = special.softmax(weigh_clues(clues, settings)[1])
                told[n, label].append((CLASSES[shares.argmax()] == label, shares.max()))
    rows = []
    for (n, label), found in sorted(told.items()):
        right, sure = np.array(found, float).T
        called = sure >= settings.min_probability
        rows.append([str(n), label, str(len(found)), f"{called.mean():.0%}",
                     f"{right[called].mean():.1%}", f"{right.mean():.1%}"])  # fmt: skip
    heads = ["nodules", "distribution", "draws", "called", "of those right", "likeliest right"]
    print_table("Thinned by chance", heads, rows)


def _thinned(
    evidence: Evidence, chosen: np.ndarray, settings: PatternSettings
) -> tuple[Count, ...]:
    """Count the clues of some of the nodules; pairs thin with the square of their number."""
    part = len(chosen) / len(evidence.nodules)
    some = replace(evidence, nodules=evidence.nodules.take(chosen))
    found = {count.name: count for count in count_clues(some, settings, part)}
    whole = {count.name: count for count in count_clues(evidence, settings)}
    if pairs := whole.get("clustering"):
        all_near, near = (
            len(KDTree(points).query_pairs(settings.rosette_mm))
            for points in (evidence.grid_mm, evidence.grid_mm[chosen])
        )
        left = pairs.found * near / max(all_near, 1)
        found["clustering"] = replace(pairs, found=left, expected=pairs.expected * part**2)
    return tuple(found.values())


def count_clues(
    evidence: Evidence, settings: PatternSettings, thinning: float = 1.0
) -> tuple[Count, ...]:
    """Count the clues of a case as the package does."""
    inside = np.isin(evidence.nodules.lung, evidence.described)
    nodules = evidence.nodules.take(inside)
    litres = sum(x.evaluable_ml for x in evidence.lungs if x.side in evidence.described) / 1000
    false = min(
        (evidence.calibration.false_per_litre or 0.0) * litres * thinning, float(len(nodules))
    )
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
