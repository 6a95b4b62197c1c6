"""Size of nodules: a ball seen through the scan's own point spread, fitted to the voxels."""

from __future__ import annotations

import numpy as np

from miliary.anatomy import LOBES, SIDES, ZONES, Anatomy
from miliary.arrays import AnyArray, FloatArray
from miliary.config.measure import MeasureSettings
from miliary.findings import ImageQuality
from miliary.kernels.ballfit import BallFit, FitModel, fit_balls
from miliary.nodules import Candidates, Nodules

#: Full width at half maximum of a Gaussian over its standard deviation.
FWHM_PER_SIGMA = 2.3548

#: Diameter of the ball that a Laplacian of a Gaussian answers to most, over its sigma, less what
#: a usual point spread adds: only the first guess of a fit.
_DIAMETER_PER_SIGMA = 2.4

#: Diameters up to which a neighbourhood of a size serves, with the half width beyond the radius.
_SIZE_CLASSES_MM = (3.0, 6.0, 15.0)
_BATCH = 192


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
    fit = fit_diameters(hu, anatomy.geometry.spacing_mm, candidates, quality, settings)
    return place(fit, anatomy, candidates.score, settings)


def fit_diameters(
    hu: AnyArray,
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
    sigma_mm = tuple(fwhm / FWHM_PER_SIGMA for fwhm in quality.psf_fwhm_mm)
    model = FitModel(
        psf_sigma_mm=(sigma_mm[0], sigma_mm[1], sigma_mm[2]),
        noise_hu=quality.noise_hu,
        tissue_hu=settings.tissue_hu,
        tissue_sd_hu=settings.tissue_sd_hu,
        min_diameter_mm=settings.min_diameter_mm,
        max_diameter_mm=settings.max_diameter_mm,
        margin_mm=settings.margin_mm,
        outlier_hu=settings.outlier_hu,
        n_steps=settings.n_steps,
    )
    start = candidates.index_zyx * spacing_mm
    guess = _DIAMETER_PER_SIGMA * candidates.sigma_mm
    fitted = None
    todo = np.arange(len(start))
    for largest in _SIZE_CLASSES_MM:
        reach = largest / 2 + settings.margin_mm + 0.5
        part = fit_balls(hu, start[todo], guess[todo], spacing_mm, model, reach_mm=reach, batch=_BATCH)
        fitted = part if fitted is None else _replaced(fitted, todo, part)
        # What fills its neighbourhood is fitted again in a larger one.
        grown = part.diameter_mm > largest
        guess[todo] = part.diameter_mm
        todo = todo[grown]
        if len(todo) == 0:
            break
    assert_fitted: BallFit = fitted  # type: ignore[assignment]
    return assert_fitted


def _replaced(fit: BallFit, rows: AnyArray, part: BallFit) -> BallFit:
    columns = {}
    for name in BallFit.__dataclass_fields__:
        column = getattr(fit, name).copy()
        column[rows] = getattr(part, name)
        columns[name] = column
    return BallFit(**columns)


def place(
    fit: BallFit, anatomy: Anatomy, score: FloatArray, settings: MeasureSettings
) -> Nodules:
    """Read off the anatomy where fitted balls lie.

    Parameters
    ----------
    fit : BallFit
        Balls on the anatomy's grid.
    anatomy : Anatomy
        Lungs and distances.
    score : (N,) float
        Probability of each.
    settings : MeasureSettings
        What counts as a micronodule.

    Returns
    -------
    Nodules
        One row a ball, in order.
    """
    index = fit.centre_grid_mm / anatomy.geometry.spacing_mm
    unknown = np.full(len(index), np.nan)

    def distance(image: FloatArray | None) -> FloatArray:
        return unknown if image is None else anatomy.at(image, index).astype(float)

    lobes = anatomy.lobe_labels
    return Nodules(
        points_mm=anatomy.geometry.to_world(index),
        diameter_mm=fit.diameter_mm,
        diameter_se_mm=fit.diameter_se_mm,
        contrast_hu=fit.contrast_hu,
        score=np.asarray(score, float),
        lung=_names(SIDES, anatomy.at(anatomy.lung_labels, index)),
        lobe=_names(LOBES, np.zeros(len(index), int) if lobes is None else anatomy.at(lobes, index)),
        zone=_names(ZONES, anatomy.at(anatomy.zone_labels, index)),
        pleura_mm=distance(anatomy.pleura_mm),
        fissure_mm=distance(anatomy.fissure_mm),
        vessel_mm=distance(anatomy.vessel_mm),
        micronodule=fit.diameter_mm <= settings.micronodule_mm,
    )


def _names(names: dict[str, int], labels: AnyArray) -> AnyArray:
    table = np.full(256, "", "U6")
    for name, label in names.items():
        table[label] = name
    return table[labels]
