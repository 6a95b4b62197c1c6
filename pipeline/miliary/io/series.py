"""Every series under the inputs: found by headers, judged, and the best of each study chosen."""

from __future__ import annotations

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from miliary.config.reading import ReadSettings
from miliary.errors import InputError
from miliary.io.headers import SliceHeader
from miliary.io.identity import hashed, masked_path
from miliary.io.scan import scan_inputs
from miliary.io.sources import Source
from miliary.io.stack import judge, mixed_grids, split_phases
from miliary.io.volume_files import VolumeFile
from miliary.volume import Acquisition


@dataclass(frozen=True, eq=False)
class SeriesInfo:
    """A series that was found, and what is to become of it. It holds nothing of the patient.

    Parameters
    ----------
    case : str
        Pseudonymous name.
    source : str
        Where it lies relative to its input; `.` for the input itself.
    study_key : str
        The same for series of one study.
    kind : str
        `dicom` or `volume`.
    n_slices, rows, columns : int
        Size.
    spacing_mm : (3,) float or None
        Voxel size along slices, rows and columns as stored; None where it cannot be trusted.
    acquisition : Acquisition
        How it was acquired.
    chosen : bool
        Whether it is the one of its study to analyse.
    code : str
        `OK`, a warning `W_...`, or why it cannot be used, `E_...` or `SKIP_...`.
    reason : str
        Sentences: what is wrong, and why it was chosen or not.
    files : tuple of Source
        Its files, in order of position.
    notes : tuple of str
        Warnings that go with the volume.
    slices : tuple of (Source, int)
        File and frame of each slice; empty for a volume file.
    """

    case: str
    source: str
    study_key: str
    kind: str
    n_slices: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float, float] | None
    acquisition: Acquisition
    chosen: bool
    code: str
    reason: str
    files: tuple[Source, ...]
    notes: tuple[str, ...] = ()
    slices: tuple[tuple[Source, int], ...] = ()

    @property
    def usable(self) -> bool:
        """Whether it can be read, chosen or not."""
        return self.code == "OK" or self.code.startswith("W_")

    @property
    def slice_thickness_mm(self) -> float | None:
        """Nominal slice thickness, as the header states it."""
        return self.acquisition.slice_thickness_mm

    @property
    def kernel(self) -> str | None:
        """Convolution kernel."""
        return self.acquisition.kernel

    @property
    def manufacturer(self) -> str | None:
        """Maker of the scanner."""
        return self.acquisition.manufacturer


def find_inputs(inputs: Sequence[Path], settings: ReadSettings) -> tuple[SeriesInfo, ...]:
    """Find every series under the inputs and choose the best of each study.

    Parameters
    ----------
    inputs : sequence of Path
        Folders, DICOM files, zips and volume files.
    settings : ReadSettings
        Limits, rule and caps.

    Returns
    -------
    tuple of SeriesInfo
        All of them, ordered by source and case.

    Raises
    ------
    InputError
        For an input that does not exist, and where no series is found at all.
    """
    scan = scan_inputs(inputs, settings)
    infos = [info for group in _by_series(scan.headers) for info in _judged(group, settings)]
    infos = [_warned(info, scan.broken) for info in infos]
    infos += [_volume_info(volume, settings) for volume in scan.volumes]
    if not infos:
        raise InputError(
            "the input must hold a CT: DICOM images, a zip of them, or a NIfTI, NRRD or MetaImage "
            f"volume, got {scan.counts_sentence()}; name the folder that holds the images"
        )
    chosen = [info for study in _by_study(infos) for info in _choose(study, settings)]
    return tuple(sorted(chosen, key=lambda info: (info.source, info.case)))


def series_columns(infos: Sequence[SeriesInfo]) -> dict[str, list[Any]]:
    """Give the columns of `series.csv`: every series, chosen or not, with code and reason.

    Parameters
    ----------
    infos : sequence of SeriesInfo
        As found.

    Returns
    -------
    dict of str to list
        Columns by name, for `write_csv`.
    """
    unknown = (None, None, None)
    return {
        "case": [info.case for info in infos],
        "source": [info.source for info in infos],
        "study": [info.study_key for info in infos],
        "kind": [info.kind for info in infos],
        "chosen": [info.chosen for info in infos],
        "code": [info.code for info in infos],
        "reason": [info.reason for info in infos],
        "slices": [info.n_slices for info in infos],
        "rows": [info.rows for info in infos],
        "columns": [info.columns for info in infos],
        "slice_spacing_mm": [(info.spacing_mm or unknown)[0] for info in infos],
        "row_spacing_mm": [(info.spacing_mm or unknown)[1] for info in infos],
        "column_spacing_mm": [(info.spacing_mm or unknown)[2] for info in infos],
        "slice_thickness_mm": [info.slice_thickness_mm for info in infos],
        "kernel": [info.kernel for info in infos],
        "manufacturer": [info.manufacturer for info in infos],
    }


def _by_series(headers: Iterable[SliceHeader]) -> list[list[SliceHeader]]:
    series = defaultdict(list)
    for header in headers:
        # Without a UID the folder has to tell series apart.
        name = header.series_uid or f"folder {header.source.folder}"
        series[header.study_uid, name].append(header)
    return list(series.values())


def _by_grid(headers: Iterable[SliceHeader], settings: ReadSettings) -> list[list[SliceHeader]]:
    """Part a series by size, orientation and pixel spacing; localizers stay by themselves."""
    grids: list[tuple[tuple[object, ...], list[float], list[SliceHeader]]] = []
    for header in headers:
        numbers = [*(header.across or ()), *(header.down or ()), *(header.pixel_mm or ())]
        kind = (header.rows, header.columns, header.is_localizer, len(numbers))
        for other_kind, other, members in grids:
            if kind == other_kind and _near(numbers, other, settings.same_direction):
                members.append(header)
                break
        else:
            grids.append((kind, numbers, [header]))
    return [members for _, _, members in grids]


def _near(numbers: list[float], other: list[float], tolerance: float) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(numbers, other, strict=True))


def _judged(series: list[SliceHeader], settings: ReadSettings) -> list[SeriesInfo]:
    grids = _by_grid(series, settings)
    mixed = mixed_grids(grids)
    stacks = [part for grid in grids for part in split_phases(grid, settings)]
    # The order of files must not matter, not even for the names of equally long stacks.
    stacks.sort(key=lambda stack: (-len(stack), min(item.sop_uid for item in stack)))
    infos = [_dicom_info(stack, index, settings) for index, stack in enumerate(stacks)]
    if mixed:
        infos = [
            replace(info, code="E_MIXED_SPACING", reason=mixed) if info.usable else info
            for info in infos
        ]
    return infos


def _dicom_info(stack: list[SliceHeader], index: int, settings: ReadSettings) -> SeriesInfo:
    verdict = judge(stack, settings)
    first = verdict.slices[0]
    spacing = None
    if verdict.affine is not None:
        z, y, x = (float(length) for length in np.linalg.norm(verdict.affine[:3, :3], axis=0))
        spacing = (z, y, x)
    uid = first.series_uid or f"folder {first.source.folder}"
    # The first stack of a series carries its name alone, so that a stray file changes nothing.
    parts = (uid,) if index == 0 else (uid, str(index))
    return SeriesInfo(
        case="case-" + hashed("series", *parts),
        source=_common_source(stack, settings),
        study_key=hashed("study", first.study_uid or uid),
        kind="dicom",
        n_slices=len(verdict.slices),
        rows=first.rows,
        columns=first.columns,
        spacing_mm=spacing,
        acquisition=first.acquisition,
        chosen=False,
        code=verdict.code,
        reason=verdict.reason,
        files=tuple(dict.fromkeys(item.source for item in verdict.slices)),
        notes=(verdict.reason,) if verdict.code.startswith("W_") else (),
        slices=tuple((item.source, item.frame) for item in verdict.slices),
    )


def _warned(info: SeriesInfo, broken: Counter[str]) -> SeriesInfo:
    """Add that files beside the series cannot be read: a slice lost at an end leaves no gap."""
    n = sum(broken[folder] for folder in {source.folder for source in info.files})
    if not n:
        return info
    note = f"{n} file(s) beside it cannot be read; slices of it may be missing."
    code = "W_UNREADABLE_FILES" if info.code == "OK" else info.code
    reason = f"{info.reason} {note}".strip()
    return replace(info, code=code, reason=reason, notes=(*info.notes, note))


def _volume_info(volume: VolumeFile, settings: ReadSettings) -> SeriesInfo:
    relative = masked_path(volume.relative, ()) if settings.mask_paths else volume.relative
    return SeriesInfo(
        case="case-" + volume.content_hash,
        source=relative,
        study_key=volume.content_hash,
        kind="volume",
        n_slices=volume.shape[0],
        rows=volume.shape[1],
        columns=volume.shape[2],
        spacing_mm=volume.spacing_mm,
        acquisition=Acquisition(),
        chosen=False,
        code=volume.code,
        reason=volume.reason,
        files=(Source(volume.path, relative=volume.relative),),
    )


def _common_source(stack: list[SliceHeader], settings: ReadSettings) -> str:
    folders = {header.source.folder for header in stack}
    common = os.path.commonpath(folders) if len(folders) > 1 else folders.pop()
    return masked_path(common, stack[0].secrets) if settings.mask_paths else (common or ".")


def _by_study(infos: Iterable[SeriesInfo]) -> list[list[SeriesInfo]]:
    studies = defaultdict(list)
    for info in infos:
        studies[info.study_key].append(info)
    return list(studies.values())


def _choose(study: list[SeriesInfo], settings: ReadSettings) -> list[SeriesInfo]:
    """Mark the best usable series of a study, and tell the others why not."""
    usable = sorted((info for info in study if info.usable), key=lambda info: _rank(info, settings))
    if not usable:
        return study
    best = usable[0]
    why = f"Chosen of {len(usable)} usable series" if len(usable) > 1 else "The only usable series"
    decided = [_with(best, f"{why} of its study: {_describe(best, settings)}.", chosen=True)]
    decided += [
        _with(
            other,
            f"Another series of the study ranks higher: {_describe(best, settings)}; "
            f"this one: {_describe(other, settings)}.",
            chosen=False,
        )
        for other in usable[1:]
    ]
    return decided + [info for info in study if not info.usable]


def _with(info: SeriesInfo, sentence: str, *, chosen: bool) -> SeriesInfo:
    return replace(info, chosen=chosen, reason=f"{info.reason} {sentence}".strip())


def _rank(info: SeriesInfo, settings: ReadSettings) -> tuple[object, ...]:
    """Order series of a study: whole chest, thin, sharp, most slices; the name breaks ties."""
    band = math.ceil(_thickness_mm(info) / settings.thickness_band_mm - 1e-6)
    return (
        _covered_mm(info) < settings.chest_mm,
        band,
        not _is_sharp(info, settings),
        -info.n_slices,
        info.case,
    )


def _describe(info: SeriesInfo, settings: ReadSettings) -> str:
    chest = "whole chest" if _covered_mm(info) >= settings.chest_mm else "part of the chest"
    kernel = "sharp kernel" if _is_sharp(info, settings) else "smooth or unknown kernel"
    return (
        f"{chest} ({_covered_mm(info):.0f} mm), {_thickness_mm(info):.4g} mm thick, {kernel}, "
        f"{info.n_slices} slices"
    )


def _covered_mm(info: SeriesInfo) -> float:
    return info.n_slices * info.spacing_mm[0] if info.spacing_mm else 0.0


def _thickness_mm(info: SeriesInfo) -> float:
    """Give the larger of slice distance and thickness: either one hides small nodules."""
    return max(info.spacing_mm[0] if info.spacing_mm else 0.0, info.slice_thickness_mm or 0.0)


def _is_sharp(info: SeriesInfo, settings: ReadSettings) -> bool:
    kernel = info.kernel or ""
    return any(re.match(pattern, kernel, re.IGNORECASE) for pattern in settings.sharp_kernels)
