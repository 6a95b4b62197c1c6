"""What the package makes of a scene, kept on disk by scene and by fingerprint of the package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from _detection_scenes import Scene, kept, results
from _detection_tables import Graded, grade

import miliary
from miliary.analyze import calibrate
from miliary.calibrate import REGIONS, label_regions
from miliary.config import Config
from miliary.config.detect import DetectSettings
from miliary.findings import Calibration, ImageQuality
from miliary.measure import ask_blur, measure
from miliary.nodules import Candidates, Nodules
from miliary.quality import estimate_quality

#: How near to a nodule's centre a candidate must be to count as its own before scoring.
OWN_MM = 1.0


@dataclass(frozen=True, eq=False)
class Found:
    """All candidates of a scene, with what is known of its nodules.

    Parameters
    ----------
    candidates : Candidates
        Every one that was scored.
    side : (M,) int
        Lung of each candidate.
    truth_mm : (N, 3) float
        Centres of the nodules as grid points.
    diameter_mm, true_side, beside : (N,)
        Diameters, lungs, and what they lie beside.
    litres : dict of int to float
        Volume of each lung.
    spacing_mm : (3,) float
        Voxel size.
    """

    candidates: Candidates
    side: np.ndarray
    truth_mm: np.ndarray
    diameter_mm: np.ndarray
    true_side: np.ndarray
    beside: np.ndarray
    litres: dict[int, float]
    spacing_mm: np.ndarray

    @property
    def points_mm(self) -> np.ndarray:
        return self.candidates.index_zyx * self.spacing_mm

    def lung(self, sides: tuple[int, ...]) -> Found:
        """What lies in some lungs."""
        mine, true = np.isin(self.side, sides), np.isin(self.true_side, sides)
        return replace(
            self,
            candidates=self.candidates.take(mine),
            side=self.side[mine],
            truth_mm=self.truth_mm[true],
            diameter_mm=self.diameter_mm[true],
            true_side=self.true_side[true],
            beside=self.beside[true],
            litres={side: self.litres[side] for side in sides},
        )

    def graded(self) -> Graded:
        """Candidates held against the nodules."""
        litres = sum(self.litres.values())
        return grade(self.points_mm, self.candidates.score, self.truth_mm, litres)


@dataclass(frozen=True, eq=False)
class Told:
    """What a calibrated analysis tells of a scene.

    Parameters
    ----------
    quality : ImageQuality
        As measured, its point spread perhaps falsified.
    nodules : Nodules
        Accepted ones as fitted.
    calibration : Calibration
        As measured.
    region : (N,) str
        Of every true nodule; empty where its centre is not in evaluable lung.
    litres : float
        Evaluable lung.
    """

    quality: ImageQuality
    nodules: Nodules
    calibration: Calibration
    region: np.ndarray
    litres: float


def found_in(name: str, make: Callable[[], Scene]) -> Found:
    """Every candidate of a scene, scored."""

    def run() -> Found:
        scene = make()
        spacing = scene.spacing_mm
        candidates = miliary.detect(
            scene.hu, scene.anatomy.inside_lung, spacing, DetectSettings(keep_all=True)
        )
        return Found(
            candidates,
            scene.side_of(candidates.index_zyx),
            scene.index_zyx * spacing,
            scene.diameter_mm,
            scene.side,
            scene.beside(),
            {side: scene.litres((side,)) for side in (1, 2)},
            spacing,
        )

    return kept(results("detect"), f"found-{name}", run)


def told_of(name: str, make: Callable[[], Scene], psf_factor: float = 1.0) -> Told:
    """What detection, measuring and calibration tell of a scene; seeds of its own.

    The factor falsifies the point spread that edges tell; as in the recipe, the nodules found are
    asked next.
    """

    def run() -> Told:
        scene, config = make(), Config()
        anatomy = scene.anatomy
        quality = estimate_quality(scene.hu, anatomy, config.quality)
        z, y, x = (psf_factor * width for width in quality.psf_fwhm_mm)
        quality = replace(quality, psf_fwhm_mm=(z, y, x))
        everything = found_in(name, make).candidates
        accepted = everything.take(everything.score >= config.detect.threshold)
        quality = ask_blur(
            scene.hu, anatomy.inside_lung, scene.spacing_mm, accepted, quality, config.measure
        )
        nodules = measure(scene.hu, anatomy, accepted, quality, config.measure)
        rng = np.random.default_rng(17)
        # As in the recipe: what is found is no vessel.
        anatomy = anatomy.without_vessels_at(nodules.points_mm, nodules.diameter_mm)
        calibration, _ = calibrate(
            scene.hu, anatomy, nodules, quality, config, rng, scores=everything.score
        )
        labels = label_regions(anatomy, config.calibrate)
        region = np.array(["", *REGIONS])[anatomy.at(labels, scene.index_zyx)]
        litres = np.count_nonzero(anatomy.evaluable_labels) * anatomy.geometry.voxel_ml / 1000
        return Told(quality, nodules, calibration, region, litres)

    return kept(results("calibrate"), f"told-{name}-{psf_factor}", run)
