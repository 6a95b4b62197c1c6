"""Numbers of candidates in versions of the sources, and which of them are nodules."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy.spatial import KDTree

from miliary.detect import describe_around, describe_blobs, find_candidates
from miliary.model import FeatureSpec
from training.scenes import Job, Scene

#: Candidates this far from every nodule are no nodules; nearer ones that miss it are left out.
CLEAR_MM = 1.5
HIT_MM = 1.0
LAST_SEED = 4714
#: It sees what the thorough look gives more than this; of what that gives little more no more than
#: so many a version, of scans with thick slices and phantoms fewer.
LAST_FROM = 0.005
EASY_FROM, EASY_TO, EASY_MOST = 0.003, 0.02, {"nlst": 1500, "phantom": 700}
EASY_MOST_ELSEWHERE = 2500


def run(jobs: list[Job]) -> list:
    """Features and labels of all jobs, on two cores."""
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(version, jobs))


def version(job: Job) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Features, labels, and the diameter of the nodule a candidate is the nearest to, or 0."""
    scene = Scene.of(job, np.random.default_rng([job.number, *job.name.encode()]))
    spec = FeatureSpec()
    if job.detector is None:
        capped = np.minimum(scene.hu, np.float32(spec.cap_hu))
        blobs, features = describe_blobs(capped, scene.inside, scene.spacing, spec)
    else:
        blobs, features = find_candidates(
            scene.hu, scene.inside, scene.spacing, spec, promising=job.detector.promising
        )
    hit, clear, which, distance = matched(scene, blobs)
    told = tell(job, scene, hit)
    best = np.zeros(len(blobs))
    order = np.argsort(distance)
    _, nearest = np.unique(which[order], return_index=True)
    best[order[nearest]] = scene.diameters[which[order[nearest]]]
    used = hit | clear
    return features[used].astype(np.float16), hit[used], np.where(hit, best, 0)[used], told


def left_open(job: Job) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """As `version`, of nodules and of what the thorough look leaves open."""
    # Other random numbers than those that the other looks were trained with.
    rng = np.random.default_rng([job.number, LAST_SEED, *job.name.encode()])
    scene = Scene.of(job, rng)
    blobs, features = find_candidates(
        scene.hu, scene.inside, scene.spacing, FeatureSpec(), promising=job.detector.promising
    )
    probability = job.detector.thorough_probability(features)
    hit, clear, which, _ = matched(scene, blobs)
    used = hit | (clear & (probability > EASY_FROM))
    easy = np.flatnonzero(used & ~hit & (probability < EASY_TO))
    most = EASY_MOST.get(job.name.split("-")[0], EASY_MOST_ELSEWHERE)
    if len(easy) > most:
        used[rng.choice(easy, len(easy) - most, replace=False)] = False
    used &= hit | (probability > LAST_FROM)
    diameters = np.where(hit, scene.diameters[which], 0)
    told = f"last: {tell(job, scene, hit)}"
    return features[used].astype(np.float16), hit[used], diameters[used], told


def glance_at(job: Job) -> tuple[np.ndarray, np.ndarray]:
    """What a glance tells of blobs, and the probability that the thorough look gives them."""
    # Other random numbers than those that the thorough look was trained with.
    scene = Scene.of(job, np.random.default_rng([job.number, 1, *job.name.encode()]))
    spec, spacing = FeatureSpec(), scene.spacing
    blobs, features = find_candidates(
        scene.hu, scene.inside, spacing, spec, promising=job.detector.promising
    )
    capped = np.minimum(scene.hu, np.float32(spec.cap_hu)).astype(np.float32)
    _, own = describe_blobs(capped, scene.inside, spacing, spec)
    own = own[job.detector.promising(own)]
    seen = describe_around(capped, spacing, blobs, own, spec, spec.glance)
    print(f"{job.name} {job.number}: {len(seen)} glances", flush=True)
    return seen.astype(np.float16), job.detector.thorough_probability(features)


def matched(scene: Scene, blobs):
    """What is a nodule, what is clear of all, and the nearest nodule and its distance in mm."""
    diameters = scene.diameters
    distance, which = KDTree(scene.centres).query(blobs.index_zyx * scene.spacing)
    hit = distance <= np.minimum(HIT_MM, diameters[which] / 2 + 0.2)
    clear = distance > np.maximum(CLEAR_MM, diameters[which] / 2 + 1.0)
    clear &= ~scene.unsure[tuple(blobs.voxel_zyx.T)]
    return hit, clear, which, distance


def tell(job: Job, scene: Scene, hit) -> str:
    told = (
        f"{job.name} {job.number}: {len(scene.diameters)} nodules, {len(hit)} candidates, "
        f"{hit.sum()} of nodules"
    )
    print(told, flush=True)
    return told


def joined(parts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    features, labels, diameters, _ = zip(*parts, strict=True)
    joined_features = np.concatenate(features).astype(np.float32)
    return joined_features, np.concatenate(labels), np.concatenate(diameters)
