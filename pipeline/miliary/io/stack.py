"""Judging a stack of slices: a sound grid, or a code and a sentence that says what is wrong.

Only positions and orientations count. Slice thickness, spacing between slices and instance
number are hearsay: other readers that believe them are wrong without saying so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from miliary.arrays import FloatArray
from miliary.config.reading import ReadSettings
from miliary.io.headers import SliceHeader
from miliary.io.identity import masked_path

#: Distances that hold this many slices or fewer cannot be called even or uneven.
_FEWEST_TO_JUDGE = 3

#: Rescale types that may be HU: US is "unspecified", which many scanners write.
_HU_TYPES = ("HU", "HOUNS", "US")


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
        Maps `(slice, row, column)` to world points; None where refused.
    """

    slices: tuple[SliceHeader, ...]
    code: str
    reason: str
    affine: FloatArray | None = None


def split_phases(slices: Sequence[SliceHeader], settings: ReadSettings) -> list[list[SliceHeader]]:
    """Part a series whose positions repeat into phases, where the headers tell them apart.

    Parameters
    ----------
    slices : sequence of SliceHeader
        Of one series and one grid.
    settings : ReadSettings
        Limits.

    Returns
    -------
    list of list of SliceHeader
        The phases; all slices in one list where nothing repeats or nothing tells.
    """
    unique, _ = _without_copies(slices)
    if not _repeats(unique, settings):
        return [list(slices)]
    for name in ("temporal_position", "acquisition_number"):
        parts = defaultdict(list)
        for item in unique:
            parts[getattr(item, name)].append(item)
        if len(parts) > 1 and not any(_repeats(part, settings) for part in parts.values()):
            return [parts[key] for key in sorted(parts)]
    return [list(slices)]


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
    unique, copies = _without_copies(slices)
    refusal = _unfit(unique, settings)
    if refusal:
        return Judged(tuple(unique), *refusal)
    normal = _normal(unique[0])
    points = _positions(unique)
    order = np.argsort(points @ normal, kind="stable")
    ordered, points = [unique[i] for i in order], points[order]
    refusal = _uneven(ordered, points, normal, settings) or _too_few(ordered, settings)
    if refusal:
        return Judged(tuple(ordered), *refusal)
    warnings = _warnings(ordered, copies)
    code = warnings[0][0] if warnings else "OK"
    sentences = " ".join(sentence for _, sentence in warnings)
    return Judged(tuple(ordered), code, sentences, _affine(ordered[0], points, normal))


def mixed_grids(groups: Sequence[Sequence[SliceHeader]]) -> str:
    """Say whether one series lies on several grids of one orientation.

    Parameters
    ----------
    groups : sequence of sequence of SliceHeader
        The grids of one series.

    Returns
    -------
    str
        A sentence; empty where there is one grid, beside strays of one or two slices.
    """
    grids = [
        group
        for group in groups
        if len(group) >= _FEWEST_TO_JUDGE and not group[0].is_localizer and group[0].pixel_mm
    ]
    by_direction = Counter(_direction_key(group[0]) for group in grids)
    mixed = [group for group in grids if by_direction[_direction_key(group[0])] > 1]
    if not mixed:
        return ""
    parts = [
        f"{len(group)} slices of {group[0].rows} x {group[0].columns} pixels of "
        f"{group[0].pixel_mm[0]:.4g} x {group[0].pixel_mm[1]:.4g} mm"
        for group in mixed
        if group[0].pixel_mm
    ]
    return f"a series must lie on one grid, got {' and '.join(parts)}; export them apart"


def _direction_key(header: SliceHeader) -> tuple[float, ...]:
    return tuple(round(value, 2) + 0.0 for value in (*(header.across or ()), *(header.down or ())))


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


def _without_copies(slices: Sequence[SliceHeader]) -> tuple[list[SliceHeader], int]:
    """Leave out files that repeat an instance at its place; the first of each stays."""
    first: dict[tuple[object, ...], SliceHeader] = {}
    for item in slices:
        # Without a UID nothing proves that two files are copies.
        key = (item.sop_uid or id(item), item.frame, item.position_mm)
        first.setdefault(key, item)
    return list(first.values()), len(slices) - len(first)


def _unfit(slices: Sequence[SliceHeader], settings: ReadSettings) -> tuple[str, str] | None:
    """Find what forbids to look at the positions at all."""
    first, n = slices[0], len(slices)
    if first.is_localizer:
        return "SKIP_LOCALIZER", f"a localizer of {n} slice(s) is not a volume."
    lost = [s for s in slices if not (s.position_mm and s.across and s.pixel_mm and s.rows > 0)]
    if lost:
        return "E_NO_GEOMETRY", (
            f"every slice must state its position, orientation and pixel spacing, got {len(lost)} "
            f"of {n} without, first {name_of(lost[0], settings)}."
        )
    flat = [s for s in slices if s.slope == 0]
    if flat:
        return "E_SLOPE0", (
            f"the rescale slope must not be 0, got 0 in {len(flat)} of {n} slices, first "
            f"{name_of(flat[0], settings)}."
        )
    other = [s for s in slices if not s.rescale_type.startswith(_HU_TYPES) and s.rescale_type]
    if other:
        return "E_NOT_HU", f"values must be in HU, got another rescale type in {len(other)} slices."
    return _too_big(slices, settings)


def _too_big(slices: Sequence[SliceHeader], settings: ReadSettings) -> tuple[str, str] | None:
    first, n = slices[0], len(slices)
    size_mb = n * first.rows * first.columns * 2 / 2**20
    if n > settings.max_slices or max(first.rows, first.columns) > settings.max_rows:
        return "E_TOO_BIG", (
            f"a series must have at most {settings.max_slices} slices of {settings.max_rows} "
            f"pixels a side, got {n} of {first.rows} x {first.columns}."
        )
    if size_mb > settings.max_volume_mb:
        return "E_TOO_BIG", (
            f"a series must take at most {settings.max_volume_mb:.0f} MB, got {size_mb:.0f} MB."
        )
    return None


def _too_few(slices: Sequence[SliceHeader], settings: ReadSettings) -> tuple[str, str] | None:
    if len(slices) >= settings.min_slices:
        return None
    return "SKIP_TOO_FEW", (
        f"a volume needs at least {settings.min_slices} slices, got {len(slices)}."
    )


def _uneven(
    slices: Sequence[SliceHeader], points: FloatArray, normal: FloatArray, settings: ReadSettings
) -> tuple[str, str] | None:
    """Find what keeps ordered slices from being an even, upright stack."""
    z_mm = points @ normal
    steps_mm = np.diff(z_mm)
    at_one_place = int((steps_mm < settings.coincident_mm).sum())
    if len(slices) > at_one_place + 1 >= 2:
        return _coincident(slices, steps_mm, settings)
    if at_one_place or len(slices) < 2:
        return _too_few(slices[: len(slices) - at_one_place], settings)
    return _tilted(slices, points, normal, settings) or _gaps(slices, z_mm, steps_mm, settings)


def _coincident(
    slices: Sequence[SliceHeader], steps_mm: FloatArray, settings: ReadSettings
) -> tuple[str, str]:
    same = steps_mm < settings.coincident_mm
    i = int(np.argmax(same))
    pair = f"{name_of(slices[i], settings)} and {name_of(slices[i + 1], settings)}"
    places = len(slices) - int(same.sum())
    # Two phases repeat (nearly) every place; a stray slice repeats one or two.
    if same.sum() >= 0.8 * places:
        return "E_OVERLAPPING_PHASES", (
            f"a series must hold one phase, got {len(slices)} slices at {places} positions that "
            f"no tag tells apart, such as {pair}."
        )
    return "E_DUP_POSITIONS", (
        f"slices must lie apart, got {int(same.sum())} at the position of another, such as {pair}."
    )


def _tilted(
    slices: Sequence[SliceHeader], points: FloatArray, normal: FloatArray, settings: ReadSettings
) -> tuple[str, str] | None:
    z_mm = points @ normal
    sideways = points - np.outer(z_mm, normal)
    centred_z, centred = z_mm - z_mm.mean(), sideways - sideways.mean(axis=0)
    lean = centred_z @ centred / (centred_z @ centred_z)
    angle = float(np.degrees(np.arctan(np.linalg.norm(lean))))
    off_mm = np.linalg.norm(centred - np.outer(centred_z, lean), axis=1)
    worst = int(np.argmax(off_mm))
    if off_mm[worst] > settings.shift_mm:
        return "E_SHIFTED_SLICES", (
            f"slices must lie above one another, got {off_mm[worst]:.2f} mm sideways at "
            f"{name_of(slices[worst], settings)}."
        )
    if angle > settings.tilt_deg:
        return "E_GANTRY_TILT", (
            f"slices must be stacked along their normal, got a tilt of {angle:.1f} degrees, "
            f"{np.linalg.norm(lean) * np.ptp(z_mm):.1f} mm over {np.ptp(z_mm):.0f} mm."
        )
    return None


def _gaps(
    slices: Sequence[SliceHeader], z_mm: FloatArray, steps_mm: FloatArray, settings: ReadSettings
) -> tuple[str, str] | None:
    if len(slices) < _FEWEST_TO_JUDGE:
        return None
    # In a short stack with one gap the median may be the gap: then it is called uneven.
    step = float(np.median(steps_mm))
    wrong = np.abs(steps_mm - step) > settings.step_tolerance * step
    if not wrong.any():
        return _drift(z_mm, step)
    i = int(np.argmax(wrong))
    pair = f"{name_of(slices[i], settings)} and {name_of(slices[i + 1], settings)}"
    multiple = np.rint(steps_mm[wrong] / step)
    whole = np.abs(steps_mm[wrong] - multiple * step) <= settings.step_tolerance * step * multiple
    if (whole & (multiple >= 2)).all():
        return "E_MISSING_SLICES", (
            f"slices must follow each other every {step:.4g} mm, got {int((multiple - 1).sum())} "
            f"missing, first between {pair}, {steps_mm[i]:.4g} mm apart."
        )
    return "E_VARIABLE_SPACING", (
        f"slices must be evenly spaced, got distances of {steps_mm.min():.4g} to "
        f"{steps_mm.max():.4g} mm (median {step:.4g} mm), first odd one between {pair}."
    )


def _drift(z_mm: FloatArray, step: float) -> tuple[str, str] | None:
    """Find a spacing that changes little by little, each step within the tolerance."""
    even = np.linspace(z_mm[0], z_mm[-1], len(z_mm))
    off_mm = float(np.abs(z_mm - even).max())
    if off_mm <= step / 2:
        return None
    return "E_VARIABLE_SPACING", (
        f"slices must be evenly spaced, got one {off_mm:.4g} mm away from its place on an even "
        f"grid of {step:.4g} mm."
    )


def _warnings(slices: Sequence[SliceHeader], copies: int) -> list[tuple[str, str]]:
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


def _repeats(slices: Sequence[SliceHeader], settings: ReadSettings) -> bool:
    if slices[0].across is None or any(s.position_mm is None for s in slices):
        return False
    z_mm = np.sort(_positions(slices) @ _normal(slices[0]))
    return bool((np.diff(z_mm) < settings.coincident_mm).any())


def _normal(header: SliceHeader) -> FloatArray:
    normal: FloatArray = np.cross(np.array(header.across, float), np.array(header.down, float))
    return normal / np.linalg.norm(normal)


def _positions(slices: Sequence[SliceHeader]) -> FloatArray:
    return np.array([s.position_mm for s in slices], float)


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
