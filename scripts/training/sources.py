"""What the detector is trained on: real scans where they are, and phantoms; lungs found once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

import miliary
from miliary.anatomy import RIGHT
from miliary.config import Config
from miliary.detect import find_candidates
from miliary.io.reading import read
from miliary.kernels.distances import within
from miliary.lungs import segment_lungs
from miliary.model import Detector, FeatureSpec
from miliary.phantom import PhantomSpec, make_phantom

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared" / "ct"

#: Scan, versions of it, nodules a litre. `right`: only the right lung is used.
REAL = {
    "rider-0117-lower": (12, 500, "both"),
    "nlst-low-dose": (4, 350, "both"),
    "lidc-0314": (20, 450, "right"),
}
#: Scans of patients with nodules that nobody has marked.
DISEASED = {"rider-0117-lower"}
#: What the first round calls a nodule with this probability is left out there, this far around.
UNSURE_FROM = 0.3
UNSURE_MM = 3.0
PHANTOMS = 8
PHANTOM_VERSIONS = 2


def sources(cache: Path) -> list[tuple[str, Path, int, float]]:
    """Name, file, versions and density of every source, read and segmented once a state of code."""
    cache = cache / fingerprint()
    cache.mkdir(parents=True, exist_ok=True)
    found = []
    for name, (versions, density, lungs) in REAL.items():
        if (SHARED / name).is_dir():
            found.append((name, cache / f"{name}.npz", versions, density))
            if not found[-1][1].exists():
                masks_of(read(SHARED / name), found[-1][1], lungs)
    for seed in range(PHANTOMS):
        found.append((f"phantom-{seed}", cache / f"phantom-{seed}.npz", PHANTOM_VERSIONS, 500.0))
        if not found[-1][1].exists():
            phantom = make_phantom(phantom_spec(seed))
            masks_of(phantom.volume, found[-1][1], "both")
    return found


def fingerprint() -> str:
    """Tell code that makes other phantoms or other lungs apart."""
    package = Path(miliary.__file__).parent
    wishes = ("phantom/*.py", "lungs/*.py", "kernels/*.py", "config/lungs.py", "io/*.py")
    files = sorted(file for wish in wishes for file in package.glob(wish))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:10]


def phantom_spec(seed: int) -> PhantomSpec:
    rng = np.random.default_rng([seed, 1])
    slice_mm = float(rng.choice([0.625, 0.8, 1.0, 1.25]))
    pixel_mm = float(rng.uniform(0.6, 0.85))
    psf = float(rng.uniform(0.8, 1.3))
    depth = int(200 / slice_mm)
    width = int(300 / pixel_mm)
    return PhantomSpec.of(
        shape=(depth, int(width * 0.72), width),
        spacing_mm=(slice_mm, pixel_mm, pixel_mm),
        pattern="none",
        n_nodules=0,
        noise_hu=float(rng.uniform(12, 55)),
        noise_peak_per_mm=float(rng.uniform(0.2, 0.6)),
        psf_fwhm_mm=(psf * 1.15, psf, psf),
        edge_enhancement=float(rng.uniform(0.0, 0.5)),
        vessel_tip_spacing_mm=float(rng.uniform(5.5, 8.0)),
        breath=float(rng.uniform(0.85, 1.0)),
        ground_glass_share=float(rng.choice([0.0, 0.0, 0.2])),
        septal_thickening_mm=float(rng.choice([0.0, 0.0, 0.8])),
        seed=1000 + seed,
    )


def masks_of(volume, file: Path, lungs: str) -> None:
    masks = segment_lungs(volume, Config().lungs)
    inside = masks.lung_labels == RIGHT if lungs == "right" else masks.lung_labels > 0
    spacing = masks.geometry.spacing_mm
    unsure = np.zeros_like(inside)
    np.savez(file, hu=volume.hu[masks.box], inside=inside, unsure=unsure, spacing=spacing)


def mark_unsure(file: Path, detector: Detector) -> None:
    """Mark what a first network takes for nodules in a scan whose nodules nobody has marked."""
    source = dict(np.load(file))
    spacing = source["spacing"]
    blobs, features = find_candidates(
        source["hu"], source["inside"], spacing, FeatureSpec(), promising=detector.promising
    )
    likely = detector.thorough_probability(features) >= UNSURE_FROM
    source["unsure"] = np.zeros_like(source["inside"])
    source["unsure"][tuple(blobs.voxel_zyx[likely].T)] = True
    source["unsure"] = within(source["unsure"], UNSURE_MM, spacing)
    np.savez(file, **source)
    print(f"{file.stem}: {likely.sum()} places of its own left out", flush=True)
