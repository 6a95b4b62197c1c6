"""What keeps ordered slices from being an even, upright stack; and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from miliary.arrays import FloatArray
from miliary.config.reading import ReadSettings
from miliary.io.headers import SliceHeader

#: Two distances or fewer cannot be called even or uneven.
FEWEST_TO_JUDGE = 3

#: Slices that a sentence names before it stops.
_MOST_NAMED = 3

Name = Callable[[SliceHeader], str]


@dataclass(frozen=True)
class Fault:
    """Something wrong with a stack.

    Parameters
    ----------
    code : str
        Its name, without the `E_`.
    sentence : str
        What must hold, and what was got.
    allowed : str
        What in `read.allow` lets it be resampled; empty where nothing does.
    mended : str
        What is said where it was resampled.
    """

    code: str
    sentence: str
    allowed: str = ""
    mended: str = ""


@dataclass(frozen=True, eq=False)
class Spacing:
    """Where slices lie, and where they should.

    Parameters
    ----------
    faults : tuple of Fault
        The worst first; none for a sound stack.
    z_mm : (n,) float
        Places along the normal.
    places_mm : (K,) float
        Even ones instead; empty where no fault asks for it.
    lean : (3,) float
        How far slices move sideways for each mm along the normal; zeros without tilt.
    """

    faults: tuple[Fault, ...]
    z_mm: FloatArray
    places_mm: FloatArray
    lean: FloatArray


def judge_spacing(
    slices: Sequence[SliceHeader],
    points: FloatArray,
    normal: FloatArray,
    settings: ReadSettings,
    name: Name,
) -> Spacing:
    """Judge the positions of ordered slices.

    Parameters
    ----------
    slices : sequence of SliceHeader
        In order along the normal.
    points : (n, 3) float
        Their positions in the world.
    normal : (3,) float
        Unit normal of the slices.
    settings : ReadSettings
        Limits.
    name : callable
        Names a slice's file in a sentence.

    Returns
    -------
    Spacing
        Places and faults.
    """
    z_mm = points @ normal
    steps_mm = np.diff(z_mm)
    nothing, upright = np.zeros(0), np.zeros(3)
    fault = _coincident(slices, steps_mm, settings, name)
    if fault or len(slices) < 2 or z_mm[-1] - z_mm[0] < settings.coincident_mm:
        return Spacing((fault,) if fault else (), z_mm, nothing, upright)
    # Before all else: with such steps the grid in between would not fit any memory.
    faults = _implausible(float(np.median(steps_mm)), settings)
    if faults:
        return Spacing(tuple(faults), z_mm, nothing, upright)
    lean, shifted, tilted = _tilt(slices, points, normal, settings, name)
    places_mm, uneven = _gaps(slices, z_mm, settings, name)
    found = tuple(fault for fault in (shifted, tilted, uneven) if fault)
    return Spacing(found, z_mm, places_mm, lean if tilted else upright)


def _coincident(
    slices: Sequence[SliceHeader], steps_mm: FloatArray, settings: ReadSettings, name: Name
) -> Fault | None:
    same = steps_mm < settings.coincident_mm
    # All at one place: that is one slice many times over, and too few for anything.
    if not same.any() or same.all():
        return None
    i = int(np.argmax(same))
    pair = f"{name(slices[i])} and {name(slices[i + 1])}"
    places = len(slices) - int(same.sum())
    # Two phases repeat (nearly) every place; a stray slice repeats one or two.
    if same.sum() >= 0.8 * places:
        return Fault(
            "OVERLAPPING_PHASES",
            f"a series must hold one phase, got {len(slices)} slices at {places} positions that "
            f"no tag tells apart, such as {pair}; export the phases as series of their own.",
        )
    return Fault(
        "DUP_POSITIONS",
        f"slices must lie apart, got {int(same.sum())} within {settings.coincident_mm:g} mm of "
        f"another, such as {pair}; take away the ones that do not belong.",
    )


def _tilt(
    slices: Sequence[SliceHeader],
    points: FloatArray,
    normal: FloatArray,
    settings: ReadSettings,
    name: Name,
) -> tuple[FloatArray, Fault | None, Fault | None]:
    """Fit the line through the first voxels; tell of slices beside it, and of its tilt."""
    z_mm = points @ normal
    sideways = points - np.outer(z_mm, normal)
    centred_z, centred = z_mm - z_mm.mean(), sideways - sideways.mean(axis=0)
    lean: FloatArray = centred_z @ centred / (centred_z @ centred_z)
    off_mm = np.linalg.norm(centred - np.outer(centred_z, lean), axis=1)
    worst = int(np.argmax(off_mm))
    if off_mm[worst] > settings.shift_mm:
        sentence = (
            f"slices must lie above one another, got {off_mm[worst]:.2f} mm sideways at "
            f"{name(slices[worst])}; it is of another series, or its header is damaged."
        )
        return lean, Fault("SHIFTED_SLICES", sentence), None
    angle = float(np.degrees(np.arctan(np.linalg.norm(lean))))
    if angle <= settings.tilt_deg:
        return lean, None, None
    length = float(np.ptp(z_mm))
    told = (
        f"a tilt of {angle:.1f} degrees, {np.linalg.norm(lean) * length:.1f} mm over "
        f"{length:.0f} mm"
    )
    return (
        lean,
        None,
        Fault(
            "GANTRY_TILT",
            f"slices must be stacked along their normal, got {told}; --allow tilt shears them "
            "upright.",
            "tilt",
            f"The gantry had {told}; all slices were sheared upright by linear interpolation.",
        ),
    )


def _gaps(
    slices: Sequence[SliceHeader], z_mm: FloatArray, settings: ReadSettings, name: Name
) -> tuple[FloatArray, Fault | None]:
    """Find missing slices and uneven distances, and the even places instead."""
    steps_mm = np.diff(z_mm)
    nothing = np.zeros(0)
    if len(slices) < FEWEST_TO_JUDGE:
        return nothing, None
    # In a short stack with one gap the median may be the gap: then it is called uneven.
    step = float(np.median(steps_mm))
    wrong = np.abs(steps_mm - step) > settings.step_tolerance * step
    if not wrong.any():
        return _drift(z_mm, step)
    pairs = [
        f"{name(slices[i])} and {name(slices[i + 1])} ({steps_mm[i]:.4g} mm apart)"
        for i in np.flatnonzero(wrong)[:_MOST_NAMED]
    ]
    pairs += ["..."] if wrong.sum() > len(pairs) else []
    wide = bool(steps_mm.max() > settings.max_gap_mm)
    limit = f"; gaps of more than {settings.max_gap_mm:g} mm are not filled." if wide else ""
    counts = np.rint(steps_mm / step)
    whole = np.abs(steps_mm - counts * step) <= settings.step_tolerance * step * counts
    if (whole & (counts >= 1)).all():
        index = np.concatenate([[0.0], np.cumsum(counts)])
        places_mm = nothing if wide else _even_places(z_mm, index)
        return places_mm, _missing(int(index[-1]) + 1, len(slices), step, pairs, limit)
    told = (
        f"distances of {steps_mm.min():.4g} to {steps_mm.max():.4g} mm (median {step:.4g} mm), "
        f"first odd one between {pairs[0]}"
    )
    return nothing if wide else _spread(z_mm, step), _variable(told, step, limit)


def _missing(n_wanted: int, n: int, step: float, pairs: list[str], limit: str) -> Fault:
    return Fault(
        "MISSING_SLICES",
        f"slices must follow each other every {step:.4g} mm, got {n_wanted - n} missing, first "
        f"between {pairs[0]}" + (limit or "; --allow missing interpolates them."),
        "" if limit else "missing",
        f"{n_wanted - n} missing slice(s) of {n_wanted} were interpolated linearly between their "
        f"neighbours: between {', '.join(pairs)}.",
    )


def _drift(z_mm: FloatArray, step: float) -> tuple[FloatArray, Fault | None]:
    """Find a spacing that changes little by little, each step within the tolerance."""
    even = np.linspace(z_mm[0], z_mm[-1], len(z_mm))
    off_mm = float(np.abs(z_mm - even).max())
    if off_mm <= step / 2:
        return np.zeros(0), None
    told = f"one {off_mm:.4g} mm away from its place on an even grid of {step:.4g} mm"
    return even, _variable(told, step, "")


def _variable(told: str, step: float, limit: str) -> Fault:
    return Fault(
        "VARIABLE_SPACING",
        f"slices must be evenly spaced, got {told}"
        + (limit or "; --allow variable interpolates them."),
        "" if limit else "variable",
        f"Slices at {told} were interpolated linearly onto an even grid of about {step:.4g} mm.",
    )


def _implausible(step_mm: float, settings: ReadSettings) -> list[Fault]:
    low, high = settings.step_mm
    if low <= step_mm <= high:
        return []
    sentence = (
        f"slices of a chest CT must lie {low:g} to {high:g} mm apart, got {step_mm:.4g} mm; the "
        "positions are damaged, or this is no volume."
    )
    return [Fault("NOT_PLAUSIBLE", sentence)]


def _even_places(z_mm: FloatArray, index: FloatArray) -> FloatArray:
    """Lay an even grid through slices of known number, some of them missing."""
    centred = index - index.mean()
    step = float(centred @ z_mm / (centred @ centred))
    places: FloatArray = z_mm.mean() + step * (np.arange(index[-1] + 1) - index.mean())
    return places


def _spread(z_mm: FloatArray, step: float) -> FloatArray:
    n = max(round(float(np.ptp(z_mm)) / step) + 1, 2)
    places: FloatArray = np.linspace(z_mm[0], z_mm[-1], n)
    return places
