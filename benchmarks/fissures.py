#!/usr/bin/env python3
"""Fissures and lobes against known ones: on phantoms, and on sheets drawn from real masks.

    benchmarks/fissures.py phantoms [--seeds 132 133 ...] [--size 1.0] [--wish NAME=VALUE ...]
    benchmarks/fissures.py masks [--folder ../shared/ct/medrad-masks]      (both: [--keep])

`phantoms` makes chests of 300 x 400 x 512 voxels and takes them the whole way: lungs, vessels,
fissures. `masks` takes hand-drawn fissures of real lungs (not part of the repository) without
their CT: the middle of each mask is drawn as a sheet of 0.22 mm in lung of -860 HU with texture,
blurred by 0.45 mm, under noise of 25 HU; lungs and vessels are those of the masks. Crumbs of a
mask, under a fifth of its largest piece, are left out.

Median: distance of the true surface to the one found, where the truth is seen. Found: share of
the seen true surface with a seen surface of ours within 2 mm. Right: the other way round. Seconds
and memory are those of `find_fissures`, memory beyond what the scan and its masks take. No seed of
the default served while building.
"""

from __future__ import annotations

import argparse
import ast
import resource
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cc3d
import edt
import nibabel
import numpy as np
from _results import Results
from scipy import ndimage

from miliary.anatomy import LOBES
from miliary.arrays import Box
from miliary.config import Config
from miliary.config.fissures import FissureSettings
from miliary.fissures import Fissures, find_fissures
from miliary.geometry import Geometry
from miliary.kernels.distances import close_gaps
from miliary.kernels.regions import bounding_box, split_in_two, stretch
from miliary.lungs import segment_lungs
from miliary.phantom import PhantomSpec, make_phantom
from miliary.vessels import find_vessels
from miliary.volume import Volume

MASKS = Path(__file__).resolve().parents[2] / "shared" / "ct" / "medrad-masks"
NEAR_MM = 2.0
#: Kept round the lungs of a mask: there is nothing beyond.
MARGIN_MM = 15.0
#: Lobes on both sides of each fissure.
SIDES = {
    "right_oblique": ((1, 2), (3,)),
    "right_horizontal": ((1,), (2,)),
    "left_oblique": ((4,), (5,)),
}
LUNG_HU, SHEET_HU, VESSEL_HU, AIR_HU = -860.0, 20.0, 40.0, -960.0
SHEET_MM, PSF_MM, NOISE_HU = 0.22, 0.45, 25.0
#: A sheet at a slant is longer along a row of voxels than it is thick: by this on average.
SLANT = 1 / 0.8


@dataclass
class Case:
    """A scan with its lungs and vessels, and what is known of its fissures."""

    name: str
    volume: Volume
    box: Box
    lung_labels: np.ndarray
    vessel_mask: np.ndarray
    truth: dict[str, np.ndarray]
    lobes: np.ndarray | None
    cut: tuple[tuple[str, str], ...] = ()


def between(lobes: np.ndarray, first: tuple[int, ...], second: tuple[int, ...]) -> np.ndarray:
    """Voxels of one group of lobes that touch the other."""
    one, two = np.isin(lobes, first), np.isin(lobes, second)
    edge = np.zeros(lobes.shape, bool)
    for axis in range(3):
        a, b = (np.moveaxis(mask, axis, 0) for mask in (one, two))
        line = np.moveaxis(edge, axis, 0)
        line[1:] |= (a[1:] & b[:-1]) | (b[1:] & a[:-1])
        line[:-1] |= (a[1:] & b[:-1]) | (b[1:] & a[:-1])
    return edge


def phantom_case(seed: int, size: float, wishes: dict[str, object]) -> Case:
    shape = tuple(int(n * size) for n in (300, 400, 512))
    wished = {"pattern": "random", **wishes}
    phantom = make_phantom(
        PhantomSpec.of(shape=shape, spacing_mm=(1.0, 0.75, 0.75), seed=seed, **wished)
    )
    config = Config()
    masks = segment_lungs(phantom.volume, config.lungs)
    vessels = find_vessels(phantom.volume, masks.box, masks.lung_labels, config.vessels)
    lobes = phantom.lobe_labels[masks.box]
    seen = ndimage.maximum_filter(phantom.fissure_mask[masks.box], 3) & (masks.lung_labels > 0)
    truth = {name: between(lobes, *sides) & seen for name, sides in SIDES.items()}
    return Case(
        f"phantom {seed}",
        phantom.volume,
        masks.box,
        masks.lung_labels,
        vessels,
        truth,
        lobes,
        masks.cut,
    )


def read_mask(path: Path, box: Box | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A mask as (z, y, x) in the order of this package, cropped, and its voxel size."""
    image = nibabel.as_closest_canonical(nibabel.load(path))
    mask = (np.asarray(image.dataobj) > 0).transpose(2, 1, 0)[:, ::-1, ::-1]
    mask = mask if box is None else mask[box]
    return np.ascontiguousarray(mask), np.array(image.header.get_zooms()[2::-1], float)


def run_lengths(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length of the run along the first axis that each voxel is in, and its place in it."""
    up, down = np.zeros(mask.shape, np.int16), np.zeros(mask.shape, np.int16)
    for k in range(len(mask)):
        up[k] = np.where(mask[k], (up[k - 1] if k else 0) + 1, 0)
    for k in range(len(mask) - 1, -1, -1):
        down[k] = np.where(mask[k], (down[k + 1] if k < len(mask) - 1 else 0) + 1, 0)
    return np.where(mask, up + down - 1, 0), up


def middle_sheet(mask: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle of a thick mask along its shortest way: share of a sheet, and its voxels."""
    least = np.full(mask.shape, np.inf, np.float32)
    for axis, step in enumerate(spacing):
        length = np.moveaxis(run_lengths(np.moveaxis(mask, axis, 0))[0], 0, axis)
        np.minimum(least, length * np.float32(step), out=least)
    share, middle = np.zeros(mask.shape, np.float32), np.zeros(mask.shape, bool)
    left = mask.copy()
    for axis, step in enumerate(spacing):
        runs = run_lengths(np.moveaxis(mask, axis, 0))
        length, place = (np.moveaxis(part, 0, axis) for part in runs)
        shortest = left & (length * np.float32(step) <= least)
        left &= ~shortest
        chosen = shortest & (place == (length + 1) // 2)
        middle |= chosen
        part = np.float32(SHEET_MM * SLANT / step) * chosen
        # A run of even length has its middle between two voxels.
        even = chosen & (length % 2 == 0)
        part[even] /= 2
        share += part + np.roll(part * even, 1, axis)
    return np.minimum(share, 1), middle


def texture(shape: tuple[int, ...], spacing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uneven lung: two smooth random fields, 25 HU over 4 mm and 20 HU over 12 mm."""
    total = np.zeros(shape, np.float32)
    for length_mm, sd_hu in ((4.0, 25.0), (12.0, 20.0)):
        coarse = [int(n * step / length_mm) + 2 for n, step in zip(shape, spacing, strict=True)]
        field = rng.standard_normal(coarse).astype(np.float32)
        zoom = [n / m for n, m in zip(shape, coarse, strict=True)]
        fine = ndimage.zoom(field, zoom, order=1)
        fine *= np.float32(sd_hu)
        total += fine
    return total


def two_sides(lung: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Right and left lung of one mask, parted on a grid of every third voxel."""
    halves = split_in_two(
        np.ascontiguousarray(lung[::3, ::3, ::3]),
        3 * spacing,
        min_share=0.2,
        radii_mm=np.arange(1, 20, 2.0),
    )
    return stretch(halves.astype(np.uint8), (3, 3, 3), lung.shape) * lung


def mask_case(folder: Path, seed: int) -> Case:
    lung, spacing = read_mask(folder / "pleuralBoundary.nii.gz")
    around = bounding_box(lung, tuple(np.ceil(MARGIN_MM / spacing).astype(int)))
    lung = np.ascontiguousarray(lung[around])
    fissures, vessels, airways = (
        read_mask(folder / f"{name}.nii.gz", around)[0]
        for name in ("fissures", "vessels", "bronchialTree")
    )
    rng = np.random.default_rng(seed)
    lung_labels = two_sides(close_gaps(lung, 2.0, spacing), spacing)
    inside = lung_labels > 0
    share, middle = middle_sheet(fissures & inside, spacing)
    hu = texture(inside.shape, spacing, rng)
    hu += np.float32(LUNG_HU)
    hu[~inside] = VESSEL_HU
    share[~inside] = 0
    hu += (np.float32(SHEET_HU) - hu) * share
    del share
    hu[airways & inside] = AIR_HU
    hu[vessels & inside] = VESSEL_HU
    hu = ndimage.gaussian_filter(hu, PSF_MM / spacing)
    noise = ndimage.gaussian_filter(rng.standard_normal(hu.shape, np.float32), 0.6)
    noise *= np.float32(NOISE_HU / noise.std())
    hu += noise
    del noise
    volume = Volume(hu.astype(np.int16), Geometry.aligned(hu.shape, tuple(spacing)))
    box = bounding_box(inside, (3, 3, 3))
    lung_labels = np.ascontiguousarray(lung_labels[box])
    vessel_mask = find_vessels(volume, box, lung_labels, Config().vessels)
    truth = {}
    for side, label in (("right", 1), ("left", 2)):
        pieces = cc3d.connected_components(fissures[box] & (lung_labels == label))
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        truth[side] = middle[box] & np.isin(pieces, np.flatnonzero(sizes > sizes.max() / 5))
    return Case(folder.name, volume, box, lung_labels, vessel_mask, truth, None)


class Peak:
    """Memory that a block of code needs above what was there, sampled every 10 ms."""

    def __enter__(self) -> Peak:
        self._before, self.megabytes, self._ends = self._resident(), 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ends.wait(0.01):
            self.megabytes = max(self.megabytes, (self._resident() - self._before) >> 20)

    @staticmethod
    def _resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@dataclass
class Measured:
    """Numbers of one scan that are asked for, and its lines of the table."""

    median_mm: list[float]
    found: list[float]
    dice: list[float]
    rows: list[list[str]]


def measure(case: Case) -> Measured:
    """Find fissures and hold them against the truth, a line a fissure."""
    start = time.process_time()
    with Peak() as peak:
        found = find_fissures(
            case.volume,
            case.box,
            case.lung_labels,
            case.vessel_mask,
            FissureSettings(),
            cut=case.cut,
        )
    cost = f"{time.process_time() - start:.1f}", str(peak.megabytes)
    spacing = tuple(case.volume.geometry.spacing_mm)
    to_ours = edt.edt(~found.fissure_mask, anisotropy=spacing, parallel=2)
    every = np.logical_or.reduce(list(case.truth.values()))
    to_truth = edt.edt(~every, anisotropy=spacing, parallel=2)
    right = (to_truth[found.fissure_mask] <= NEAR_MM).mean()
    measured = Measured([], [], _dice(case, found), [])
    for name, seen in case.truth.items():
        measured.median_mm.append(float(np.median(found.surface_mm[seen])))
        measured.found.append(float((to_ours[seen] <= NEAR_MM).mean()))
        numbers = f"{measured.median_mm[-1]:.2f}", f"{100 * measured.found[-1]:.1f}"
        lobes = " ".join(f"{value:.3f}" for value in measured.dice)
        words = case.name, name.replace("_", " "), _judged(found, name)
        measured.rows.append([*words, *numbers, f"{100 * right:.1f}", lobes, *cost])
    print(measured, flush=True)
    return measured


def _judged(found: Fissures, name: str) -> str:
    return ", ".join(
        f"{fissure.confidence:.2f} {fissure.completeness:.2f}"
        for fissure in found.found
        if fissure.name.startswith(name)
    )


def _dice(case: Case, found: Fissures) -> list[float]:
    if case.lobes is None:
        return []
    inside = case.lung_labels > 0
    dice = []
    for lobe in LOBES.values():
        one, two = (labels[inside] == lobe for labels in (found.lobe_labels, case.lobes))
        both = np.count_nonzero(one) + np.count_nonzero(two)
        dice.append(2 * np.count_nonzero(one & two) / both if both else np.nan)
    return dice


def tell(what: str, says: str, most_mm: float, cases: Iterable[Case]) -> Results:
    """Measure all cases; gives the table, and what was asked beside what came out."""
    measured = [measure(case) for case in cases]
    results = Results(f"fissures-{what}", says)
    results.table(
        "Fissures and lobes",
        ["scan", "fissure", "confidence, completeness", "median, mm", "found, %",
         "of all ours right, %", "Dice of RUL, RML, RLL, LUL, LLL", "s CPU", "MB"],
        [row for one in measured for row in one.rows],
        "Median: distance of the true surface to the one found. Found: share of the seen true "
        "surface with one of ours within 2 mm. Seconds and memory are those of the fissures alone.",
    )  # fmt: skip
    median = [value for one in measured for value in one.median_mm]
    found = [value for one in measured for value in one.found]
    asked = [
        ("median distance of each fissure", f"at most {most_mm} mm",
         f"{min(median):.2f} to {max(median):.2f} mm", max(median) <= most_mm),
        ("of what is seen of it found", "at least 90 %",
         f"{100 * min(found):.1f} to {100 * max(found):.1f} %", min(found) >= 0.9),
    ]  # fmt: skip
    dice = np.array([one.dice for one in measured if one.dice])
    if len(dice):
        middle, others = dice[:, 1], np.delete(dice, 1, axis=1)
        for name, some, least in (("lobes", others, 0.95), ("middle lobe", middle, 0.90)):
            told = f"{some.min():.3f} to {some.max():.3f}"
            asked.append((f"Dice of the {name}", f"at least {least}", told, some.min() >= least))
    results.asked(asked)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("phantoms", "masks"))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(132, 138)))
    parser.add_argument("--size", type=float, default=1.0, help="part of the full voxel counts")
    parser.add_argument("--wish", nargs="*", default=[], help="wishes for phantoms: NAME=VALUE")
    parser.add_argument("--folder", type=Path, default=MASKS)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/*.json")
    given = parser.parse_args()
    results = _phantoms(given) if given.what == "phantoms" else _masks(given)
    if given.keep:
        print(results.keep())


def _phantoms(given: argparse.Namespace) -> Results:
    wishes = dict(wish.split("=", 1) for wish in given.wish)
    values = {name: _value(text) for name, text in wishes.items()}
    says = (
        f"{len(given.seeds)} phantoms, no seed of which served while building, taken the whole "
        "way: lungs, vessels, fissures."
    )
    cases = (phantom_case(seed, given.size, values) for seed in given.seeds)
    return tell("phantoms", says, 1.0, cases)


def _masks(given: argparse.Namespace) -> Results:
    folders = sorted(given.folder.glob("lidc-*"))
    if not folders:
        sys.exit(f"masks must lie in {given.folder}/lidc-*, got none; name their --folder")
    says = (
        f"Fissures drawn by hand in {len(folders)} patients (Med-RAD), as sheets in volumes made "
        "like CT from their masks."
    )
    cases = (mask_case(folder, seed) for seed, folder in enumerate(folders))
    return tell("masks", says, 1.5, cases)


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()
