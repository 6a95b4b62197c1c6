"""The usual chain: what a competent user of SciPy and scikit-image would write for the same job.

Lungs slice by slice (threshold, clear the border, close, fill), vessels by `sato`, sheets by the
eigenvalues of the Hessian, nodules by `blob_log`, distances by `distance_transform_edt`, Ripley's
K against simulations by pair distances. No calibration, no fit of sizes, no surfaces, no report.

Every step is timed on a crop and multiplied by the voxels (slices, simulations) of the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from scipy import ndimage
from scipy.spatial.distance import pdist
from skimage.feature import blob_log, hessian_matrix, hessian_matrix_eigvals
from skimage.filters import frangi, sato
from skimage.measure import label, regionprops
from skimage.morphology import closing, disk
from skimage.segmentation import clear_border

#: Voxels of the crop along each axis, and slices of the lungs that are timed.
CROP, N_SLICES = (64, 128, 128), 8
#: Simulations of Ripley's K that are timed, of how many, and the points in them.
TIMED, SIMULATIONS = 20, 999
SIGMAS = (1.0, 2.0, 3.0)


def read(folder: Path) -> np.ndarray:
    """Read a folder of slices, sorted by their positions, in Hounsfield units."""
    sets = [pydicom.dcmread(path) for path in folder.iterdir()]
    sets.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    return np.stack(
        [one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in sets]
    ).astype(np.float32)


def lung_mask(section: np.ndarray) -> np.ndarray:
    """Lungs in one slice: air that does not reach the border, its two largest regions, closed."""
    regions = label(clear_border(section < -400))
    areas = sorted((region.area for region in regionprops(regions)), reverse=True)
    for region in regionprops(regions):
        if len(areas) > 2 and region.area < areas[1]:
            regions[regions == region.label] = 0
    return ndimage.binary_fill_holes(closing(regions > 0, disk(10)))


def sheets(crop: np.ndarray) -> np.ndarray:
    """Answer to bright sheets: the strongest negative curvature less the others."""
    best = np.zeros_like(crop)
    for sigma in SIGMAS[:2]:
        entries = hessian_matrix(crop, sigma=sigma, use_gaussian_derivatives=False)
        high, middle, low = hessian_matrix_eigvals(entries)
        best = np.maximum(best, sigma**2 * (-low - np.abs(middle) - np.abs(high)))
    return best


def ripley(points: np.ndarray, box_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """K of random patterns of as many points, by the distances of all pairs."""
    radii = np.linspace(0.5, 30, 60)
    return np.array(
        [
            np.histogram(pdist(rng.uniform(0, box_mm, points.shape)), np.r_[0, radii])[0].cumsum()
            for _ in range(TIMED)
        ]
    )


def seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def chain(folder: Path, n_points: int) -> list[tuple[str, str, float]]:
    """Step, what it is timed on, and its CPU seconds for the whole scan."""
    rows: list[tuple[str, str, float]] = []
    hu = read(folder)
    rows.append(("read", "whole", seconds(lambda: read(folder))))
    middle = [n // 2 for n in hu.shape]
    # Off the midline, where there is lung.
    first = [middle[0] - CROP[0] // 2, middle[1] - CROP[1] // 2, middle[2] // 2 - CROP[2] // 2]
    crop = hu[tuple(slice(a, a + n) for a, n in zip(first, CROP, strict=True))].copy()
    few = hu[middle[0] :: 5][:N_SLICES]
    voxels = hu.size / crop.size
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 300, (n_points, 3))
    scaled: tuple[tuple[str, str, float, Callable[[], Any]], ...] = (
        ("lungs", f"{len(few)} slices", len(hu) / len(few), lambda: [*map(lung_mask, few)]),
        ("vessels: sato", "crop", voxels, lambda: sato(crop, SIGMAS, black_ridges=False)),
        ("vessels: frangi", "crop", voxels, lambda: frangi(crop, SIGMAS, black_ridges=False)),
        ("fissures: Hessian", "crop", voxels, lambda: sheets(crop)),
        (
            "nodules: blob_log",
            "crop",
            voxels,
            lambda: blob_log(crop / 1000, 0.8, 2.0, num_sigma=4, threshold=0.1),
        ),
        (
            "distances to pleura, vessels, fissures",
            "crop",
            3 * voxels,
            lambda: ndimage.distance_transform_edt(crop < -500),
        ),
        (
            f"Ripley's K, {n_points} points, {SIMULATIONS} simulations",
            f"{TIMED} simulations",
            SIMULATIONS / TIMED,
            lambda: ripley(points, np.full(3, 300.0), rng),
        ),
    )
    for name, on, factor, work in scaled:
        rows.append((name, on, factor * seconds(work)))
    return rows
