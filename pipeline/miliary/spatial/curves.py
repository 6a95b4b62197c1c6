"""K, L, g, G, F and J of counted patterns, with their envelopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Curve
from miliary.kernels.envelopes import Envelope, envelope_test
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


def summary_functions(
    counts: Counts, chosen: IntArray, window: Window, settings: SpatialSettings
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
        Radii, separation.

    Returns
    -------
    Functions
        K, L, g, G, F and J; no radius at all where the window is too small.
    """
    edges = settings.bin_mm * np.arange(round(settings.max_radius_mm / settings.bin_mm) + 1)
    every = round(settings.radius_step_mm / settings.bin_mm)
    shared, whole = _expected_pairs(edges, counts, chosen, window, settings)
    at_radii = np.arange(every, len(edges), every)
    usable = shared[at_radii] >= settings.min_shared * whole if whole > 0 else at_radii < 0
    at_radii = at_radii[usable & (edges[at_radii] > settings.min_separation_mm + 1e-9)]
    radii = edges[at_radii]
    counted = edges[:-1] >= settings.min_separation_mm - 1e-9
    middle = (shared[:-1] + shared[1:]) / 2.0
    weights = np.divide(1.0, middle, out=np.zeros(len(middle)), where=counted & (middle > 0))
    weighted = counts.pairs[:, chosen].sum(axis=1) * weights
    k = 2.0 * np.cumsum(weighted, axis=1)[:, at_radii - 1]
    near = kaplan_meier(counts.seen[:, chosen].sum(axis=1), counts.lost[:, chosen].sum(axis=1))
    f = kaplan_meier(
        counts.empty_seen[:, chosen].sum(axis=1), counts.empty_lost[:, chosen].sum(axis=1)
    )[:, at_radii]
    g = near[:, at_radii]
    return Functions(
        radii,
        {
            "K": k,
            "L": l_function(k),
            "g": _pair_correlation(weighted, edges, radii, counts, chosen, window, settings),
            "G": g,
            "F": f,
            "J": j_function(g[: len(f)], f, max_f=settings.max_empty),
        },
    )


def _expected_pairs(
    edges_mm: FloatArray,
    counts: Counts,
    chosen: IntArray,
    window: Window,
    settings: SpatialSettings,
) -> tuple[FloatArray, float]:
    """Give the sum over strata of density squared times covariance, by distance and at lag 0."""
    # Averaged over directions the covariance is smooth: every radius_step is enough of it.
    knots = np.arange(
        0.0, settings.max_radius_mm + settings.radius_step_mm, settings.radius_step_mm
    )
    shared, whole = np.zeros(len(edges_mm)), 0.0
    for number in chosen:
        stratum, n = window.strata[number], float(counts.n[number])
        density2 = n * (n - 1.0) / stratum.volume_mm3**2
        if density2 > 0:
            table = stratum.covariance(
                max_lag_mm=settings.max_radius_mm, voxel_mm=settings.lag_voxel_mm
            )
            mean = table.isotropic(knots, n_directions=settings.directions)
            shared += density2 * np.interp(edges_mm, knots, mean)
            whole += density2 * stratum.volume_mm3
    return shared, whole


def _pair_correlation(
    weighted: FloatArray,
    edges_mm: FloatArray,
    radii_mm: FloatArray,
    counts: Counts,
    chosen: IntArray,
    window: Window,
    settings: SpatialSettings,
) -> FloatArray:
    """Smooth g out of the weighted histograms; NaN where the kernel leaves the counted pairs."""
    n = int(counts.n[chosen].sum())
    volume = sum(window.strata[number].volume_mm3 for number in chosen)
    if n < 2:
        return np.full((len(weighted), len(radii_mm)), np.nan)
    width = min(_BANDWIDTH * (volume / n) ** (1 / 3), settings.max_radius_mm / 2)
    g = weighted @ pair_correlation_matrix(edges_mm, radii_mm, bandwidth_mm=width)
    if settings.min_separation_mm > 0:
        # The kernel's mass below the separation is missing, not empty: make up for that.
        u = np.maximum(radii_mm - settings.min_separation_mm, 0.0) / width
        g *= kernel_mass(radii_mm / width) / kernel_mass(u)
    g[:, radii_mm > edges_mm[-1] - width + 1e-9] = np.nan
    return np.asarray(g)


def make_curve(
    function: str, lung: str, r_mm: FloatArray, values: FloatArray, *, alpha: float
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

    Returns
    -------
    Curve
        NaN in expectation and envelope where any pattern is not defined.
    """
    known = np.isfinite(values).all(axis=0)
    expected, low, high = (np.full(len(r_mm), np.nan) for _ in range(3))
    if known.any() and len(values) > 1:
        test = envelope_test(values[:, known], alternative="two-sided", alpha=alpha)
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
    test = envelope_test(both, alternative="two-sided", alpha=alpha)
    above = both[0] > test.high
    return test, above[: len(functions.r_mm)] | above[len(functions.r_mm) :]
