"""How well this very scan shows nodules: put some in, look for them again."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from miliary.anatomy import Anatomy
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray, LabelArray
from miliary.config.calibrate import CalibrateSettings
from miliary.findings import Calibration, ImageQuality, Sensitivity
from miliary.kernels.balls import add_balls
from miliary.kernels.filters import smooth
from miliary.kernels.logistic import fit_logistic, predict_mixture
from miliary.kernels.maxima import suppress_neighbours
from miliary.nodules import Candidates

REGIONS: dict[str, int] = {"subpleural": 1, "perivascular": 2, "interior": 3}

#: Share of a normal distribution inside one standard deviation.
_INSIDE_ONE_SD = 0.6827

#: Errors of size needed for their quartiles.
_MIN_ERRORS = 5


def label_regions(anatomy: Anatomy, settings: CalibrateSettings) -> LabelArray:
    """Label the evaluable lung by what makes nodules hard to find there.

    Parameters
    ----------
    anatomy : Anatomy
        Lungs and distances.
    settings : CalibrateSettings
        Limits of the regions.

    Returns
    -------
    (z, y, x) uint8
        `REGIONS`; 0 where nothing can be seen.
    """
    regions = np.full(anatomy.geometry.shape, REGIONS["interior"], np.uint8)
    regions[anatomy.vessel_mm < settings.perivascular_mm] = REGIONS["perivascular"]
    regions[anatomy.pleura_mm < settings.subpleural_mm] = REGIONS["subpleural"]
    regions[anatomy.evaluable_labels == 0] = 0
    return regions


def place_balls(
    smoothed: FloatArray,
    regions: LabelArray,
    spacing_mm: FloatArray,
    taken_grid_mm: FloatArray,
    settings: CalibrateSettings,
    *,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Choose places, as many in each region, apart from each other and from known nodules.

    Parameters
    ----------
    smoothed : (z, y, x) float32
        The scan without its noise.
    regions : (z, y, x) uint8
        `REGIONS`.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    taken_grid_mm : (M, 3) float
        Known nodules, as grid points.
    settings : CalibrateSettings
        How many, how large, how far apart.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    centres_grid_mm : (N, 3) float
        Places; N may be smaller than wished where there is no room.
    diameters_mm : (N,) float
        Every diameter as often as the others.
    region : (N,) int
        Label of each place.
    """
    # At the pleura the wall's blur is part of what makes nodules hard to see: balls go there too.
    lung = (smoothed < settings.lung_limit_hu) | (regions == REGIONS["subpleural"])
    free = np.where(lung, regions, np.uint8(0)).ravel()
    wanted = -(-settings.n_nodules // len(REGIONS))
    chosen = []
    for label in REGIONS.values():
        inside = np.flatnonzero(free == label)
        # Three times as many as wanted, for those that turn out to lie too close.
        chosen.append(rng.choice(inside, min(3 * wanted, len(inside)), replace=False))
    flat = rng.permutation(np.concatenate(chosen))
    shift = rng.uniform(-0.5, 0.5, (len(flat), 3))
    centres = (np.column_stack(np.unravel_index(flat, regions.shape)) + shift) * spacing_mm
    apart = suppress_neighbours(centres, rng.random(len(centres)), settings.separation_mm)
    if len(taken_grid_mm) and len(centres):
        apart &= KDTree(taken_grid_mm).query(centres)[0] >= settings.separation_mm
    centres, region = centres[apart], free[flat][apart].astype(int)
    rank = np.zeros(len(region), int)
    for label in REGIONS.values():
        rank[region == label] = np.arange(np.count_nonzero(region == label))
    centres, region = centres[rank < wanted], region[rank < wanted]
    diameters = np.resize(np.array(settings.diameters_mm), len(centres))
    return centres, rng.permutation(diameters), region


def inject(
    hu: AnyArray,
    smoothed: FloatArray,
    spacing_mm: FloatArray,
    centres_grid_mm: FloatArray,
    diameters_mm: FloatArray,
    quality: ImageQuality,
    tissue_hu: float,
    settings: CalibrateSettings,
) -> FloatArray:
    """Put balls into a scan through its own point spread.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units.
    smoothed : (z, y, x) float32
        The same without its noise.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    centres_grid_mm : (N, 3) float
        Places.
    diameters_mm : (N,) float
        Diameters.
    quality : ImageQuality
        Point spread of the scan.
    tissue_hu : float
        What they are made of.
    settings : CalibrateSettings
        What counts as lung around them.

    Returns
    -------
    (z, y, x) float32
        A new scan.
    """
    return add_balls(
        np.asarray(hu, np.float32),
        smoothed,
        spacing_mm,
        centres_grid_mm,
        diameters_mm,
        psf_sigma_mm=quality.psf_sigma_mm,
        tissue_hu=tissue_hu,
        lung_limit_hu=settings.lung_limit_hu,
        reach_mm=settings.level_reach_mm,
    )


def neighbourhoods(
    shape: tuple[int, int, int],
    spacing_mm: FloatArray,
    centres_grid_mm: FloatArray,
    reach_mm: float,
) -> BoolArray:
    """Mark the voxels in a box around each place.

    Parameters
    ----------
    shape : (3,) int
        Shape of the image.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    centres_grid_mm : (N, 3) float
        Places.
    reach_mm : float
        Half width of the boxes.

    Returns
    -------
    (z, y, x) bool
        True near a place.
    """
    near = np.zeros(shape, bool)
    spacing = np.asarray(spacing_mm, float)
    half = np.ceil(reach_mm / spacing).astype(int)
    middle = np.rint(centres_grid_mm / spacing).astype(int)
    for low, high in zip(np.maximum(middle - half, 0), middle + half + 1, strict=True):
        near[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = True
    return near


def match_found(
    centres_grid_mm: FloatArray, candidates: Candidates, spacing_mm: FloatArray, reach_mm: float
) -> tuple[BoolArray, IntArray]:
    """Tell which balls were found, and by which candidate.

    Parameters
    ----------
    centres_grid_mm : (N, 3) float
        Balls, farther apart than twice the reach.
    candidates : Candidates
        What the detector accepted.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    reach_mm : float
        How near is found.

    Returns
    -------
    found : (N,) bool
        Whether a candidate is near.
    which : (N,) int
        The nearest one; of no meaning where none was found.
    """
    if len(candidates) == 0 or len(centres_grid_mm) == 0:
        return np.zeros(len(centres_grid_mm), bool), np.zeros(len(centres_grid_mm), int)
    distance, which = KDTree(candidates.index_zyx * spacing_mm).query(centres_grid_mm)
    near: BoolArray = np.asarray(distance) <= reach_mm
    return near, np.asarray(which, int)


def describe_calibration(
    found: BoolArray,
    diameters_mm: FloatArray,
    region: IntArray,
    measured_mm: FloatArray,
    region_share: FloatArray,
    settings: CalibrateSettings,
) -> Calibration:
    """Fit sensitivity as a smooth function of diameter and region, and the error of size.

    Parameters
    ----------
    found : (N,) bool
        Which balls were found.
    diameters_mm : (N,) float
        Their true diameters.
    region : (N,) int
        `REGIONS`.
    measured_mm : (N,) float
        Their measured diameters, NaN where not found.
    region_share : (3,) float
        Share of the evaluable lung of each region.
    settings : CalibrateSettings
        Diameters to report, strength of the ridge.

    Returns
    -------
    Calibration
        Empty without balls.
    """
    if len(found) == 0:
        return Calibration((), (), (), 0)
    labels = np.array(list(REGIONS.values()))

    def design(diameter: FloatArray, weights: FloatArray) -> FloatArray:
        return np.column_stack([np.ones(len(diameter)), np.log(diameter / 2.0), weights])

    fit = fit_logistic(
        design(diameters_mm, region[:, None] == labels), found, ridge=settings.ridge, n_free=2
    )
    at = np.array(settings.diameters_mm)
    rows = []
    designs = np.stack([design(at, np.tile(row, (len(at), 1))) for row in np.eye(len(labels))])
    mixtures = {name: np.eye(len(labels))[k] for k, name in enumerate(REGIONS)}
    for name, weights in {"all": region_share, **mixtures}.items():
        value, low, high = predict_mixture(fit, designs, weights)
        rows += [
            Sensitivity(name, float(d), float(v), float(lo), float(hi))
            for d, v, lo, hi in zip(at, value, low, high, strict=True)
        ]
    bias, spread = [], []
    for diameter in at:
        error = (measured_mm - diameters_mm)[found & (diameters_mm == diameter)]
        # Fewer give no quartiles.
        if len(error) >= _MIN_ERRORS:
            low_q, middle, high_q = np.quantile(error, [0.25, 0.5, 0.75])
            bias.append((float(diameter), float(middle)))
            spread.append((float(diameter), float(high_q - low_q) / 1.349))
    return Calibration(tuple(rows), tuple(bias), tuple(spread), len(found))


def error_factor(error_mm: FloatArray, se_mm: FloatArray) -> float:
    """Tell by how much standard errors fall short of the errors that were made.

    Parameters
    ----------
    error_mm : (N,) float
        Measured less true diameters.
    se_mm : (N,) float
        Their standard errors.

    Returns
    -------
    float
        Such that 68 % of the errors lie inside the enlarged standard errors; 1 at least, and 1
        when there are too few to tell.
    """
    if len(error_mm) < _MIN_ERRORS:
        return 1.0
    return max(1.0, float(np.quantile(np.abs(error_mm) / se_mm, _INSIDE_ONE_SD)))


def sensitivity_at(calibration: Calibration, region: str, diameter_mm: float) -> float | None:
    """Read the sensitivity for a diameter, between those that were reported.

    Parameters
    ----------
    calibration : Calibration
        Sensitivity of the scan.
    region : str
        `all` or one of `REGIONS`.
    diameter_mm : float
        Diameter.

    Returns
    -------
    float or None
        None when the scan was not calibrated.
    """
    rows = [row for row in calibration.sensitivity if row.region == region]
    if not rows:
        return None
    return float(np.interp(diameter_mm, [r.diameter_mm for r in rows], [r.value for r in rows]))


def sensitivity_map(
    regions: LabelArray, calibration: Calibration, diameter_mm: float
) -> FloatArray | None:
    """Spread the sensitivity of the regions over the lung.

    Parameters
    ----------
    regions : (z, y, x) uint8
        `REGIONS`.
    calibration : Calibration
        Sensitivity of the scan.
    diameter_mm : float
        Diameter it is for.

    Returns
    -------
    (z, y, x) float32 or None
        0 where nothing can be seen; None when the scan was not calibrated.
    """
    table = np.zeros(len(REGIONS) + 1, np.float32)
    for name, label in REGIONS.items():
        value = sensitivity_at(calibration, name, diameter_mm)
        if value is None:
            return None
        table[label] = value
    spread: FloatArray = table[regions]
    return spread


def smoothed_for_calibration(
    hu: AnyArray, spacing_mm: FloatArray, settings: CalibrateSettings
) -> FloatArray:
    """Smooth a scan so that lung and vessel can be told voxel by voxel.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    settings : CalibrateSettings
        How much.

    Returns
    -------
    (z, y, x) float32
        Smoothed scan.
    """
    return smooth(np.asarray(hu, np.float32), settings.smoothing_mm, spacing_mm)
