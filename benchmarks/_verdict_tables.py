"""The tables of the verdict's benchmark: from judged cases to what is shown of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from _results import Results
from _verdict_cases import NUMBERS, PATTERNS
from _verdict_judge import LABELS, Judged
from scipy import stats

#: Edges of the probabilities of the reliability curve: most calls are near 1.
_EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def rate(right: int, of: int) -> str:
    """Write a share with its exact 95 % interval (Clopper and Pearson)."""
    if not of:
        return "-"
    low, high = stats.binomtest(right, of).proportion_ci(0.95)
    return f"{right}/{of} = {right / of:.1%} ({low:.1%} to {high:.1%})"


def macro_f1(cases: list[Judged], labels: tuple[str, ...] = PATTERNS) -> float:
    """Give the mean F1 of labels; a case that is not called counts as missed."""
    scores = []
    for label in labels:
        hit = sum(c.truth == label and c.pattern.label == label for c in cases)
        called = sum(c.pattern.label == label for c in cases)
        true = sum(c.truth == label for c in cases)
        scores.append(2 * hit / max(called + true, 1))
    return float(np.mean(scores))


def f1_interval(cases: list[Judged], rng: np.random.Generator) -> tuple[float, float]:
    """Give the 95 % interval of macro-F1 by 2,000 resamples of the cases."""
    drawn = rng.integers(0, len(cases), (2000, len(cases)))
    values = [macro_f1([cases[k] for k in row]) for row in drawn]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def show(judged: list[Judged], results: Results) -> None:
    """Add every table."""
    matrix = [c for c in judged if c.case.group != "hard"]
    assessed = [c for c in matrix if not c.case.scan.startswith("nlst")]
    _headline(assessed, results)
    _headline([c for c in assessed if c.case.seed not in seen_seeds()], results, unseen=True)
    _confusion(assessed, results)
    _by_cell(assessed, results)
    _hard([c for c in judged if c.case.group == "hard"], results)
    _real([c for c in judged if c.case.group == "real"], results)
    _reliability([c for c in judged if c.verdict.flag != "not_assessable"], results)


def _patterns(cases: Iterable[Judged]) -> list[Judged]:
    return [c for c in cases if c.case.pattern in PATTERNS]


def seen_seeds() -> set[int]:
    """List the cases that were judged before the rules were last changed."""
    text = (Path(__file__).parent / "_verdict_seen.txt").read_text()
    words = " ".join(line for line in text.splitlines() if not line.startswith("#")).split()
    return {int(word) for word in words}


def _headline(cases: list[Judged], results: Results, *, unseen: bool = False) -> None:
    true = _patterns(cases)
    called = [c for c in cases if c.confident and c.case.pattern != "metastases"]
    low, high = f1_interval(true, np.random.default_rng(1))
    rows = [
        ["macro-F1 of the three patterns, n of 100 and more", "at least 0.90",
         f"{macro_f1(true):.3f} ({low:.3f} to {high:.3f}), {len(true)} cases"],
        ["of the calls (none too) right", "at least 95 %",
         rate(sum(c.right for c in called), len(called))],
        ["cases of the three patterns that are called", "",
         rate(sum(c.confident for c in true), len(true))],
    ]  # fmt: skip
    random = [c for c in true if c.case.pattern == "random" and c.case.n >= 300]
    rows.append(["flag present, random, 300 and more of 2 mm", "at least 97 %", _flagged(random)])
    for kinds, most in ((("none", "metastases"), "1 %"), (("centrilobular",), "5 %"),
                        (("perilymphatic",), "5 %")):  # fmt: skip
        some = [c for c in cases if c.case.pattern in kinds]
        rows.append([f"false present, {' and '.join(kinds)}", f"at most {most}", _flagged(some)])
    title = "What must be shown"
    if unseen:
        title += ", on the cases that were not judged before the rules were last changed"
    results.table(title, ["what", "wanted", "measured (95 %)"], rows)


def _flagged(cases: list[Judged]) -> str:
    return rate(sum(c.verdict.flag == "present" for c in cases), len(cases))


def _confusion(cases: list[Judged], results: Results) -> None:
    heads = ["true", *LABELS, "indeterminate", "present", "absent", "indeterminate flag"]
    rows = []
    for kind in (*PATTERNS, "none", "metastases"):
        mine = [c for c in cases if c.case.pattern == kind]
        labels = [c.pattern.label for c in mine]
        flags = [c.verdict.flag for c in mine]
        rows.append(
            [kind]
            + [str(labels.count(label)) for label in (*LABELS, "indeterminate")]
            + [str(flags.count(flag)) for flag in ("present", "absent", "indeterminate")]
        )
    note = "Phantoms and insertions into real scans; hard cases and slices of 2 mm apart."
    results.table("Distribution and flag, cases", heads, rows, note)


def _by_cell(cases: list[Judged], results: Results) -> None:
    cells: list[tuple[str, Callable[[Judged], bool]]] = [
        (f"n = {n}", lambda c, n=n: c.case.n == n) for n in NUMBERS
    ]
    cells += [
        ("noise 20 HU", lambda c: c.case.noise_hu == 20.0),
        ("noise 45 HU", lambda c: c.case.noise_hu == 45.0),
        ("1.0 x 0.8 mm", lambda c: c.case.grid == "fine"),
        ("1.25 x 0.9 mm", lambda c: c.case.grid == "coarse"),
        ("both lungs", lambda c: c.case.lungs == "both"),
        ("one lung", lambda c: c.case.lungs != "both"),
        ("phantoms", lambda c: not c.case.scan),
        ("real scans", lambda c: bool(c.case.scan)),
    ]
    rows = []
    for title, chosen in cells:
        mine = _patterns(c for c in cases if chosen(c))
        called = [c for c in mine if c.confident]
        random = [c for c in mine if c.case.pattern == "random"]
        rows.append(
            [
                title,
                str(len(mine)),
                f"{macro_f1(mine):.3f}" if mine else "-",
                rate(sum(c.right for c in called), len(called)),
                f"{len(mine) - len(called)}",
                _flagged(random),
                _flagged([c for c in mine if c.case.pattern != "random"]),
            ]
        )
    heads = ["cell", "cases", "macro-F1", "calls right", "not called", "present when random",
             "present when not"]  # fmt: skip
    results.table("The three patterns by number, noise, grid, lungs", heads, rows)


def _hard(cases: list[Judged], results: Results) -> None:
    rows = []
    for kind in dict.fromkeys(c.case.kind for c in sorted(cases, key=lambda c: c.case.kind)):
        mine = [c for c in cases if c.case.kind == kind]
        labels = [c.pattern.label for c in mine]
        flags = [c.verdict.flag for c in mine]
        rows.append([kind, str(len(mine)), _tally(labels), _tally(flags)])
    results.table("Hard cases", ["case", "n", "distribution", "flag"], rows)


def _real(cases: list[Judged], results: Results) -> None:
    rows = [
        [c.case.scan, c.case.kind, str(c.case.n), str(c.n), c.pattern.label,
         f"{dict(c.pattern.scores).get(c.truth, float('nan')):.2f}", c.verdict.flag]
        for c in sorted(cases, key=lambda c: (c.case.scan, c.case.kind, c.case.n))
    ]  # fmt: skip
    heads = ["scan: slices", "put in", "n", "found", "distribution", "probability", "flag"]
    note = (
        "lidc-0314 and rider-0117-lower are the only thin scans at hand; the detector was trained "
        "on the first's right lung and the second, and rules were fitted with other insertions "
        "there. rider-0117-lower holds nodules of its own, of 4 to 15 mm."
    )
    results.table("Put into real scans by ../shared/eval", heads, rows, note)


def _tally(words: list[str]) -> str:
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(sorted(words)))


def _reliability(cases: list[Judged], results: Results) -> None:
    """How often the likeliest label is right, by its probability; and the calibration error."""
    told = [c for c in cases if c.case.pattern != "metastases"]
    best = [max(c.pattern.scores, key=lambda item: item[1]) for c in told]
    sure = np.array([share for _, share in best])
    right = np.array([label == c.truth for (label, _), c in zip(best, told, strict=True)])
    bins = np.clip(np.searchsorted(_EDGES, sure, side="right") - 1, 0, len(_EDGES) - 2)
    rows, error = [], 0.0
    for k in range(len(_EDGES) - 1):
        inside = bins == k
        if not inside.any():
            continue
        gap = abs(right[inside].mean() - sure[inside].mean())
        error += gap * inside.mean()
        rows.append(
            [f"{_EDGES[k]:g} to {_EDGES[k + 1]:g}", str(inside.sum()),
             f"{sure[inside].mean():.3f}", rate(int(right[inside].sum()), int(inside.sum()))]
        )  # fmt: skip
    note = (
        f"Expected calibration error {error:.3f} over {len(told)} cases (wanted: at most 0.05), "
        f"Brier score of the likeliest {np.mean((sure - right) ** 2):.3f}. Hard cases are among "
        "them, metastases not: they are few and large, and lie at random."
    )
    results.table("Reliability: the likeliest label", ["probability", "cases", "mean", "right"],
                  rows, note)  # fmt: skip
