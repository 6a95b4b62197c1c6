"""The folder of one case: every file of the contract, appearing whole or not at all."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import miliary
from miliary.case_files import (
    density_map,
    images_of,
    list_nodules,
    rind_columns,
    write_dicom,
    write_tables,
)
from miliary.config import config_dict, config_hash
from miliary.errors import CaseFolderError
from miliary.io.case_places import (
    PROVENANCE,
    REPORT,
    THUMBNAIL,
    TOOL,
    is_case_folder,
    partial_name,
    swap_in,
)
from miliary.io.images import write_map, write_mask, write_sparse_mask
from miliary.io.tables import write_csv, write_json
from miliary.kernels.slabs import n_threads
from miliary.report.page import render_report
from miliary.report.thumbnail import render_thumbnail
from miliary.report.viewer import VIEWER, render_viewer

if TYPE_CHECKING:
    from miliary.analysis import Analysis
    from miliary.io.series import SeriesInfo


_LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-image",
    "SimpleITK",
    "pydicom",
    "highdicom",
    "edt",
    "isal",
    "connected-components-3d",
)


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
    partial = partial_name(folder, "new")
    try:
        partial.mkdir(parents=True)
        _fill(partial, analysis, series if dicom else None, dict(provenance or {}))
        swap_in(partial, folder)
    except OSError as error:
        raise CaseFolderError(
            f"the case folder must be writable, got {error.strerror or type(error).__name__}; "
            "free some space or name another --out"
        ) from error
    finally:
        # Gone by now unless something failed, be it an interrupt.
        shutil.rmtree(partial, ignore_errors=True)
    return given


def _fill(
    folder: Path, analysis: Analysis, series: SeriesInfo | None, extra: dict[str, Any]
) -> None:
    """Write every file."""
    started = time.perf_counter()
    facts = _provenance(analysis) | extra
    # Not in a process beside: to fork a large one takes longer than half of the page.
    page = render_report(analysis, facts)
    if series is not None:
        write_dicom(folder, analysis, series)
    _write_images(folder, analysis)
    write_tables(folder, analysis)
    (folder / THUMBNAIL).write_bytes(render_thumbnail(analysis))
    if analysis.anatomy.rinds:
        write_csv(folder / "rinds.csv", rind_columns(analysis.anatomy))
    if analysis.config.report.viewer:
        (folder / VIEWER).write_text(render_viewer(analysis), encoding="utf-8")
    (folder / REPORT).write_text(page, encoding="utf-8")
    facts["seconds"] = {**facts["seconds"], "write": time.perf_counter() - started}
    facts["peak_rss_mb"] = _peak_rss_mb()
    # Last, for it is what makes the folder ours.
    write_json(folder / PROVENANCE, facts | {"config": config_dict(analysis.config)})


def _write_images(folder: Path, analysis: Analysis) -> None:
    grid, anatomy = analysis.volume.geometry, analysis.anatomy
    for name, image in images_of(anatomy).items():
        write_mask(folder / f"{name}.nii.gz", image, grid, box=anatomy.box)
    nodules = list_nodules(analysis.nodules, anatomy)
    write_sparse_mask(folder / "nodules.nii.gz", *nodules, grid, box=anatomy.box)
    if (density := density_map(analysis)) is not None:
        write_map(folder / "density.nii.gz", *density)


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
    """Give the peak of this process so far, or of its decoders; `miliary run` forks one a case."""
    try:
        import resource
    except ImportError:
        return None
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in whose)
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
