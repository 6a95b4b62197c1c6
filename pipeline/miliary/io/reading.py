"""Reading a series that was found into a volume."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import numpy as np
from pydicom.uid import UID

from miliary.arrays import IntArray
from miliary.config.reading import ReadSettings
from miliary.errors import InputError, SeriesError
from miliary.io.headers import SliceHeader, read_headers
from miliary.io.identity import hashed
from miliary.io.orient import patient_turn
from miliary.io.pixels import OUTSIDE_HU, TALLY_EDGES_HU, check_hu, decode_file
from miliary.io.series import SeriesInfo, find_inputs
from miliary.io.sources import Archive
from miliary.io.stack import Judged, judge
from miliary.io.volume_files import read_volume_file
from miliary.volume import Volume

Progress = Callable[[int, int], None]


def read(path: str | Path, settings: ReadSettings | None = None) -> Volume:
    """Read the CT in a folder, a zip or a file: the best series of its one study.

    Parameters
    ----------
    path : path
        Where it lies.
    settings : ReadSettings or None
        Limits and rule; the defaults unless given.

    Returns
    -------
    Volume
        Hounsfield units and where they are.

    Raises
    ------
    InputError
        Where there is nothing to read, or more than one study.
    SeriesError
        Where the only series is not sound; its code says why.
    """
    settings = settings or ReadSettings()
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
        Called with the number of files done and the number of all.

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
    with Archive(settings) as archive, warnings.catch_warnings():
        # pydicom warns of oddities in tags that nothing here depends on.
        warnings.simplefilter("ignore")
        judged = judged_series(info, archive, settings)
        if judged.affine is None:
            raise SeriesError(
                f"the files must not change between finding and reading, got now: {judged.reason}",
                code=judged.code,
            )
        turn = patient_turn(judged.affine)
        first = judged.slices[0]
        geometry = turn.geometry((len(judged.slices), first.rows, first.columns), judged.affine)
        hu = np.full(geometry.shape, OUTSIDE_HU, np.int16)
        tally = _fill(turn.undone(hu), judged, archive, settings, progress)
        provenance = _provenance(info, judged, archive)
    check_hu(tally, settings)
    return Volume(
        hu,
        geometry,
        acquisition=info.acquisition,
        case=info.case,
        source=info.source,
        notes=info.notes,
        provenance=provenance,
    )


def judged_series(info: SeriesInfo, archive: Archive, settings: ReadSettings) -> Judged:
    """Read and judge the headers again: a series that was found carries no identifiers with it.

    Parameters
    ----------
    info : SeriesInfo
        As found.
    archive : Archive
        Opens its files.
    settings : ReadSettings
        The same as there.

    Returns
    -------
    Judged
        Its slices in order, and their grid.
    """
    max_bytes = int(settings.max_file_mb * 2**20)
    slices: list[SliceHeader] = []
    for source in info.files:
        with archive.open(source) as file:
            slices += read_headers(file, source, max_bytes=max_bytes)
    # One multi-frame file may hold slices of other series, or of other phases of this one.
    wanted = frozenset(info.slices)
    return judge([item for item in slices if (item.source, item.frame) in wanted], settings)


def _fill(
    stack: IntArray,
    judged: Judged,
    archive: Archive,
    settings: ReadSettings,
    progress: Progress | None,
) -> IntArray:
    """Decode file by file into the stack; nothing but a few slices is held besides it."""
    places = {id(header): index for index, header in enumerate(judged.slices)}
    by_file = sorted(judged.slices, key=lambda item: (str(item.source.path), item.source.member))
    files = [
        list(group)
        for _, group in groupby(by_file, lambda item: (item.source.path, item.source.member))
    ]

    def decode(headers: list[SliceHeader]) -> IntArray:
        tally = np.zeros(len(TALLY_EDGES_HU) + 1, np.int64)
        for header, decoded in zip(headers, decode_file(headers, archive, settings), strict=True):
            stack[places[id(header)]] = decoded.hu
            tally += decoded.tally
        return tally

    total = np.zeros(len(TALLY_EDGES_HU) + 1, np.int64)
    with ThreadPoolExecutor(settings.threads) as pool:
        for done, tally in enumerate(pool.map(decode, files), start=1):
            total += tally
            if progress is not None:
                progress(done, len(files))
    return total


def _provenance(info: SeriesInfo, judged: Judged, archive: Archive) -> tuple[tuple[str, str], ...]:
    """Tell the input apart from any other, without an identifier in plain sight."""
    uids = sorted(hashed("sop", item.sop_uid, digits=32) for item in judged.slices)
    syntaxes = sorted({UID(item.transfer_syntax).name for item in judged.slices})
    return (
        ("kind", "DICOM"),
        ("series", info.case),
        ("study", info.study_key),
        ("files", str(len(info.files))),
        ("slices", str(len(judged.slices))),
        ("bytes", str(sum(archive.size(source) for source in info.files))),
        ("instances_sha256", hashlib.sha256("".join(uids).encode()).hexdigest()),
        ("transfer_syntaxes", ", ".join(syntaxes)),
        ("verdict", info.code),
    )


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
