"""Seconds and memory of detecting and measuring, and blob_log of scikit-image beside them."""

from __future__ import annotations

import argparse
import os
import resource
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
from scipy import ndimage
from skimage.feature import blob_log

import miliary
from miliary.config import Config
from miliary.config.detect import DetectSettings
from miliary.findings import ImageQuality
from miliary.kernels.slabs import n_threads
from miliary.measure import fit_diameters

SLICES = 400
#: Side in mm of the crop that blob_log gets.
CROP_MM = 60.0
THRESHOLDS_HU = (60.0, 120.0, 210.0)
SIGMAS_MM = (0.6, 1.2, 3)


def times(options: argparse.Namespace) -> Results:
    """Table (g): the lungs of a scan of 512 x 512 x 400; then a crop beside blob_log."""
    results = Results(
        "detection-times",
        "Seconds and memory of finding and measuring nodules in a whole scan, without reading and "
        "anatomy; and a crop of 6 cm beside blob_log of scikit-image, both in one process.",
    )
    if not options.phantoms:
        whole(results)
    beside_blob_log(options, results)
    return results


def whole(results: Results) -> None:
    """The real scan on 400 slices of 512 x 512: its own pixels, slices interpolated."""
    _, anatomy, _ = _real_lungs(REAL)
    scene = real(REAL_SEEDS[0], 300)
    depth = round(scene.hu.shape[0] * SLICES / 275)
    where = np.linspace(0, scene.hu.shape[0] - 1, depth)
    low = np.minimum(where.astype(int), scene.hu.shape[0] - 2)
    part = (where - low).astype(np.float32)[:, None, None]
    hu = np.rint((1 - part) * scene.hu[low] + part * scene.hu[low + 1]).astype(np.int16)
    inside = anatomy.inside_lung[np.rint(where).astype(int)]
    spacing = scene.spacing_mm * [275 / SLICES, 1, 1]
    quality = ImageQuality(30.0, (1.1, 1.05, 1.05), psf_estimated=True)
    before = peak_gb()
    began, cpu = time.perf_counter(), time.process_time()
    found = miliary.detect(hu, inside, spacing, DetectSettings())
    between = time.perf_counter()
    fit_diameters(hu, inside, spacing, found, quality, Config().measure)
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
                f"{peak_gb() - before:.2f}",
            ]
        ],
        f"{os.cpu_count()} cores, {n_threads()} threads, load before {os.getloadavg()[0]:.1f}.",
    )


def peak_gb() -> float:
    """Largest memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def beside_blob_log(options: argparse.Namespace, results: Results) -> None:
    """Crops of each seed, both in one run: seconds, and sensitivity at equal false positives."""
    makes = [partial(litre_phantom, seed, 300, 1.2, 3.0) for seed in PHANTOM_SEEDS]
    if not options.phantoms:
        makes += [partial(real, seed, 300) for seed in REAL_SEEDS]
    rows = []
    for make in makes:
        crop = cut(make())
        began = time.process_time()
        everything = replace(DetectSettings(), keep_all=True)
        ours = miliary.detect(crop.hu, crop.anatomy, crop.spacing_mm, everything)
        seconds = time.process_time() - began
        litres = np.count_nonzero(crop.anatomy) * crop.spacing_mm.prod() / 1e6
        graded = grade(ours.index_zyx * crop.spacing_mm, ours.score, crop.truth_mm, litres)
        rows += [[crop.name, *row] for row in peers(crop, graded, seconds, litres)]
    heads = ["crop", "its threshold, HU", "its CPU s", "ours", "times", "its false a litre"]
    heads += ["its sensitivity", "ours at as many false", "our false at its sensitivity"]
    results.table("blob_log at three thresholds; nodules of 1.2 to 3 mm", heads, rows)


class Crop:
    """A box of a scene, with the nodules in it."""

    def __init__(self, scene: Scene) -> None:
        self.name, self.spacing_mm = scene.name[:14], scene.spacing_mm
        inside = scene.anatomy.inside_lung
        half = np.rint(CROP_MM / 2 / self.spacing_mm).astype(int)
        # The middle of the left lung.
        middle = np.array(ndimage.center_of_mass(scene.anatomy.lung_labels == 2)).astype(int)
        low = np.maximum(middle - half, 0)
        box = tuple(slice(a, b) for a, b in zip(low, middle + half, strict=True))
        self.hu, self.anatomy = scene.hu[box], inside[box]
        index = scene.index_zyx - low
        size = np.array(self.hu.shape)
        self.truth_mm = index[((index > 2) & (index < size - 3)).all(axis=1)] * self.spacing_mm


def cut(scene: Scene) -> Crop:
    """Cut the crop."""
    return Crop(scene)


def peers(crop: Crop, graded: Graded, seconds: float, litres: float) -> list[list[str]]:
    """One row a threshold of blob_log."""
    image = np.where(crop.anatomy, np.minimum(crop.hu, 60), -850).astype(np.float32)
    sigma = SIGMAS_MM[0] / crop.spacing_mm
    rows = []
    for limit in THRESHOLDS_HU:
        began = time.process_time()
        blobs = blob_log(
            image,
            min_sigma=sigma,
            max_sigma=SIGMAS_MM[1] / crop.spacing_mm,
            num_sigma=SIGMAS_MM[2],
            threshold=limit,
            overlap=0.5,
        )
        spent = time.process_time() - began
        places = blobs[:, :3]
        places = places[crop.anatomy[tuple(places.astype(int).T)]]
        theirs = grade(places * crop.spacing_mm, np.ones(len(places)), crop.truth_mm, litres)
        false = len(theirs.false_row) / litres
        at_equal = (graded.score > graded.threshold(false)).mean()
        as_sensitive = false_at(graded, int((theirs.row >= 0).sum())) / litres
        rows.append(
            [
                f"{limit:.0f}",
                f"{spent:.1f}",
                f"{seconds:.2f}",
                f"{spent / seconds:.0f}",
                f"{false:.0f}",
                f"{(theirs.row >= 0).mean():.2f}",
                f"{at_equal:.2f}",
                f"{as_sensitive:.0f}",
            ]
        )
    return rows


def false_at(graded: Graded, n_found: int) -> int:
    """False positives among the candidates that must be accepted to find so many nodules."""
    if n_found == 0:
        return 0
    limit = np.sort(graded.score)[::-1][n_found - 1]
    # Where as many cannot be found, all of them are accepted.
    return int((graded.false_score >= limit).sum())
