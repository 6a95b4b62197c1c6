"""Choosing the series of a study to analyse, by a rule that is told.

Of the usable series of a study the one is taken that

1. was scanned as it is read, not resampled;
2. covers at least `part_mm`: a sliver is no scan of the lungs;
3. is thin enough for nodules of 2 mm (`thin_mm`, of slice thickness and distance the larger): a
   part of the lungs that shows them says more than whole lungs that do not;
4. covers the whole chest (`chest_mm`);
5. lies across the body, not in a reformatted plane;
6. is thinner, by bands of `thickness_band_mm`;
7. has a sharp (lung) kernel;
8. has the most slices; the name of the case breaks ties.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from miliary.config.reading import ReadSettings

if TYPE_CHECKING:
    from miliary.io.series import SeriesInfo


def choose(infos: Iterable[SeriesInfo], settings: ReadSettings) -> list[SeriesInfo]:
    """Mark the best usable series of each study, and tell the others why not.

    Parameters
    ----------
    infos : iterable of SeriesInfo
        All that were found.
    settings : ReadSettings
        The limits of the rule.

    Returns
    -------
    list of SeriesInfo
        The same, with `chosen` and `reason` completed.
    """
    studies = defaultdict(list)
    for info in infos:
        studies[info.study_key].append(info)
    return [info for study in studies.values() for info in _choose(study, settings)]


def _choose(study: list[SeriesInfo], settings: ReadSettings) -> list[SeriesInfo]:
    usable = sorted((info for info in study if info.usable), key=lambda info: _rank(info, settings))
    if not usable:
        return study
    best = usable[0]
    why = f"Chosen of {len(usable)} usable series" if len(usable) > 1 else "The only usable series"
    decided = [_with(best, f"{why} of its study: {_describe(best, settings)}.", chosen=True)]
    decided += [
        _with(
            other,
            f"Another series of the study ranks higher ({_deciding(best, other, settings)}): "
            f"{_describe(best, settings)}; this one: {_describe(other, settings)}.",
            chosen=False,
        )
        for other in usable[1:]
    ]
    return decided + [info for info in study if not info.usable]


def _with(info: SeriesInfo, sentence: str, *, chosen: bool) -> SeriesInfo:
    return replace(info, chosen=chosen, reason=f"{info.reason} {sentence}".strip())


#: What decides between two series, in the order of `_rank`.
_REASONS = (
    "not resampled",
    "more than a sliver of the lungs",
    "thin enough for nodules of 2 mm",
    "whole chest",
    "across the body",
    "thinner",
    "lung kernel",
    "more slices",
    "no difference",
)


def _rank(info: SeriesInfo, settings: ReadSettings) -> tuple[object, ...]:
    """Order series of a study, the best first."""
    covered = _covered_mm(info)
    return (
        info.resampled,
        covered < settings.part_mm,
        _thickness_mm(info) > settings.thin_mm,
        covered < settings.chest_mm,
        not _is_axial(info),
        math.ceil(_thickness_mm(info) / settings.thickness_band_mm - 1e-6),
        not _is_sharp(info, settings),
        -info.n_slices,
        info.case,
    )


def _deciding(best: SeriesInfo, other: SeriesInfo, settings: ReadSettings) -> str:
    pairs = zip(_rank(best, settings), _rank(other, settings), _REASONS, strict=True)
    return next(reason for one, two, reason in pairs if one != two or reason == _REASONS[-1])


def _describe(info: SeriesInfo, settings: ReadSettings) -> str:
    chest = "whole chest" if _covered_mm(info) >= settings.chest_mm else "part of the chest"
    kernel = "sharp kernel" if _is_sharp(info, settings) else "smooth or unknown kernel"
    return (
        f"{chest} ({_covered_mm(info):.0f} mm), {_thickness_mm(info):.4g} mm thick, {kernel}, "
        f"{info.n_slices} slices"
    )


def _is_axial(info: SeriesInfo) -> bool:
    """Tell whether slices lie across the body; volume files are taken for such."""
    if info.stack is None or info.stack.affine is None:
        return True
    normal = info.stack.affine[:3, 0]
    return bool(abs(normal[2]) == max(abs(normal)))


def _covered_mm(info: SeriesInfo) -> float:
    return info.n_slices * info.spacing_mm[0] if info.spacing_mm else 0.0


def _thickness_mm(info: SeriesInfo) -> float:
    """Give the larger of slice distance and thickness: either one hides small nodules."""
    return max(info.spacing_mm[0] if info.spacing_mm else 0.0, info.slice_thickness_mm or 0.0)


def _is_sharp(info: SeriesInfo, settings: ReadSettings) -> bool:
    kernel = info.kernel or ""
    return any(re.match(pattern, kernel, re.IGNORECASE) for pattern in settings.sharp_kernels)
