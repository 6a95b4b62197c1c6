#!/usr/bin/env python3
"""Anatomy of the phantom beside real masks, measured by the same functions.

On ../shared/ct/medrad-masks (five patients: lungs, vessels, fissures or lobes; they are not part
of the repository) and on phantoms of an adult's size. Prints one table: every figure of the real
masks as a range, of the phantoms as another, and whether the phantoms lie within the real range,
half as wide again.

    python benchmarks/phantom_anatomy.py [--masks ../shared/ct/medrad-masks] [--seeds 3] [--keep]

Vessel masks of real scans end where their authors saw no more; so vessels are compared by the
radius of the largest ball that fits at a place, and tips where both still have vessels. Fissure
area is that of the masks' middle: their volume over their thickness.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import edt
import numpy as np
import SimpleITK
from _results import Results
from scipy import ndimage as ndi
from skimage.morphology import skeletonize

from miliary.phantom import PhantomSpec, make_phantom

MASKS = Path(__file__).resolve().parents[2] / "shared" / "ct" / "medrad-masks"
LOBES = ("RUL", "RML", "RLL", "LUL", "LLL")

#: Radii in mm from which vessels are compared.
RADII_MM = (1.5, 2.0, 3.0, 4.0)

#: Everything is measured on voxels of about this size in mm.
STEP_MM = 0.7

#: A tip is the end of a skeleton of vessels at least so thick.
TIP_RADIUS_MM = 1.2


@dataclass(frozen=True, eq=False)
class Masks:
    """One patient: what there is of lungs, lobes, vessels and fissures."""

    name: str
    spacing_mm: tuple[float, float, float]
    lungs: np.ndarray
    lobes: np.ndarray | None
    vessels: np.ndarray
    fissures: np.ndarray | None


def real_masks(folder: Path) -> Iterator[Masks]:
    """Read the patients one by one."""
    for patient in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = {
            file.name[:-7]: SimpleITK.ReadImage(str(file)) for file in patient.glob("*.nii.gz")
        }
        arrays = {name: SimpleITK.GetArrayFromImage(image) > 0 for name, image in images.items()}
        x, y, z = next(iter(images.values())).GetSpacing()
        parts = [name for name in LOBES if name in arrays]
        lobes = sum((k + 1) * arrays[name].astype(np.uint8) for k, name in enumerate(parts))
        lungs = lobes > 0 if parts else arrays["pleuralBoundary"]
        (box,) = ndi.find_objects(lungs.astype(np.uint8))
        yield Masks(
            patient.name,
            (z, y, x),
            lungs[box],
            lobes[box] if parts else None,
            arrays["vessels"][box],
            arrays["fissures"][box] if "fissures" in arrays else None,
        )


def phantom_masks(seed: int) -> Masks:
    """Make a phantom of an adult's size, without noise."""
    spacing_mm = (STEP_MM,) * 3
    spec = PhantomSpec.of(
        shape=tuple(round(n / STEP_MM) for n in (275, 225, 300)),
        spacing_mm=spacing_mm, scale=1.0, pattern="none", noise_hu=0.0, seed=seed,
    )  # fmt: skip
    phantom = make_phantom(spec)
    return Masks(
        f"phantom {seed}",
        spacing_mm,
        phantom.lung_labels > 0,
        phantom.lobe_labels,
        phantom.vessel_mask,
        phantom.fissure_mask,
    )


def measure(masks: Masks) -> dict[str, float]:
    """All figures of a patient that the masks allow."""
    voxel_ml = float(np.prod(masks.spacing_mm)) / 1000
    lung_ml = masks.lungs.sum() * voxel_ml
    figures = {"lungs, litres": lung_ml / 1000}
    if masks.lobes is not None:
        share = np.bincount(masks.lobes.reshape(-1), minlength=6)[1:] * voxel_ml / lung_ml
        figures["right lung, share"] = share[:3].sum()
        figures |= {f"{name}, share": part for name, part in zip(LOBES, share, strict=True)}
    if masks.fissures is not None:
        area_cm2 = sheet_area_mm2(masks.fissures & masks.lungs, masks.spacing_mm) / 100
        figures["fissures, cm2 a lung volume^(2/3)"] = area_cm2 / (lung_ml ** (2 / 3))
    return figures | vessel_figures(masks, lung_ml)


def vessel_figures(masks: Masks, lung_ml: float) -> dict[str, float]:
    """Vessels by radius and by depth, and their tips."""
    voxel_ml = float(np.prod(masks.spacing_mm)) / 1000
    # In the lungs' own space: masks of lungs may leave the vessels out.
    depth_mm = edt.edt(masks.lungs, anisotropy=masks.spacing_mm, parallel=2)
    vessels = masks.vessels & masks.lungs
    radius_mm = local_radius_mm(vessels, masks.spacing_mm)
    figures = {
        f"vessels of {r} mm radius or more, ml a litre": 1000
        * (radius_mm >= r).sum()
        * voxel_ml
        / lung_ml
        for r in RADII_MM
    }
    thick = radius_mm >= TIP_RADIUS_MM
    for low, high in ((0, 10), (10, 20), (20, 200)):
        shell = (depth_mm > low) & (depth_mm <= high)
        figures[f"those of {TIP_RADIUS_MM} mm, {low} to {high} mm deep, ml a litre there"] = (
            1000 * (thick & shell).sum() / max(shell.sum(), 1)
        )
    tips = skeleton_tips(thick)
    figures[f"tips of {TIP_RADIUS_MM} mm: cube root of lung a tip, mm"] = np.cbrt(
        1000 * lung_ml / max(len(tips), 1)
    )
    figures["their median depth, mm"] = np.median(depth_mm[tuple(tips.T)]) if len(tips) else np.nan
    return figures


def local_radius_mm(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Radius of the largest ball inside a mask that covers a voxel, in steps."""
    inside = edt.edt(mask, anisotropy=spacing_mm, parallel=2)
    radius = np.zeros(mask.shape, np.float32)
    for r in (0.6, 0.9, TIP_RADIUS_MM, *RADII_MM, 6.0):
        centres = inside >= r
        if not centres.any():
            break
        radius[edt.edt(~centres, anisotropy=spacing_mm, parallel=2) < r] = r
    return radius * mask


def sheet_area_mm2(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """Area of the middle of a thin sheet: its volume over its thickness.

    A voxel of a sheet of thickness t lies t/4 from its surface on average.
    """
    volume = mask.sum() * float(np.prod(spacing_mm))
    # Voxel centres are half a voxel nearer to the surface than the distance map says.
    to_surface = edt.edt(mask, anisotropy=spacing_mm, parallel=2)[mask].mean()
    thickness = 4 * max(to_surface - 0.5 * min(spacing_mm), 0.25 * min(spacing_mm))
    return volume / thickness


def skeleton_tips(mask: np.ndarray) -> np.ndarray:
    """Voxels (N, 3) of a skeleton with one neighbour."""
    points = np.argwhere(skeletonize(mask))
    grid = np.zeros(np.array(mask.shape) + 2, np.uint8)
    grid[tuple((points + 1).T)] = 1
    around = sum(
        grid[tuple((points + 1 + np.array(shift)).T)].astype(int)
        for shift in np.ndindex(3, 3, 3)
        for shift in [np.array(shift) - 1]
    )
    return points[around == 2]


def tell(real: list[dict[str, float]], made: list[dict[str, float]]) -> Results:
    """Give the table of both, and say which figures of the phantoms lie outside."""
    rows, outside = [], []
    for name in made[0]:
        ranges = [[figures[name] for figures in some if name in figures] for some in (real, made)]
        low, high = min(ranges[0]), max(ranges[0])
        slack = (high - low) / 4
        inside = low - slack <= np.mean(ranges[1]) <= high + slack
        outside += [] if inside else [name]
        cells = [f"{min(r):.3g} to {max(r):.3g} ({len(r)})" for r in ranges]
        rows.append([name, *cells, "yes" if inside else "**no**"])
    says = (
        f"{len(made)} phantoms of an adult's size beside the masks of {len(real)} patients "
        "(Med-RAD), measured by the same functions."
    )
    results = Results("phantom-anatomy", says)
    results.table(
        "The phantom beside real lungs",
        ["figure", "real masks (patients)", "phantoms", "within"],
        rows,
        "Within: the mean of the phantoms lies in the range of the patients, half as wide again. "
        "Masks of real vessels end where their authors saw no more.",
    )
    results.asked(
        [("volumes, vessels by radius, tips and fissures beside real ones", "the comparison",
          f"{len(rows) - len(outside)} of {len(rows)} within", True)]
    )  # fmt: skip
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--masks", type=Path, default=MASKS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/*.json")
    options = parser.parse_args()
    real = [measure(masks) for masks in real_masks(options.masks)]
    made = [measure(phantom_masks(200 + seed)) for seed in range(options.seeds)]
    results = tell(real, made)
    if options.keep:
        print(results.keep())


if __name__ == "__main__":
    main()
