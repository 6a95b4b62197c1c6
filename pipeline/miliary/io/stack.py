"""Judging a stack of slices: a sound grid, or a code and a sentence that says what is wrong.

Only positions and orientations count. Slice thickness, spacing between slices and instance
number are hearsay: other readers that believe them are wrong without saying so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from miliary.arrays import FloatArray
from miliary.config.reading import ReadSettings
from miliary.io.grouping import mixed_frames, normal_of, positions_of, without_copies
from miliary.io.headers import SliceHeader
from miliary.io.identity import masked_path
from miliary.io.resample import Resampling, plan_resampling
from miliary.io.spacing import Spacing, judge_spacing

#: Rescale types that may be HU: US is "unspecified", which many scanners write.
_HU_TYPES = ("HU", "HOUNS", "US")

#: A slice no farther from its place than this part of a step is kept where others are missing,
#: and where distances vary.
_KEPT_MISSING, _KEPT_VARIABLE = 0.25, 0.02

Verdict = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Judged:
    """Slices in order, and what was found of them.

    Parameters
    ----------
    slices : tuple of SliceHeader
        In order along the normal where that could be judged; copies left out.
    code : str
        `OK`, a warning `W_...`, or the reason of refusal `E_...` or `SKIP_...`.
    reason : str
        Sentences that go with the code.
    affine : (4, 4) float or None
        Maps `(slice, row, column)` of the grid to world points; None where refused.
    resampling : Resampling or None
        How the grid is made of the slices; None where they are the grid.
    resampled : str
        The same in words; empty where they are the grid.
    """

    slices: tuple[SliceHeader, ...]
    code: str
    reason: str
    affine: FloatArray | None = None
    resampling: Resampling | None = None
    resampled: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the grid."""
        made, first = self.resampling, self.slices[0]
        if made is None:
            return len(self.slices), first.rows, first.columns
        return made.n_slices, made.rows, made.columns


def judge(slices: Sequence[SliceHeader], settings: ReadSettings) -> Judged:
    """Judge the slices of one series and one grid.

    Parameters
    ----------
    slices : sequence of SliceHeader
        At least one.
    settings : ReadSettings
        Limits.

    Returns
    -------
    Judged
        The verdict.
    """
    unique, copies = without_copies(slices)
    refusal = _unfit(unique, settings)
    if refusal:
        return Judged(tuple(unique), *refusal)
    normal = normal_of(unique[0])
    points = positions_of(unique)
    order = np.argsort(points @ normal, kind="stable")
    ordered, points = tuple(unique[i] for i in order), points[order]
    spacing = judge_spacing(ordered, points, normal, settings, lambda s: name_of(s, settings))
    refused = [fault for fault in spacing.faults if fault.allowed not in settings.allow]
    if refused:
        return Judged(ordered, f"E_{refused[0].code}", refused[0].sentence)
    refusal = _too_few(ordered, spacing, settings) or _mixed(ordered)
    if refusal:
        return Judged(ordered, *refusal)
    found = [(f"W_{fault.code}", fault.mended) for fault in spacing.faults]
    resampled = " ".join(sentence for _, sentence in found)
    found += _warnings(ordered, copies)
    code = found[0][0] if found else "OK"
    reason = " ".join(sentence for _, sentence in found)
    if not resampled:
        return Judged(ordered, code, reason, _affine(ordered[0], points, normal))
    affine, plan = _resampled(ordered[0], points, normal, spacing)
    refusal = _too_big(plan.n_slices, plan.rows, plan.columns, settings)
    if refusal:
        return Judged(ordered, *refusal)
    return Judged(ordered, code, reason, affine, plan, resampled)


def name_of(header: SliceHeader, settings: ReadSettings) -> str:
    """Name a slice's file for a sentence, without telling the patient.

    Parameters
    ----------
    header : SliceHeader
        The slice.
    settings : ReadSettings
        Whether paths are masked.

    Returns
    -------
    str
        The file's name, or the member's number in a zip; with the frame where there are several.
    """
    source = header.source
    name = source.relative.rsplit("/", 1)[-1]
    if settings.mask_paths:
        name = masked_path(name, header.secrets)
    if source.is_member:
        name = f"member {source.member + 1} of {name}"
    return f"{name}, frame {header.frame + 1}" if header.frame else name


def _unfit(slices: Sequence[SliceHeader], settings: ReadSettings) -> Verdict | None:
    """Find what forbids to look at the positions at all."""
    first, n = slices[0], len(slices)
    if first.kind == "localizer":
        return "SKIP_LOCALIZER", f"a localizer of {n} slice(s) is not a volume."
    if first.kind == "projection":
        return "SKIP_PROJECTION", (
            f"a volume must hold what was scanned, got {n} projection(s), such as of the highest "
            "values in a slab."
        )
    for code, is_wrong, must in _RULES:
        # Of a stray slice or two it need not be told that they could not be read either.
        if n < settings.min_slices and code not in _OF_FEW:
            continue
        wrong = [item for item in slices if is_wrong(item, settings)]
        if wrong:
            got = f"got {len(wrong)} of {n} without, first {name_of(wrong[0], settings)}"
            return code, f"{must(wrong[0], settings)}, {got}."
    bare = [item for item in slices if item.slope is None or item.intercept is None]
    if 0 < len(bare) < n:
        return "E_NO_RESCALE", (
            f"all slices must state their rescale, or none, got {len(bare)} of {n} without, first "
            f"{name_of(bare[0], settings)}."
        )
    return _too_big(n, first.rows, first.columns, settings)


def _lacks_geometry(item: SliceHeader, _: ReadSettings) -> bool:
    return not (item.position_mm and item.across and item.pixel_mm and min(_size(item)) > 0)


def _is_implausible(item: SliceHeader, settings: ReadSettings) -> bool:
    low, high = settings.pixel_mm
    pixel, place = item.pixel_mm or (0.0, 0.0), item.position_mm or (math.inf,)
    return not low <= min(pixel) <= max(pixel) <= high or any(
        abs(value) > settings.position_mm for value in place
    )


def _tell_implausible(item: SliceHeader, settings: ReadSettings) -> str:
    low, high = settings.pixel_mm
    y, x = item.pixel_mm or (0.0, 0.0)
    return (
        f"slices of a chest CT must have pixels of {low:g} to {high:g} mm within "
        f"{settings.position_mm:g} mm, here {y:.4g} x {x:.4g} mm"
    )


def _size(item: SliceHeader) -> tuple[int, int]:
    return item.rows, item.columns


#: Code, whether a slice breaks the rule, and the rule as the beginning of a sentence; in order.
_RULES: tuple[
    tuple[
        str,
        Callable[[SliceHeader, ReadSettings], bool],
        Callable[[SliceHeader, ReadSettings], str],
    ],
    ...,
] = (
    (
        "E_NO_GEOMETRY",
        _lacks_geometry,
        lambda *_: "every slice must state its size, position, orientation and pixel spacing",
    ),
    ("E_NOT_PLAUSIBLE", _is_implausible, _tell_implausible),
    (
        "E_PIXELS",
        lambda item, _: bool(item.pixels.fault),
        lambda item, _: f"every slice must hold its pixels whole, here {item.pixels.fault}",
    ),
    (
        "E_SLOPE0",
        lambda item, _: item.slope == 0,
        lambda *_: "every slice must have a rescale slope that is not 0",
    ),
    (
        "E_RESCALE",
        lambda item, _: math.isnan(item.slope or 0.0) or math.isnan(item.intercept or 0.0),
        lambda *_: "every slice must have numbers for its rescale",
    ),
    (
        "E_NOT_HU",
        lambda item, _: bool(item.rescale_type) and not item.rescale_type.startswith(_HU_TYPES),
        lambda *_: "every slice must have values in HU by its rescale type",
    ),
)


#: Rules without which nothing can be said of slices, however few.
_OF_FEW = ("E_NO_GEOMETRY", "E_NOT_PLAUSIBLE")


def _mixed(slices: Sequence[SliceHeader]) -> Verdict | None:
    sentence = mixed_frames(slices)
    return ("E_MIXED_FRAMES", sentence) if sentence else None


def _too_big(n: int, rows: int, columns: int, settings: ReadSettings) -> Verdict | None:
    size_mb = n * rows * columns * 2 / 2**20
    if n > settings.max_slices or max(rows, columns) > settings.max_rows:
        return "E_TOO_BIG", (
            f"a series must have at most {settings.max_slices} slices of {settings.max_rows} "
            f"pixels a side, got {n} of {rows} x {columns}."
        )
    if size_mb > settings.max_volume_mb:
        return "E_TOO_BIG", (
            f"a series must take at most {settings.max_volume_mb:.0f} MB, got {size_mb:.0f} MB."
        )
    return None


def _too_few(
    slices: Sequence[SliceHeader], spacing: Spacing, settings: ReadSettings
) -> Verdict | None:
    one_place = bool(np.ptp(spacing.z_mm) < settings.coincident_mm)
    if len(slices) >= settings.min_slices and not one_place:
        return None
    at = " at one place" if one_place and len(slices) > 1 else ""
    return "SKIP_TOO_FEW", (
        f"a volume needs at least {settings.min_slices} slices, got {len(slices)}{at}."
    )


def _warnings(slices: Sequence[SliceHeader], copies: int) -> list[Verdict]:
    found = []
    if copies:
        found.append(("W_DUP_FILES", f"{copies} file(s) repeat a slice and were left out."))
    n_bare = sum(s.slope is None or s.intercept is None for s in slices)
    if n_bare:
        found.append(
            ("W_NO_RESCALE", f"{n_bare} slice(s) state no rescale; their values are taken as HU.")
        )
    if any(s.monochrome1 for s in slices):
        found.append(
            (
                "W_MONO1_NOT_INVERTED",
                "MONOCHROME1 slices were read as HU, not inverted for display.",
            )
        )
    return found


def _resampled(
    first: SliceHeader, points: FloatArray, normal: FloatArray, spacing: Spacing
) -> tuple[FloatArray, Resampling]:
    """Lay the even, upright grid that stands in for the slices."""
    across, down = np.array(first.across, float), np.array(first.down, float)
    pixel_mm = first.pixel_mm or (1.0, 1.0)
    even = len(spacing.places_mm) == 0
    places_mm = spacing.z_mm if even else spacing.places_mm
    if even:
        # Only tilted: the slices keep their places, but for what headers round.
        places_mm = np.linspace(places_mm[0], places_mm[-1], len(places_mm))
    step = float(places_mm[1] - places_mm[0])
    varies = any(fault.allowed == "variable" for fault in spacing.faults)
    plan, corner_mm = plan_resampling(
        spacing.z_mm,
        places_mm,
        np.array([spacing.lean @ down, spacing.lean @ across]),
        pixel_mm,
        (first.rows, first.columns),
        keep_mm=step * (_KEPT_VARIABLE if varies else _KEPT_MISSING),
    )
    sideways = points - np.outer(spacing.z_mm, normal + spacing.lean)
    affine = np.eye(4)
    affine[:3, 0] = normal * step
    affine[:3, 1] = down * pixel_mm[0]
    affine[:3, 2] = across * pixel_mm[1]
    affine[:3, 3] = (
        sideways.mean(axis=0) + normal * places_mm[0] + down * corner_mm[0] + across * corner_mm[1]
    )
    return affine, plan


def _affine(first: SliceHeader, points: FloatArray, normal: FloatArray) -> FloatArray:
    """Lay an even grid through the positions: least squares along the normal, the mean across."""
    z_mm = points @ normal
    index = np.arange(len(z_mm)) - (len(z_mm) - 1) / 2
    # Positions are written with about six digits: 0.8 mm comes back as 0.79999999979.
    step = round(float(index @ z_mm / (index @ index)), 7)
    sideways = (points - np.outer(z_mm, normal)).mean(axis=0)
    row_mm, column_mm = first.pixel_mm or (1.0, 1.0)
    affine = np.eye(4)
    affine[:3, 0] = normal * step
    affine[:3, 1] = np.array(first.down, float) * row_mm
    affine[:3, 2] = np.array(first.across, float) * column_mm
    affine[:3, 3] = sideways + normal * (z_mm.mean() + index[0] * step)
    return affine
