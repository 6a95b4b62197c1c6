"""Size of nodules: a ball seen through the scan's own point spread, fitted to the voxels."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np

from miliary.anatomy import LOBES, SIDES, ZONES, Anatomy
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.config.measure import MeasureSettings
from miliary.findings import ImageQuality
from miliary.kernels.ballfit import BallFit, FitModel, fit_balls
from miliary.kernels.ballspread import spread_factors
from miliary.kernels.blobs import DIAMETER_PER_SIGMA
from miliary.kernels.distance_image import Distances
from miliary.nodules import Candidates, Nodules

#: Diameters up to which a neighbourhood of a size serves, with the half width beyond the radius.
_SIZE_CLASSES_MM = (3.0, 6.0, 15.0)
_SPARE_MM = 0.5
_BATCH = 384

#: Mean square of the residuals, in variances of the noise, that a ball in noise hardly exceeds.
_MISFIT = 2.0

#: Logarithm of a blur's factor beyond which it is not the point spread that is wrong: 28 %.
_FARTHEST = 0.25

#: Quartiles of a normal distribution lie so many standard deviations apart, and the standard error
#: of its median is so many of the mean's.
_QUARTILES_SD, _OF_MEDIAN = 1.349, 1.253


def measure(
    hu: AnyArray,
    anatomy: Anatomy,
    candidates: Candidates,
    quality: ImageQuality,
    settings: MeasureSettings,
) -> Nodules:
    """Fit a ball to every candidate and say where it lies.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units on the anatomy's grid.
    anatomy : Anatomy
        Lungs and distances.
    candidates : Candidates
        Places with scores.
    quality : ImageQuality
        Noise and point spread of the scan.
    settings : MeasureSettings
        Limits and priors.

    Returns
    -------
    Nodules
        One row a candidate, in order.
    """
    if len(candidates) == 0:
        return Nodules.empty()
    fit = fit_diameters(
        hu, anatomy.inside_lung, anatomy.geometry.spacing_mm, candidates, quality, settings
    )
    return place(fit, anatomy, candidates, settings)


def fit_diameters(
    hu: AnyArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    candidates: Candidates,
    quality: ImageQuality,
    settings: MeasureSettings,
) -> BallFit:
    """Fit balls in classes of size, so that small ones are not dragged through large patches.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units.
    inside_lung : (z, y, x) bool
        Lungs; what lies outside takes no part.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    candidates : Candidates
        Places with the scale at which they answered.
    quality : ImageQuality
        Noise and point spread of the scan.
    settings : MeasureSettings
        Limits and priors.

    Returns
    -------
    BallFit
        One row a candidate, in order.
    """
    model = _fit_model(quality, settings)
    start = candidates.index_zyx * spacing_mm

    def fit(rows: IntArray, guess_mm: FloatArray, largest_mm: float) -> BallFit:
        reach_mm = largest_mm / 2 + settings.margin_mm + _SPARE_MM
        return fit_balls(
            hu,
            start[rows],
            guess_mm,
            spacing_mm,
            model,
            reach_mm=reach_mm,
            batch=_BATCH,
            inside=inside_lung,
        )

    guess = DIAMETER_PER_SIGMA * candidates.sigma_mm
    fitted = fit(np.arange(len(start)), guess, _SIZE_CLASSES_MM[0])
    for smaller, larger in pairwise(_SIZE_CLASSES_MM):
        # What fills its neighbourhood, or was found as more than that, is fitted in a larger one.
        grown = np.flatnonzero(np.maximum(fitted.diameter_mm, guess) > smaller)
        begin = np.where(guess > smaller, guess, fitted.diameter_mm)[grown]
        fitted = _replaced(fitted, grown, fit(grown, begin, larger))
    return fitted


def ask_blur(
    hu: AnyArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    candidates: Candidates,
    quality: ImageQuality,
    settings: MeasureSettings,
) -> ImageQuality:
    """Ask the nodules themselves how blurred the scan shows them.

    Edges of the pleura tell the point spread, but they may be off, and nodules without a sharp edge
    look like balls through a wider one. What balls are to be fitted and put in with is the Gaussian
    that nodules are seen through.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units.
    inside_lung : (z, y, x) bool
        Lungs; what lies outside takes no part.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    candidates : Candidates
        Accepted ones.
    quality : ImageQuality
        Noise and point spread of the scan, from its edges.
    settings : MeasureSettings
        How many nodules are asked, and when they are believed.

    Returns
    -------
    ImageQuality
        With another `nodule_blur`; as it was where too few are good balls, or they disagree.
    """
    likeliest = np.argsort(-candidates.score, kind="stable")[: settings.blur_nodules]
    if len(likeliest) < settings.blur_least:
        return quality
    asked, model = candidates.take(likeliest), _fit_model(quality, settings)
    fit = fit_diameters(hu, inside_lung, spacing_mm, asked, quality, settings)
    small = fit.take(np.flatnonzero(fit.diameter_mm <= settings.blur_largest_mm))
    log_factor, misfit = spread_factors(
        hu,
        small,
        spacing_mm,
        model,
        reach_mm=settings.blur_largest_mm / 2 + settings.margin_mm + _SPARE_MM,
        inside=inside_lung,
    )
    told = log_factor[misfit <= max(_MISFIT, (settings.blur_misfit_hu / model.noise_hu) ** 2)]
    if len(told) < settings.blur_least:
        return quality
    low, middle, high = np.quantile(told, [0.25, 0.5, 0.75])
    spread = (high - low) / _QUARTILES_SD
    if spread > settings.blur_agree or abs(middle) > _FARTHEST:
        return quality
    variance = _OF_MEDIAN**2 * spread**2 / len(told)
    trust = settings.blur_prior**2 / (settings.blur_prior**2 + variance)
    return replace(quality, nodule_blur=quality.nodule_blur * float(np.exp(trust * middle)))


def _fit_model(quality: ImageQuality, settings: MeasureSettings) -> FitModel:
    return FitModel(
        psf_sigma_mm=quality.psf_sigma_mm,
        # np.fmax takes the limit where the noise is not known.
        noise_hu=float(np.fmax(quality.noise_hu, settings.min_noise_hu)),
        tissue_hu=settings.tissue_hu,
        tissue_sd_hu=settings.tissue_sd_hu,
        min_diameter_mm=settings.min_diameter_mm,
        max_diameter_mm=settings.max_diameter_mm,
        margin_mm=settings.margin_mm,
        outlier_hu=settings.outlier_hu,
        n_steps=settings.n_steps,
    )


def _replaced(fit: BallFit, rows: AnyArray, part: BallFit) -> BallFit:
    columns = {}
    for name in BallFit.__dataclass_fields__:
        column = getattr(fit, name).copy()
        column[rows] = getattr(part, name)
        columns[name] = column
    return BallFit(**columns)


def place(
    fit: BallFit, anatomy: Anatomy, candidates: Candidates, settings: MeasureSettings
) -> Nodules:
    """Read off the anatomy where fitted balls lie.

    A ball at the pleura may have its centre outside of the lung: lung, lobe and zone are then
    those of the voxel at which its candidate was found.

    Parameters
    ----------
    fit : BallFit
        Balls on the anatomy's grid.
    anatomy : Anatomy
        Lungs and distances.
    candidates : Candidates
        Where each ball was looked for, and its probability.
    settings : MeasureSettings
        What counts as a micronodule.

    Returns
    -------
    Nodules
        One row a ball, in order.
    """
    index = fit.centre_grid_mm / anatomy.geometry.spacing_mm
    home = _home_voxels(index, candidates.index_zyx, anatomy)
    unknown = np.full(len(index), np.nan)

    def distance(image: Distances | None) -> FloatArray:
        return unknown if image is None else anatomy.distance_at(image, index)

    no_lobes = np.zeros(len(index), int)
    lobes = no_lobes if anatomy.lobe_labels is None else anatomy.at(anatomy.lobe_labels, home)
    return Nodules(
        points_mm=anatomy.geometry.to_world(index),
        diameter_mm=fit.diameter_mm,
        diameter_se_mm=fit.diameter_se_mm,
        contrast_hu=fit.contrast_hu,
        score=np.asarray(candidates.score, float),
        lung=_names(SIDES, anatomy.at(anatomy.lung_labels, home)),
        lobe=_names(LOBES, lobes),
        zone=_names(ZONES, anatomy.at(anatomy.zone_labels, home)),
        pleura_mm=distance(anatomy.pleura_mm),
        fissure_mm=distance(anatomy.fissure_mm),
        vessel_mm=distance(anatomy.vessel_mm),
        micronodule=fit.diameter_mm <= settings.micronodule_mm,
    )


def _home_voxels(index: FloatArray, found: FloatArray, anatomy: Anatomy) -> FloatArray:
    """Voxels (N, 3) that name the lung: the centre's, or else the candidate's."""
    home = np.rint(index)
    # A candidate lies between voxels, up to 0.6 of one from its own: that is one of the eight
    # around it, and not always the nearest.
    corners = [np.where(up, np.ceil(found), np.floor(found)) for up in product((0, 1), repeat=3)]
    distance = [np.abs(corner - found).sum(axis=1) for corner in corners]
    order = np.argsort(distance, axis=0, kind="stable")
    for turn in order:
        outside = anatomy.at(anatomy.lung_labels, home) == 0
        nearest = np.stack(corners)[turn, np.arange(len(found))]
        home = np.where(outside[:, None], nearest, home)
    return home


def _names(names: dict[str, int], labels: AnyArray) -> AnyArray:
    table = np.full(256, "", "U6")
    for name, label in names.items():
        table[label] = name
    return table[labels]
