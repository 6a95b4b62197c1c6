"""Seconds and memory of detecting and measuring, and blob_log of scikit-image beside them."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from functools import partial

import numpy as np
from _detection_scenes import (
    PHANTOM_SEEDS,
    REAL,
    REAL_SEEDS,
    Scene,
    _real_lungs,
    litre_phantom,
    real,
)
from _detection_tables import Graded, grade
from _results import Results
from _speed_run import forget_peak, peak_mb
from scipy import ndimage
from skimage.feature import blob_log

import miliary
from miliary.config import Config
from miliary.config.detect import DetectSettings
from miliary.findings import ImageQuality
from miliary.kernels.slabs import n_threads
from miliary.measure import ask_blur, fit_diameters

SLICES = 400
#: What blob_log is asked: scales (mm, from, to, how many) and its threshold in HU; None for what it
#: does unless told: ten scales of 1 to 50 voxels, threshold 0.2, on the image scaled to 0..1.
Scales = tuple[float, float, int, float] | None
ASKED: dict[str, Scales] = {
    "3 scales, 210 HU": (0.5, 1.1, 3, 210.0),
    "5 scales, 120 HU": (0.5, 1.1, 5, 120.0),
    "10 scales, 60 HU": (0.5, 1.1, 10, 60.0),
    "its defaults": None,
}
#: Scales in mm by which its blobs are ranked, to tell how many it finds at this rate of false ones.
RANKED_MM, FALSE_PER_LITRE = (0.5, 0.8, 1.1), 10
#: Outside of the lungs the image has the level of lung; bright tissue is cut at this.
LUNG_HU, CAP_HU = -850.0, 60.0


def times(options: argparse.Namespace) -> Results:
    """Table (g): left lungs beside blob_log."""
    results = Results(
        "detection-times",
        "Left lungs searched by the package and by blob_log of scikit-image, both in one process: "
        "CPU seconds, and nodules found at as many false positives.",
    )
    beside_blob_log(options, results)
    return results


def whole(_: argparse.Namespace) -> Results:
    """Table (i): the real scan on 400 slices of 512 x 512: its own pixels, slices interpolated."""
    results = Results(
        "detection-whole",
        "Seconds and memory of finding and measuring nodules in a whole scan, without reading and "
        "anatomy.",
    )
    hu, inside, spacing = stretched()
    settings, measuring = DetectSettings(), Config().measure
    quality = ImageQuality(30.0, (1.1, 1.05, 1.05), psf_estimated=True)
    forget_peak()
    before = peak_mb()
    began, cpu = time.perf_counter(), time.process_time()
    found = miliary.detect(hu, inside, spacing, settings)
    between = time.perf_counter()
    quality = ask_blur(hu, inside, spacing, found, quality, measuring)
    fit_diameters(hu, inside, spacing, found, quality, measuring)
    end = time.perf_counter()
    litres = np.count_nonzero(inside) * spacing.prod() / 1e6
    results.table(
        f"Crop {hu.shape} of 512 x 512 x {SLICES}, {litres:.1f} l of lung, {len(found)} accepted",
        ["detect, s", "measure, s", "together, s", "CPU s", "extra peak, GB"],
        [
            [
                f"{between - began:.1f}",
                f"{end - between:.1f}",
                f"{end - began:.1f}",
                f"{time.process_time() - cpu:.1f}",
                f"{(peak_mb() - before) / 1e3:.2f}",
            ]
        ],
        f"{os.cpu_count()} cores, {n_threads()} threads, load before {os.getloadavg()[0]:.1f}.",
    )
    return results


def stretched() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The real scan with nodules on `SLICES` slices, its lungs, and its voxel size."""
    _, anatomy, _ = _real_lungs(REAL)
    scene = real(REAL_SEEDS[0], 300)
    depth = round(scene.hu.shape[0] * SLICES / 275)
    where = np.linspace(0, scene.hu.shape[0] - 1, depth)
    low = np.minimum(where.astype(int), scene.hu.shape[0] - 2)
    part = (where - low).astype(np.float32)[:, None, None]
    hu = np.rint((1 - part) * scene.hu[low] + part * scene.hu[low + 1]).astype(np.int16)
    inside = anatomy.inside_lung[np.rint(where).astype(int)]
    return hu, inside, scene.spacing_mm * [275 / SLICES, 1, 1]


def beside_blob_log(options: argparse.Namespace, results: Results) -> None:
    """Left lungs, both in one run: seconds, and sensitivity at equal false positives."""
    makes = [partial(litre_phantom, seed, 300, 1.2, 3.0) for seed in PHANTOM_SEEDS]
    if not options.phantoms:
        makes += [partial(real, REAL_SEEDS[0], 300)]
    rows = []
    for make in makes:
        crop = Crop(make())
        everything = replace(DetectSettings(), keep_all=True)
        # Weights are read once a process.
        miliary.detect(crop.hu[:24], crop.inside[:24], crop.spacing_mm, everything)
        began = time.process_time()
        ours = miliary.detect(crop.hu, crop.inside, crop.spacing_mm, everything)
        seconds = time.process_time() - began
        graded = crop.grade(ours.index_zyx, ours.score)
        # On the real scan, with six times the voxels, its defaults would take minutes.
        asked = {k: v for k, v in ASKED.items() if v is not None or crop.litres < 1}
        rows += [[crop.name, *row] for row in peers(crop, graded, seconds, asked)]
    heads = ["left lung of", "what it is asked", "its CPU s", "ours", "times"]
    heads += ["its false a litre", "its sensitivity", "ours at as many false"]
    heads += [
        "our false at its sensitivity",
        f"its sensitivity at {FALSE_PER_LITRE} a litre",
        "ours",
    ]
    note = (
        "CPU seconds, both in one process. Asked for the scales of such nodules alone, from 0.5 to "
        "1.1 mm, blob_log is little more than a filter each, and as quick; its defaults are ten "
        "scales of 1 to 50 voxels and a threshold of 0.2 on the image scaled to 0..1. It has no "
        "score: its blobs are ranked by its response, the largest at 0.5, 0.8 and 1.1 mm."
    )
    results.table("Beside blob_log, 300 nodules of 1.2 to 3 mm a litre", heads, rows, note)


class Crop:
    """The box of the left lung of a scene, with the nodules in it."""

    def __init__(self, scene: Scene) -> None:
        self.name, self.spacing_mm = scene.name[:14], scene.spacing_mm
        left = scene.anatomy.lung_labels == 2
        box = ndimage.find_objects(left.astype(np.uint8))[0]
        self.hu, self.inside = scene.hu[box], left[box]
        index = (scene.index_zyx - [part.start for part in box])[scene.side == 2]
        within = ((index >= 0) & (index <= np.array(left[box].shape) - 1)).all(axis=1)
        self.truth_mm = index[within] * self.spacing_mm
        self.litres = np.count_nonzero(self.inside) * self.spacing_mm.prod() / 1e6

    def grade(self, index_zyx: np.ndarray, score: np.ndarray) -> Graded:
        """Hold places against the nodules."""
        return grade(index_zyx * self.spacing_mm, score, self.truth_mm, self.litres)


def peers(crop: Crop, graded: Graded, seconds: float, ways: dict[str, Scales]) -> list[list[str]]:
    """One row for each way to ask blob_log."""
    image = np.where(crop.inside, np.minimum(crop.hu, CAP_HU), LUNG_HU).astype(np.float32)
    strength = strengths(image, crop.spacing_mm)
    rows = []
    for name, asked in ways.items():
        began = time.process_time()
        places = blobs_of(image, crop.spacing_mm, asked)
        spent = time.process_time() - began
        places = places[crop.inside[tuple(places.T)]]
        theirs = crop.grade(places, strength[tuple(places.T)])
        false = len(theirs.false_row) / crop.litres
        at_few = [(g.score > g.threshold(FALSE_PER_LITRE)).mean() for g in (theirs, graded)]
        rows.append(
            [
                name,
                f"{spent:.1f}",
                f"{seconds:.1f}",
                f"{spent / seconds:.1f}",
                f"{false:.0f}",
                f"{(theirs.row >= 0).mean():.2f}",
                f"{(graded.score > graded.threshold(false)).mean():.2f}",
                f"{false_at(graded, int((theirs.row >= 0).sum())) / crop.litres:.0f}",
                *(f"{share:.2f}" for share in at_few),
            ]
        )
    return rows


def blobs_of(image: np.ndarray, spacing_mm: np.ndarray, asked: Scales) -> np.ndarray:
    """Voxels (N, 3) that blob_log finds."""
    if asked is None:
        found = blob_log((image - image.min()) / np.float32(CAP_HU - image.min()))
    else:
        least, most, n, limit = asked
        found = blob_log(
            image,
            min_sigma=least / spacing_mm,
            max_sigma=most / spacing_mm,
            num_sigma=n,
            threshold=limit,
        )
    return found[:, :3].astype(int)


def strengths(image: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """The response of blob_log at every voxel: the largest over a few scales."""
    responses = [
        -ndimage.gaussian_laplace(image, sigma / spacing_mm) * np.mean(sigma / spacing_mm) ** 2
        for sigma in RANKED_MM
    ]
    return np.maximum(np.max(responses, axis=0), 0.0)


def false_at(graded: Graded, n_found: int) -> int:
    """False positives among the candidates that must be accepted to find so many nodules."""
    if n_found == 0:
        return 0
    limit = np.sort(graded.score)[::-1][n_found - 1]
    # Where as many cannot be found, all of them are accepted.
    return int((graded.false_score >= limit).sum())
