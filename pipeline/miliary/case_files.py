"""What goes into the folder of a case, made ready for writing: images, tables, DICOM results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from miliary.geometry import Geometry
from miliary.io.case_places import RIND_COLUMNS, SUMMARY
from miliary.io.tables import write_csv, write_json, write_markups
from miliary.kernels.ball_labels import label_balls, list_ball_labels

if TYPE_CHECKING:
    from miliary.analysis import Analysis
    from miliary.anatomy import Anatomy
    from miliary.arrays import AnyArray, FloatArray, IntArray
    from miliary.findings import Curve
    from miliary.io.series import SeriesInfo
    from miliary.nodules import Nodules

#: The columns of `curves.csv`, in their order. The contract fixes them.
CURVE_COLUMNS = ("function", "lung", "r_mm", "observed", "expected", "low", "high")

#: Points of a rind that are kept: some 200 kB, and several for each cell of its map.
_RIND_POINTS = 5000

#: Nodules with a group of their own in the structured report: each costs 16 ms and some 3 kB.
#: All of them stand in `nodules.csv`.
_REPORTED_NODULES = 100

#: Highest label of a 16-bit image; with `detect.keep_all` there may be more candidates.
_MAX_LABEL = np.iinfo(np.uint16).max


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
    return label_balls(*_drawn(nodules, anatomy))


def list_nodules(nodules: Nodules, anatomy: Anatomy) -> tuple[IntArray, IntArray]:
    """List the voxels that `draw_nodules` gives a label: far fewer than it makes.

    Parameters
    ----------
    nodules : Nodules
        What was found.
    anatomy : Anatomy
        Gives the grid.

    Returns
    -------
    voxels : (V,) int
        Flat indices into the grid of the anatomy, increasing.
    labels : (V,) int
        Number of the nodule at each.
    """
    return list_ball_labels(*_drawn(nodules, anatomy))


def _drawn(
    nodules: Nodules, anatomy: Anatomy
) -> tuple[tuple[int, int, int], FloatArray, FloatArray, FloatArray]:
    """Grid, spacing, centres and diameters of the nodules that are drawn."""
    geometry = anatomy.geometry
    index_zyx = geometry.to_index(nodules.points_mm)[:_MAX_LABEL]
    return geometry.shape, geometry.spacing_mm, index_zyx, nodules.diameter_mm[:_MAX_LABEL]


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


def images_of(anatomy: Anatomy) -> dict[str, AnyArray]:
    """Name the label images that a case has beside that of its nodules.

    Parameters
    ----------
    anatomy : Anatomy
        Lungs and what is in them.

    Returns
    -------
    dict of str to (z, y, x) array
        By the name of the file without its end; those that the scan did not let us make are
        left out.
    """
    images: dict[str, AnyArray | None] = {
        "lungs": anatomy.lung_labels,
        "lobes": anatomy.lobe_labels,
        "airways": anatomy.airway_mask,
        "vessels": anatomy.vessel_mask,
        "fissures": anatomy.fissure_mask,
    }
    return {name: image for name, image in images.items() if image is not None}


def density_map(analysis: Analysis) -> tuple[FloatArray, Geometry] | None:
    """Give the smoothed density of nodules on a grid of its own.

    Parameters
    ----------
    analysis : Analysis
        One case.

    Returns
    -------
    values : (z, y, x) float
        Nodules per litre; NaN outside the evaluable lungs.
    geometry : Geometry
        The grid. None in place of both where there is no density.
    """
    density = analysis.spatial.density
    if density is None:
        return None
    grid = analysis.anatomy.geometry
    affine = grid.affine.copy()
    affine[:3, :3] *= density.voxel_mm / grid.spacing_mm
    affine[:3, 3] = grid.to_world(density.first_mm / grid.spacing_mm)[0]
    z, y, x = density.per_ml.shape
    return 1000.0 * density.per_ml, Geometry((z, y, x), affine)


def write_tables(folder: Path, analysis: Analysis) -> list[Path]:
    """Write the numbers of a case, without images and without a page.

    Parameters
    ----------
    folder : Path
        For the files.
    analysis : Analysis
        What was found.

    Returns
    -------
    list of Path
        `summary.json`, `nodules.csv`, `curves.csv` and `nodules.mrk.json`.
    """
    return [
        write_json(folder / SUMMARY, analysis.to_dict()),
        write_csv(folder / "nodules.csv", analysis.nodules.columns()),
        write_csv(folder / "curves.csv", curve_columns(analysis.spatial.curves)),
        write_markups(folder / "nodules.mrk.json", analysis.nodules),
    ]


def write_dicom(folder: Path, analysis: Analysis, series: SeriesInfo) -> None:
    """Write the segmentation and the structured report, and a map of nodules where asked for.

    Parameters
    ----------
    folder : Path
        For both files.
    analysis : Analysis
        What was found.
    series : SeriesInfo
        The series that was read.
    """
    # Only here: most runs do without, and highdicom takes some 0.3 s to import.
    from miliary.io.segmentation import write_nodule_map, write_segmentation
    from miliary.io.source_images import source_images
    from miliary.io.structured_report import write_structured_report

    images, nodules = source_images(series, analysis.config.read), analysis.nodules
    nodule_labels = draw_nodules(nodules, analysis.anatomy)
    threshold = analysis.config.detect.threshold
    # Candidates are no findings. Label 0 is no nodule; those beyond the last were not drawn.
    is_micro = np.concatenate([[False], nodules.micronodule & (nodules.score >= threshold)])
    write_segmentation(
        folder / "findings.seg.dcm",
        series,
        images,
        lung_labels=analysis.anatomy.lung_labels,
        micronodules=is_micro[nodule_labels],
        box=analysis.anatomy.box,
    )
    if analysis.config.report.nodule_map and nodule_labels.any():
        write_nodule_map(
            folder / "nodules.seg.dcm",
            series,
            images,
            nodule_labels=nodule_labels,
            box=analysis.anatomy.box,
        )
    write_structured_report(
        folder / "findings.sr.dcm",
        series,
        images,
        nodules,
        flag=analysis.miliary.flag,
        pattern=analysis.pattern.label,
        lungs=analysis.anatomy.lungs,
        min_score=threshold,
        max_nodules=_REPORTED_NODULES,
    )
