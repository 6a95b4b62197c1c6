"""How the nodules lie in the lungs, as data: tests, curves, shares, densities, trends."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.arrays import FloatArray


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


@dataclass(frozen=True)
class SizeTrend:
    """Whether the sizes of nodules rise or fall with a covariate, within each lung.

    Parameters
    ----------
    covariate : str
        As for `Preference`.
    lung : str
        `both`, `right` or `left`.
    n : int
        Nodules of which size and covariate are known.
    correlation : float or None
        Spearman's rank correlation: above 0 where nodules are larger at higher values. None where
        there are too few nodules, or all sizes or all values are the same.
    low, high : float or None
        95 % interval, for sizes that do not depend on each other.
    p : float or None
        Two-sided, by sizes dealt anew within each lung; not adjusted for the number of tests.
    """

    covariate: str
    lung: str
    n: int
    correlation: float | None
    low: float | None
    high: float | None
    p: float | None


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
    marks : tuple of SizeTrend
        Trends of size, by covariate and lung; empty where no sizes are given.
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
    marks: tuple[SizeTrend, ...] = ()

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
