"""Summary functions of points in a window, from pairs and nearest distances: K, L, g, G, F, J."""

from __future__ import annotations

import numpy as np

from miliary.arrays import FloatArray, IntArray


def k_function(distances_mm: FloatArray, weights: FloatArray, radii_mm: FloatArray) -> FloatArray:
    """Sum the weights of unordered pairs no farther apart than each radius, twice.

    With weights `|W|² / (n (n - 1) C(x_i - x_j))` this is the translation-corrected K function
    (Ohser 1983; in three dimensions Baddeley, Moyeed, Howard & Boyde 1993).

    Parameters
    ----------
    distances_mm : (P,) float
        Distances of unordered pairs.
    weights : (P,) float
        Weight of each.
    radii_mm : (R,) float
        Radii, increasing.

    Returns
    -------
    (R,) float
        K in mm³.
    """
    order = np.argsort(distances_mm, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(np.asarray(weights, float)[order])])
    # Pairs are listed once, K counts both of their orders; one just at a radius counts.
    k: FloatArray = 2.0 * total[np.searchsorted(distances_mm[order], radii_mm, side="right")]
    return k


def l_function(k_mm3: FloatArray) -> FloatArray:
    """Turn K into the radius of the ball of that volume: `(3 K / 4 π)^(1/3)`.

    Parameters
    ----------
    k_mm3 : array of float
        K in mm³.

    Returns
    -------
    array of float
        L in mm.
    """
    ell: FloatArray = np.cbrt(3.0 * k_mm3 / (4.0 * np.pi))
    return ell


def pair_correlation(
    distances_mm: FloatArray,
    weights: FloatArray,
    radii_mm: FloatArray,
    *,
    bandwidth_mm: float,
    corrected: bool,
) -> FloatArray:
    """Smooth the pair correlation g out of weighted distances with Epanechnikov's kernel.

    Exact at every radius, by prefix sums of `w`, `w d` and `w d²` over the sorted distances.

    Parameters
    ----------
    distances_mm : (P,) float
        Distances of unordered pairs, complete up to the largest radius plus the bandwidth.
    weights : (P,) float
        Weights as for `k_function`.
    radii_mm : (R,) float
        Where to evaluate.
    bandwidth_mm : float
        Half width of the kernel; `0.26 / density^(1/3)` is usual.
    corrected : bool
        Divide by the part of the kernel that lies above distance 0.

    Returns
    -------
    (R,) float
        g; 1 for complete spatial randomness.
    """
    order = np.argsort(distances_mm, kind="stable")
    d = np.asarray(distances_mm, float)[order]
    # Points at one place would weigh without bound: they take no part.
    with np.errstate(divide="ignore"):
        w = np.where(d > 0, 2.0 * weights[order] / (4.0 * np.pi * d**2), 0.0)
    sums = [np.concatenate([[0.0], np.cumsum(w * d**power)]) for power in (0, 1, 2)]
    low = np.searchsorted(d, radii_mm - bandwidth_mm, side="left")
    high = np.searchsorted(d, radii_mm + bandwidth_mm, side="right")
    s0, s1, s2 = (s[high] - s[low] for s in sums)
    u = radii_mm / bandwidth_mm
    # 3/4 (1 - (r - d)²/b²) / b, summed
    g = (
        0.75
        / bandwidth_mm
        * (s0 * (1.0 - u**2) + (2.0 * u * s1 - s2 / bandwidth_mm) / bandwidth_mm)
    )
    return g / kernel_mass(u) if corrected else np.asarray(g)


def kernel_mass(u: FloatArray) -> FloatArray:
    """Give the part of Epanechnikov's kernel around `u` half widths that lies above 0.

    Parameters
    ----------
    u : array of float
        Place of the kernel's centre in half widths, 0 or more.

    Returns
    -------
    array of float
        0.5 to 1.
    """
    v = np.minimum(u, 1.0)
    mass: FloatArray = 0.75 * (v + 2.0 / 3.0 - v**3 / 3.0)
    return mass


def pair_correlation_matrix(
    edges_mm: FloatArray, radii_mm: FloatArray, *, bandwidth_mm: float
) -> FloatArray:
    """Make the matrix that turns weighted distance histograms into pair correlations.

    Parameters
    ----------
    edges_mm : (B + 1,) float
        Edges of the histogram's bins; each bin is taken to lie at its centre.
    radii_mm : (R,) float
        Where to evaluate.
    bandwidth_mm : float
        Half width of the kernel.

    Returns
    -------
    (B, R) float
        Multiply `(S, B)` sums of weights (as for `k_function`) by it.
    """
    centres = (edges_mm[:-1] + edges_mm[1:]) / 2.0
    u = (radii_mm[None, :] - centres[:, None]) / bandwidth_mm
    kernel = 0.75 / bandwidth_mm * np.clip(1.0 - u**2, 0.0, None)
    matrix: FloatArray = 2.0 * kernel / (4.0 * np.pi * centres[:, None] ** 2)
    return matrix / kernel_mass(radii_mm / bandwidth_mm)


def censored_counts(
    distances_mm: FloatArray,
    border_mm: FloatArray,
    groups: IntArray,
    *,
    n_groups: int,
    step_mm: float,
    n_steps: int,
) -> tuple[IntArray, IntArray]:
    """Count on a grid of radii what is seen to happen, and what is lost from sight before.

    A distance counts at the next radius of the grid, a loss at the last one before: places that
    are lost between two radii are not at risk at the second.

    Parameters
    ----------
    distances_mm : (N,) float
        Distance to the nearest point; may be infinite.
    border_mm : (N,) float
        Distance to the border of the window, beyond which a nearer point cannot be excluded.
    groups : (N,) int
        Groups that are counted apart, 0 to `n_groups - 1`.
    n_groups : int
        How many there are.
    step_mm : float
        Step of the radii, which start at 0.
    n_steps : int
        Index of the last radius.

    Returns
    -------
    seen, lost : (n_groups, n_steps + 2) int
        Counts at each radius, and beyond the last one.
    """
    happens = distances_mm <= border_mm
    limit = n_steps + 1
    at = np.minimum(np.ceil(distances_mm / step_mm), limit)
    gone = np.minimum(np.floor(border_mm / step_mm), limit)
    places = groups * (limit + 1)
    seen = np.bincount(
        places[happens] + at[happens].astype(np.intp), minlength=n_groups * (limit + 1)
    )
    lost = np.bincount(
        places[~happens] + gone[~happens].astype(np.intp), minlength=n_groups * (limit + 1)
    )
    return seen.reshape(n_groups, limit + 1), lost.reshape(n_groups, limit + 1)


def kaplan_meier(seen: IntArray, lost: IntArray) -> FloatArray:
    """Estimate a distance distribution from censored counts (Baddeley & Gill 1997).

    Parameters
    ----------
    seen, lost : (..., B + 2) int
        Counts as made by `censored_counts`.

    Returns
    -------
    (..., B + 1) float
        Distribution function at the radii; it stays level where nothing is left at risk.
    """
    both = seen + lost
    # Who is seen or lost at a radius was still at risk there.
    at_risk = both.sum(axis=-1, keepdims=True) - np.cumsum(both, axis=-1) + both
    hazard = np.divide(seen, at_risk, out=np.zeros(seen.shape), where=at_risk > 0)
    distribution: FloatArray = 1.0 - np.cumprod(1.0 - hazard, axis=-1)
    return distribution[..., :-1]


def reduced_sample(
    distances_mm: FloatArray, border_mm: FloatArray, radii_mm: FloatArray
) -> FloatArray:
    """Estimate a distance distribution from places deeper than each radius only.

    Parameters
    ----------
    distances_mm, border_mm : (N,) float
        Distance to the nearest point and to the border.
    radii_mm : (R,) float
        Radii.

    Returns
    -------
    (R,) float
        Share; NaN where no place is deep enough.
    """
    deep = border_mm[:, None] >= radii_mm
    near = distances_mm[:, None] <= radii_mm
    with np.errstate(invalid="ignore", divide="ignore"):
        share: FloatArray = (deep & near).sum(axis=0) / deep.sum(axis=0)
    return share


def hanisch(seen: IntArray, eroded_mm3: FloatArray) -> FloatArray:
    """Estimate G from the points that are nearer to a neighbour than to the border.

    Parameters
    ----------
    seen : (B + 2,) int
        Their counts on a grid of radii, as made by `censored_counts`.
    eroded_mm3 : (B + 1,) float
        Volume of the window that lies deeper than each radius.

    Returns
    -------
    (B + 1,) float
        Distribution function; NaN without any such point.
    """
    counts = seen[:-1]
    share = np.divide(counts, eroded_mm3, out=np.zeros(len(counts)), where=eroded_mm3 > 0)
    total = share.sum()
    return np.cumsum(share) / total if total > 0 else np.full(len(counts), np.nan)


def j_function(g: FloatArray, f: FloatArray, *, max_f: float) -> FloatArray:
    """Compare room around points with room around places: `(1 - G) / (1 - F)`.

    Above 1 points keep apart, below 1 they cluster (van Lieshout & Baddeley 1996).

    Parameters
    ----------
    g, f : (..., R) float
        Both distribution functions.
    max_f : float
        Above this value of F the quotient is noise.

    Returns
    -------
    (..., R) float
        J; NaN where F is above the limit or either is unknown.
    """
    with np.errstate(invalid="ignore"):
        known = f <= max_f
    j: FloatArray = np.where(known, (1.0 - g) / np.where(known, 1.0 - f, 1.0), np.nan)
    return j
