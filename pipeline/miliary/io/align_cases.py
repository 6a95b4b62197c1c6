"""Case folders of one patient, their lungs aligned and single nodules matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from miliary.anatomy import SIDES
from miliary.arrays import AnyArray
from miliary.compare.matching import match_nodules
from miliary.compare.results import Comparison
from miliary.compare.rows import Alignment, Match
from miliary.config.compare import CompareSettings
from miliary.geometry import Geometry
from miliary.io.align import Aligned, LungMasks, align_lungs
from miliary.io.images import read_mask

#: A lung below this is no lung to align: ml.
_LEAST_ML = 20.0


@dataclass(frozen=True, eq=False)
class _Masks:
    lungs: AnyArray
    vessels: AnyArray
    geometry: Geometry

    def of(self, side: str) -> LungMasks | None:
        """One lung; None where there is too little of it."""
        lung = self.lungs == SIDES[side]
        if np.count_nonzero(lung) * self.geometry.voxel_ml < _LEAST_ML:
            return None
        return LungMasks(lung, self.vessels > 0, self.geometry)


def align_cases(
    comparison: Comparison, folders: Sequence[Path], settings: CompareSettings
) -> tuple[Comparison, dict[tuple[int, str], Aligned]]:
    """Align the lungs of neighbouring scans, and match their nodules where that can be trusted.

    Parameters
    ----------
    comparison : Comparison
        Of these scans.
    folders : sequence of Path
        Their case folders, in the same order.
    settings : CompareSettings
        Limits.

    Returns
    -------
    comparison : Comparison
        With alignments and matches.
    aligned : dict of (earlier, lung) to Aligned
        The alignments themselves, by the number of the earlier scan.
    """
    masks = [_read(folder) for folder in folders]
    alignments: list[Alignment] = []
    matches: list[Match] = []
    aligned: dict[tuple[int, str], Aligned] = {}
    for earlier, later in pairwise(range(len(masks))):
        for side in SIDES:
            lungs = masks[earlier].of(side), masks[later].of(side)
            if lungs[0] is None or lungs[1] is None:
                continue
            one = align_lungs(lungs[0], lungs[1], settings)
            aligned[earlier, side] = one
            told, found = _matched(comparison, one, earlier, side, settings)
            alignments.append(told)
            matches += found
    return replace(comparison, alignments=tuple(alignments), matches=tuple(matches)), aligned


def _read(folder: Path) -> _Masks:
    lungs, geometry = read_mask(folder / "lungs.nii.gz")
    vessels, _ = read_mask(folder / "vessels.nii.gz")
    return _Masks(lungs, vessels, geometry)


def _matched(
    comparison: Comparison, one: Aligned, earlier: int, side: str, settings: CompareSettings
) -> tuple[Alignment, tuple[Match, ...]]:
    alignment = Alignment(
        earlier,
        earlier + 1,
        side,
        one.dice_before,
        one.dice,
        one.surface_mm,
        one.error_mm,
        one.model,
        0,
        None,
        "",
    )
    lungs = [comparison.cases[k].side(side) for k in (earlier, earlier + 1)]
    if lungs[0] is None or lungs[1] is None:
        return alignment, ()
    sensitivity = comparison.sensitivity[earlier + 1]
    matches, chance, sentence = match_nodules(
        (lungs[0], lungs[1]),
        one(lungs[0].points_mm),
        alignment,
        None if sensitivity is None else sensitivity.value,
        settings,
    )
    told = replace(alignment, matched=len(matches), wrong_chance=chance, sentence=sentence)
    return told, matches
