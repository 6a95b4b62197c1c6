#!/usr/bin/env python3
"""Phantoms beside real scans, one picture for each pattern, to be looked at.

    benchmarks/phantom_pictures.py [--wish none random ...] [--out build/phantom-pictures]

Needs ../shared/ct. Every picture has one row for each scan: three axial levels, a coronal plane, a
maximum over a slab of 10 mm, and a patch of 5 cm below the pleura; all in the lung window
(-600/1500), every column at one scale in mm. Noise and spread of the phantom are about those of
the first scan.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import miliary
from miliary.config import Config
from miliary.lungs import segment_lungs
from miliary.phantom.spec import CHEST_MM

CT = Path(__file__).resolve().parents[2] / "shared" / "ct"
#: Where a scan's lungs lie, as parts of their height, at the three axial levels.
LEVELS = (0.3, 0.5, 0.75)
WINDOW = {"cmap": "gray", "vmin": -1350, "vmax": 150}
AXIAL_MM, CORONAL_MM, PATCH_MM, SLAB_MM = (250.0, 330.0), (290.0, 330.0), (50.0, 50.0), 10.0
#: Scanned like lidc-0314.
LIKE_LIDC: dict[str, Any] = {
    "spacing_mm": (1.0, 0.78125, 0.78125),
    "noise_hu": 25.0,
    "noise_peak_per_mm": 0.45,
    "psf_fwhm_mm": (1.15, 0.95, 0.95),
    "edge_enhancement": 0.3,
    "seed": 4,
}
WISHES: dict[str, dict[str, Any]] = {
    "none": {"pattern": "none"},
    "random": {"pattern": "random", "n_nodules": 1000},
    "centrilobular": {"pattern": "centrilobular", "n_nodules": 1000},
    "perilymphatic": {"pattern": "perilymphatic", "n_nodules": 1000},
    "metastases": {"pattern": "metastases", "n_nodules": 20},
    "encased-lung": {"pattern": "random", "n_nodules": 600, "encased_lung": "right"},
    "consolidated-lobe": {"pattern": "none", "consolidated_lobe": "RUL"},
    "ground-glass": {"pattern": "none", "ground_glass_share": 0.3},
    "septal-thickening": {"pattern": "none", "septal_thickening_mm": 1.0},
}


@dataclass(frozen=True, eq=False)
class Shown:
    """A scan to be shown."""

    name: str
    hu: np.ndarray
    lung_labels: np.ndarray
    spacing_mm: np.ndarray


def read(name: str) -> Shown:
    """A real scan, with the lungs that miliary finds."""
    volume = miliary.read(CT / name)
    masks = segment_lungs(volume, Config().lungs)
    labels = np.zeros(volume.hu.shape, np.uint8)
    labels[masks.box] = masks.lung_labels
    return Shown(name, np.asarray(volume.hu), labels, np.array(volume.geometry.spacing_mm))


def make(name: str, scale: float) -> Shown:
    """A phantom."""
    spacing_mm = np.array(LIKE_LIDC["spacing_mm"])
    shape = tuple(int(part) for part in np.ceil(scale * np.array(CHEST_MM) / spacing_mm))
    spec = miliary.PhantomSpec.of(**LIKE_LIDC, **WISHES[name], shape=shape, scale=scale)
    began = time.perf_counter()
    phantom = miliary.make_phantom(spec)
    print(f"{name}: {time.perf_counter() - began:.0f} s, {len(phantom.nodules)} nodules")
    return Shown(f"phantom, {name}", np.asarray(phantom.volume.hu), phantom.lung_labels, spacing_mm)


def panels(shown: Shown, side: int) -> list[tuple[str, np.ndarray, tuple[float, float]]]:
    """Title, image and (height, width) in mm of every panel; the patch lies in one lung."""
    hu, (dz, dy, dx) = shown.hu, shown.spacing_mm
    inside = shown.lung_labels > 0
    z, y, x = (np.flatnonzero(inside.any(axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    middle = int(y.mean()), int(x.mean())
    levels = [int(z[0] + part * np.ptp(z)) for part in LEVELS]
    out = [
        (f"axial {part:.0%}", cut(hu[level], middle, (dy, dx), AXIAL_MM), AXIAL_MM)
        for part, level in zip(LEVELS, levels, strict=True)
    ]
    behind = int(y[0] + 0.6 * np.ptp(y))
    coronal = cut(hu[:, behind], (int(z.mean()), middle[1]), (dz, dx), CORONAL_MM)[::-1]
    out.append(("coronal", coronal, CORONAL_MM))
    thick = max(int(SLAB_MM / dz / 2), 1)
    slab = hu[levels[1] - thick : levels[1] + thick].max(0)
    out.append((f"MIP {SLAB_MM:.0f} mm", cut(slab, middle, (dy, dx), AXIAL_MM), AXIAL_MM))
    for title, image in (("patch", hu[levels[1]]), (f"patch MIP {SLAB_MM:.0f} mm", slab)):
        place = below_pleura(shown.lung_labels[levels[1]] == side, side, (dy, dx))
        out.append((title, cut(image, place, (dy, dx), PATCH_MM), PATCH_MM))
    return out


def below_pleura(mask: np.ndarray, side: int, spacing_mm: tuple[float, float]) -> tuple[int, int]:
    """Middle of a patch that looks at a lung's side wall from within."""
    rows = np.flatnonzero(mask.any(1))
    row = int(rows[0] + 0.6 * np.ptp(rows))
    columns = np.flatnonzero(mask[row])
    reach = int(0.42 * PATCH_MM[1] / spacing_mm[1])
    return (row, int(columns[0] + reach)) if side == 1 else (row, int(columns[-1] - reach))


def cut(
    image: np.ndarray,
    middle: tuple[int, int],
    spacing_mm: tuple[float, float],
    size_mm: tuple[float, float],
) -> np.ndarray:
    """A window of this size in mm about a pixel, air where the image ends."""
    half = [int(size / step / 2) for size, step in zip(size_mm, spacing_mm, strict=True)]
    padded = np.pad(image, [(part, part) for part in half], constant_values=-1024)
    (row, column), (high, wide) = middle, half
    return padded[row : row + 2 * high + 1, column : column + 2 * wide + 1]


def draw(scans: list[tuple[Shown, int]], path: Path) -> None:
    """One picture: a row for each scan."""
    rows = [panels(shown, side) for shown, side in scans]
    widths = [size_mm[1] if size_mm != PATCH_MM else 250.0 for _, _, size_mm in rows[0]]
    figure, axes = plt.subplots(
        len(rows), len(widths), figsize=(sum(widths) / 62, 4.6 * len(rows)), squeeze=False,
        gridspec_kw={"width_ratios": widths},
    )  # fmt: skip
    for (shown, _), row, line in zip(scans, rows, axes, strict=True):
        for (title, image, (high, wide)), axis in zip(row, line, strict=True):
            axis.imshow(image, extent=(0, wide, high, 0), interpolation="nearest", **WINDOW)
            axis.set_title(f"{shown.name}: {title}", fontsize=8)
            axis.axis("off")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--wish", nargs="*", choices=WISHES, default=list(WISHES))
    parser.add_argument("--scans", nargs="*", default=["lidc-0314", "rider-0117-lower"])
    parser.add_argument("--scale", type=float, default=0.9)
    parser.add_argument("--out", type=Path, default=Path("build/phantom-pictures"))
    options = parser.parse_args()
    # The left lung of both scans is nearly free of disease.
    real = [(read(name), 2) for name in options.scans]
    for name in options.wish:
        side = 1 if name in ("encased-lung", "consolidated-lobe") else 2
        draw([*real, (make(name, options.scale), side)], options.out / f"{name}.png")


if __name__ == "__main__":
    main()
