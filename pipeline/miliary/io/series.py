"""Every series under the inputs: found by headers, judged, and the best of each study chosen."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.uid import UID_dictionary

from miliary.config.reading import ReadSettings
from miliary.errors import InputError
from miliary.io.choice import choose
from miliary.io.grouping import by_grid, by_series, mixed_grids, split_phases
from miliary.io.headers import NotCtError, SliceHeader
from miliary.io.identity import hashed, masked_path, patient_mark, printable, shifted_day
from miliary.io.scan import Scan, scan_inputs
from miliary.io.sources import Source
from miliary.io.stack import Judged, judge
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
    stack : Judged or None
        Its slices and their grid; None for all but a usable DICOM series.
    patient : str
        Mark by which other patients are told apart; empty where nothing tells the patient.
    day : int or None
        Day of the scan, shifted by a number of days that is the patient's own.
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
    stack: Judged | None = None
    patient: str = ""
    day: int | None = None

    @property
    def usable(self) -> bool:
        """Whether it can be read, chosen or not."""
        return self.code == "OK" or self.code.startswith("W_")

    @property
    def resampled(self) -> bool:
        """Whether its grid is interpolated, as `read.allow` permitted."""
        return self.acquisition.resampled is not None

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
    infos = [info for group in by_series(scan.headers) for info in _judged(group, settings)]
    infos = [_anonymous(_warned(info, scan.broken), settings) for info in infos]
    infos += [_volume_info(volume, settings) for volume in scan.volumes]
    served = {header.source.folder for header in scan.headers}
    infos += _unusable(scan, served, settings)
    if not infos:
        raise InputError(
            "the input must hold a CT: DICOM images, a zip of them, or a NIfTI, NRRD or MetaImage "
            f"volume, got {scan.counts_sentence()}; name the folder that holds the images"
        )
    return tuple(sorted(choose(infos, settings), key=lambda info: (info.source, info.case)))


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


def _judged(series: list[SliceHeader], settings: ReadSettings) -> list[SeriesInfo]:
    grids = by_grid(series, settings)
    mixed = mixed_grids(grids)
    stacks = [part for grid in grids for part in split_phases(grid, settings)]
    # The order of files must not matter, not even for the names of equally long stacks.
    stacks.sort(key=lambda stack: (-len(stack), min(item.sop_uid for item in stack)))
    infos = [_dicom_info(stack, index, settings) for index, stack in enumerate(stacks)]
    if mixed:
        infos = [
            replace(info, code=mixed[0], reason=mixed[1], stack=None) if info.usable else info
            for info in infos
        ]
    return infos


def _dicom_info(stack: list[SliceHeader], index: int, settings: ReadSettings) -> SeriesInfo:
    judged = judge(stack, settings)
    first = judged.slices[0]
    uid = first.series_uid or f"folder {first.source.folder}"
    # The first stack of a series carries its name alone, so that a stray file changes nothing.
    parts = (uid,) if index == 0 else (uid, str(index))
    spacing = None
    if judged.affine is not None:
        z, y, x = (float(length) for length in np.linalg.norm(judged.affine[:3, :3], axis=0))
        spacing = (z, y, x)
    n, rows, columns = judged.shape
    return SeriesInfo(
        case="case-" + hashed("series", *parts),
        source=_common_source([s.source for s in stack], first.secrets, settings),
        study_key=_study_key(first.study_uid or uid, first.secrets),
        kind="dicom",
        n_slices=n,
        rows=rows,
        columns=columns,
        spacing_mm=spacing,
        acquisition=replace(first.acquisition, resampled=judged.resampled or None),
        chosen=False,
        code=judged.code,
        reason=judged.reason,
        files=tuple(dict.fromkeys(item.source for item in judged.slices)),
        notes=(judged.reason,) if judged.code.startswith("W_") else (),
        stack=judged if spacing else None,
        patient=patient_mark(first.secrets),
        day=shifted_day(first.day, first.secrets),
    )


def _study_key(uid: str, secrets: tuple[str, ...]) -> str:
    """Name a study; two patients under one UID, as careless anonymisation has it, have two."""
    return hashed("study", uid, *secrets[:1])


def _warned(info: SeriesInfo, broken: Counter[str]) -> SeriesInfo:
    """Add that files beside the series cannot be read: a slice lost at an end leaves no gap."""
    n = sum(broken[folder] for folder in {source.folder for source in info.files})
    if not n:
        return info
    note = f"{n} file(s) beside it cannot be read; slices of it may be missing."
    code = "W_UNREADABLE_FILES" if info.code == "OK" else info.code
    reason = f"{info.reason} {note}".strip()
    return replace(info, code=code, reason=reason, notes=(*info.notes, note))


def _anonymous(info: SeriesInfo, settings: ReadSettings) -> SeriesInfo:
    """Take everything of the patient out of what is kept of a series, but where its files lie."""
    if info.stack is None:
        return info
    secrets = info.stack.slices[0].secrets
    show = partial(masked_path, secrets=secrets) if settings.mask_paths else printable
    sources = {s: replace(s, relative=show(s.relative)) for s in info.files}
    slices = tuple(
        replace(item.without_identity(), source=sources[item.source]) for item in info.stack.slices
    )
    stack = replace(info.stack, slices=slices)
    return replace(info, files=tuple(sources.values()), stack=stack)


def _volume_info(volume: VolumeFile, settings: ReadSettings) -> SeriesInfo:
    show = partial(masked_path, secrets=()) if settings.mask_paths else printable
    return SeriesInfo(
        case="case-" + volume.content_hash,
        source=show(volume.relative),
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


def _unusable(scan: Scan, served: set[str], settings: ReadSettings) -> list[SeriesInfo]:
    """Tell of what is there and is no series: other images, broken folders, broken zips."""
    infos = []
    for (study, series), objects in scan.foreign.items():
        infos.append(_foreign_info(study, series, objects, settings))
    for folder, n in scan.broken.items():
        if folder not in served:
            reason = f"files must be readable, got {n} truncated, damaged or too big."
            infos.append(_bare_info(folder, "E_UNREADABLE", reason, n, settings))
    for relative, code, reason in scan.refused:
        infos.append(_bare_info(relative, code, reason, 0, settings))
    return infos


def _foreign_info(
    study: str, series: str, objects: list[tuple[Source, NotCtError]], settings: ReadSettings
) -> SeriesInfo:
    # Names of the standard's classes only: what a file says of itself may be anything.
    kinds = Counter(UID_dictionary.get(error.sop_class, ("unknown",))[0] for _, error in objects)
    told = ", ".join(f"{n} of {kind}" for kind, n in sorted(kinds.items()))
    sources, secrets = [source for source, _ in objects], objects[0][1].secrets
    return SeriesInfo(
        case="case-" + hashed("series", series or f"folder {sources[0].folder}", "not CT"),
        source=_common_source(sources, secrets, settings),
        study_key=_study_key(study or series, secrets),
        kind="dicom",
        n_slices=len(objects),
        rows=0,
        columns=0,
        spacing_mm=None,
        acquisition=Acquisition(),
        chosen=False,
        code="SKIP_NOT_CT",
        reason=f"DICOM objects must be images of CT, got {told}.",
        files=tuple(sources),
    )


def _bare_info(relative: str, code: str, reason: str, n: int, settings: ReadSettings) -> SeriesInfo:
    """Make the row of files of which nothing is known, not even whose they are."""
    show = partial(masked_path, secrets=()) if settings.mask_paths else printable
    return SeriesInfo(
        case="case-" + hashed("broken", relative),
        source=show(relative),
        study_key=hashed("broken", relative),
        kind="dicom",
        n_slices=n,
        rows=0,
        columns=0,
        spacing_mm=None,
        acquisition=Acquisition(),
        chosen=False,
        code=code,
        reason=reason,
        files=(),
    )


def _common_source(
    sources: Sequence[Source], secrets: tuple[str, ...], settings: ReadSettings
) -> str:
    folders = {source.folder for source in sources}
    common = (os.path.commonpath(folders) if len(folders) > 1 else folders.pop()) or "."
    return masked_path(common, secrets) if settings.mask_paths else printable(common)
