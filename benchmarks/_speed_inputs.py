"""Scans for `speed.py`: a phantom as DICOM, the same with other slices, or more nodules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

import miliary
from miliary.geometry import Geometry
from miliary.kernels.balls import add_balls
from miliary.kernels.filters import smooth
from miliary.kernels.maxima import suppress_neighbours
from miliary.volume import Volume

FOLDER = Path(__file__).parents[1] / "build" / "speed"
SHAPE, SPACING_MM, N_NODULES, SEED = (400, 512, 512), (0.75, 0.73, 0.73), 800, 300
#: The phantom's own nodules are 1.8 mm; those put in are too.
DIAMETER_MM, PSF_MM, TISSUE_HU = 1.8, 0.5, 40.0


def phantom(folder: Path = FOLDER) -> Path:
    """Give the DICOM folder of the phantom, made once: ten minutes or less."""
    place = folder / "phantom"
    if not (place / "dicom").is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        wishes = {"--pattern": ["random"], "--n": [N_NODULES], "--seed": [SEED]}
        wishes |= {"--shape": list(SHAPE), "--spacing": list(SPACING_MM)}
        words = [str(word) for name, values in wishes.items() for word in (name, *values)]
        command = [sys.executable, "-m", "miliary", "phantom", str(place), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return place / "dicom"


def with_slices(source: Path, n: int) -> Volume:
    """The same chest in n slices, thinner or thicker, by linear interpolation."""
    volume = miliary.read(source)
    where = np.linspace(0, len(volume.hu) - 1, n)
    low = np.minimum(where.astype(int), len(volume.hu) - 2)
    hu = np.empty((n, *volume.hu.shape[1:]), np.int16)
    for z, (first, part) in enumerate(zip(low, where - low, strict=True)):
        hu[z] = np.rint((1 - part) * volume.hu[first] + part * volume.hu[first + 1])
    z_mm, y_mm, x_mm = (float(step) for step in volume.geometry.spacing_mm)
    z_mm *= (len(volume.hu) - 1) / (n - 1)
    return Volume(hu, Geometry.aligned(hu.shape, (z_mm, y_mm, x_mm)))


def with_nodules(volume: Volume, lungs: np.ndarray, n: int) -> Volume:
    """The scan with n more nodules at random places in the lungs, 2 mm apart at least."""
    spacing = volume.geometry.spacing_mm
    rng = np.random.default_rng(SEED + n)
    # Away from the pleura, where a ball would stick out.
    deep = ndimage.binary_erosion(lungs > 0, iterations=2)
    places = np.argwhere(deep)[rng.permutation(np.count_nonzero(deep))[: 4 * n]] * spacing
    kept = places[suppress_neighbours(places, np.zeros(len(places)), 2.0)]
    image = volume.hu.astype(np.float32)
    filled = add_balls(
        image,
        smooth(image, 1.0, spacing),
        spacing,
        kept[:n],
        np.full(min(n, len(kept)), DIAMETER_MM),
        psf_sigma_mm=(PSF_MM,) * 3,
        tissue_hu=TISSUE_HU,
        lung_limit_hu=-600.0,
        reach_mm=4.0,
    )
    return Volume(np.rint(filled).astype(np.int16), volume.geometry)
