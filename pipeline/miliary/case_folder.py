"""The folder of one case: every file of the contract, appearing whole or not at all."""

from __future__ import annotations

import functools
import json
import os
import platform
import shutil
import sys
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import miliary
from miliary.config import config_dict, config_hash
from miliary.errors import CaseFolderError
from miliary.io.cases import RIND_COLUMNS
from miliary.io.images import write_mask
from miliary.io.segmentation import write_segmentation
from miliary.io.structured_report import write_structured_report
from miliary.io.tables import write_csv, write_json, write_markups
from miliary.kernels.slabs import n_threads
from miliary.report import render_report

if TYPE_CHECKING:
    from miliary.analysis import Analysis
    from miliary.anatomy import Anatomy
    from miliary.arrays import AnyArray, IntArray
    from miliary.findings import Curve
    from miliary.io.series import SeriesInfo
    from miliary.nodules import Nodules

SUMMARY, PROVENANCE, REPORT = "summary.json", "provenance.json", "report.html"

#: The columns of `curves.csv`, in their order. The contract fixes them.
CURVE_COLUMNS = ("function", "lung", "r_mm", "observed", "expected", "low", "high")

#: What `provenance.json` says for a folder to be one of ours.
TOOL = "miliary"

_LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-image",
    "SimpleITK",
    "pydicom",
    "highdicom",
    "edt",
    "connected-components-3d",
    "fill-voids",
)

#: Nodules with a group of their own in the structured report: each costs 16 ms and some 3 kB.
_REPORTED_NODULES = 500

#: Points of a rind that are kept: some 200 kB, and several for each cell of its map.
_RIND_POINTS = 5000

#: Highest label of a 16-bit image; with `detect.keep_all` there may be more candidates.
_MAX_LABEL = np.iinfo(np.uint16).max


def write_case(
    analysis: Analysis,
    folder: Path,
    *,
    series: SeriesInfo | None = None,
    dicom: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write the folder of a case; it appears whole or not at all.

    Parameters
    ----------
    analysis : Analysis
        What was found.
    folder : Path
        The case folder: new, empty, or one that this tool wrote, which is then replaced.
    series : SeriesInfo or None
        The series that was read; needed for `dicom`.
    dicom : bool
        Whether to write the segmentation and the structured report as well.
    provenance : mapping or None
        Further facts for `provenance.json`, nothing of the patient and no absolute path.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CaseFolderError
        Where something that this tool did not write stands in the place, or the place cannot
        be written to.
    """
    if dicom and series is None:
        raise ValueError("dicom needs the series that was read, got None")
    # A name like `.` or `case/..` has none that a neighbour could take after.
    given, folder = folder, Path(folder).resolve()
    _check_replaceable(folder)
    partial = _partial_name(folder, "new")
    try:
        partial.mkdir(parents=True)
        _fill(partial, analysis, series if dicom else None, dict(provenance or {}))
        _swap(partial, folder)
    except OSError as error:
        raise CaseFolderError(
            f"the case folder must be writable, got {error.strerror or type(error).__name__}; "
            "free some space or name another --out"
        ) from error
    finally:
        # Gone by now unless something failed, be it an interrupt.
        shutil.rmtree(partial, ignore_errors=True)
    return given


def is_case_folder(folder: Path) -> bool:
    """Tell whether a folder is a whole case that this tool wrote.

    Parameters
    ----------
    folder : Path
        Any path.

    Returns
    -------
    bool
        True where its provenance says so.
    """
    return bool(read_provenance(folder))


def read_provenance(folder: Path) -> dict[str, Any]:
    """Read the provenance of a case folder.

    Parameters
    ----------
    folder : Path
        Any path.

    Returns
    -------
    dict
        Empty where the folder is none of ours.
    """
    try:
        found = json.loads((folder / PROVENANCE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(found, dict) and found.get("tool") == TOOL
    return found if ours else {}


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left beside a case folder, half-written.

    Parameters
    ----------
    folder : Path
        The case folder, whether or not it exists.
    """
    for kind in ("new", "old"):
        for partial in folder.parent.glob(f".{folder.name}.{kind}-*"):
            shutil.rmtree(partial, ignore_errors=True)


def draw_nodules(nodules: Nodules, anatomy: Anatomy) -> IntArray:
    """Draw each nodule as a ball of its diameter, at least its centre voxel.

    Parameters
    ----------
    nodules : Nodules
        What was found.
    anatomy : Anatomy
        Gives the grid.

    Returns
    -------
    (z, y, x) uint16
        On the grid of the anatomy; label = number of the nodule, 0 elsewhere. Nodules above
        65,535 are not drawn.
    """
    geometry = anatomy.geometry
    labels: IntArray = np.zeros(geometry.shape, np.uint16)
    index_zyx = geometry.to_index(nodules.points_mm)[:_MAX_LABEL]
    radius_mm = np.nan_to_num(nodules.diameter_mm[:_MAX_LABEL]) / 2
    for label, (index, radius) in enumerate(zip(index_zyx, radius_mm, strict=True), start=1):
        _draw_ball(labels, index, radius, geometry.spacing_mm, label)
    # Centres last: of two that touch, neither may lose the one voxel that it has for certain.
    centre = np.rint(index_zyx).astype(np.intp)
    inside = ((centre >= 0) & (centre < geometry.shape)).all(axis=1)
    labels[tuple(centre[inside].T)] = np.flatnonzero(inside) + 1
    return labels


def _draw_ball(
    labels: IntArray, index: AnyArray, radius_mm: float, spacing_mm: AnyArray, label: int
) -> None:
    """Give the free voxels whose centre lies in a ball its label."""
    reach = radius_mm / spacing_mm
    low = np.clip(np.ceil(index - reach), 0, labels.shape).astype(int)
    high = np.clip(np.floor(index + reach) + 1, low, labels.shape).astype(int)
    box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
    z, y, x = (
        (np.arange(start, stop) - at) * length
        for start, stop, at, length in zip(low, high, index, spacing_mm, strict=True)
    )
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= radius_mm**2
    part = labels[box]
    part[inside & (part == 0)] = label


def _fill(
    folder: Path, analysis: Analysis, series: SeriesInfo | None, extra: dict[str, Any]
) -> None:
    """Write every file; compression leaves the interpreter lock, so masks go on two threads."""
    labels = draw_nodules(analysis.nodules, analysis.anatomy)
    facts = _provenance(analysis) | extra
    with ThreadPoolExecutor(min(2, n_threads())) as pool:
        images = _images(analysis.anatomy, labels)
        jobs = [pool.submit(_write_image, folder, *item, analysis) for item in images.items()]
        write_json(folder / SUMMARY, analysis.to_dict())
        write_csv(folder / "nodules.csv", analysis.nodules.columns())
        write_csv(folder / "curves.csv", curve_columns(analysis.spatial.curves))
        write_markups(folder / "nodules.mrk.json", analysis.nodules)
        if analysis.anatomy.rinds:
            write_csv(folder / "rinds.csv", rind_columns(analysis.anatomy))
        page = render_report(analysis, facts)
        (folder / REPORT).write_text(page, encoding="utf-8")
        if series is not None:
            _write_dicom(folder, analysis, labels, series)
        for job in jobs:
            job.result()
    # Last, for it is what makes the folder ours.
    write_json(folder / PROVENANCE, facts | {"config": config_dict(analysis.config)})


def curve_columns(curves: tuple[Curve, ...]) -> dict[str, AnyArray]:
    """Give the columns of `curves.csv`: all curves, one below the other.

    Parameters
    ----------
    curves : tuple of Curve
        Summary functions with their envelopes.

    Returns
    -------
    dict of str to (N,) array
        `CURVE_COLUMNS`, of length 0 when there is no curve.
    """
    lengths = [len(curve.r_mm) for curve in curves]
    return {
        name: np.repeat([getattr(curve, name) for curve in curves], lengths)
        if name in ("function", "lung")
        else np.concatenate([np.empty(0), *(getattr(curve, name) for curve in curves)])
        for name in CURVE_COLUMNS
    }


def rind_columns(anatomy: Anatomy) -> dict[str, AnyArray]:
    """Give the columns of `rinds.csv`: the thickness of pleural rinds, point by point.

    Parameters
    ----------
    anatomy : Anatomy
        With its rinds.

    Returns
    -------
    dict of str to (N,) array
        `RIND_COLUMNS`; of a large rind every few points, evenly.
    """
    parts = []
    for rind in anatomy.rinds:
        kept = slice(None, None, max(1, len(rind.points_mm) // _RIND_POINTS))
        values = np.column_stack([rind.points_mm, rind.thickness_mm])[kept].round(2)
        parts.append((np.full(len(values), rind.side), values))
    values = np.concatenate([np.empty((0, 4)), *(part for _, part in parts)])
    sides = np.concatenate([np.empty(0, "<U5"), *(side for side, _ in parts)])
    return dict(zip(RIND_COLUMNS, (sides, *values.T), strict=True))


def _images(anatomy: Anatomy, nodule_labels: IntArray) -> dict[str, AnyArray]:
    """Name the images that this anatomy has."""
    images: dict[str, AnyArray | None] = {
        "lungs": anatomy.lung_labels,
        "lobes": anatomy.lobe_labels,
        "airways": anatomy.airway_mask,
        "vessels": anatomy.vessel_mask,
        "fissures": anatomy.fissure_mask,
        "nodules": nodule_labels,
    }
    return {name: image for name, image in images.items() if image is not None}


def _write_image(folder: Path, name: str, image: AnyArray, analysis: Analysis) -> None:
    path = folder / f"{name}.nii.gz"
    write_mask(path, image, analysis.volume.geometry, box=analysis.anatomy.box)


def _write_dicom(
    folder: Path, analysis: Analysis, nodule_labels: IntArray, series: SeriesInfo
) -> None:
    settings, nodules = analysis.config.read, analysis.nodules
    threshold = analysis.config.detect.threshold
    # Candidates are no findings. Label 0 is no nodule; those beyond the last were not drawn.
    is_micro = np.concatenate([[False], nodules.micronodule & (nodules.score >= threshold)])
    write_segmentation(
        folder / "findings.seg.dcm",
        series,
        settings,
        lung_labels=analysis.anatomy.lung_labels,
        micronodules=is_micro[nodule_labels],
        box=analysis.anatomy.box,
    )
    write_structured_report(
        folder / "findings.sr.dcm",
        series,
        settings,
        nodules,
        flag=analysis.miliary.flag,
        min_score=threshold,
        max_nodules=_REPORTED_NODULES,
    )


def _provenance(analysis: Analysis) -> dict[str, Any]:
    """Tell how a result came about: no patient data, no absolute path, no host name."""
    return {
        "tool": TOOL,
        "schema": 1,
        "version": miliary.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "libraries": _library_versions(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "threads": n_threads(),
        "seed": analysis.seed,
        "config_hash": config_hash(analysis.config),
        "input": dict(analysis.volume.provenance),
        "seconds": dict(analysis.seconds),
        "peak_rss_mb": _peak_rss_mb(),
        "notes": [*analysis.volume.notes, *analysis.anatomy.notes, *analysis.notes],
    }


@functools.cache
def _library_versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _LIBRARIES}


@functools.cache
def _commit() -> str | None:
    """Read the commit of a checkout; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    # An environment may lie in the checkout of something else.
    if not (root / "pipeline" / "miliary").is_dir():
        return None
    git = root / ".git"
    try:
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / name).is_file():
            return (git / name).read_text("utf-8").strip()
        packed = (git / "packed-refs").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)


def _peak_rss_mb() -> float | None:
    """Give the peak of this process so far; a worker may have had larger cases before."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kB, macOS in bytes.
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _check_replaceable(folder: Path) -> None:
    free = not os.path.lexists(folder)
    if free or is_case_folder(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    raise CaseFolderError(
        f"a case folder must be new, empty or one that miliary wrote, got {folder.name!r}, which "
        "holds something else; move it away or name another folder"
    )


def _partial_name(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{folder.name}.{kind}-{uuid.uuid4().hex[:8]}")


def _swap(partial: Path, folder: Path) -> None:
    """Put the new folder in its place; what was there stays until the new one stands."""
    for path in partial.iterdir():
        _sync(path)
    _sync(partial)
    old = _partial_name(folder, "old")
    if folder.exists():
        folder.rename(old)
    try:
        partial.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    """Force a file or folder to the disk, so that a power cut finds it whole."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
