"""Parting slices: by patient and series, by grid, and by phase where positions repeat."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from miliary.arrays import FloatArray
from miliary.config.reading import ReadSettings
from miliary.io.headers import SliceHeader
from miliary.io.spacing import FEWEST_TO_JUDGE

#: What may tell phases apart, tried in this order.
_PHASE_MARKS: tuple[Callable[[SliceHeader], object], ...] = (
    lambda item: item.temporal_position,
    lambda item: item.acquisition_number,
    lambda item: item.acquisition.kernel or "",
    lambda item: item.acquisition.kvp or 0.0,
)


def by_series(headers: Iterable[SliceHeader]) -> list[list[SliceHeader]]:
    """Part slices by study and series.

    Parameters
    ----------
    headers : iterable of SliceHeader
        All that were found.

    Returns
    -------
    list of list of SliceHeader
        One list a series. Without a UID the folder tells series apart.
    """
    series = defaultdict(list)
    for header in headers:
        name = header.series_uid or f"folder {header.source.folder}"
        series[header.study_uid, name].append(header)
    return list(series.values())


def by_grid(headers: Iterable[SliceHeader], settings: ReadSettings) -> list[list[SliceHeader]]:
    """Part a series by size, orientation, pixel spacing and stack.

    Parameters
    ----------
    headers : iterable of SliceHeader
        Of one series.
    settings : ReadSettings
        Tolerance.

    Returns
    -------
    list of list of SliceHeader
        One list a grid; localizers and projections stay by themselves.
    """
    grids: dict[tuple[object, ...], list[tuple[list[float], list[SliceHeader]]]] = {}
    for header in headers:
        numbers = [*(header.across or ()), *(header.down or ()), *(header.pixel_mm or ())]
        kind = (header.rows, header.columns, header.kind, header.stack)
        alike = grids.setdefault((*kind, len(numbers)), [])
        for other, members in alike:
            if all(abs(a - b) <= settings.same_direction for a, b in zip(numbers, other)):  # noqa: B905
                members.append(header)
                break
        else:
            alike.append((numbers, [header]))
    return [members for alike in grids.values() for _, members in alike]


def mixed_frames(slices: Sequence[SliceHeader]) -> str:
    """Say whether slices of one grid lie in several frames of reference.

    Parameters
    ----------
    slices : sequence of SliceHeader
        Of one series and one grid.

    Returns
    -------
    str
        A sentence; empty where nothing is mixed. Strays do not count, and some anonymisers give
        every slice a frame of its own.
    """
    large = _large_parts(slices, lambda item: item.frame_uid)
    if len(large) < 2:
        return ""
    told = " and ".join(str(len(part)) for part in large)
    return (
        f"a series must have one frame of reference, got {told} slices in different ones, whose "
        "positions cannot be compared; export them apart."
    )


def _large_parts(
    slices: Sequence[SliceHeader], mark: Callable[[SliceHeader], str]
) -> list[list[SliceHeader]]:
    parts = defaultdict(list)
    for item in slices:
        parts[mark(item)].append(item)
    return [parts[key] for key in sorted(parts) if len(parts[key]) >= FEWEST_TO_JUDGE]


def mixed_grids(groups: Sequence[Sequence[SliceHeader]]) -> tuple[str, str] | None:
    """Tell whether one series lies on several grids of one orientation.

    Parameters
    ----------
    groups : sequence of sequence of SliceHeader
        The grids of one series.

    Returns
    -------
    (str, str) or None
        Code and sentence; None where there is one grid a stack, beside strays of one or two slices.
    """
    grids = [
        group
        for group in groups
        if len(group) >= FEWEST_TO_JUDGE and group[0].kind == "slice" and group[0].pixel_mm
    ]
    by_direction = Counter(_direction_key(group[0]) for group in grids)
    mixed = [group for group in grids if by_direction[_direction_key(group[0])] > 1]
    if not mixed:
        return None
    shapes = [
        f"{group[0].rows} x {group[0].columns} pixels of {group[0].pixel_mm[0]:.4g} x "
        f"{group[0].pixel_mm[1]:.4g} mm"
        for group in mixed
        if group[0].pixel_mm
    ]
    parts = [f"{len(group)} slices of {shape}" for group, shape in zip(mixed, shapes, strict=True)]
    told = " and ".join(parts)
    return (
        "E_MIXED_SPACING",
        f"a series must lie on one grid, got {told}; export them apart.",
    )


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
    unique, _ = without_copies(slices)
    if unique[0].across is None or any(item.position_mm is None for item in unique):
        return [list(slices)]
    repeats = _repeats(unique, settings)
    if repeats or _is_uneven(unique, settings):
        for mark in _PHASE_MARKS:
            parts = defaultdict(list)
            for item in unique:
                parts[str(mark(item))].append(item)
            if (
                len(parts) > 1
                and not any(_repeats(part, settings) for part in parts.values())
                and (repeats or _interleave(list(parts.values())))
            ):
                return [parts[key] for key in sorted(parts)]
    if not repeats:
        # Careless anonymisation leaves two patients under one UID, one above the other.
        patients = _large_parts(slices, lambda item: item.secrets[0])
        if len(patients) > 1 and sum(map(len, patients)) == len(slices):
            return patients
    return [list(slices)]


def _places(slices: Sequence[SliceHeader]) -> FloatArray:
    return np.sort(positions_of(slices) @ normal_of(slices[0]))


def _repeats(slices: Sequence[SliceHeader], settings: ReadSettings) -> bool:
    return bool((np.diff(_places(slices)) < settings.coincident_mm).any())


def _is_uneven(slices: Sequence[SliceHeader], settings: ReadSettings) -> bool:
    steps_mm = np.diff(_places(slices))
    step = np.median(steps_mm) if len(steps_mm) else 0.0
    return bool((np.abs(steps_mm - step) > settings.step_tolerance * step).any())


def _interleave(parts: Sequence[Sequence[SliceHeader]]) -> bool:
    """Tell whether slices of one part lie between those of another: phases, not continuations."""
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    points = np.concatenate([positions_of(part) for part in parts])
    along = owner[np.argsort(points @ normal_of(parts[0][0]), kind="stable")]
    # Parts one above the other change hands once less than there are parts.
    return int((np.diff(along) != 0).sum()) >= len(parts)


def without_copies(slices: Sequence[SliceHeader]) -> tuple[list[SliceHeader], int]:
    """Leave out files that repeat an instance at its place.

    Parameters
    ----------
    slices : sequence of SliceHeader
        Of one series.

    Returns
    -------
    list of SliceHeader
        The first whole one of each.
    int
        How many were left out.
    """
    first: dict[tuple[object, ...], SliceHeader] = {}
    for item in slices:
        # Without a UID nothing proves that two files are copies.
        key = (item.sop_uid or id(item), item.frame, item.position_mm)
        if key not in first or (first[key].pixels.fault and not item.pixels.fault):
            first[key] = item
    return list(first.values()), len(slices) - len(first)


def normal_of(header: SliceHeader) -> FloatArray:
    """Give the unit normal of a slice.

    Parameters
    ----------
    header : SliceHeader
        With both directions.

    Returns
    -------
    (3,) float
        Across times down.
    """
    normal: FloatArray = np.cross(np.array(header.across, float), np.array(header.down, float))
    return normal / np.linalg.norm(normal)


def positions_of(slices: Sequence[SliceHeader]) -> FloatArray:
    """Give the positions of slices.

    Parameters
    ----------
    slices : sequence of SliceHeader
        All with a position.

    Returns
    -------
    (n, 3) float
        World points of their first voxels.
    """
    return np.array([item.position_mm for item in slices], float).reshape(-1, 3)


def _direction_key(header: SliceHeader) -> tuple[object, ...]:
    numbers = (*(header.across or ()), *(header.down or ()))
    return (header.stack, *(round(value, 2) + 0.0 for value in numbers))
