"""The page of a comparison: scans side by side at matched levels, curves over time, the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from miliary import __version__
from miliary.anatomy import SIDES
from miliary.arrays import FloatArray, IntArray
from miliary.compare.records import CaseRecord
from miliary.compare.results import Comparison
from miliary.compare.rows import FEWER, MORE, Change
from miliary.compare.view import ScanView
from miliary.config.report import ReportSettings
from miliary.report import courses, slabs
from miliary.report.panels import figure_uri
from miliary.report.templating import content_security_policy, environment
from miliary.report.views import Picture
from miliary.report.words import number

#: Levels at which scans are shown side by side, as shares of the lungs from the top.
_LEVELS = (0.15, 0.35, 0.55, 0.75, 0.9)


def render_comparison(
    comparison: Comparison, views: Sequence[ScanView], settings: ReportSettings
) -> str:
    """Write the page of a comparison.

    Parameters
    ----------
    comparison : Comparison
        What changed.
    views : sequence of ScanView
        The scans, oldest first; none where nothing is to be shown of them.
    settings : ReportSettings
        Window, slabs and sizes of pictures.

    Returns
    -------
    str
        A complete HTML page that needs no other file.
    """
    template = environment().get_template("comparison.html.j2")
    last = len(comparison.cases) - 1
    return template.render(
        policy=content_security_policy("style.css", "sort.js"),
        version=__version__,
        headline=_headline(comparison),
        summary=[lung for lung in comparison.lungs if (lung.earlier, lung.later) == (0, last)],
        scans=_scans(comparison),
        warnings=comparison.warnings,
        levels=_levels(comparison, views, settings),
        drawn=any(view.drawn for view in views),
        slab_mm=settings.slab_mm,
        courses=_courses(comparison),
        changes=[_row(change) for change in comparison.changes if _is_told(change)],
        rinds=comparison.rinds,
        rind_maps=_rind_maps(comparison),
        alignments=comparison.alignments,
        n_scans=len(comparison.cases),
    )


def _headline(comparison: Comparison) -> str:
    """The verdicts of both lungs from the first to the last scan, in one line."""
    last = len(comparison.cases) - 1
    told = []
    for lung in comparison.lungs:
        if (lung.earlier, lung.later) == (0, last):
            new = ", newly involved" if lung.newly_involved else ""
            nodules = " nodules" if lung.verdict in (MORE, FEWER) else ""
            told.append(f"{lung.lung} lung: {lung.verdict}{nodules}{new}")
    told += [
        f"{rind.lung} rind {rind.verdict}"
        for rind in comparison.rinds
        if (rind.earlier, rind.later) == (0, last)
    ]
    line = "; ".join(told) + "."
    return line[0].upper() + line[1:]


def _scans(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "case": case,
            "day": day,
            "n": {side: lung and lung.count() for side in SIDES for lung in [case.lung(side)]},
            "sensitivity": sensitivity,
            "ml": {side: case.side(side) for side in SIDES},
        }
        for case, day, sensitivity in zip(
            comparison.cases, comparison.days, comparison.sensitivity, strict=True
        )
    ]


def _is_told(change: Change) -> bool:
    """Zones of a lung that cannot be judged say nothing beyond the lung itself."""
    return change.zone == "all" or change.raw is not None


def _row(change: Change) -> dict[str, Any]:
    return {
        "scans": f"{change.earlier + 1} → {change.later + 1}",
        "change": change,
        "ratio": "–" if change.density is None else number(change.density.ratio, 2),
        "interval": ""
        if change.density is None
        else f"{number(change.density.low, 2)} to {number(change.density.high, 2)}",
    }


def _levels(
    comparison: Comparison, views: Sequence[ScanView], settings: ReportSettings
) -> list[list[dict[str, Any]]]:
    """Slabs of all scans at the same places of the patient, a row a level."""
    if not views:
        return []
    places = _places(views[0])
    frames = [
        _frame(view, _judged_points(case))
        for view, case in zip(views, comparison.cases, strict=True)
    ]
    rows = []
    for place in places:
        cells = []
        for view, frame in zip(views, frames, strict=True):
            there = view.matrix[:3, :3] @ place + view.matrix[:3, 3]
            z = view.geometry.to_index(there[None])[0][0] - frame.box[0].start
            slab = slabs.make_slab(frame, 0, float(np.clip(z, 0, len(frame.hu) - 1)), settings)
            cells.append(_cell(slab, settings))
        rows.append(cells)
    return rows


def _judged_points(case: CaseRecord) -> FloatArray:
    """Nodules of the lungs that can be judged; what is found in others is not counted either."""
    return np.concatenate(
        [np.empty((0, 3)), *(lung.points_mm for lung in case.lungs if lung.evaluable_ml > 0)]
    )


def _cell(slab: slabs.Slab, settings: ReportSettings) -> dict[str, Any]:
    return {
        "uri": slabs.jpeg_uri(slab.pixels, settings.picture_quality),
        "height": slab.pixels.shape[0],
        "width": slab.pixels.shape[1],
        "n": len(slab.rows),
        "rings": [(f"{x:.1f}", f"{y:.1f}", f"{r:.1f}") for x, y, r in slab.rings_px],
    }


def _places(view: ScanView) -> FloatArray:
    """World points in the middle of the lungs, at even shares of their volume from the top."""
    per_slice = np.count_nonzero(view.lung_labels, axis=(1, 2))[::-1]
    filled = np.cumsum(per_slice)
    if not len(filled) or filled[-1] == 0:
        levels: IntArray = (np.array(_LEVELS) * len(filled)).astype(int)
    else:
        levels = np.searchsorted(filled, np.array(_LEVELS) * filled[-1])
    index = np.array(
        [
            (len(filled) - 1 - level, view.lung_labels.shape[1] / 2, view.lung_labels.shape[2] / 2)
            for level in levels
        ]
    )
    return view.geometry.to_world(index)


def _frame(view: ScanView, points_mm: FloatArray) -> slabs.Frame:
    spacing = view.geometry.spacing_mm
    where = [np.flatnonzero(view.lung_labels.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    box = tuple(
        slice(max(int(at[0] - 5 / step), 0), int(at[-1] + 5 / step) + 1) if len(at) else slice(0, n)
        for at, step, n in zip(where, spacing, view.lung_labels.shape, strict=True)
    )
    start = np.array([bounds.start for bounds in box])
    return slabs.Frame(
        view.hu[box],
        (box[0], box[1], box[2]),
        spacing,
        view.geometry.to_index(points_mm.reshape(-1, 3)) - start,
        np.full(len(points_mm), 2.0),
    )


def _courses(comparison: Comparison) -> list[Picture]:
    return [
        Picture(figure_uri(figure), title, caption, f"{title}, by scan. {caption}")
        for figure, title, caption in courses.plot_courses(comparison)
    ]


def _rind_maps(comparison: Comparison) -> list[Picture]:
    return [
        Picture(figure_uri(figure, photo=True), title, caption, title)
        for figure, title, caption in courses.plot_rinds(comparison)
    ]
