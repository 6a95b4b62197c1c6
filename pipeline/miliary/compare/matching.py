"""Single nodules found again, where a wrong match is unlikely; else the reason why not."""

from __future__ import annotations

import numpy as np

from miliary.arrays import FloatArray
from miliary.compare.records import LungRecord
from miliary.compare.rows import Alignment, Match
from miliary.config.compare import CompareSettings
from miliary.kernels.matching import match_points

#: Median distance to the nearest line over the standard deviation along an axis: two axes of the
#: three are across a line, and the median of such a distance is sqrt(2 ln 2) of them.
_MEDIAN_ACROSS = 1.1774


def match_nodules(
    lungs: tuple[LungRecord, LungRecord],
    moved_mm: FloatArray,
    alignment: Alignment,
    found: float | None,
    settings: CompareSettings,
) -> tuple[tuple[Match, ...], float | None, str]:
    """Match the nodules of a lung one by one, where that can be trusted.

    Parameters
    ----------
    lungs : tuple of two LungRecord
        The lung in the earlier and the later scan.
    moved_mm : (N, 3) float
        Nodules of the earlier scan, moved to the later.
    alignment : Alignment
        How well the scans fit.
    found : float or None
        Sensitivity of the later scan.
    settings : CompareSettings
        Chance of a wrong match that is borne, and error of alignment.

    Returns
    -------
    matches : tuple of Match
        Those that can be trusted.
    wrong_chance : float or None
        Median chance that a nearest neighbour is wrong; None with nothing to match.
    sentence : str
        What was matched and what withheld, with the reason.
    """
    side = alignment.lung
    n = len(moved_mm)
    if not n or not len(lungs[1].points_mm):
        return (), None, f"Single nodules of the {side} lung: none to match."
    if alignment.error_mm is None or alignment.error_mm > settings.match_error_mm:
        told = (
            "too few vessels show how well the scans fit"
            if alignment.error_mm is None
            else f"the scans fit to {alignment.error_mm:.1f} mm only"
        )
        return (), None, f"Single nodules of the {side} lung are not matched: {told}."
    sigma = max(alignment.error_mm / _MEDIAN_ACROSS, settings.match_least_mm)
    rows, there, distance, wrong = match_points(
        moved_mm,
        lungs[1].points_mm,
        error_mm=sigma,
        found=found if found is not None else 0.5,
        neighbours=settings.match_neighbours,
    )
    if not len(rows):
        return (), None, f"Single nodules of the {side} lung: none lies near another."
    sure = wrong <= settings.match_wrong
    matches = tuple(
        Match(alignment.earlier, alignment.later, side, int(i), int(j), float(d), float(w))
        for i, j, d, w in zip(rows[sure], there[sure], distance[sure], wrong[sure], strict=True)
    )
    chance = float(np.median(wrong))
    told = f"{len(matches)} of {n} nodules of the {side} lung were found again one by one"
    if len(matches) < n:
        told += (
            f"; of the others a match would be wrong with more than {settings.match_wrong:.0%}, "
            f"at {len(lungs[1].points_mm) / max(lungs[1].evaluable_ml, 1e-9):.2f} nodules a ml and "
            f"an alignment good to {alignment.error_mm:.1f} mm, or they have no counterpart"
        )
    return matches, chance, told + "."
