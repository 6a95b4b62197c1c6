"""The recipe: from a volume to a verdict, one step after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from miliary import pattern as patterns
from miliary.analysis import Analysis
from miliary.anatomy import Anatomy
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray, LabelArray
from miliary.calibrate import (
    Trials,
    correct_sizes,
    cut_trial,
    describe_calibration,
    expect_false,
    inject,
    label_regions,
    match_found,
    place_balls,
    sensitivity_at,
    stratum_volumes,
)
from miliary.clock import Clock, Progress
from miliary.conclude import Conclusions, conclude
from miliary.config import Config
from miliary.config.fissures import FissureSettings
from miliary.config.lungs import LungSettings
from miliary.config.vessels import VesselSettings
from miliary.detect import detect
from miliary.findings import Calibration, ImageQuality
from miliary.fissures import find_fissures
from miliary.fissures.septa import with_septa
from miliary.kernels.forks import beside, on_processes
from miliary.lungs import LungMasks, build_anatomy, segment_lungs
from miliary.measure import ask_blur, fit_diameters, measure
from miliary.nodules import Candidates, Nodules
from miliary.quality import estimate_quality
from miliary.vessels import find_vessels
from miliary.volume import Volume

__all__ = ["Analysis", "analyze", "calibrate", "segment"]

#: Steps and the share of the time they take on a usual scan on one thread, for progress only.
_STEPS = {
    "lungs": 0.14,
    "detect": 0.26,
    "vessels": 0.1,
    "fissures": 0.12,
    "distances": 0.09,
    "quality": 0.04,
    "measure": 0.03,
    "calibrate": 0.1,
    "describe": 0.12,
}

#: Parts that trials are looked for in, side by side where there are cores.
_TRIAL_PARTS = 4


def analyze(
    volume: Volume,
    config: Config | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Analysis:
    """Find the lungs and the nodules in them, and judge how they lie.

    Parameters
    ----------
    volume : Volume
        The scan.
    config : Config or None
        Every setting; the defaults unless given.
    seed : int
        Seed of every random number: the same scan, configuration and seed give the same result.
    progress : callable or None
        Called with the name of each step as it begins and the share of the work done, 0 to 1.

    Returns
    -------
    Analysis
        Everything that was found.

    Raises
    ------
    AnatomyError
        When the image shows no lung.
    """
    config = Config() if config is None else config
    clock = Clock(_STEPS, progress)
    calibration_rng, size_rng, spatial_rng = np.random.default_rng(seed).spawn(3)

    clock("lungs")
    masks = segment_lungs(volume, config.lungs)
    hu = volume.hu[masks.box]
    clock("detect")
    candidates = _begin_detection(hu, masks, config)
    anatomy, quality = _look_round(volume, hu, masks, config, clock)
    del masks
    clock("detect")
    scored = candidates()
    clock("measure")
    measured, quality = _measure(hu, anatomy, scored, quality, config)
    clock("calibrate")
    known = measured.take(measured.score >= config.detect.threshold)
    anatomy = anatomy.without_vessels_at(known.points_mm, known.diameter_mm)
    calibration, regions = calibrate(
        hu, anatomy, known, quality, config, calibration_rng, scores=scored.score
    )
    nodules = correct_sizes(measured, calibration, config.measure.micronodule_mm)
    clock("describe")
    accepted = nodules.take(nodules.score >= config.detect.threshold)
    sight = patterns.Sight(
        volume.slice_mm,
        float(anatomy.geometry.spacing_mm[1:].max()),
        sensitivity_at(calibration, "all", config.measure.micronodule_mm),
    )
    concluded = conclude(
        accepted, anatomy, sight, calibration, regions, config, rngs=(size_rng, spatial_rng)
    )
    return Analysis(
        volume=volume,
        config=config,
        seed=seed,
        quality=quality,
        anatomy=anatomy,
        nodules=nodules,
        calibration=calibration,
        size=concluded.size,
        described=concluded.described,
        spatial=concluded.spatial,
        pattern=concluded.pattern,
        miliary=concluded.miliary,
        notes=_notes(volume, anatomy, quality, concluded),
        seconds=clock.stop(),
    )


def _begin_detection(hu: AnyArray, masks: LungMasks, config: Config) -> Callable[[], Candidates]:
    """Look for candidates, beside the anatomy where that is allowed: they need the lungs alone."""
    inside, spacing_mm = masks.lung_labels > 0, masks.geometry.spacing_mm
    scoring = replace(config.detect, keep_all=True)
    return beside(lambda: detect(hu, inside, spacing_mm, scoring))


def _look_round(
    volume: Volume, hu: AnyArray, masks: LungMasks, config: Config, clock: Clock
) -> tuple[Anatomy, ImageQuality]:
    """Find what is in the lungs besides nodules, and how good the image is."""
    anatomy = _with_vessels_and_fissures(
        volume, masks, config.lungs, config.vessels, config.fissures, clock
    )
    clock("quality")
    quality = estimate_quality(hu, anatomy, config.quality)
    return with_septa(hu, anatomy, quality, volume.slice_mm, config.fissures), quality


def _measure(
    hu: AnyArray, anatomy: Anatomy, scored: Candidates, quality: ImageQuality, config: Config
) -> tuple[Nodules, ImageQuality]:
    """Fit those candidates that are kept, once they have told how blurred they are seen."""
    likely = scored.score >= config.detect.threshold
    spacing_mm, sure = anatomy.geometry.spacing_mm, scored.take(likely)
    quality = ask_blur(hu, anatomy.inside_lung, spacing_mm, sure, quality, config.measure)
    kept = scored.take(config.detect.keep_all | likely)
    return measure(hu, anatomy, kept, quality, config.measure), quality


def segment(
    volume: Volume,
    lungs: LungSettings | None = None,
    vessels: VesselSettings | None = None,
    fissures: FissureSettings | None = None,
    *,
    step: Callable[[str], None] = lambda _: None,
) -> Anatomy:
    """Find lungs, airways, vessels, fissures and lobes, and the distances to them.

    Parameters
    ----------
    volume : Volume
        The scan.
    lungs : LungSettings or None
        Limits for the lungs; the defaults unless given.
    vessels : VesselSettings or None
        Limits for the vessels; the defaults unless given.
    fissures : FissureSettings or None
        Limits for the fissures; the defaults unless given.
    step : callable
        Called with the name of each part as it begins.

    Returns
    -------
    Anatomy
        Cropped to the lungs.

    Raises
    ------
    AnatomyError
        When the image shows no lung.
    """
    lungs = lungs or LungSettings()
    step("lungs")
    masks = segment_lungs(volume, lungs)
    return _with_vessels_and_fissures(
        volume, masks, lungs, vessels or VesselSettings(), fissures or FissureSettings(), step
    )


def _with_vessels_and_fissures(
    volume: Volume,
    masks: LungMasks,
    lungs: LungSettings,
    vessels: VesselSettings,
    fissures: FissureSettings,
    step: Callable[[str], None],
) -> Anatomy:
    """Find what is in the lungs; distances last, as each is an image of four bytes a voxel."""
    step("vessels")
    vessel_mask = find_vessels(volume, masks.box, masks.lung_labels, vessels)
    step("fissures")
    found = find_fissures(
        volume, masks.box, masks.lung_labels, vessel_mask, fissures, cut=masks.cut
    )
    step("distances")
    anatomy = build_anatomy(volume, masks, vessel_mask, lungs)
    return replace(
        anatomy,
        fissure_mask=found.fissure_mask,
        fissure_mm=found.surface_mm if found.any_sure else None,
        lobe_labels=found.lobe_labels,
        notes=(*anatomy.notes, *found.notes),
        fissures=found.found,
    )


def calibrate(
    hu: AnyArray,
    anatomy: Anatomy,
    nodules: Nodules,
    quality: ImageQuality,
    config: Config,
    rng: np.random.Generator,
    *,
    scores: FloatArray | None = None,
) -> tuple[Calibration, LabelArray]:
    """Put nodules into the scan, find and measure them by the same code, and compare.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units on the anatomy's grid.
    anatomy : Anatomy
        Lungs and distances.
    nodules : Nodules
        Those found already; new ones are put elsewhere.
    quality : ImageQuality
        Noise and point spread of the scan.
    config : Config
        Every setting.
    rng : numpy.random.Generator
        Source of randomness.
    scores : (M,) float or None
        Scores of all candidates in the scan, refused ones too: they tell how many false
        positives to expect, which is left open without them.

    Returns
    -------
    calibration : Calibration
        Empty when switched off or where there is no room.
    regions : (z, y, x) uint8
        The regions that its sensitivities are for.
    """
    settings, spacing_mm = config.calibrate, anatomy.geometry.spacing_mm
    regions = label_regions(anatomy, settings)
    centres, diameters, region = place_balls(
        hu,
        regions,
        spacing_mm,
        anatomy.geometry.to_grid_mm(nodules.points_mm),
        settings,
        rng=rng,
    )
    if len(centres) == 0:
        return Calibration((), (), (), 0), regions
    zone = anatomy.at(anatomy.zone_labels, centres / spacing_mm).astype(int)
    trials = _try_balls(hu, anatomy, centres, (diameters, region, zone), quality, config, rng)
    calibration = describe_calibration(
        trials, stratum_volumes(regions, anatomy.zone_labels), settings
    )
    if scores is None:
        return calibration, regions
    litres = float(np.count_nonzero(anatomy.inside_lung) * anatomy.geometry.voxel_ml / 1000)
    false, error = expect_false(scores, trials, litres, config.detect.threshold, settings)
    return replace(calibration, false_per_litre=false, false_per_litre_se=error), regions


def _try_balls(
    hu: AnyArray,
    anatomy: Anatomy,
    centres_grid_mm: FloatArray,
    balls: tuple[FloatArray, IntArray, IntArray],
    quality: ImageQuality,
    config: Config,
    rng: np.random.Generator,
) -> Trials:
    """Look for balls of given diameter, region and zone, and measure those that are found."""
    diameters, region, zone = balls
    tissue = rng.normal(config.measure.tissue_hu, config.measure.tissue_sd_hu, len(diameters))

    def look(rows: IntArray) -> tuple[AnyArray, ...]:
        given = centres_grid_mm[rows], diameters[rows], tissue[rows]
        return _look_for_balls(hu, anatomy, *given, quality, config)

    # None knows of the others: they can be looked for in parts.
    n_parts = min(_TRIAL_PARTS, len(diameters))
    parts = on_processes(look, np.array_split(np.arange(len(diameters)), n_parts))
    score, found, measured, se = map(np.concatenate, zip(*parts, strict=True))
    return Trials(diameters, region, zone, score, found, measured, se)


def _look_for_balls(
    hu: AnyArray,
    anatomy: Anatomy,
    centres_grid_mm: FloatArray,
    diameters_mm: FloatArray,
    tissue_hu: FloatArray,
    quality: ImageQuality,
    config: Config,
) -> tuple[FloatArray, BoolArray, FloatArray, FloatArray]:
    """Score, whether found, measured diameter and its standard error of some balls."""
    settings, spacing_mm = config.calibrate, anatomy.geometry.spacing_mm
    trial = cut_trial(hu, anatomy.inside_lung, spacing_mm, centres_grid_mm, settings)
    filled = inject(trial, spacing_mm, diameters_mm, quality, tissue_hu, settings)
    scoring = replace(config.detect, keep_all=True)
    candidates = detect(filled, trial.inside_lung, spacing_mm, scoring, near=trial.near)
    near, which = match_found(trial.centres_grid_mm, candidates, spacing_mm, settings.reach_mm)
    score = np.zeros(len(diameters_mm))
    score[near] = candidates.score[which[near]]
    found = near & (score >= config.detect.threshold)
    fit = fit_diameters(
        filled,
        trial.inside_lung,
        spacing_mm,
        candidates.take(which[found]),
        quality,
        config.measure,
    )
    measured, se = np.full((2, len(diameters_mm)), np.nan)
    measured[found], se[found] = fit.diameter_mm, fit.diameter_se_mm
    return score, found, measured, se


def _notes(
    volume: Volume, anatomy: Anatomy, quality: ImageQuality, concluded: Conclusions
) -> tuple[str, ...]:
    notes = [*volume.notes, *anatomy.notes]
    judged = [lung.side for lung in anatomy.lungs if lung.evaluable_ml > 0]
    if len(concluded.described) < len(judged):
        notes.append(
            f"Sizes and distribution, zones too, are those of the {concluded.described[0]} lung "
            "alone: the other does not hold numerous nodules."
        )
    notes += [note for lung in anatomy.lungs for note in lung.notes]
    if not quality.psf_estimated:
        notes.append("The point spread could not be measured in this scan; a usual one was taken.")
    return (*notes, *concluded.spatial.notes)
