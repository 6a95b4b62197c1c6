"""Noise and point spread as estimated, against what phantoms were made with."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from _detection_scenes import PHANTOM_SEEDS, digest, kept, results
from _results import Results

from miliary.analyze import segment
from miliary.config import Config
from miliary.phantom import PhantomSpec
from miliary.phantom.patient import make_patient, scan_patient
from miliary.quality import estimate_quality

#: In-plane width (FWHM, mm), edge enhancement, frequency of the noise's peak (1/mm).
KERNELS = {"soft": (1.3, 0.0, 0.25), "standard": (1.0, 0.0, 0.4), "sharp": (0.9, 0.3, 0.6)}
NOISE_HU = (10.0, 30.0, 60.0)
#: Distance between slices, and width of their profile (FWHM), in mm.
SLICES = ((0.7, 0.9), (1.0, 1.2), (1.5, 1.9))
LIMIT = 0.15
SAYS = (
    "Noise and point spread as the package estimates them in phantoms, less the truth, in per cent "
    "of it: three kernels, three slice distances, three levels of noise, each with each once, "
    "three seeds."
)


def acquisition(_: argparse.Namespace) -> Results:
    """Table (d): errors of noise and point spread over kernels, noise, slices and seeds."""
    kept_tables = Results("detection-acquisition", SAYS)
    rows, errors = [], []
    for k, kernel in enumerate(KERNELS):
        for j, (step_mm, width_mm) in enumerate(SLICES):
            # A Latin square: every kernel, slice and noise meets every other once.
            noise_hu = NOISE_HU[-(k + j) % 3]
            found = [one(seed, kernel, noise_hu, step_mm, width_mm) for seed in PHANTOM_SEEDS]
            errors += found
            told = [" ".join(f"{100 * e:+.0f}" for e in column) for column in np.array(found).T]
            rows.append([kernel, f"{step_mm} / {width_mm}", f"{noise_hu:.0f}", *told])
    heads = ["kernel", "slices / profile, mm", "noise, HU", "noise, %", "along z, %", "in plane, %"]
    table = np.array(errors)
    told = []
    for name, column in zip(("noise", "along z", "in plane"), table.T, strict=True):
        within = (np.abs(column) <= LIMIT).mean()
        worst = column[np.argmax(np.abs(column))]
        told.append(
            f"{name}: {within:.0%} of {len(column)} within 15 %, worst {100 * worst:+.0f} %"
        )
    kept_tables.table("Estimated against true, three seeds", heads, rows, "; ".join(told) + ".")
    return kept_tables


def one(seed: int, kernel: str, noise_hu: float, step_mm: float, width_mm: float) -> np.ndarray:
    """Relative errors (3,) of noise and of the point spread along z and in plane."""
    in_plane_mm, enhancement, peak = KERNELS[kernel]
    spec = PhantomSpec.of(
        shape=(round(100 / step_mm), 170, 190),
        spacing_mm=(step_mm, 0.75, 0.75),
        noise_hu=noise_hu,
        noise_peak_per_mm=peak,
        edge_enhancement=enhancement,
        psf_fwhm_mm=(width_mm, in_plane_mm, in_plane_mm),
        n_nodules=100,
        seed=seed,
    )

    def run() -> np.ndarray:
        made = scan_patient(
            make_patient(spec, np.random.default_rng(seed)), np.random.default_rng([seed, 1])
        )
        anatomy = segment(made.volume)
        found = estimate_quality(made.volume.hu[anatomy.box], anatomy, Config().quality)
        true = np.array([noise_hu, width_mm, in_plane_mm])
        return np.array([found.noise_hu, found.psf_fwhm_mm[0], found.psf_fwhm_mm[1]]) / true - 1

    return kept(results("quality"), f"quality-{digest(repr(replace(spec)))}", run)
