"""Whether sizes depend on place: the mark correlation, held against sizes dealt anew."""

from __future__ import annotations

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Curve, Test
from miliary.kernels.envelopes import envelope_test, pointwise_ranks
from miliary.kernels.marks import mark_correlation, mark_products
from miliary.kernels.pairs import pair_differences
from miliary.spatial.clustering import Placed
from miliary.spatial.curves import bandwidth, make_curve
from miliary.spatial.window import Window

#: Name of the test.
MARKS = "sizes: mark correlation, global envelope"


def correlate_sizes(
    sizes: FloatArray,
    placed: Placed,
    window: Window,
    settings: SpatialSettings,
    *,
    rng: np.random.Generator,
) -> tuple[Test, Curve]:
    """Test whether the sizes of near nodules are alike, or unlike, more than by chance.

    Places are held fixed and sizes dealt anew within each stratum, so that neither clustering of
    the nodules nor a difference between the lungs matters. Sizes are divided by the mean of their
    stratum.

    Parameters
    ----------
    sizes : (N,) float
        One a point, above 0; not finite where unknown.
    placed : Placed
        The points.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Number of permutations, distances, level.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    test : Test
        p None where there are too few points, or no two within the longest distance.
    curve : Curve
        The mark correlation `kmm` with its global envelope; 1 is no dependence.

    Raises
    ------
    ValueError
        For another number of sizes than points, or sizes not above 0.
    """
    known = _known(sizes, placed)
    marks, points, strata = (
        sizes[known].astype(float),
        placed.points_mm[known],
        placed.strata[known],
    )
    group = next(iter(window.groups))
    radii = np.arange(
        settings.radius_step_mm, settings.max_radius_mm + 1e-9, settings.radius_step_mm
    )
    members: list[IntArray] = [np.flatnonzero(strata == s) for s in range(len(window.strata))]
    for chosen in members:
        marks[chosen] /= marks[chosen].mean() if len(chosen) else 1.0
    values = np.full((1, len(radii)), np.nan)
    if len(marks) >= max(settings.min_nodules, 2):
        width = bandwidth(len(marks), window.volume_mm3, settings)
        values = _correlations(marks, points, members, radii, width, settings, rng)
        # The kernel must not reach beyond the pairs that are counted.
        values[:, radii > settings.max_radius_mm - width + 1e-9] = np.nan
    usable = np.isfinite(values).all(axis=0)
    ranks = pointwise_ranks(values[:, usable], alternative="two-sided")
    curve = make_curve("kmm", group, radii, values, alpha=settings.alpha, ranks=ranks)
    if len(values) < 2 or not usable.any():
        return Test(MARKS, group, None, None), curve
    test = envelope_test(
        values[:, usable], alternative="two-sided", alpha=settings.alpha, ranks=ranks
    )
    excess = values[0, usable] - 1.0
    return Test(MARKS, group, test.p, float(excess[np.abs(excess).argmax()])), curve


def _known(sizes: FloatArray, placed: Placed) -> BoolArray:
    if len(sizes) != len(placed.points_mm):
        raise ValueError(f"sizes must be one a point ({len(placed.points_mm)}), got {len(sizes)}")
    known: BoolArray = np.isfinite(sizes)
    if not (sizes[known] > 0).all():
        raise ValueError(f"sizes must be above 0, got {sizes[known].min()}")
    return known


def _correlations(
    marks: FloatArray,
    points_mm: FloatArray,
    members: list[IntArray],
    radii_mm: FloatArray,
    width_mm: float,
    settings: SpatialSettings,
    rng: np.random.Generator,
) -> FloatArray:
    """Compute the mark correlation of the sizes as they are, then dealt anew."""
    edges = settings.bin_mm * np.arange(round(settings.max_radius_mm / settings.bin_mm) + 1)
    first, second, bins = [], [], []
    for chosen in members:
        i, j, _, distance = pair_differences(points_mm[chosen], max_mm=settings.max_radius_mm)
        first.append(chosen[i])
        second.append(chosen[j])
        bins.append(np.minimum((distance / settings.bin_mm).astype(np.intp), len(edges) - 2))
    one, other, bin_of = (np.concatenate([np.empty(0, np.intp), *x]) for x in (first, second, bins))
    products = np.empty((settings.simulations + 1, len(edges) - 1))
    for row in range(len(products)):
        dealt = marks.copy()
        for chosen in members if row else ():
            dealt[chosen] = rng.permutation(marks[chosen])
        products[row] = mark_products(dealt, one, other, bin_of, n_bins=len(edges) - 1)
    pairs = np.bincount(bin_of, minlength=len(edges) - 1).astype(float)
    return mark_correlation(products, pairs, edges, radii_mm, bandwidth_mm=width_mm)
