"""K, L, g, G, F and J of counted patterns, with their envelopes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Curve
from miliary.kernels.envelopes import Envelope, envelope_test, pointwise_ranks
from miliary.kernels.points import (
    j_function,
    kaplan_meier,
    kernel_mass,
    l_function,
    pair_correlation_matrix,
)
from miliary.spatial.simulate import Counts
from miliary.spatial.window import Window

#: Half width of the kernel of g is this over the cube root of the density, as in spatstat.
_BANDWIDTH = 0.26


@dataclass(frozen=True, eq=False)
class Functions:
    """Summary functions of all patterns on one grid of radii.

    Parameters
    ----------
    r_mm : (R,) float
        Radii above the smallest separation, as far as the window allows.
    values : dict of str to (S, R) float
        By function; F and J have fewer patterns. NaN where not defined.
    """

    r_mm: FloatArray
    values: dict[str, FloatArray]
    _ranks: dict[str, FloatArray] = field(default_factory=dict, init=False, repr=False)

    def ranks(self, name: str) -> FloatArray:
        """Give the pointwise ranks of a function, computed once: to rank is most of each test.

        Parameters
        ----------
        name : str
            Of `values`.

        Returns
        -------
        (S, D) float
            Where the function is defined in all patterns; two-sided.
        """
        # L rises with K, so that their ranks are the same.
        key = "L" if name == "K" else name
        if key not in self._ranks:
            values = self.values[key]
            known = np.isfinite(values).all(axis=0)
            self._ranks[key] = pointwise_ranks(values[:, known], alternative="two-sided")
        return self._ranks[key]


def summary_functions(
    counts: Counts,
    chosen: IntArray,
    window: Window,
    settings: SpatialSettings,
    *,
    min_separation_mm: float,
) -> Functions:
    """Compute the summary functions of some strata together.

    Pairs are counted within strata, and weighted by one over the covariance of all strata, each
    times its own density squared: under randomness within each stratum K is the volume of the
    ball, however the densities differ (measured: held against one density for both lungs, 93 % of
    random patterns at a ratio of 2 are rejected). Distances stand for lags (the covariance is
    averaged over directions), in the observed pattern too. Pairs nearer than the smallest
    separation of the detector are left out: K is K(r) - K(r0).

    Parameters
    ----------
    counts : Counts
        Of all patterns.
    chosen : (M,) int
        The strata to take together.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Radii.
    min_separation_mm : float
        Pairs nearer than this are not counted.

    Returns
    -------
    Functions
        K, L, g, G, F and J; no radius at all where the window is too small.
    """
    edges = settings.bin_mm * np.arange(round(settings.max_radius_mm / settings.bin_mm) + 1)
    shared, whole = _expected_pairs(edges, counts, chosen, window, settings)
    every = round(settings.radius_step_mm / settings.bin_mm)
    at_radii = np.arange(every, len(edges), every)
    usable = shared[at_radii] >= settings.min_shared * whole if whole > 0 else at_radii < 0
    at_radii = at_radii[usable & (edges[at_radii] > min_separation_mm + 1e-9)]
    radii = edges[at_radii]
    counted = edges[:-1] >= min_separation_mm - 1e-9
    middle = (shared[:-1] + shared[1:]) / 2.0
    weights = np.divide(1.0, middle, out=np.zeros(len(middle)), where=counted & (middle > 0))
    weighted = counts.pairs[:, chosen].sum(axis=1) * weights
    k = 2.0 * np.cumsum(weighted, axis=1)[:, at_radii - 1]
    g = _distribution(counts.seen, counts.lost, chosen)[:, at_radii]
    f = _distribution(counts.empty_seen, counts.empty_lost, chosen)[:, at_radii]
    n, volume = int(counts.n[chosen].sum()), sum(window.strata[s].volume_mm3 for s in chosen)
    correlation = np.full(k.shape, np.nan)
    if n >= 2:
        width = bandwidth(n, volume, settings)
        correlation = _pair_correlation(weighted, edges, radii, width, min_separation_mm)
    j = j_function(g[: len(f)], f, max_f=settings.max_empty)
    return Functions(radii, {"K": k, "L": l_function(k), "g": correlation, "G": g, "F": f, "J": j})


def _distribution(seen: IntArray, lost: IntArray, chosen: IntArray) -> FloatArray:
    """Estimate a distance distribution from some strata together."""
    return kaplan_meier(seen[:, chosen].sum(axis=1), lost[:, chosen].sum(axis=1))


def _expected_pairs(
    edges_mm: FloatArray,
    counts: Counts,
    chosen: IntArray,
    window: Window,
    settings: SpatialSettings,
) -> tuple[FloatArray, float]:
    """Give the sum over strata of density squared times covariance, by distance and at lag 0."""
    shared, whole = np.zeros(len(edges_mm)), 0.0
    for number in chosen:
        stratum, n = window.strata[number], float(counts.n[number])
        density2 = n * (n - 1.0) / stratum.volume_mm3**2
        if density2 > 0:
            shared += density2 * stratum.mean_covariance(
                edges_mm,
                # Averaged over directions the covariance is smooth: every radius is enough of it.
                step_mm=settings.radius_step_mm,
                voxel_mm=settings.lag_voxel_mm,
                n_directions=settings.directions,
            )
            whole += density2 * stratum.volume_mm3
    return shared, whole


def bandwidth(n: int, volume_mm3: float, settings: SpatialSettings) -> float:
    """Choose the half width of the kernel of g and of the mark correlation.

    Parameters
    ----------
    n : int
        Points; at least 1.
    volume_mm3 : float
        Of the window.
    settings : SpatialSettings
        Longest distance: no more than half of it.

    Returns
    -------
    float
        In mm.
    """
    return float(min(_BANDWIDTH * (volume_mm3 / n) ** (1 / 3), settings.max_radius_mm / 2))


def _pair_correlation(
    weighted: FloatArray,
    edges_mm: FloatArray,
    radii_mm: FloatArray,
    width_mm: float,
    min_separation_mm: float,
) -> FloatArray:
    """Smooth g out of the weighted histograms; NaN where the kernel leaves the counted pairs."""
    g = weighted @ pair_correlation_matrix(edges_mm, radii_mm, bandwidth_mm=width_mm)
    if min_separation_mm > 0:
        # The kernel's mass below the separation is missing, not empty: make up for that.
        u = np.maximum(radii_mm - min_separation_mm, 0.0) / width_mm
        g *= kernel_mass(radii_mm / width_mm) / kernel_mass(u)
    g[:, radii_mm > edges_mm[-1] - width_mm + 1e-9] = np.nan
    return g


def make_curve(
    function: str,
    lung: str,
    r_mm: FloatArray,
    values: FloatArray,
    *,
    alpha: float,
    ranks: FloatArray | None = None,
) -> Curve:
    """Put a function of all patterns into a curve with its global envelope.

    Parameters
    ----------
    function, lung : str
        Its names.
    r_mm : (R,) float
        Argument.
    values : (S, R) float
        The observed function, then the simulated ones; NaN where not defined.
    alpha : float
        Share of random patterns that may leave the envelope.
    ranks : (S, D) float or None
        Their pointwise ranks where all are defined, if these are known already.

    Returns
    -------
    Curve
        NaN in expectation and envelope where any pattern is not defined.
    """
    known = np.isfinite(values).all(axis=0)
    expected, low, high = (np.full(len(r_mm), np.nan) for _ in range(3))
    if known.any() and len(values) > 1:
        test = envelope_test(values[:, known], alternative="two-sided", alpha=alpha, ranks=ranks)
        expected[known] = values[1:, known].mean(axis=0)
        low[known], high[known] = test.low, test.high
    return Curve(function, lung, r_mm, values[0].copy(), expected, low, high)


def combined_test(functions: Functions, *, alpha: float) -> tuple[Envelope, BoolArray]:
    """Test L and G together by their extreme rank length: the primary test.

    Parameters
    ----------
    functions : Functions
        At least one radius.
    alpha : float
        Share of random patterns that may leave the envelope.

    Returns
    -------
    test : Envelope
        Of L and G side by side.
    crowded : (R,) bool
        Radii at which there are more close pairs (L) or nearer neighbours (G) than it allows.
    """
    both = np.hstack([functions.values["L"], functions.values["G"]])
    ranks = np.hstack([functions.ranks("L"), functions.ranks("G")])
    test = envelope_test(both, alternative="two-sided", alpha=alpha, ranks=ranks)
    above = both[0] > test.high
    return test, above[: len(functions.r_mm)] | above[len(functions.r_mm) :]
