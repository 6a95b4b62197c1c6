"""What the nodules mean, as data: the results that later steps, tables and pages read.

A number that cannot be known is None, with a sentence in the notes that says why.
"""

from __future__ import annotations

from dataclasses import dataclass

from miliary.arrays import FloatArray

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
    """

    noise_hu: float
    psf_fwhm_mm: tuple[float, float, float]
    psf_estimated: bool

    @property
    def psf_sigma_mm(self) -> tuple[float, float, float]:
        """Standard deviation of the point spread along z, y and x."""
        z, y, x = (fwhm / FWHM_PER_SIGMA for fwhm in self.psf_fwhm_mm)
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
class Test:
    """One statistical test.

    Parameters
    ----------
    name : str
        What is tested.
    lung : str
        `both`, `right` or `left`.
    p, statistic : float or None
        None where there were too few nodules.
    """

    # pytest would otherwise take the name for a test class.
    __test__ = False

    name: str
    lung: str
    p: float | None
    statistic: float | None


@dataclass(frozen=True, eq=False)
class Curve:
    """A summary function observed, expected, and its global envelope.

    Parameters
    ----------
    function : str
        `K`, `L`, `g`, `G`, `F`, `J`, `kmm` (mark correlation of the sizes), or `pleura`,
        `fissure`, `vessel` for distance distributions.
    lung : str
        `both`, `right` or `left`.
    r_mm, observed, expected, low, high : (R,) float
        Argument and values; NaN where not defined.
    """

    function: str
    lung: str
    r_mm: FloatArray
    observed: FloatArray
    expected: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Share:
    """The share of nodules near a structure, beside that expected in this lung.

    Parameters
    ----------
    structure : str
        `pleura`, `fissure` or `vessel`.
    within_mm : float
        Width of the shell.
    observed, expected : float or None
        Shares of nodules and of evaluable lung within it.
    ratio, low, high : float or None
        Observed over expected, with a 95 % interval.
    p : float or None
        Two-sided, Monte Carlo.
    auc : float or None
        Probability that a nodule lies farther away than a random place; 0.5 is no preference.
    """

    structure: str
    within_mm: float
    observed: float | None
    expected: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    auc: float | None


@dataclass(frozen=True)
class ZoneDensity:
    """Nodules in one zone of one lung.

    Parameters
    ----------
    zone, lung : str
        `upper`, `middle` or `lower`; `both`, `right` or `left`.
    n : int
        Nodules.
    per_l : float or None
        Nodules per litre of evaluable lung.
    ratio : float or None
        To the density of the whole lung.
    low, high : float or None
        95 % interval of `per_l`.
    ratio_low, ratio_high : float or None
        95 % interval of `ratio`, given the number in the lung.
    """

    zone: str
    lung: str
    n: int
    per_l: float | None
    ratio: float | None
    low: float | None = None
    high: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


@dataclass(frozen=True)
class Preference:
    """Whether nodules prefer high or low values of a covariate, as an effect with its interval.

    Parameters
    ----------
    covariate : str
        `pleura`, `fissure`, `vessel` (distances), `height` (to the head), `depth` (to the back).
    lung : str
        `both`, `right` or `left`.
    n : int
        Nodules at which it is known.
    auc : float or None
        Probability that a nodule has a higher value than a random place; 0.5 is no preference.
        None without nodules.
    low, high : float or None
        95 % interval; None for fewer than two nodules.
    """

    covariate: str
    lung: str
    n: int
    auc: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class DensityMap:
    """The density of nodules, smoothed: on voxels of its own, coarser than the scan's.

    Parameters
    ----------
    per_ml : (z, y, x) float32
        Nodules found per millilitre of window; NaN outside.
    error_per_ml : (z, y, x) float32
        Standard error by the number of nodules; NaN outside.
    voxel_mm : (3,) float
        Size of these voxels along z, y and x.
    first_mm : (3,) float
        Grid point of the centre of the first of them.
    sigma_mm : float
        Standard deviation of the Gaussian that smoothed it.
    """

    per_ml: FloatArray
    error_per_ml: FloatArray
    voxel_mm: FloatArray
    first_mm: FloatArray
    sigma_mm: float


@dataclass(frozen=True, eq=False)
class Distribution:
    """How the nodules lie in the lungs.

    Parameters
    ----------
    n : int
        Nodules inside the evaluable lungs.
    csr_p : float or None
        Primary test: global envelope against complete spatial randomness in the evaluable lung.
    clark_evans : float or None
        Mean nearest-neighbour distance over that expected at random in this very lung; below 1
        is clustered.
    clustered : bool or None
        Whether there are more close pairs than the envelope allows.
    tests : tuple of Test
        All of them, per lung as well.
    curves : tuple of Curve
        Summary functions with their envelopes.
    shares : tuple of Share
        Near pleura, fissure and vessel; the shells of the configuration.
    zones : tuple of ZoneDensity
        By zone and lung.
    notes : tuple of str
        Sentences for a reader.
    lobes : tuple of ZoneDensity
        By lobe, its name as `zone`, each held against its own lung; empty where lobes are unknown.
    preferences : tuple of Preference
        By covariate and lung.
    density : DensityMap or None
        None where there is no window.
    """

    n: int
    csr_p: float | None
    clark_evans: float | None
    clustered: bool | None
    tests: tuple[Test, ...]
    curves: tuple[Curve, ...]
    shares: tuple[Share, ...]
    zones: tuple[ZoneDensity, ...]
    notes: tuple[str, ...] = ()
    lobes: tuple[ZoneDensity, ...] = ()
    preferences: tuple[Preference, ...] = ()
    density: DensityMap | None = None

    def share(self, structure: str, within_mm: float | None = None) -> Share | None:
        """Find the share for a structure, the narrowest shell unless one is named.

        Parameters
        ----------
        structure : str
            `pleura`, `fissure` or `vessel`.
        within_mm : float or None
            Width of the shell.

        Returns
        -------
        Share or None
            None where the structure is unknown in this scan.
        """
        found = [
            share
            for share in self.shares
            if share.structure == structure and within_mm in (None, share.within_mm)
        ]
        return min(found, key=lambda share: share.within_mm, default=None)


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
    """

    label: str
    scores: tuple[tuple[str, float], ...]
    reasons: tuple[str, ...]


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
