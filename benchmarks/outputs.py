"""How long it takes to write the results of a case of 512 x 512 x 400 voxels, file by file.

The case is that of sample_data, analysed, then blown up to this size with as many nodules as
asked for: what matters here is how much there is to write.

Run: scripts/bench outputs [NODULES] [--keep]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from _results import Results
from scipy import ndimage

import miliary
from miliary import case_folder
from miliary.analysis import Analysis
from miliary.config.reading import ReadSettings
from miliary.geometry import Geometry
from miliary.io.series import SeriesInfo, find_inputs
from miliary.io.write_dicom import write_series

SHAPE, SPACING_MM = (400, 512, 512), (0.75, 0.68, 0.68)
SAMPLE = Path(__file__).parents[1] / "sample_data" / "dicom"
PARTS = (
    (case_folder, "list_nodules"),
    (case_folder, "write_mask"),
    (case_folder, "write_sparse_mask"),
    (case_folder, "write_map"),
    (case_folder, "render_report"),
    (case_folder, "render_thumbnail"),
    (case_folder, "render_viewer"),
    (case_folder, "write_tables"),
    (case_folder, "write_dicom"),
)


def blown_up(analysis: Analysis, n: int) -> Analysis:
    """Give the same case with more and smaller voxels, and with more nodules."""
    anatomy, volume = analysis.anatomy, analysis.volume
    geometry = Geometry.aligned(SHAPE, SPACING_MM, (-170.0, -170.0, -300.0))
    # The lungs fill most of the slices, as in a patient.
    small = np.array(anatomy.geometry.shape)
    size = np.minimum(np.round(small * 1.9), np.array(SHAPE) * [0.95, 0.7, 0.85]).astype(int)
    first = (np.array(SHAPE) - size) // 2
    box = tuple(slice(int(a), int(a + n)) for a, n in zip(first, size, strict=True))

    def grow(image: Any, order: int = 0) -> Any:
        return ndimage.zoom(image, size / small, order=order)

    images = {
        item.name: grow(getattr(anatomy, item.name))
        for item in fields(anatomy)
        if isinstance(getattr(anatomy, item.name), np.ndarray)
    }
    hu = np.full(SHAPE, -1024, np.int16)
    hu[box] = grow(volume.hu[anatomy.box], 1)
    rng = np.random.default_rng(1)
    hu[box] += rng.normal(0, 30, hu[box].shape).astype(np.int16)
    grown = replace(anatomy, box=box, geometry=geometry.crop(box), **images)
    inside = np.argwhere(grown.evaluable_labels > 0)
    nodules = analysis.nodules.take(np.arange(n) % len(analysis.nodules))
    points = grown.geometry.to_world(inside[rng.integers(0, len(inside), n)])
    return replace(
        analysis,
        volume=replace(volume, hu=hu, geometry=geometry),
        anatomy=grown,
        nodules=replace(nodules, points_mm=points, score=rng.uniform(0.85, 1, n)),
    )


@contextlib.contextmanager
def timed(spent: dict[str, float]) -> Iterator[None]:
    """Add up the CPU time that each part takes in its own thread: others may run beside it."""
    before = [getattr(module, name) for module, name in PARTS]
    for (module, name), part in zip(PARTS, before, strict=True):

        def wrapped(*args: Any, _part: Any = part, _name: str = name, **options: Any) -> Any:
            start = time.thread_time()
            try:
                return _part(*args, **options)
            finally:
                spent[_name] = spent.get(_name, 0.0) + time.thread_time() - start

        setattr(module, name, wrapped)
    try:
        yield
    finally:
        for (module, name), part in zip(PARTS, before, strict=True):
            setattr(module, name, part)


def write_timed(
    analysis: Analysis, folder: Path, info: SeriesInfo | None
) -> tuple[float, float, dict[str, float]]:
    """Write a case; gives wall and CPU seconds, and those of its parts."""
    spent: dict[str, float] = {}
    start, used = time.perf_counter(), time.process_time()
    with timed(spent):
        case_folder.write_case(analysis, folder, series=info, dicom=info is not None)
    return time.perf_counter() - start, time.process_time() - used, spent


def with_viewer(analysis: Analysis) -> Analysis:
    """Give the same case with the viewer asked for."""
    config = analysis.config
    return replace(analysis, config=replace(config, report=replace(config.report, viewer=True)))


def main(n: int, results: Results) -> None:
    """Write one case with DICOM twice, for at first libraries are loaded; then in other ways."""
    analysis = blown_up(miliary.analyze(miliary.read(SAMPLE)), n)
    with tempfile.TemporaryDirectory() as scratch:
        write_series(Path(scratch) / "ct", analysis.volume, seed=1)
        (info,) = find_inputs([Path(scratch) / "ct"], ReadSettings())
        ready = os.environ.get("OUTPUTS_READY")
        if ready:
            # Whoever freezes the other processes for the measurement waits for this file.
            Path(ready).touch()
            time.sleep(5)
        ways = (
            ("all with DICOM, libraries not loaded yet", analysis, info),
            ("all with DICOM", analysis, info),
            ("without DICOM", analysis, None),
            ("without DICOM, with the viewer", with_viewer(analysis), None),
        )
        rows, parts = [], []
        for way, (name, case, series) in enumerate(ways):
            wall, cpu, spent = write_timed(case, Path(scratch) / str(way), series)
            rows.append([name, f"{wall:.1f}", f"{cpu:.1f}"])
            parts.append(spent)
        results.table(
            f"Writing a case of {' x '.join(map(str, SHAPE[::-1]))} voxels, {n} nodules",
            ["what is written", "wall, s", "CPU, s"],
            rows,
        )
        spent = parts[1] | parts[3]
        by_time = sorted(spent.items(), key=lambda item: -item[1])
        results.table(
            "Its parts",
            ["part", "CPU of its thread, s"],
            [[name, f"{seconds:.2f}"] for name, seconds in by_time],
            "`render_viewer` packs its slices on threads of its own, which are not counted.",
        )
        sizes = {
            path.name: path.stat().st_size / 1e6
            for way in ("1", "3")
            for path in sorted((Path(scratch) / way).iterdir())
        }
        results.table("Files", ["file", "MB"], [[k, f"{v:.2f}"] for k, v in sorted(sizes.items())])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodules", nargs="?", type=int, default=1000)
    parser.add_argument("--keep", action="store_true", help="keep the tables in results/")
    asked = parser.parse_args()
    made = Results("outputs", "Wall and CPU time of writing everything of a large case.")
    main(asked.nodules, made)
    if asked.keep:
        made.keep()
