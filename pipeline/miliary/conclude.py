"""What nodules mean: how many and how large, how they lie, which pattern that is, and the flag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary import pattern as patterns
from miliary.anatomy import SIDES, Anatomy
from miliary.arrays import LabelArray
from miliary.calibrate import sensitivity_map
from miliary.config import Config
from miliary.findings import Calibration, Distribution, Pattern, SizeSummary, Verdict
from miliary.nodules import Nodules
from miliary.sizes import describe_sizes
from miliary.spatial import Window, describe_distribution


@dataclass(frozen=True, eq=False)
class Conclusions:
    """What the nodules of a patient mean; each as in `Analysis`.

    Parameters
    ----------
    described : tuple of str
        The lungs that `size`, `spatial` and `pattern` are about.
    size : SizeSummary
        How large and how alike they are.
    spatial : Distribution
        How they lie.
    pattern : Pattern
        Which distribution that is.
    miliary : Verdict
        The flag with its criteria.
    """

    described: tuple[str, ...]
    size: SizeSummary
    spatial: Distribution
    pattern: Pattern
    miliary: Verdict


def conclude(
    nodules: Nodules,
    anatomy: Anatomy,
    sight: patterns.Sight,
    calibration: Calibration,
    regions: LabelArray,
    config: Config,
    *,
    rngs: tuple[np.random.Generator, np.random.Generator],
) -> Conclusions:
    """Judge nodules: the same whether they were found here or elsewhere.

    Parameters
    ----------
    nodules : Nodules
        Those that are believed.
    anatomy : Anatomy
        Lungs and distances.
    sight : Sight
        What could have been seen.
    calibration : Calibration
        How well nodules are found where; empty where that is unknown.
    regions : (z, y, x) uint8
        Regions of the calibration.
    config : Config
        Every setting.
    rngs : tuple of two numpy.random.Generator
        Source of randomness for sizes and for places.

    Returns
    -------
    Conclusions
        Sizes, places and pattern of the lungs with numerous nodules; the flag for both.
    """
    size_rng, spatial_rng = rngs
    counts = patterns.count_by_lung(nodules, anatomy, config.pattern, calibration)
    sides = patterns.involved_lungs(counts)
    involved = nodules.take(np.isin(nodules.lung, sides))
    size = _describe_known_sizes(involved, config, size_rng)
    spatial = describe_in(anatomy, involved, sides, calibration, regions, config, spatial_rng)
    pattern = patterns.name_pattern(counts, sight, involved, spatial, config.pattern)
    verdict = patterns.judge(
        sight, counts, size, spatial, pattern, config.pattern, uniform_cv=config.sizes.uniform_cv
    )
    return Conclusions(sides, size, spatial, pattern, verdict)


def _describe_known_sizes(
    nodules: Nodules, config: Config, rng: np.random.Generator
) -> SizeSummary:
    """Describe sizes as far as there are any: points found elsewhere may come without."""
    known = np.isfinite(nodules.diameter_mm)
    if len(nodules) and not known.any():
        unknown = (None, None, None, None, None, None, None)
        return SizeSummary(0, *unknown, "No diameters were given.")
    return describe_sizes(
        nodules.diameter_mm[known], nodules.diameter_se_mm[known], config.sizes, rng=rng
    )


def describe_in(
    anatomy: Anatomy,
    nodules: Nodules,
    sides: tuple[str, ...],
    calibration: Calibration,
    regions: LabelArray,
    config: Config,
    rng: np.random.Generator,
) -> Distribution:
    """Describe how nodules lie in some lungs of a patient.

    Parameters
    ----------
    anatomy : Anatomy
        Lungs and distances.
    nodules : Nodules
        Nodules of these lungs.
    sides : tuple of str
        Which lungs: `right`, `left`.
    calibration : Calibration
        How well they are found where.
    regions : (z, y, x) uint8
        Regions of the calibration.
    config : Config
        Every setting.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Distribution
        Against randomness in these lungs.
    """
    labels = anatomy.evaluable_labels
    described = labels
    if len(sides) < len(SIDES):
        described = np.zeros_like(labels)
        for side in sides:
            np.copyto(described, SIDES[side], where=labels == SIDES[side])
    median_mm = float(np.median(nodules.diameter_mm)) if len(nodules) else 2.0
    seen = sensitivity_map(regions, anatomy.zone_labels, calibration, median_mm)
    places, chances = (None, None) if seen is None else seen
    window = Window(described, anatomy.geometry.spacing_mm, places, chances=chances)
    distances = {"pleura": anatomy.pleura_mm, "vessel": anatomy.vessel_mm}
    if anatomy.fissure_mm is not None:
        distances["fissure"] = anatomy.fissure_mm
    return describe_distribution(
        anatomy.geometry.to_grid_mm(nodules.points_mm),
        window,
        distances_mm=distances,
        zone_labels=anatomy.zone_labels,
        lobe_labels=anatomy.lobe_labels,
        sizes_mm=nodules.diameter_mm,
        min_separation_mm=config.detect.min_separation_mm,
        settings=config.spatial,
        rng=rng,
    )
