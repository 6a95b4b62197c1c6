"""What the balls tell: sensitivity by diameter and place, error of size, false positives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from miliary.anatomy import ZONES
from miliary.arrays import BoolArray, FloatArray, IntArray, LabelArray
from miliary.calibrate.places import REGIONS
from miliary.config.calibrate import CalibrateSettings
from miliary.findings import Calibration, Sensitivity
from miliary.kernels.joint_counts import count_together
from miliary.kernels.logistic import fit_logistic, predict_mixture
from miliary.kernels.tails import continue_tail

#: Share of a normal distribution inside one standard deviation.
_INSIDE_ONE_SD = 0.6827

#: Quartiles of a normal distribution lie so many standard deviations apart.
_QUARTILES_SD = 1.349

#: Diameters are told from the middle one, in steps of a third of their range in the logarithm.
_MIDDLE_MM, _SIZE_STEP = 1.9, 0.3

#: Level, slope and bend over the diameters are held by nothing but the trials.
_N_FREE = 3

#: Errors of size needed for their quartiles.
_MIN_ERRORS = 5

#: Scores are kept this far from 0 and 1, where their log odds end.
_SURE = 1e-6


@dataclass(frozen=True, eq=False)
class Trials:
    """What became of the balls, one row each.

    Parameters
    ----------
    diameter_mm : (N,) float
        True diameters.
    region, zone : (N,) int
        Labels of `REGIONS` and `ZONES`.
    score : (N,) float
        Score of the candidate that found it; 0 where there was none at all.
    found : (N,) bool
        Whether the operating point accepts it.
    measured_mm, se_mm : (N,) float
        Measured diameter and its standard error, NaN where not found.
    """

    diameter_mm: FloatArray
    region: IntArray
    zone: IntArray
    score: FloatArray
    found: BoolArray
    measured_mm: FloatArray
    se_mm: FloatArray

    def __len__(self) -> int:
        return len(self.diameter_mm)


def stratum_volumes(regions: LabelArray, zone_labels: LabelArray) -> FloatArray:
    """Share of the evaluable lung of every region in every zone.

    Parameters
    ----------
    regions : (z, y, x) uint8
        `REGIONS`.
    zone_labels : (z, y, x) uint8
        `ZONES`.

    Returns
    -------
    (R, Z) float64
        Adding up to 1; zeros without any such lung.
    """
    joint = count_together((regions, zone_labels), (len(REGIONS) + 1, len(ZONES) + 1))
    volumes: FloatArray = joint[1:, 1:].astype(float)
    volumes /= max(volumes.sum(), 1.0)
    return volumes


def describe_calibration(
    trials: Trials, volumes: FloatArray, settings: CalibrateSettings
) -> Calibration:
    """Fit sensitivity as a smooth function of diameter, region and zone, and the error of size.

    Parameters
    ----------
    trials : Trials
        What became of the balls.
    volumes : (R, Z) float
        Share of the lung of every region in every zone.
    settings : CalibrateSettings
        Diameters to report, strength of the ridge.

    Returns
    -------
    Calibration
        Empty without balls; without what is not there (no fissure was found).
    """
    if len(trials) == 0:
        return Calibration((), (), (), 0)
    at = np.array(settings.diameters_mm)
    bias, spread, factors = _size_errors(trials, volumes, at, settings)
    return Calibration(
        sensitivity=_sensitivity(trials, volumes, at, settings),
        size_bias_mm=tuple(bias),
        size_sd_mm=tuple(spread),
        injected=len(trials),
        se_factors=tuple(factors),
    )


def _sensitivity(
    trials: Trials, volumes: FloatArray, at: FloatArray, settings: CalibrateSettings
) -> tuple[Sensitivity, ...]:
    fit = fit_logistic(
        _design(trials.diameter_mm, trials.region - 1, trials.zone - 1, volumes.shape, at),
        trials.found,
        ridge=settings.ridge,
        n_free=_N_FREE,
    )
    strata = np.argwhere(np.ones(volumes.shape, bool))
    designs = np.array(
        [
            _design(at, np.full(len(at), r), np.full(len(at), z), volumes.shape, at)
            for r, z in strata.tolist()
        ]
    )
    parts = {"all": np.ones(len(strata), bool)}
    parts |= {name: strata[:, 0] == label - 1 for name, label in REGIONS.items()}
    parts |= {name: strata[:, 1] == label - 1 for name, label in ZONES.items()}
    rows: list[Sensitivity] = []
    for name, chosen in parts.items():
        weights = np.where(chosen, volumes.ravel(), 0.0)
        if weights.sum() == 0:
            continue
        columns = predict_mixture(fit, designs, weights / weights.sum())
        rows += [
            Sensitivity(name, float(d), float(v), float(low), float(high))
            for d, v, low, high in zip(at, *columns, strict=True)
        ]
    return tuple(rows)


def _design(
    diameter: FloatArray,
    region: IntArray,
    zone: IntArray,
    strata: tuple[int, ...],
    at: FloatArray,
) -> FloatArray:
    """Level, slope and bend; what single diameters, regions, their slopes and zones have more."""
    size = np.log(diameter / _MIDDLE_MM) / _SIZE_STEP
    # Halved, so that the ridge holds them more firmly than the regions.
    of_diameter = 0.5 * (np.asarray(diameter)[:, None] == at)
    of_region = np.asarray(region)[:, None] == np.arange(strata[0])
    of_zone = np.asarray(zone)[:, None] == np.arange(strata[1])
    smooth = np.column_stack([np.ones(len(size)), size, size**2])
    return np.column_stack([smooth, of_diameter, of_region, of_region * size[:, None], of_zone])


def _size_errors(
    trials: Trials, volumes: FloatArray, at: FloatArray, settings: CalibrateSettings
) -> tuple[list[tuple[float, float]], list[tuple[float, float]], list[tuple[float, float]]]:
    """Median error, robust deviation, and factor of the standard errors, by diameter.

    Every region has as many balls as the others; here they count by its share of the lung. Balls
    of other diameters count the less the farther they are: one diameter has some thirty in the
    interior, whose quantiles alone would leave the standard errors 15 % uncertain.
    """
    share = volumes.sum(axis=1) / np.maximum(np.bincount(trials.region, minlength=5)[1:], 1)
    found = trials.found
    true, of_region = trials.diameter_mm[found], share[trials.region[found] - 1]
    error, se = trials.measured_mm[found] - true, trials.se_mm[found]
    # Fewer give no quartiles.
    at = at[[np.count_nonzero(true == diameter) >= _MIN_ERRORS for diameter in at]]
    away = np.log(np.maximum(true, 1e-9) / at[:, None]) / settings.size_width
    weights = of_region * np.exp(-0.5 * away**2)
    quartiles = np.array(
        [[_weighted_quantile(error, row, q) for q in (0.25, 0.5, 0.75)] for row in weights]
    ).reshape(-1, 3)
    if len(at) == 0:
        return [], [], []
    left = np.abs(error - np.interp(true, at, quartiles[:, 1])) / se
    factors = [_weighted_quantile(left, row, _INSIDE_ONE_SD) for row in weights]
    columns = quartiles[:, 1], (quartiles[:, 2] - quartiles[:, 0]) / _QUARTILES_SD, factors
    bias, spread, factor = (
        [(float(d), float(value)) for d, value in zip(at, column, strict=True)]
        for column in columns
    )
    return bias, spread, factor


def _weighted_quantile(values: FloatArray, weight: FloatArray, share: float) -> float:
    """Value below which this share of the weight lies, interpolated between the values."""
    order = np.argsort(values)
    below = np.cumsum(weight[order]) - weight[order] / 2
    return float(np.interp(share * weight.sum(), below, values[order]))


def expect_false(
    score: FloatArray,
    trials: Trials,
    litres: float,
    threshold: float,
    settings: CalibrateSettings,
) -> tuple[float | None, float | None]:
    """Expect so many false positives a litre: the tail of what the operating point refuses.

    False candidates thin out smoothly with the log odds of their score, whatever the number of
    nodules. Those in a window below the operating point are counted in this very scan, less the
    nodules that the balls say are among them, and their fall is continued above it. Where the
    scores' scale is right or wrong does not matter.

    Parameters
    ----------
    score : (M,) float
        Scores of all candidates, refused ones too.
    trials : Trials
        What became of the balls.
    litres : float
        Lung that was searched.
    threshold : float
        Operating point.
    settings : CalibrateSettings
        Width of the window.

    Returns
    -------
    expected, error : float or None
        False positives a litre and the standard error; None where no candidate was refused.
    """
    limit = special.logit(np.clip(threshold, _SURE, 1 - _SURE))
    logit = special.logit(np.clip(score, _SURE, 1 - _SURE))
    width = settings.tail_logits
    window = (logit < limit) & (logit >= limit - width)
    if litres <= 0 or not window.any():
        return None, None
    weight = 1.0 - _share_of_nodules(logit[window], logit, trials, limit, width)
    beyond, error = continue_tail(
        logit[window] - (limit - width),
        weight,
        width,
        fall=settings.tail_fall,
        spread=settings.tail_spread,
    )
    return beyond / litres, error / litres


def _share_of_nodules(
    inside: FloatArray, logit: FloatArray, trials: Trials, limit: float, width: float
) -> FloatArray:
    """Share of the candidates in the window that are nodules, in halves of the window.

    As many balls score there for each that is accepted, so many nodules will. Diameters were not
    tried evenly: each counts for its part of their range.
    """
    ball = special.logit(np.clip(trials.score, _SURE, 1 - _SURE))
    at, which, times = np.unique(trials.diameter_mm, return_inverse=True, return_counts=True)
    part = np.gradient(at) if len(at) > 1 else np.ones(1)
    weight = (part / times)[which]
    accepted = float(np.count_nonzero(logit >= limit))
    found = float(weight[trials.found].sum())
    per_found = accepted / found if found else 0.0
    edges = limit - width * np.array([1.0, 0.5, 0.0])
    nodules = np.histogram(ball, edges, weights=weight)[0] * per_found
    here = np.histogram(inside, edges)[0]
    share = np.clip(nodules / np.maximum(here, 1), 0.0, 1.0)
    half = np.clip(np.searchsorted(edges, inside, side="right") - 1, 0, 1)
    shares: FloatArray = share[half]
    return shares
