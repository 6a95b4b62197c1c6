"""The case: an encased left lung, a right one that fills, three scans from DICOM: told right?"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edt
import numpy as np
from _results import Results

from miliary.geometry import Geometry
from miliary.io.cases import read_case
from miliary.io.images import read_mask
from miliary.phantom import PhantomSpec, Tissue

LEFT = 2
#: Nodules of the right lung, rind in mm and loss of volume of the left, scan by scan.
COURSE = ((0, 6.0, 0.15), (160, 9.0, 0.25), (420, 12.0, 0.35))


@dataclass(frozen=True)
class Scan:
    """What is true of a scan, and the folder of its DICOM.

    Parameters
    ----------
    dicom : Path
        Folder.
    n : int
        Nodules of the right lung.
    rind_ml, aerated_ml : float
        Of the left side.
    depth_mm : (z, y, x) float32
        Shortest way from each voxel of the left hemithorax to its wall, less that to the surface
        of the lung.
    geometry : Geometry
        The grid.
    """

    dicom: Path
    n: int
    rind_ml: float
    aerated_ml: float
    depth_mm: np.ndarray
    geometry: Geometry

    def mean_mm(self, points_mm: np.ndarray) -> float:
        """True mean thickness at the points at which ours is given."""
        index = np.rint(self.geometry.to_index(points_mm)).astype(int)
        return float(self.depth_mm[tuple(index.T)].mean())


def visits(seed: int, spacing_mm: tuple[float, float, float]) -> list[PhantomSpec]:
    """Three scans: other noise each time, the last with less breath."""
    shape = [int(mm / step) for mm, step in zip((276.0, 256.0, 323.0), spacing_mm, strict=True)]
    base = PhantomSpec.of(
        seed=seed, shape=tuple(shape), spacing_mm=spacing_mm,
        psf_fwhm_mm=(1.1 * spacing_mm[0], 1.1, 1.1), pattern="random", diameter_mm=2.1,
        lungs="right", encased_lung="left",
    )  # fmt: skip
    protocols: list[dict[str, Any]] = [{}, {"noise_hu": 35.0}, {"noise_hu": 25.0, "breath": 0.95}]
    return [
        base.but(n_nodules=n, rind_mm=rind_mm, volume_loss=loss, **protocol)
        for (n, rind_mm, loss), protocol in zip(COURSE, protocols, strict=True)
    ]


def read_scan(folder: Path, n: int) -> Scan:
    """Read what is true of a written phantom."""
    tissue, grid = read_mask(folder / "tissues.nii.gz")
    lungs, _ = read_mask(folder / "lungs.nii.gz")
    chest, _ = read_mask(folder / "hemithorax.nii.gz")
    step = tuple(float(mm) for mm in grid.spacing_mm)
    whole, lung = (edt.edt(labels == LEFT, anisotropy=step) for labels in (chest, lungs))
    rind, aerated = np.count_nonzero(tissue == Tissue.RIND), np.count_nonzero(lungs == LEFT)
    return Scan(
        folder / "dicom", n, rind * grid.voxel_ml, aerated * grid.voxel_ml, whole - lung, grid
    )


def run_case(seed: int, folder: Path, results: Results) -> None:
    """Make the scans, compare their DICOM in one command, and hold what is told against them."""
    from miliary.cli.phantom import write_visits

    if not (folder / "scans").exists():
        write_visits(folder / "scans", visits(seed, (1.2, 0.95, 0.95)))
    scans = [
        read_scan(folder / "scans" / f"visit-{k}", n) for k, (n, _, _) in enumerate(COURSE, start=1)
    ]
    shutil.rmtree(folder / "told", ignore_errors=True)
    words = [sys.executable, "-m", "miliary", "compare", *(str(scan.dicom) for scan in scans)]
    said = subprocess.run(
        [*words, "--out", str(folder / "told")], check=True, capture_output=True, text=True
    )
    print(said.stdout)
    told = json.loads((folder / "told" / "comparison.json").read_text())
    _scans(results, scans, told, folder / "told" / "cases")
    _changes(results, scans, told)


def _scans(results: Results, scans: list[Scan], told: dict[str, Any], cases: Path) -> None:
    rows = []
    for number, (scan, case) in enumerate(zip(scans, told["cases"], strict=True), start=1):
        left, right = (case["lungs"].get(side) or {} for side in ("left", "right"))
        rind = next(lung.rind for lung in read_case(cases / case["case"]).lungs if lung.rind)
        thick, true_mm = float(rind.thickness_mm.mean()), scan.mean_mm(rind.points_mm)
        rows.append(
            [
                str(number),
                f"{case['flag']}, {case['pattern']}, {case['extent'] or '-'}",
                f"{right['zones'][0]['n']} of {scan.n}",
                f"{left['volume_ml']:.0f} of {scan.aerated_ml:.0f}",
                f"{left['evaluable_ml']:.0f}",
                f"{left['rind_ml']:.0f} of {scan.rind_ml:.0f} "
                f"({left['rind_ml'] / scan.rind_ml - 1:+.1%})",
                f"{thick:.1f} of {true_mm:.1f} ({thick - true_mm:+.1f})",
            ]
        )
    heads = ["scan", "told", "found right", "left lung, ml", "judged, ml", "rind, ml", "mean, mm"]
    results.table("The case, scan by scan: told of true", heads, rows)


def _changes(results: Results, scans: list[Scan], told: dict[str, Any]) -> None:
    rows = []
    for lung in told["lungs"]:
        earlier, later = (scans[lung[name]].n for name in ("earlier", "later"))
        true = "none" if lung["lung"] == "left" else f"{earlier} to {later}"
        change = next(
            row
            for row in told["changes"]
            if row["zone"] == "all" and all(row[k] == lung[k] for k in ("earlier", "later", "lung"))
        )
        ratio = change["count"]
        number = "-" if ratio is None else "{ratio:.2f} ({low:.2f} to {high:.2f})".format(**ratio)
        new = {True: "yes", False: "no", None: "-"}[lung["newly_involved"]]
        pair = f"{lung['earlier'] + 1} to {lung['later'] + 1}"
        rows.append([pair, lung["lung"], true, lung["verdict"], new, number])
    heads = ["scans", "lung", "true nodules", "told", "newly involved", "number, times"]
    results.table("What changed", heads, rows)
    rows = [
        [f"{r['earlier'] + 1} to {r['later'] + 1}", r["lung"], r["verdict"], r["sentence"]]
        for r in told["rinds"]
    ]
    results.table("The rind", ["scans", "lung", "told", "in words"], rows)
