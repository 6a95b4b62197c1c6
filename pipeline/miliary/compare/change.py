"""The comparison itself: ratios by lung and zone, volumes and sizes, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from miliary.anatomy import SIDES
from miliary.compare.cautions import warn
from miliary.compare.rates import Pair, compare_rates, corrected_densities, make_pair
from miliary.compare.records import CaseRecord, LungRecord
from miliary.compare.results import Comparison
from miliary.compare.rind import compare_rinds
from miliary.compare.rows import MORE, UNKNOWN, Change, LungChange, RindChange
from miliary.compare.sizes import diameter_change, sensitivity_of, usual_sizes
from miliary.compare.words import lung_sentence
from miliary.config.compare import CompareSettings
from miliary.errors import UsageError
from miliary.kernels.rates import probability_above


def compare(cases: Sequence[CaseRecord], settings: CompareSettings | None = None) -> Comparison:
    """Say what changed between scans of one patient, lung by lung and zone by zone.

    Each scan is held against the one before it and against the first. Nodules are too many to
    be matched one by one: compared are their densities in the evaluable lung and their numbers,
    with the sensitivity of each scan and its expected false positives taken out. Intervals are
    for each place alone; what is called a change allows for the place being one of two lungs or of
    three zones.

    Parameters
    ----------
    cases : sequence of CaseRecord
        Two scans or more, oldest first.
    settings : CompareSettings or None
        Limits; the defaults unless given.

    Returns
    -------
    Comparison
        With None, and `not assessable`, for what these scans cannot tell.

    Raises
    ------
    UsageError
        For fewer than two cases.
    """
    settings = settings or CompareSettings()
    if len(cases) < 2:
        raise UsageError(
            f"a comparison must have two cases or more, got {len(cases)}; name them oldest first"
        )
    changes: list[Change] = []
    lungs: list[LungChange] = []
    rinds: list[RindChange] = []
    for earlier, later in _pairs(len(cases)):
        pair = make_pair((cases[earlier], cases[later]), earlier, later, settings)
        # The same scans give the same numbers, whatever else is compared.
        found = compare_rates(pair, settings, np.random.default_rng(settings.seed))
        changes += found
        of_lungs = {change.lung: change for change in found if change.zone == "all"}
        rinds += compare_rinds(pair.cases, (earlier, later), settings)
        lungs += [_lung_change(pair, of_lungs[side], settings) for side in SIDES]
    return Comparison(
        cases=tuple(cases),
        sensitivity=tuple(
            sensitivity_of(case, usual_sizes((case, case), settings)[0]) for case in cases
        ),
        changes=tuple(changes),
        lungs=tuple(lungs),
        warnings=warn(cases, settings),
        densities=tuple(
            density
            for scan, case in enumerate(cases)
            for density in corrected_densities(
                case, scan, settings, np.random.default_rng(settings.seed)
            )
        ),
        rinds=tuple(rinds),
    )


def _pairs(n: int) -> list[tuple[int, int]]:
    """Every scan with the one before it, and with the first."""
    pairs = [*pairwise(range(n)), *((0, later) for later in range(2, n))]
    return sorted(pairs, key=lambda pair: (pair[1], -pair[0]))


def _lung_change(pair: Pair, change: Change, settings: CompareSettings) -> LungChange:
    before, now = (case.lung(change.lung) for case in pair.cases)
    volume = evaluable = size = None
    if before is not None and now is not None:
        evaluable = now.evaluable_ml / before.evaluable_ml
        volume = now.volume_ml / before.volume_ml if before.volume_ml > 0 else None
        size = diameter_change(pair.cases, before, now, settings)
    told = LungChange(
        earlier=pair.earlier,
        later=pair.later,
        lung=change.lung,
        verdict=change.verdict,
        newly_involved=_newly_involved(pair, change, before, now, settings),
        volume_ratio=volume,
        evaluable_ratio=evaluable,
        diameter_change_mm=size and size[0],
        diameter_low_mm=size and size[1],
        diameter_high_mm=size and size[2],
        sentence="",
    )
    return replace(
        told, sentence=lung_sentence(change, told, pair.cases, pair.sensitivity, settings)
    )


def _newly_involved(
    pair: Pair,
    change: Change,
    before: LungRecord | None,
    now: LungRecord | None,
    settings: CompareSettings,
) -> bool | None:
    """Whether nodules are numerous now, were not before, and are surely more."""
    limit = pair.cases[1].numerous_per_l
    if before is None or now is None or limit is None or change.verdict == UNKNOWN:
        return None
    numerous = [
        # As in the verdict of a scan: the limit is of nodules without the false ones.
        probability_above(lung.count(), lung.evaluable_ml / 1000, limit + settings.false_per_l)
        >= (1 + settings.confidence) / 2
        for lung in (before, now)
    ]
    return change.verdict == MORE and numerous == [False, True]
