"""How large the nodules are, and how alike: with the error of measurement taken out."""

from __future__ import annotations

import numpy as np

from miliary.arrays import FloatArray
from miliary.config.sizes import SizeSettings
from miliary.findings import SizeSummary

#: Turns a median absolute deviation into the standard deviation of a normal distribution.
_MAD_TO_SD = 1.4826


def describe_sizes(
    diameter_mm: FloatArray,
    diameter_se_mm: FloatArray,
    settings: SizeSettings,
    *,
    rng: np.random.Generator,
) -> SizeSummary:
    """Summarise diameters and tell whether the nodules are of one size.

    The coefficient of variation is robust: median absolute deviation over median. Measured
    diameters vary by their true spread and by error; the median squared standard error is taken
    out of the variance before the comparison.

    Parameters
    ----------
    diameter_mm, diameter_se_mm : (N,) float
        Diameters and their standard errors.
    settings : SizeSettings
        Limits.
    rng : numpy.random.Generator
        For the bootstrap interval.

    Returns
    -------
    SizeSummary
        With None for what N nodules cannot tell.
    """
    diameters, errors = np.asarray(diameter_mm, float), np.asarray(diameter_se_mm, float)
    n = len(diameters)
    if n == 0:
        return SizeSummary(0, None, None, None, None, None, None, None, "No nodules to measure.")
    low_quartile, median, high_quartile = np.quantile(diameters, [0.25, 0.5, 0.75])
    quartiles = (float(low_quartile), float(high_quartile))
    if n < settings.min_nodules:
        sentence = f"{n} nodules are too few to tell uniformity; {settings.min_nodules} are needed."
        return SizeSummary(n, float(median), None, None, None, None, quartiles, None, sentence)
    cv, corrected, share = _spread(diameters[None], errors[None])
    drawn = rng.integers(0, n, (settings.n_bootstrap, n))
    resampled = _spread(diameters[drawn], errors[drawn])[1]
    low, high = np.quantile(resampled, [0.025, 0.975])
    uniform, sentence = _uniform(float(corrected[0]), low, high, float(share[0]), settings)
    return SizeSummary(
        n=n,
        median_mm=float(median),
        cv=float(cv[0]),
        cv_corrected=float(corrected[0]),
        cv_low=float(low),
        cv_high=float(high),
        iqr_mm=quartiles,
        uniform=uniform,
        sentence=sentence,
    )


def _spread(diameters: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Robust CV, the same without error, and the error's share of variance, by row."""
    median = np.median(diameters, axis=1)
    deviation = np.median(np.abs(diameters - median[:, None]), axis=1)
    variance = (_MAD_TO_SD * deviation) ** 2
    noise = np.median(errors**2, axis=1)
    true = np.sqrt(np.maximum(variance - noise, 0.0))
    share = np.where(variance > 0, noise / np.maximum(variance, 1e-12), 1.0)
    return np.sqrt(variance) / median, true / median, share


def _uniform(
    cv: float, low: float, high: float, error_share: float, settings: SizeSettings
) -> tuple[bool | None, str]:
    limit = settings.uniform_cv
    told = f"spread of size {cv:.2f} of the median ({low:.2f} to {high:.2f}), limit {limit:.2f}"
    if error_share > settings.max_error_share and high > limit:
        return None, f"Mostly measurement error ({error_share:.0%} of the variance): {told}."
    if high <= limit:
        return True, f"Uniform: {told}."
    if low > limit:
        return False, f"Not uniform: {told}."
    return None, f"Uniformity cannot be told: {told}."
