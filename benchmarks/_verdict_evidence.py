"""What the analysis of a case leaves for judging, kept so that rules can be changed in seconds."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from _verdict_cases import Case, make, vessels_beside

from miliary import pattern as patterns
from miliary.analysis import Analysis
from miliary.analyze import analyze
from miliary.calibrate import correct_sizes, label_regions, sensitivity_map
from miliary.conclude import describe_in
from miliary.config import Config, load_config
from miliary.detect import detect
from miliary.findings import Calibration, Distribution
from miliary.measure import measure
from miliary.nodules import Nodules

#: Fewer simulations and balls than by default, for time; told in the results.
QUICK = (
    "calibrate.n_nodules=300",
    "spatial.simulations=199",
    "spatial.empty_space_simulations=19",
    "spatial.covariate_simulations=199",
)
_SAMPLES = 8000


@dataclass(frozen=True, eq=False)
class Evidence:
    """One analysed case, without its images.

    Parameters
    ----------
    case : Case
        What it is.
    truth_mm : (T, 3) float
        True nodules.
    nodules : Nodules
        Those accepted.
    lungs : tuple of Lung
        With their volumes.
    described : tuple of str
        Lungs that `spatial` is of.
    calibration : Calibration
        Of the scan.
    spatial : Distribution
        How the nodules of these lungs lie.
    sight : Sight
        What the scan shows.
    samples : dict of str to array
        Random places of the evaluable lungs: side, zone, distances, weight, grid place in mm.
    grid_mm : (N, 3) float
        The nodules in the same frame.
    noise_hu, seconds : float
        Measured noise; CPU time of making and analysing.
    """

    case: Case
    truth_mm: np.ndarray
    nodules: Nodules
    lungs: tuple[Any, ...]
    described: tuple[str, ...]
    calibration: Calibration
    spatial: Distribution
    sight: Any
    samples: dict[str, np.ndarray]
    grid_mm: np.ndarray
    noise_hu: float
    seconds: float


def weights_version() -> str:
    """Name the weights of the detector, by which evidence is kept."""
    import miliary

    package = Path(miliary.__file__).parent
    return hashlib.sha256((package / "weights" / "detector.npz").read_bytes()).hexdigest()[:10]


def collect(case: Case, folder: Path, shared: Path) -> str:
    """Analyse a case unless that was done, and keep its evidence; gives a line to print."""
    path, claim = folder / f"{case.name}.pickle", folder / f"{case.name}.claim"
    if path.exists():
        return f"{case.name}: kept"
    try:
        os.close(os.open(claim, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return f"{case.name}: another process is at it"
    try:
        evidence = look(case, shared)
    # One case less is better than none: it is told, and done when the run goes on.
    except Exception as error:  # noqa: BLE001
        return f"{case.name}: failed, {error!r}"
    finally:
        claim.unlink()
    partial = path.with_suffix(".partial")
    partial.write_bytes(pickle.dumps(evidence))
    partial.replace(path)
    litres = sum(lung.evaluable_ml for lung in evidence.lungs) / 1000
    return (
        f"{case.name}: {len(evidence.truth_mm)} nodules, {len(evidence.nodules)} found, "
        f"{litres:.2f} l, {evidence.seconds:.0f} s"
    )


def look(case: Case, shared: Path) -> Evidence:
    """Make a case, analyse it in full, and keep what judging needs."""
    began = time.process_time()
    volume, truth_mm = make(case, shared)
    config = load_config(overrides=list(QUICK))
    found = analyze(volume, config, seed=case.seed)
    rng = np.random.default_rng([case.seed, 21])
    regions = label_regions(found.anatomy, config.calibrate)
    nodules, spatial, sides = found.accepted, found.spatial, found.described
    if case.contamination:
        nodules = _contaminate(found, case.contamination, truth_mm, rng)
        counts = patterns.count_by_lung(nodules, found.anatomy, config.pattern)
        sides = patterns.involved_lungs(counts)
        spatial = describe_in(
            found.anatomy,
            nodules.take(np.isin(nodules.lung, sides)),
            sides,
            found.calibration,
            regions,
            config,
            rng,
        )
    return Evidence(
        case=case,
        truth_mm=truth_mm,
        nodules=nodules,
        lungs=found.anatomy.lungs,
        described=sides,
        calibration=found.calibration,
        spatial=spatial,
        sight=_sight(found, config),
        samples=_sample(found, regions, rng),
        grid_mm=found.anatomy.geometry.to_grid_mm(nodules.points_mm),
        noise_hu=found.quality.noise_hu,
        seconds=time.process_time() - began,
    )


def _sight(found: Analysis, config: Config) -> Any:
    from miliary.calibrate import sensitivity_at

    return patterns.Sight(
        found.volume.slice_mm,
        float(found.anatomy.geometry.spacing_mm[1:].max()),
        sensitivity_at(found.calibration, "all", config.measure.micronodule_mm),
    )


def _sample(found: Analysis, regions: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random places of the evaluable lung with all that is known of them."""
    anatomy = found.anatomy
    inside = np.flatnonzero(anatomy.evaluable_labels)
    chosen = inside[rng.integers(0, len(inside), _SAMPLES)]
    seen = sensitivity_map(regions, anatomy.zone_labels, found.calibration, 2.0)
    images = {
        "side": anatomy.evaluable_labels,
        "zone": anatomy.zone_labels,
        "pleura": anatomy.pleura_mm,
        "vessel": anatomy.vessel_mm,
        "fissure": anatomy.fissure_mm,
        "weight": None if seen is None else seen[1][seen[0]],
    }
    index = np.column_stack(np.unravel_index(chosen, anatomy.evaluable_labels.shape))
    places = index + rng.uniform(-0.5, 0.5, index.shape)
    kept = {
        name: image[tuple(index.T)].astype(np.float32)
        for name, image in images.items()
        if image is not None
    }
    return {**kept, "grid_mm": (places * anatomy.geometry.spacing_mm).astype(np.float32)}


def _contaminate(
    found: Analysis, share: float, truth_mm: np.ndarray, rng: np.random.Generator
) -> Nodules:
    """Add refused candidates at vessels until so large a share of the nodules is false.

    The likeliest are taken, and given scores of the false positives that were accepted.
    """
    from scipy.spatial import KDTree

    anatomy, config, hu = found.anatomy, found.config, found.volume.hu[found.anatomy.box]
    accepted = found.accepted
    scoring = replace(config.detect, keep_all=True)
    scored = detect(hu, anatomy.inside_lung, anatomy.geometry.spacing_mm, scoring)
    refused = scored.take(scored.score < config.detect.threshold)
    places = anatomy.geometry.to_world(refused.index_zyx)
    refused = refused.take(vessels_beside(anatomy, places, truth_mm))
    false = KDTree(truth_mm).query(accepted.points_mm)[0] > 1.5
    wanted = round(share / (1 - share) * np.count_nonzero(~false)) - np.count_nonzero(false)
    if wanted <= 0:
        return accepted
    taken = refused.take(np.argsort(-refused.score)[:wanted])
    scores = accepted.score[false]
    if len(scores) < 5:
        scores = rng.uniform(config.detect.threshold, 0.95, 50)
    taken = replace(taken, score=rng.choice(scores, len(taken)))
    added = measure(hu, anatomy, taken, found.quality, config.measure)
    added = correct_sizes(added, found.calibration, config.measure.micronodule_mm)
    return Nodules(
        **{
            name: np.concatenate([getattr(accepted, name), getattr(added, name)])
            for name in Nodules.__dataclass_fields__
        }
    )


def load(case: Case, folder: Path) -> Evidence | None:
    """Read the evidence of a case; None where it was not analysed."""
    path = folder / f"{case.name}.pickle"
    return pickle.loads(path.read_bytes()) if path.exists() else None
