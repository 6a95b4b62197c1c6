"""What comparisons said of pairs of scans, held against the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from _results import Results
from scipy import stats

from miliary.compare import Comparison

HEADS = ["pair", "place", "n", "bias", "SD of log", "covered", "said more", "said fewer"]
Truth = Mapping[tuple[str, str], int]


class Tally:
    """Counts of what was right."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[tuple[float, bool, str]]] = defaultdict(list)
        self.more: dict[str, list[bool]] = defaultdict(list)
        self.unknown: dict[str, int] = defaultdict(int)

    def add(self, kind: str, found: Comparison, truths: tuple[Truth, Truth]) -> None:
        """Add a pair."""
        more = False
        for change in found.changes:
            place = "both" if change.lung == "both" else "lung" if change.zone == "all" else "zone"
            before, now = (truth[change.lung, change.zone] for truth in truths)
            more |= place != "zone" and change.verdict == "more"
            if not before or not now:
                continue
            if change.count is None:
                self.unknown[kind] += place == "both"
                continue
            truth, told = now / before, change.count
            row = (np.log(told.ratio / truth), told.low <= truth <= told.high, change.verdict)
            self.rows[kind, place].append(row)
        self.more[kind].append(more)

    def tell(self, results: Results, title: str, note: str = "") -> None:
        """Add the tables, each share with its 95 % interval."""
        kinds = list(dict.fromkeys(kind for kind, _ in self.rows))
        rows = []
        for kind in [*kinds, "all"]:
            for place in ("both", "lung", "zone"):
                of_kind = [
                    row
                    for (k, p), found in self.rows.items()
                    if p == place and kind in (k, "all")
                    for row in found
                ]
                if of_kind:
                    rows.append([kind, place, *_told(of_kind)])
        results.table(title, HEADS, rows, note)
        rows = [
            [kind, str(len(more)), share(sum(more), len(more)), str(self.unknown[kind])]
            for kind, more in self.more.items()
        ]
        heads = ["pair", "n", "more said of a lung or both", "not assessable"]
        results.table("Progression told", heads, rows)


def _told(rows: list[tuple[float, bool, str]]) -> list[str]:
    error, covered, verdict = (np.array(part) for part in zip(*rows, strict=True))
    half = 1.96 * error.std(ddof=1) / np.sqrt(len(error)) if len(error) > 1 else np.inf
    low, high = np.expm1(error.mean() - half), np.expm1(error.mean() + half)
    return [
        str(len(rows)),
        f"{np.expm1(error.mean()):+.1%} ({low:+.1%} to {high:+.1%})",
        f"{error.std():.3f}",
        share(int(covered.sum()), len(rows)),
        *(share(int((verdict == name).sum()), len(rows)) for name in ("more", "fewer")),
    ]


def share(k: int, n: int) -> str:
    """A share with its exact interval (Clopper and Pearson)."""
    told = stats.binomtest(k, n).proportion_ci(0.95)
    return f"{k / n:.1%} ({told.low:.0%} to {told.high:.0%})"
