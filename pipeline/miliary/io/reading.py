"""Reading a series that was found into a volume."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from pydicom.uid import UID

from miliary.arrays import IntArray
from miliary.config.reading import ReadSettings
from miliary.errors import InputError, SeriesError
from miliary.io.decoders import decoders_for
from miliary.io.frames import stored_frames
from miliary.io.headers import SliceHeader
from miliary.io.orient import patient_turn
from miliary.io.pixels import TALLY_EDGES_HU, check_hu, fill_hu, is_beyond_hu
from miliary.io.resample import resample
from miliary.io.scan import quiet_pydicom
from miliary.io.series import SeriesInfo, find_inputs
from miliary.io.sources import Archive
from miliary.io.stack import Judged, name_of
from miliary.io.volume_files import read_volume_file
from miliary.volume import Volume

Progress = Callable[[int, int], None]

#: Compressed slices that make it worth while to start another process for them.
_CODED_A_PROCESS = 40

#: Frames of one file that are read in one go; several goes run side by side.
_FRAMES_A_GO = 16


def read(
    path: str | Path, settings: ReadSettings | None = None, *, allow: str | Iterable[str] = ()
) -> Volume:
    """Read the CT in a folder, a zip or a file: the best series of its one study.

    Parameters
    ----------
    path : path
        Where it lies.
    settings : ReadSettings or None
        Limits and rule; the defaults unless given.
    allow : str or iterable of str
        What is resampled onto an even grid instead of refused, beside what the settings allow:
        any of `missing`, `variable`, `tilt`, as words or one text with commas.

    Returns
    -------
    Volume
        Hounsfield units and where they are; its notes tell where slices were interpolated.

    Raises
    ------
    InputError
        Where there is nothing to read, or more than one study.
    SeriesError
        Where the only series is not sound; its code says why.
    """
    settings = settings or ReadSettings()
    words = allow.split(",") if isinstance(allow, str) else allow
    allowed = (*settings.allow, *(word.strip() for word in words if word))
    settings = replace(settings, allow=tuple(dict.fromkeys(allowed)))
    infos = find_inputs([Path(path)], settings)
    chosen = [info for info in infos if info.chosen]
    if len(chosen) > 1:
        raise InputError(
            f"a path to read must hold one study, got {len(chosen)}; name the folder of one of "
            "them, or use `miliary run` for all"
        )
    if not chosen:
        # Of several refused series the largest is what the user meant.
        meant = max(infos, key=lambda info: info.n_slices)
        raise SeriesError(
            f"one of {len(infos)} series must be usable, got none; the largest: {meant.reason}",
            code=meant.code,
        )
    return read_series(chosen[0], settings)


def read_series(
    info: SeriesInfo, settings: ReadSettings, *, progress: Progress | None = None
) -> Volume:
    """Read one series.

    Parameters
    ----------
    info : SeriesInfo
        As found by `find_inputs`.
    settings : ReadSettings
        The same as there.
    progress : callable or None
        Called with the number of parts done and the number of all: files, or runs of frames.

    Returns
    -------
    Volume
        Hounsfield units and where they are.

    Raises
    ------
    SeriesError
        Where the series was refused, or its pixels cannot be read, or are not in HU.
    """
    if not info.usable:
        raise SeriesError(info.reason, code=info.code)
    if info.kind == "volume":
        return _read_volume(info, settings)
    judged = info.stack
    if judged is None or judged.affine is None:
        raise SeriesError("a series must be found by find_inputs to be read, got one made up")
    turn = patient_turn(judged.affine)
    geometry = turn.geometry(judged.shape, judged.affine)
    # Not filled: memory that is never written to, of a series that turns out broken, is not used.
    hu = np.empty(geometry.shape, np.int16)
    on_grid = turn.undone(hu)
    first, plan = judged.slices[0], judged.resampling
    scanned = on_grid
    if plan is not None:
        scanned = np.empty((len(judged.slices), first.rows, first.columns), np.int16)
    with Archive(settings) as archive, quiet_pydicom():
        check_hu(_fill(scanned, judged, archive, settings, progress), settings)
        provenance = _provenance(info, judged, archive)
    if plan is not None:
        resample(scanned, plan, on_grid, threads=settings.threads)
    return Volume(
        hu,
        geometry,
        acquisition=info.acquisition,
        case=info.case,
        source=info.source,
        notes=info.notes,
        provenance=provenance,
    )


def _fill(
    stack: IntArray,
    judged: Judged,
    archive: Archive,
    settings: ReadSettings,
    progress: Progress | None,
) -> IntArray:
    """Read part by part into the stack; nothing but a few slices is held besides it."""
    places = {id(header): index for index, header in enumerate(judged.slices)}
    parts = list(_parts(judged.slices))

    def fill(headers: Sequence[SliceHeader]) -> IntArray:
        tally = np.zeros(len(TALLY_EDGES_HU) + 1, np.int64)
        for header, stored in stored_frames(headers, archive, decoders, settings):
            seen = fill_hu(stored, header, stack[places[id(header)]])
            if is_beyond_hu(seen):
                raise SeriesError(
                    "most of a slice must be air and tissue, got values above 3090 HU in most of "
                    f"{name_of(header, settings)}; its rescale tags are wrong",
                    code="E_NOT_HU",
                )
            tally += seen
        return tally

    total = np.zeros(len(TALLY_EDGES_HU) + 1, np.int64)
    decoders = decoders_for(settings)
    with ThreadPoolExecutor(_n_threads(judged.slices, settings)) as pool:
        try:
            for done, tally in enumerate(pool.map(fill, parts), start=1):
                total += tally
                if progress is not None:
                    progress(done, len(parts))
        except BaseException:
            # One part that cannot be read is enough: the others need not be tried.
            pool.shutdown(cancel_futures=True)
            raise
    return total


def _n_threads(slices: Sequence[SliceHeader], settings: ReadSettings) -> int:
    """Say how many threads pay: each that decodes starts a process of its own.

    Plain pixels are read in one: two, which would share the interpreter lock, take longer.
    """
    n_coded = sum(not item.pixels.is_native for item in slices)
    return min(settings.threads, 1 + n_coded // _CODED_A_PROCESS)


def _parts(slices: Sequence[SliceHeader]) -> Iterator[tuple[SliceHeader, ...]]:
    """Part slices by file, and long files into runs that can be read side by side."""
    ordered = sorted(slices, key=lambda item: (item.source.path, item.source.member, item.frame))
    for _, group in groupby(ordered, lambda item: (item.source.path, item.source.member)):
        headers = tuple(group)
        # What is deflated has to be read from its beginning every time.
        size = len(headers) if headers[0].pixels.is_deflated else _FRAMES_A_GO
        yield from (headers[i : i + size] for i in range(0, len(headers), size))


def _provenance(info: SeriesInfo, judged: Judged, archive: Archive) -> tuple[tuple[str, str], ...]:
    """Tell the input apart from any other, without an identifier in plain sight."""
    uids = sorted(item.sop_uid for item in judged.slices)
    syntaxes = sorted({UID(item.pixels.transfer_syntax).name for item in judged.slices})
    facts = [
        ("kind", "DICOM"),
        ("series", info.case),
        ("study", info.study_key),
        ("files", str(len(info.files))),
        ("slices", str(len(judged.slices))),
        ("bytes", str(sum(archive.size(source) for source in info.files))),
        ("instances_sha256", hashlib.sha256("".join(uids).encode()).hexdigest()),
        ("transfer_syntaxes", ", ".join(syntaxes)),
        ("verdict", info.code),
    ]
    if info.patient:
        facts.append(("patient_mark", info.patient))
    if info.day is not None:
        facts.append(("shifted_day", str(info.day)))
    if judged.resampling is not None:
        facts += [
            ("slices_after_resampling", str(judged.resampling.n_slices)),
            ("slices_interpolated", str(judged.resampling.n_interpolated)),
        ]
    return tuple(facts)


def _read_volume(info: SeriesInfo, settings: ReadSettings) -> Volume:
    path = info.files[0].path
    hu, geometry = read_volume_file(path, settings)
    return Volume(
        hu,
        geometry,
        acquisition=info.acquisition,
        case=info.case,
        source=info.source,
        notes=info.notes,
        provenance=(
            ("kind", "volume file"),
            ("series", info.case),
            ("files", "1"),
            ("slices", str(info.n_slices)),
            ("bytes", str(path.stat().st_size)),
            ("verdict", info.code),
        ),
    )
