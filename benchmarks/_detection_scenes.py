"""Scans with known nodules for `detection.py`: a real one with nodules put in, and phantoms.

Nodules of the real scan come from ../shared/eval/insert_nodules.py, which shares no code with the
package. Seeds are for measuring only: nothing was ever fitted to them. What is slow is kept under
build/detection/scenes/; results of the detector are kept apart (see `kept`), by a fingerprint of
its code and weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import miliary
from miliary.analyze import segment
from miliary.anatomy import SIDES, Anatomy
from miliary.config import Config
from miliary.geometry import Geometry
from miliary.kernels.distances import depth_inside, distance_to
from miliary.lungs import segment_lungs
from miliary.phantom import NoduleSpec, PhantomSpec, make_phantom
from miliary.quality import estimate_quality
from miliary.volume import Acquisition, Volume

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
BUILD = ROOT / "build" / "detection"
REAL = "lidc-0314"

#: Three seeds for real scans and three for phantoms.
REAL_SEEDS = (101, 102, 103)
PHANTOM_SEEDS = (9001, 9002, 9003)

#: About one litre of lung.
LITRE = {"shape": (180, 225, 320), "spacing_mm": (1.0, 0.7, 0.7)}

#: What a nodule is beside, by the distance of its centre in mm; the first that holds counts.
BESIDE_MM = {"outer 3 mm": ("pleura", 3.0), "fissure": ("fissure", 2.0), "vessel": ("vessel", 2.0)}


@dataclass(frozen=True, eq=False)
class Scene:
    """A scan cropped to its lungs, with the nodules in it.

    Parameters
    ----------
    name : str
        What it is.
    hu : (z, y, x) int16
        The crop.
    anatomy : Anatomy
        As the package finds it; in real scans in the scan as it was, but for the lung mask.
    index_zyx : (N, 3) float
        Centres of the nodules in the crop.
    diameter_mm : (N,) float
        Their diameters.
    distance_mm : dict of str to (N,) float
        From their centres to pleura, fissure and vessel.
    """

    name: str
    hu: np.ndarray
    anatomy: Anatomy
    index_zyx: np.ndarray
    diameter_mm: np.ndarray
    distance_mm: dict[str, np.ndarray]

    @property
    def spacing_mm(self) -> np.ndarray:
        return np.asarray(self.anatomy.geometry.spacing_mm, float)

    @property
    def side(self) -> np.ndarray:
        """Number of the lung (N,) that each nodule belongs to."""
        return self.side_of(self.index_zyx)

    def side_of(self, index_zyx: np.ndarray) -> np.ndarray:
        """Lung (N,) of the nearest voxel; by the middle of the chest where that is none."""
        labels = self.anatomy.lung_labels
        held = self.anatomy.at(labels, index_zyx)
        of_column = [(labels == side).any(axis=(0, 1)) for side in (1, 2)]
        middle = np.mean([np.nonzero(columns)[0].mean() for columns in of_column])
        return np.where(held > 0, held, np.where(index_zyx[:, 2] < middle, 1, 2))

    def litres(self, sides: tuple[int, ...] = (1, 2)) -> float:
        voxels = np.isin(self.anatomy.lung_labels, sides).sum()
        return float(voxels) * self.anatomy.geometry.voxel_ml / 1000

    def beside(self) -> np.ndarray:
        """Name (N,) of what each nodule lies beside, `interior` for nothing."""
        names = np.full(len(self.diameter_mm), "interior", dtype="U12")
        for name, (structure, limit_mm) in reversed(BESIDE_MM.items()):
            names[self.distance_mm[structure] < limit_mm] = name
        return names


def phantom(name: str, spec: PhantomSpec) -> Scene:
    """A phantom and what the package takes for its anatomy."""

    def make() -> Scene:
        made = make_phantom(spec)
        anatomy = segment(made.volume)
        index = made.volume.geometry.to_index(made.nodules.points_mm)
        spacing = np.asarray(spec.scanner.spacing_mm)
        lung = made.hemithorax_labels > 0
        images = {
            "pleura": depth_inside(lung.astype(np.uint8), spacing),
            "fissure": distance_to(made.fissure_mask, spacing),
            "vessel": distance_to(made.vessel_mask, spacing),
        }
        nearest = tuple(np.clip(np.rint(index).astype(int), 0, np.array(lung.shape) - 1).T)
        return Scene(
            name,
            made.volume.hu[anatomy.box],
            anatomy,
            index - [part.start for part in anatomy.box],
            made.nodules.diameter_mm,
            {key: image[nearest].astype(float) for key, image in images.items()},
        )

    return kept(BUILD / "scenes", f"{name}-{digest(repr(spec))}", make)


def litre_phantom(seed: int, n: int, low_mm: float, high_mm: float, **wishes: Any) -> Scene:
    """A litre of lung with nodules of diameters spread evenly between two."""
    spec = PhantomSpec.of(
        **LITRE,
        n_nodules=n,
        diameter_mm=(low_mm + high_mm) / 2,
        diameter_sd_mm=(high_mm - low_mm) / np.sqrt(12),
        diameter_distribution="uniform",
        seed=seed,
        **wishes,
    )
    return phantom(f"phantom-{seed}-{n}", spec)


def sizes_phantom(seed: int, diameters_mm: tuple[float, ...], n: int, tissue_hu: tuple) -> Scene:
    """A litre of lung with as many nodules of each diameter, a population for every tissue."""
    groups = tuple(
        NoduleSpec(n_nodules=n // len(tissue_hu), diameters_mm=diameters_mm, nodule_hu=hu)
        for hu in tissue_hu
    )
    spec = replace(PhantomSpec.of(**LITRE, noise_hu=30.0, seed=seed), nodules=groups)
    return phantom(f"sizes-{seed}-{n}", spec)


def real(
    seed: int,
    per_litre: float,
    low_mm: float = 1.2,
    high_mm: float = 3.0,
    *,
    side: str = "both",
    scan: str = REAL,
    own_spread: bool = False,
) -> Scene:
    """A real scan with nodules put in by code that is not the package's.

    With `own_spread` they are seen through the point spread that the package estimates in this
    scan, and not through the usual one of ../shared/eval.
    """
    _, anatomy, _ = _real_lungs(scan)
    name = f"{scan}-{seed}-{per_litre}-{low_mm}-{high_mm}-{side}" + "-own" * own_spread
    hu, labels, truth = kept(
        BUILD / "scenes",
        f"put-{name}",
        lambda: _put_in(scan, seed, per_litre, (low_mm, high_mm), side, own_spread),
    )
    anatomy = replace(anatomy, lung_labels=labels)
    index = truth[:, :3] / np.asarray(anatomy.geometry.spacing_mm)
    images = {
        "pleura": anatomy.pleura_mm,
        "fissure": anatomy.fissure_mm,
        "vessel": anatomy.vessel_mm,
    }
    distances = {
        key: np.full(len(truth), np.inf)
        if image is None
        else anatomy.at(image, index).astype(float)
        for key, image in images.items()
    }
    return Scene(name, hu, anatomy, index, truth[:, 3], distances)


def _put_in(
    scan: str,
    seed: int,
    per_litre: float,
    diameters_mm: tuple[float, float],
    side: str,
    own_spread: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The crop with nodules, the lungs that the package finds in it, and the truth (N, 4)."""
    volume, anatomy, rough = _real_lungs(scan)
    spacing = np.asarray(anatomy.geometry.spacing_mm)
    rough = rough[anatomy.box]
    if side != "both":
        # The nearest lung of the package tells the sides of the other's mask apart.
        columns = np.nonzero((anatomy.lung_labels == SIDES[side]).any(axis=(0, 1)))[0]
        rough = rough & np.isin(np.arange(rough.shape[2]), columns)
        rough &= anatomy.lung_labels != 3 - SIDES[side]
    rng = np.random.default_rng(seed)
    n = round(per_litre * np.count_nonzero(rough) * spacing.prod() / 1e6)
    diameters = rng.uniform(*diameters_mm, n)
    hu, truth = volume.hu[anatomy.box].astype(np.float32), np.empty((0, 4))
    if n == 0:
        return volume.hu[anatomy.box], anatomy.lung_labels, truth
    wishes = {"psf": spread_to_ask(volume, anatomy)} if own_spread else {}
    hu, truth = _inserter().insert(hu, spacing, rough, diameters, rng, **wishes)
    hu = np.rint(hu).astype(np.int16)
    return hu, _with_lungs_of(volume, hu, anatomy).lung_labels, truth


def spread_to_ask(volume: Volume, anatomy: Anatomy) -> tuple[float, float]:
    """Sigmas along z and in plane to ask of ../shared/eval, so that the scan's own come out.

    It also takes the mean over each voxel, which adds a twelfth of its side squared.
    """
    quality = estimate_quality(volume.hu[anatomy.box], anatomy, Config().quality)
    sigma = np.asarray(quality.psf_sigma_mm)
    z, y, _ = np.sqrt(sigma**2 - np.asarray(anatomy.geometry.spacing_mm) ** 2 / 12)
    return float(z), float(y)


def _with_lungs_of(volume: Volume, hu: np.ndarray, anatomy: Anatomy) -> Anatomy:
    """The anatomy with the lung mask that the package finds once nodules are in."""
    whole = volume.hu.copy()
    whole[anatomy.box] = hu
    masks = segment_lungs(replace(volume, hu=whole), Config().lungs)
    labels = np.zeros(whole.shape, np.uint8)
    labels[masks.box] = masks.lung_labels
    return replace(anatomy, lung_labels=labels[anatomy.box])


@cache
def _real_lungs(scan: str) -> tuple[Volume, Anatomy, np.ndarray]:
    if not SHARED.is_dir():
        raise SystemExit("needs ../shared beside the repository")

    def make() -> tuple[Volume, Anatomy, np.ndarray]:
        hu, spacing, origin, _ = _inserter().read(SHARED / "ct" / scan)
        geometry = Geometry.aligned(hu.shape, tuple(spacing.tolist()), tuple(origin[::-1].tolist()))
        volume = Volume(np.rint(hu).astype(np.int16), geometry, Acquisition(), case=scan)
        return volume, segment(volume), _inserter().rough_lungs(hu, spacing)

    made: tuple[Volume, Anatomy, np.ndarray] = kept(BUILD / "scenes", scan, make)
    return made


@cache
def _inserter() -> Any:
    """The module of ../shared/eval that puts nodules in."""
    file = SHARED / "eval" / "insert_nodules.py"
    spec = importlib.util.spec_from_file_location("insert_nodules", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kept(folder: Path, name: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, from disk when it was made before."""
    file = folder / f"{name}.pkl"
    if file.exists():
        return pickle.loads(file.read_bytes())
    made = make()
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_bytes(pickle.dumps(made))
    unfinished.rename(file)
    return made


def digest(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:10]


#: Files of the package that the results of a step depend on, besides the weights; those of earlier
#: steps count too.
_STEPS = {
    "quality": (
        "quality.py",
        "config/quality.py",
        *(f"kernels/{name}.py" for name in ("edgefit", "noise", "overshoot")),
    ),
    "detect": (
        "detect.py",
        "model.py",
        "config/detect.py",
        "weights/detector*",
        *(f"kernels/{name}.py" for name in ("apparent", "blobs", "blocks", "filters", "hessian")),
        *(f"kernels/{name}.py" for name in ("interpolation", "maxima", "rays", "slabs")),
    ),
    "calibrate": ("analyze.py", "measure.py", "config/*.py", "calibrate/*.py", "kernels/*.py"),
}


@cache
def results(step: str) -> Path:
    """Folder for what this very code and these weights make of a scene, up to a step.

    Noise and point spread (`quality`) do not hang on the detector, nor the other way round.
    """
    package = Path(miliary.__file__).parent
    steps = _STEPS if step == "calibrate" else (step,)
    files = {file for name in steps for wish in _STEPS[name] for file in package.glob(wish)}
    return BUILD / f"{step}-{digest(b''.join(file.read_bytes() for file in sorted(files)))}"
