"""The cases of the verdict's benchmark: what is wished for, declared once, and how it is made.

Cases to fit with and cases to measure with share no seed: those from 7000 on are for fitting, those
from 8000 on for measuring. Insertions into real scans share the scans (there are only two), not
the seeds; rider-0117-lower is used for fitting in its lower half alone.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import miliary
from miliary.anatomy import Anatomy
from miliary.phantom import PhantomSpec
from miliary.phantom.spec import CHEST_MM
from miliary.volume import Volume

PATTERNS = ("random", "centrilobular", "perilymphatic")
NUMBERS = (100, 300, 1000, 3000)
FIT, MEASURE = 7000, 8000

#: Chests grow with the number of nodules, so that these are neither lost in the lungs nor fill
#: them: part of an adult's, for lungs of 0.3 to 0.6, 0.4 to 0.8, 0.9 to 1.3, 1.7 to 2.1 litres.
_SCALES = {100: (0.4, 0.5), 300: (0.45, 0.55), 1000: (0.58, 0.66), 3000: (0.72, 0.78)}
_GRIDS = {"fine": (1.0, 0.8, 0.8), "coarse": (1.25, 0.9, 0.9)}
_NOISES_HU = (20.0, 45.0)

#: Cases of each number in the matrix of a pattern, for fitting and for measuring: several
#: replicates of noise x grid x both or one lung, thinned where a case costs much.
_REPLICATES = {
    FIT: {100: 5, 300: 5, 1000: 3, 3000: 2},
    MEASURE: {100: 20, 300: 20, 1000: 12, 3000: 6},
}
_WITHOUT = {FIT: {"none": 10, "metastases": 6}, MEASURE: {"none": 44, "metastases": 32}}

#: Pattern and number of nodules of cases that are measured besides, and how many of each.
_FRESH = {
    ("none", 0): 40,
    ("metastases", 0): 8,
    ("random", 100): 10,
    ("random", 300): 6,
    ("centrilobular", 100): 12,
    ("centrilobular", 300): 4,
    ("perilymphatic", 100): 10,
    ("perilymphatic", 300): 4,
}

#: Hard cases, how often each for measuring; a third of it for fitting.
_HARD = {
    "random, base to apex 2:1": 4,
    "random, larger in the upper zones": 4,
    "random in one lung beside an encased one": 4,
    "random, 10 % vessels": 3,
    "random, 20 % vessels": 3,
    "random, 30 % vessels": 3,
    "centrilobular, 10 % vessels": 4,
    "centrilobular, 30 % vessels": 3,
    "perilymphatic, 30 % vessels": 3,
    "half perilymphatic": 6,
    "slices of 2.5 mm": 3,
}


@dataclass(frozen=True)
class Case:
    """One case of the benchmark.

    Parameters
    ----------
    name : str
        Unique among the cases.
    group : str
        `matrix`, `hard` or `real`.
    kind : str
        What is in it, for the tables.
    pattern : str
        The true pattern.
    n, noise_hu, grid, lungs
        Cell of the matrix.
    seed : int
        Seed of all that is random in it.
    contamination : float
        Share of false positives to add, at vessels.
    scan : str
        Real scan to put nodules into; empty for a phantom.
    """

    name: str
    group: str
    kind: str
    pattern: str
    n: int
    noise_hu: float
    grid: str
    lungs: str
    seed: int
    contamination: float = 0.0
    scan: str = ""


def declare(first: int) -> list[Case]:
    """List the cases of a stage, `FIT` or `MEASURE`, those of every kind evenly spread."""
    cases = [*_matrix(first), *_hard(first), *_real(first)]
    if first == MEASURE:
        cases += _fresh(first + 800)
    order = np.random.default_rng(first).permutation(len(cases))
    return [cases[k] for k in order]


def _matrix(first: int) -> list[Case]:
    cells = list(product(_GRIDS, _NOISES_HU, ("both", "one")))
    wished = [
        (pattern, n, k)
        for pattern in PATTERNS
        for n in NUMBERS
        for k in range(_REPLICATES[first][n])
    ]
    wished += [(kind, 0, k) for kind, times in _WITHOUT[first].items() for k in range(times)]
    cases = []
    for number, (pattern, n, k) in enumerate(wished):
        grid, noise_hu, lungs = cells[(k + 3 * (number // 7)) % len(cells)]
        if pattern in _WITHOUT[first]:
            lungs = "both"
        side = lungs if lungs == "both" else ("right", "left")[number % 2]
        name = f"{first + number}-{pattern}-{n}"
        seed = first + number
        cases.append(Case(name, "matrix", pattern, pattern, n, noise_hu, grid, side, seed))
    return cases


def _fresh(first: int) -> list[Case]:
    """Cases of the matrix that were declared when the rules were last changed, and not before."""
    cells = list(product(_GRIDS, _NOISES_HU, ("both", "right", "both", "left")))
    wished = [kind for kind, times in _FRESH.items() for _ in range(times)]
    cases = []
    for k, (pattern, n) in enumerate(wished):
        grid, noise_hu, lungs = cells[5 * k % len(cells)]
        lungs = lungs if n else "both"
        name = f"{first + k}-{pattern}-{n}"
        cases.append(Case(name, "matrix", pattern, pattern, n, noise_hu, grid, lungs, first + k))
    return cases


def _hard(first: int) -> list[Case]:
    cases = []
    for kind, times in _HARD.items():
        for k in range(times if first == MEASURE else max(times // 3, 1)):
            seed = first + 500 + len(cases)
            share = next((float(word) / 100 for word in kind.split() if word.isdigit()), 0.0)
            pattern = kind.split(",")[0].split()[0]
            pattern = {"half": "perilymphatic", "slices": PATTERNS[k % 3]}.get(pattern, pattern)
            lungs = "right" if "one lung" in kind else "both"
            grid = ("coarse", "fine")[k % 2]
            case = Case(f"{seed}-hard", "hard", kind, pattern, 300, 30.0, grid, lungs, seed, share)
            cases.append(case)
    return cases


def _real(first: int) -> list[Case]:
    """Insertions into real scans by code that shares nothing with the package."""
    cases = []
    if first == FIT:
        wished = [("lidc-0314:0:150", kind, n) for kind in PATTERNS for n in (200,)]
        wished += [("rider-0117-lower:0:95", kind, 300) for kind in PATTERNS]
    else:
        wished = [
            (scan, kind, n)
            for scan, numbers in {
                "lidc-0314:0:275": (300, 1000),
                "rider-0117-lower:0:95": (100, 300),
            }.items()
            for kind in PATTERNS
            for n in numbers
        ]
        wished += [
            (scan, kind, n)
            for scan, numbers in {
                "lidc-0314:0:150": (100, 300),
                "lidc-0314:125:275": (300,),
            }.items()
            for kind in PATTERNS
            for n in numbers
        ]
        wished += [("lidc-0314:0:275", "none", 0), ("rider-0117-lower:0:95", "none", 0)]
        wished += [("nlst-low-dose:40:110", "random", 300), ("nlst-low-dose:40:110", "none", 0)]
    for scan, kind, n in wished:
        seed = first + 700 + len(cases)
        cases.append(
            Case(f"{seed}-real", "real", kind, kind, n, np.nan, "real", "both", seed, scan=scan)
        )
    return cases


def make(case: Case, shared: Path) -> tuple[Volume, np.ndarray]:
    """Make the scan of a case, and its true nodules `(x, y, z)` in mm."""
    if case.scan:
        return _insert(case, shared)
    phantom = miliary.make_phantom(wish(case))
    return phantom.volume, phantom.nodules.points_mm


def wish(case: Case) -> PhantomSpec:
    """Say what phantom a case is."""
    rng = np.random.default_rng([case.seed, 20])
    low, high = _SCALES.get(case.n, (0.4, 0.55))
    spacing = np.array(_GRIDS[case.grid])
    if case.kind.startswith("slices"):
        spacing = np.array((2.5, 0.8, 0.8))
    scale = rng.uniform(low, high)
    psf_mm = np.array((1.1, 1.3, 1.3)) * spacing * rng.uniform(0.9, 1.1)
    if not case.kind.startswith("slices"):
        # It stands for the slices' thickness too, and from 1.5 mm on nothing is judged.
        psf_mm[0] = min(psf_mm[0], 1.49)
    wishes: dict[str, Any] = {
        "seed": case.seed,
        "shape": tuple(int(v) for v in np.ceil(np.array(CHEST_MM) * scale / spacing)),
        "spacing_mm": tuple(spacing.tolist()),
        "psf_fwhm_mm": tuple(psf_mm.tolist()),
        "noise_hu": case.noise_hu * rng.uniform(0.85, 1.15),
        "noise_peak_per_mm": float(rng.choice([0.25, 0.35, 0.45])),
        "edge_enhancement": float(rng.choice([0.0, 0.2])),
        "pattern": case.pattern,
        "n_nodules": case.n or (0 if case.kind == "none" else int(rng.integers(6, 25))),
        "diameter_mm": 2.0 + (rng.uniform(-0.15, 0.35) if case.seed < MEASURE else 0.0),
        "lungs": case.lungs,
    }
    spec = PhantomSpec.of(**wishes)
    if "2:1" in case.kind:
        return spec.but(gradient=2.0)
    if "upper zones" in case.kind:
        return spec.but(diameter_gradient=0.75)
    if "encased" in case.kind:
        return spec.but(encased_lung="left", rind_mm=8.0, volume_loss=0.25, n_nodules=200)
    if "half" in case.kind:
        (group,) = spec.nodules
        half = replace(group, n_nodules=case.n // 2)
        return replace(spec, nodules=(half, replace(half, pattern="random")))
    return spec


@cache
def _inserter(shared: Path) -> Any:
    """Load ../shared/eval/insert_nodules.py."""
    where = shared / "eval" / "insert_nodules.py"
    spec = importlib.util.spec_from_file_location("insert_nodules", where)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _insert(case: Case, shared: Path) -> tuple[Volume, np.ndarray]:
    """Put nodules into some slices of a real scan."""
    tool = _inserter(shared)
    scan, first, last = case.scan.split(":")
    volume = miliary.read(shared / "ct" / scan)
    _, n_rows, n_columns = volume.hu.shape
    box = slice(int(first), int(last)), slice(0, n_rows), slice(0, n_columns)
    volume = replace(volume, hu=volume.hu[box], geometry=volume.geometry.crop(box))
    spacing = np.asarray(volume.geometry.spacing_mm)
    if case.kind == "none":
        return volume, np.empty((0, 3))
    rng = np.random.default_rng(case.seed)
    mask = tool.rough_lungs(np.asarray(volume.hu, np.float32), spacing)
    diameters = np.clip(rng.normal(2.0, 0.2, case.n), 0.6, None)
    hu, truth = tool.insert(
        np.asarray(volume.hu, np.float32), spacing, mask, diameters, rng, case.kind
    )
    return replace(volume, hu=hu), volume.geometry.to_world(truth[:, :3] / spacing)


def vessels_beside(
    anatomy: Anatomy, points_mm: np.ndarray, truth_mm: np.ndarray, *, reach_mm: float = 2.5
) -> np.ndarray:
    """Tell which places lie at a vessel and far from any true nodule."""
    from scipy.spatial import KDTree

    near = anatomy.at(anatomy.vessel_mm, anatomy.geometry.to_index(points_mm)) < 1.5
    if len(truth_mm):
        near &= KDTree(truth_mm).query(points_mm)[0] > reach_mm
    return near
