"""Scans of one patient as a page shows them: pixels where they can be had, else drawn masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from miliary.anatomy import SIDES
from miliary.arrays import AnyArray, FloatArray
from miliary.compare.view import ScanView
from miliary.config.reading import ReadSettings
from miliary.errors import InputError
from miliary.io.align import Aligned
from miliary.io.images import read_mask
from miliary.io.reading import read_series
from miliary.io.series import SeriesInfo, find_inputs

#: What masks are drawn as, in Hounsfield units.
_AIR, _LUNG, _VESSEL, _NODULE = -1350, -900, -350, 100


def read_views(
    folders: Sequence[Path],
    scans: Sequence[Path],
    aligned: Mapping[tuple[int, str], Aligned],
    settings: ReadSettings,
) -> tuple[ScanView, ...]:
    """Read what a page of a comparison shows of each scan.

    Parameters
    ----------
    folders : sequence of Path
        Case folders, oldest first.
    scans : sequence of Path
        Inputs in which scans of these cases may be found.
    aligned : mapping of (earlier, lung) to Aligned
        Alignments of neighbouring scans.
    settings : ReadSettings
        Limits.

    Returns
    -------
    tuple of ScanView
        One a case.
    """
    infos = _series(scans, settings)
    views = []
    matrix: FloatArray = np.eye(4)
    for number, folder in enumerate(folders):
        if number:
            matrix = _step(aligned, number - 1) @ matrix
        lungs, geometry = read_mask(folder / "lungs.nii.gz")
        info = infos.get(folder.name)
        if info is None:
            hu = _drawn(folder, lungs)
        else:
            volume = read_series(info, settings)
            hu, geometry = volume.hu, volume.geometry
        views.append(ScanView(hu, lungs, geometry, matrix, drawn=info is None))
    return tuple(views)


def _series(scans: Sequence[Path], settings: ReadSettings) -> dict[str, SeriesInfo]:
    if not scans:
        return {}
    try:
        found = find_inputs(list(scans), settings)
    except InputError:
        # Only case folders were named: they hold no scan.
        return {}
    return {info.case: info for info in found if info.usable}


def _step(aligned: Mapping[tuple[int, str], Aligned], earlier: int) -> FloatArray:
    """The better alignment of the two lungs; none at all where no lung was aligned."""
    ways = [aligned[earlier, side] for side in SIDES if (earlier, side) in aligned]
    return max(ways, key=lambda way: way.dice).matrix if ways else np.eye(4)


def _drawn(folder: Path, lungs: AnyArray) -> AnyArray:
    hu = np.where(lungs > 0, np.int16(_LUNG), np.int16(_AIR))
    for name, level in (("vessels", _VESSEL), ("nodules", _NODULE)):
        path = folder / f"{name}.nii.gz"
        if path.is_file():
            mask, _ = read_mask(path)
            hu[mask > 0] = level
    return hu
