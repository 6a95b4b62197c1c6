"""Tests against randomness: the primary one, L, G and Clark-Evans alone, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from miliary.arrays import FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Curve, Test
from miliary.kernels.covariates import monte_carlo_p
from miliary.kernels.envelopes import envelope_test
from miliary.spatial.curves import Functions, combined_test, make_curve, summary_functions
from miliary.spatial.simulate import Counts
from miliary.spatial.window import Window

#: Name of the primary test, the only one whose p-value is not adjusted for the others.
PRIMARY = "L and G, global envelope"


@dataclass(frozen=True, eq=False)
class Randomness:
    """What the summary functions say.

    Parameters
    ----------
    tests : tuple of Test
        The primary test of all points together first; p-values are raw.
    curves : tuple of Curve
        K, L, g, G, F and J of each group.
    crowded_mm : (R,) float or None
        Distances at which there are more close pairs, or nearer neighbours, than chance allows;
        None where that is not tested.
    clark_evans : float or None
        Mean distance to the nearest neighbour over that of the simulations.
    notes : tuple of str
        Sentences for a reader.
    """

    tests: tuple[Test, ...]
    curves: tuple[Curve, ...]
    crowded_mm: FloatArray | None
    clark_evans: float | None
    notes: tuple[str, ...]


def judge_randomness(
    counts: Counts,
    groups: Mapping[str, IntArray],
    window: Window,
    settings: SpatialSettings,
    *,
    min_separation_mm: float,
) -> Randomness:
    """Test against randomness group by group.

    Parameters
    ----------
    counts : Counts
        Of the observed and the simulated patterns.
    groups : mapping of str to (M,) int
        Strata that are taken together; all of them first.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Radii, level, how many points it takes.
    min_separation_mm : float
        Smallest distance of two simulated points.

    Returns
    -------
    Randomness
        Tests without p, and notes, where there are too few points.
    """
    tests: list[Test] = []
    curves: list[Curve] = []
    notes: list[str] = []
    crowded: FloatArray | None = None
    whole = next(iter(groups))
    for group, chosen in groups.items():
        functions = summary_functions(
            counts, chosen, window, settings, min_separation_mm=min_separation_mm
        )
        curves += [
            make_curve(
                name,
                group,
                functions.r_mm,
                values,
                alpha=settings.alpha,
                ranks=functions.ranks(name),
            )
            for name, values in functions.values.items()
        ]
        reason = _untestable(group, int(counts.n[chosen].sum()), functions, window, settings)
        if reason:
            notes.append(reason)
            tests.append(Test(PRIMARY, group, None, None))
        else:
            test, above = combined_test(functions, alpha=settings.alpha)
            tests.append(Test(PRIMARY, group, test.p, _largest_excess(functions.values["L"])))
            if group == whole:
                crowded = functions.r_mm[above]
        if group == whole:
            tests += _single_tests(counts, chosen, group, functions, settings, skipped=bool(reason))
    notes += _crowding_notes(crowded, settings)
    ratio = _clark_evans(counts, groups[whole])[0]
    return Randomness(tuple(tests), tuple(curves), crowded, ratio, tuple(notes))


def _crowding_notes(crowded: FloatArray | None, settings: SpatialSettings) -> list[str]:
    """Say at which distances nodules are crowded: close by is clustering, far off is unevenness."""
    if crowded is None or len(crowded) == 0:
        return []
    reach = f"from {crowded[0]:g} to {crowded[-1]:g} mm"
    if crowded[0] <= settings.cluster_mm:
        return [
            "There are more close pairs or nearer neighbours than chance allows at distances "
            f"{reach}."
        ]
    return [
        f"Only at distances {reach} are there more pairs than chance allows: the density of the "
        "nodules, or of what the scan shows of them, changes slowly through the lungs."
    ]


def _untestable(
    group: str, n: int, functions: Functions, window: Window, settings: SpatialSettings
) -> str:
    """Say why there is no test; nothing where there is one."""
    where = {"both": "both lungs", "all": "the mask"}.get(group, f"the {group} lung")
    where = where if window.lungs or group == "all" else group
    if n < max(settings.min_nodules, 2):
        return (
            f"Randomness in {where} is not tested: it takes {settings.min_nodules} "
            f"{window.nouns[0]}, there are {n}."
        )
    if len(functions.r_mm) == 0:
        return f"Randomness in {where} is not tested: the evaluable part is too small."
    return ""


def _single_tests(
    counts: Counts,
    chosen: IntArray,
    group: str,
    functions: Functions,
    settings: SpatialSettings,
    *,
    skipped: bool,
) -> list[Test]:
    """Test L, G and the mean distance to the nearest neighbour alone."""
    names = ("L, global envelope", "G, global envelope", "Clark-Evans")
    if skipped:
        return [Test(name, group, None, None) for name in names]
    tests = []
    for name in names[:2]:
        values = functions.values[name[0]]
        test = envelope_test(
            values,
            alternative="two-sided",
            alpha=settings.alpha,
            ranks=functions.ranks(name[0]),
        )
        tests.append(Test(name, group, test.p, _largest_excess(values)))
    ratio, p = _clark_evans(counts, chosen)
    return [*tests, Test(names[2], group, p, ratio)]


def _largest_excess(values: FloatArray) -> float:
    """Give the observed function's largest deviation from the mean of the simulated ones."""
    excess = values[0] - values[1:].mean(axis=0)
    return float(excess[np.abs(excess).argmax()])


def _clark_evans(counts: Counts, chosen: IntArray) -> tuple[float | None, float | None]:
    """Compare the mean distance to the nearest neighbour with that of the simulations."""
    sums = counts.nearest_mm[:, chosen].sum(axis=1)
    expected = float(sums[1:].mean())
    if not expected > 0:
        return None, None
    return float(sums[0] / expected), monte_carlo_p(sums[0] - expected, sums[1:] - expected)
