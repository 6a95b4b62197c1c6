"""What the nodules mean, as data: the results that later steps, tables and pages read.

A number that cannot be known is None, with a sentence in the notes that says why.
"""

from __future__ import annotations

from dataclasses import dataclass

from miliary.findings.distribution import (
    Curve,
    DensityMap,
    Distribution,
    Preference,
    Share,
    SizeTrend,
    Test,
    ZoneDensity,
)

__all__ = [
    "FWHM_PER_SIGMA",
    "Calibration",
    "Clue",
    "Criterion",
    "Curve",
    "DensityMap",
    "Distribution",
    "ImageQuality",
    "Pattern",
    "Preference",
    "Sensitivity",
    "Share",
    "SizeSummary",
    "SizeTrend",
    "Test",
    "Verdict",
    "ZoneDensity",
]

#: Full width at half maximum of a Gaussian over its standard deviation: sqrt(8 ln 2).
FWHM_PER_SIGMA = 2.3548


@dataclass(frozen=True)
class ImageQuality:
    """What the image itself says of how it was made.

    Parameters
    ----------
    noise_hu : float
        Standard deviation of the noise in the lungs.
    psf_fwhm_mm : (3,) float
        Full width at half maximum of the point spread along z, y and x.
    psf_estimated : bool
        False where too few edges allowed an estimate and a configured value stands in.
    nodule_blur : float
        Width of the Gaussian that nodules are seen through, as a multiple of the point spread: told
        by nodules of this scan, or else by how steep its edges are.
    """

    noise_hu: float
    psf_fwhm_mm: tuple[float, float, float]
    psf_estimated: bool
    nodule_blur: float = 1.0

    @property
    def psf_sigma_mm(self) -> tuple[float, float, float]:
        """Standard deviation along z, y and x of the Gaussian that nodules are seen through."""
        z, y, x = (self.nodule_blur * fwhm / FWHM_PER_SIGMA for fwhm in self.psf_fwhm_mm)
        return z, y, x


@dataclass(frozen=True)
class Sensitivity:
    """How many nodules of a size are found in a region of this scan.

    Parameters
    ----------
    region : str
        `all`; `subpleural`, `fissural`, `perivascular`, `interior`; `upper`, `middle`, `lower`.
    diameter_mm : float
        True diameter of the nodules put in.
    value, low, high : float
        Share found, with a 95 % interval.
    """

    region: str
    diameter_mm: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """What nodules put into this very scan tell about finding and sizing them.

    Parameters
    ----------
    sensitivity : tuple of Sensitivity
        By region and diameter; empty when not calibrated.
    size_bias_mm, size_sd_mm : tuple of (diameter_mm, value)
        Median error and robust standard deviation of the measured diameters.
    injected : int
        Number of nodules put in.
    se_factors : tuple of (diameter_mm, value)
        By how much standard errors of diameters must be enlarged to be true in this scan: a fit
        knows the noise, but not its colour, nor vessels and walls. The bias is taken out first.
    false_per_litre, false_per_litre_se : float or None
        False positives to be expected a litre of evaluable lung, and their standard error.
    """

    sensitivity: tuple[Sensitivity, ...]
    size_bias_mm: tuple[tuple[float, float], ...]
    size_sd_mm: tuple[tuple[float, float], ...]
    injected: int
    se_factors: tuple[tuple[float, float], ...] = ()
    false_per_litre: float | None = None
    false_per_litre_se: float | None = None


@dataclass(frozen=True)
class SizeSummary:
    """How large the nodules are, and how alike.

    Parameters
    ----------
    n : int
        Nodules measured.
    median_mm, cv : float or None
        Median diameter, robust coefficient of variation.
    cv_corrected : float or None
        Coefficient of variation with the measurement error taken out.
    cv_low, cv_high : float or None
        95 % interval of `cv_corrected`.
    iqr_mm : (2,) float or None
        First and third quartile.
    uniform : bool or None
        Whether the nodules are of one size; None where it cannot be told.
    sentence : str
        Why.
    """

    n: int
    median_mm: float | None
    cv: float | None
    cv_corrected: float | None
    cv_low: float | None
    cv_high: float | None
    iqr_mm: tuple[float, float] | None
    uniform: bool | None
    sentence: str


@dataclass(frozen=True)
class Clue:
    """One piece of evidence for a distribution.

    Parameters
    ----------
    name : str
        `subpleural`, `touching`, `fissural`, `vascular` or `clustering`.
    value : float
        Log odds of what was found over what is expected at random; for pairs the log ratio.
    support : tuple of (label, log odds)
        Against the distribution that it speaks for most, which has 0.
    sentence : str
        The same in words.
    """

    name: str
    value: float
    support: tuple[tuple[str, float], ...]
    sentence: str


@dataclass(frozen=True)
class Pattern:
    """Which distribution it is.

    Parameters
    ----------
    label : str
        `random`, `centrilobular`, `perilymphatic`, `none` or `indeterminate`.
    scores : tuple of (label, probability)
        Adding up to 1 over random, centrilobular, perilymphatic and none.
    reasons : tuple of str
        Sentences.
    evidence : tuple of Clue
        What was weighed, each with what it speaks for.
    """

    label: str
    scores: tuple[tuple[str, float], ...]
    reasons: tuple[str, ...]
    evidence: tuple[Clue, ...] = ()


@dataclass(frozen=True)
class Criterion:
    """One condition of the miliary flag.

    Parameters
    ----------
    name : str
        `numerous`, `small`, `uniform`, `random`, `subpleural`, ...
    met : bool or None
        None where it cannot be judged.
    value, limit : float or None
        What was measured, and what it is held against.
    sentence : str
        The same in words.
    """

    name: str
    met: bool | None
    value: float | None
    limit: float | None
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """Whether the pattern is miliary.

    Parameters
    ----------
    flag : str
        `present`, `absent`, `indeterminate` or `not_assessable`.
    extent : str or None
        `bilateral`, `right`, `left`; None unless present.
    criteria : tuple of Criterion
        Each with its value, limit and sentence.
    """

    flag: str
    extent: str | None
    criteria: tuple[Criterion, ...]
