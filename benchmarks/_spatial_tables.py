"""Rows of the level and power of the tests of place, and the tables made of them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from _results import Results

from miliary.spatial import PRIMARY

#: Level of every test, and the band that was asked of the share rejected.
LEVEL, BAND = 0.05, (0.035, 0.065)
#: Beginning of the name of a p-value, and of an interval, in the rows.
P, HOLDS = "p ", "interval holds: "
_SAYS = (
    "Patterns drawn in the lungs of a patient (Med-RAD lidc-p3, voxels of 2.1 x 1.8 x 1.8 mm) by "
    "code that shares nothing with the package; two-sided tests at 5 %, raw p-values, 199 "
    "simulations."
)
_COLUMNS = (
    "plain: 100 points. sensitivity: 100 points, thinned by a sensitivity from 0.95 at the base to "
    "0.5 at the apex and a third less near vessels. separation: 300 points, no two nearer than "
    "4 mm. unequal: 100 and 40 points in the two lungs. all three: 280 points, all of these. "
    "clusters: 300 points in clusters of 3; tests of randomness must reject these, those of "
    "covariates must not."
)


class Rows:
    """Rows of a CSV file: what was drawn, its group, a quantity and its value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows: list[tuple[str, int, str, float]] = []
        if path.exists():
            with path.open() as file:
                self.rows = [(k, int(g), q, float(v)) for k, g, q, v in csv.reader(file)]
        self.done = {(kind, group) for kind, group, _, _ in self.rows}

    def add(self, key: tuple[str, int], values: list[dict[str, float]]) -> None:
        """Append a group at once, so that a run that ends early leaves whole groups."""
        rows = [(*key, name, float(v)) for value in values for name, v in value.items()]
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows(rows)
        self.rows += rows

    def kinds(self) -> list[str]:
        """List what was drawn."""
        return list(dict.fromkeys(row[0] for row in self.rows))

    def shares(self) -> dict[str, dict[str, float]]:
        """Give the share rejected, or held, of each quantity and kind; and the number drawn."""
        found: dict[tuple[str, str], list[float]] = {}
        for kind, _, name, value in self.rows:
            found.setdefault((name, kind), []).append(value)
        shares: dict[str, dict[str, float]] = {}
        for (name, kind), some in found.items():
            values = np.array(some)
            if name.startswith(P):
                values = values[np.isfinite(values)] <= LEVEL
            shares.setdefault(name, {})[kind] = float(values.mean()) if len(values) else np.nan
        return shares

    def drawn(self, kind: str) -> int:
        """Count the patterns of a kind."""
        return sum(row[0] == kind and row[2] == P + PRIMARY for row in self.rows)


def tell_level(rows: Rows) -> Results:
    """Give the tables of how often randomness is rejected, and intervals hold the truth."""
    kinds, shares = rows.kinds(), rows.shares()
    results = Results("spatial-level", _SAYS)
    numbers = ", ".join(f"{kind} {rows.drawn(kind):,}" for kind in kinds)
    note = f"Patterns: {numbers}. {_COLUMNS}"
    for begins, title in (
        (P, "Percent of random patterns rejected"),
        (HOLDS, "Percent of 95 % intervals that hold the truth"),
    ):
        some = {name: value for name, value in shares.items() if name.startswith(begins)}
        told = [
            [name.removeprefix(begins), *(_percent(of.get(kind, np.nan)) for kind in kinds)]
            for name, of in some.items()
        ]
        results.table(title, ["what", *kinds], told, note if begins == P else "")
    nulls = [kind for kind in kinds if kind != "clusters"]
    levels = {
        name: [of[kind] for kind in nulls if kind in of]
        for name, of in shares.items()
        if name.startswith(P)
    }
    asked = []
    for what, some in (
        ("level of the primary test", levels[P + PRIMARY]),
        ("level of every test", [value for of in levels.values() for value in of]),
    ):
        band = f"{100 * BAND[0]:.1f} to {100 * BAND[1]:.1f} %, 2,000 patterns a column"
        measured = f"{_percent(min(some))} to {_percent(max(some))} %"
        enough = min(map(rows.drawn, nulls)) >= 2000
        asked.append(
            (what, band, measured, BAND[0] <= min(some) <= max(some) <= BAND[1] and enough)
        )
    results.asked(asked)
    return results


def tell_power(rows: Rows) -> Results:
    """Give the table of how often patterns that are not random are rejected."""
    shares = {name: of for name, of in rows.shares().items() if name.startswith(P)}
    results = Results("spatial-power", _SAYS)
    told = []
    for kind in dict.fromkeys(kind.rpartition(", n ")[0] for kind in rows.kinds()):
        cells = [kind]
        for n in (100, 300):
            name = f"{kind}, n {n}"
            others = {test: of[name] for test, of in shares.items() if test != P + PRIMARY}
            best = max(others, key=lambda test: others[test])
            cells += [
                _percent(shares[P + PRIMARY][name], 0),
                f"{best.removeprefix(P)}: {_percent(others[best], 0)}",
            ]
        told.append(cells)
    heads = ["drawn", "L and G, n 100", "best other, n 100", "L and G, n 300", "best other, n 300"]
    least = min(map(rows.drawn, rows.kinds()))
    note = (
        f"{least:,} patterns each. The best of 34 others is chosen by its power, so its figure is "
        "a little too high; the pattern of sizes has places at random, and L and G see none."
    )
    results.table("Percent of patterns rejected", heads, told, note)
    what = "power at 100 and 300 points against the alternatives"
    results.asked([(what, "a table", f"{least:,} patterns of each", True)])
    return results


def _percent(share: float, digits: int = 1) -> str:
    return "" if np.isnan(share) else f"{100 * share:.{digits}f}"
