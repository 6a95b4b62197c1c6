"""Covariates over a window: distances and heights, at the nodules and wherever they could be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Preference, Test
from miliary.kernels.covariates import (
    CovariateStatistics,
    auc_interval,
    covariate_statistics,
    monte_carlo_p,
    simulate_counts,
)
from miliary.kernels.distance_image import DistanceImage, ends_of_codes
from miliary.spatial.clustering import Clusters, Placed
from miliary.spatial.window import Window

#: The structure that is cut out of the window. Points are moved out of it onto its very surface,
#: where random points need not be: such points do not count for the distance to it.
_HOLE = "vessel"
#: Names of the statistics.
_LONG = {"Z1": "Berman Z1", "Z2": "Berman Z2", "KS": "Kolmogorov-Smirnov"}
#: More bins than this would be no distance in a chest.
_MAX_BINS = 20_000
#: Part of a bin by which float32 may miss its edge.
_EDGE = 1e-4


@dataclass(frozen=True, eq=False)
class Covariate:
    """A covariate in bins: at the points, in samples under the null hypothesis, in the window.

    Parameters
    ----------
    name : str
        What it is.
    values : (B,) float
        Middle of each bin that holds something, increasing.
    weights : (L, B) float
        Voxels, weighted by sensitivity, of each stratum in each bin.
    counts : (S, L, B) int
        Points in each bin: the observed pattern, then the simulated ones.
    effects : dict of str to float
        Design effects of `z1`, `z2` and each shell's share; empty where nodules are not clustered.
    at_points : (N,) float
        The covariate at each point; NaN at those that do not count.
    """

    name: str
    values: FloatArray
    weights: FloatArray
    counts: IntArray
    effects: dict[str, float]
    at_points: FloatArray
    _taken: dict[bytes, tuple[IntArray, FloatArray]] = field(
        default_factory=dict, init=False, repr=False
    )
    _compared: dict[bytes, CovariateStatistics] = field(
        default_factory=dict, init=False, repr=False
    )

    def of(self, chosen: IntArray) -> tuple[IntArray, FloatArray]:
        """Take some strata together, each with the share of the points that it has.

        Parameters
        ----------
        chosen : (M,) int
            Strata.

        Returns
        -------
        counts : (S, B) int
            Points of these strata.
        weights : (B,) float
            What is expected of one point; 0 everywhere without any point.
        """
        if (key := chosen.tobytes()) not in self._taken:
            self._taken[key] = self._take(chosen)
        return self._taken[key]

    def statistics(self, chosen: IntArray) -> CovariateStatistics:
        """Compare the points of some strata, taken together, with what is expected.

        Parameters
        ----------
        chosen : (M,) int
            Strata, with at least one point.

        Returns
        -------
        CovariateStatistics
            Of the observed pattern, then of the simulated ones.
        """
        if (key := chosen.tobytes()) not in self._compared:
            counts, weights = self.of(chosen)
            self._compared[key] = covariate_statistics(counts, self.values, weights)
        return self._compared[key]

    def _take(self, chosen: IntArray) -> tuple[IntArray, FloatArray]:
        n = self.counts[0, chosen].sum(axis=1)
        volume = self.weights[chosen].sum(axis=1)
        share = np.divide(n, volume, out=np.zeros(len(chosen)), where=volume > 0)
        mixed = share @ self.weights[chosen]
        shares = mixed / max(float(mixed.sum()), 1e-300)
        if len(chosen) == 1:
            return self.counts[:, chosen[0]], shares
        return self.counts[:, chosen].sum(axis=1, dtype=self.counts.dtype), shares


@dataclass(frozen=True)
class _Bins:
    """Bins that start at a multiple of their width, so that shells end on an edge."""

    first: int
    count: int
    width_mm: float

    @property
    def middles(self) -> FloatArray:
        middles: FloatArray = (self.first + np.arange(self.count) + 0.5) * self.width_mm
        return middles

    def of(self, values: AnyArray) -> IntArray:
        place = values / self.width_mm
        # The tolerance keeps 2.5 out of the bin below it in float32. What is cut off is the part
        # behind the point, as no number is below 0.
        place += _EDGE
        place -= self.first
        np.clip(place, 0, self.count - 1, out=place)
        # Four bytes: six million voxels are made numbers of, and eight take five times as long.
        binned: IntArray = place.astype(np.int32)
        return binned

    def of_known(self, values: AnyArray) -> IntArray:
        """Put what is not finite into one more bin, the last."""
        known = np.isfinite(values)
        if known.all():
            return self.of(values)
        return np.where(known, self.of(np.where(known, values, 0.0)), self.count)

    def of_codes(self, table_mm: FloatArray) -> Callable[[AnyArray], IntArray]:
        """Do so by codes of distances."""
        places = self.of_known(table_mm).astype(np.intp)
        return lambda codes: places.take(codes, mode="clip")


@dataclass(frozen=True, eq=False)
class WindowCovariate:
    """A covariate over the window, in bins.

    Parameters
    ----------
    name : str
        What it is.
    image : (z, y, x) float
        The covariate on the window's grid.
    bins : _Bins
        Its bins.
    weights : (L, B) float
        Voxels, weighted by sensitivity, of each stratum in each bin.
    """

    name: str
    image: AnyArray | DistanceImage
    bins: _Bins
    weights: FloatArray


def _choose_bins(ends: list[float], bin_mm: float) -> _Bins | None:
    """Cover all values between the ends with bins; None where there is none."""
    if not ends:
        return None
    low, high = min(ends), max(ends)
    width = max(bin_mm, (high - low) / _MAX_BINS)
    first = int(np.floor(low / width + _EDGE))
    return _Bins(first, int(np.floor(high / width + _EDGE)) - first + 1, width)


def _ends(values: AnyArray, table_mm: FloatArray | None) -> tuple[float, ...]:
    """Give the least and the highest finite value; neither where there is none."""
    if table_mm is not None:
        return ends_of_codes(values, table_mm)
    if len(values) and not np.isfinite([values.min(), values.max()]).all():
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else ()


def bin_window(
    name: str, image: AnyArray | DistanceImage, window: Window, settings: SpatialSettings
) -> WindowCovariate | None:
    """Put a covariate image into bins.

    Parameters
    ----------
    name : str
        What it is.
    image : (z, y, x) float
        The covariate on the window's grid; not finite where unknown.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Width of the bins.

    Returns
    -------
    WindowCovariate or None
        None where it is unknown in the whole window.
    """
    if image.shape != window.labels.shape:
        raise ValueError(
            f"the image of {name} must have the shape of the window {window.labels.shape}, "
            f"got {image.shape}"
        )
    # What is the same along x is binned row by row.
    by_row = image.strides[2] == 0
    values, table_mm = (
        (image.codes, image.table_mm) if isinstance(image, DistanceImage) else (image, None)
    )
    voxels = [
        image[stratum.box][..., 0][stratum.rows[0]] if by_row else stratum.of(values)
        for stratum in window.strata
    ]
    bins = _choose_bins([end for some in voxels for end in _ends(some, table_mm)], settings.bin_mm)
    if bins is None:
        return None
    bin_of = bins.of_known if table_mm is None else bins.of_codes(table_mm)
    weights = [
        np.bincount(bins.of(values), stratum.rows[1], bins.count)
        if by_row
        else stratum.weigh(values, bin_of, bins.count + 1)[:-1]
        for stratum, values in zip(window.strata, voxels, strict=True)
    ]
    return WindowCovariate(name, image, bins, np.array(weights, float))


def bin_points(
    covariate: WindowCovariate,
    placed: Placed,
    window: Window,
    settings: SpatialSettings,
    *,
    clusters: Clusters | None,
    rng: np.random.Generator,
) -> Covariate:
    """Put the covariate of points into its bins, with samples under the null hypothesis.

    Parameters
    ----------
    covariate : WindowCovariate
        The covariate in the window.
    placed : Placed
        The points.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Number of samples.
    clusters : Clusters or None
        To measure design effects with: points in groups say less than single ones. None where
        nodules are not clustered.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Covariate
        Points of unknown covariate are left out.
    """
    at_points = window.at(covariate.image, placed.points_mm)
    use = np.isfinite(at_points) & ~(placed.moved & (covariate.name == _HOLE))
    observed = np.zeros((1, *covariate.weights.shape), np.int32)
    np.add.at(observed[0], (placed.strata[use], covariate.bins.of(at_points[use])), 1)
    # Heights are those of slices: six bins in seven are empty, and would be two thousand times.
    filled = (covariate.weights > 0).any(axis=0) | observed.any(axis=(0, 1))
    observed, weights = observed[..., filled], covariate.weights[:, filled]
    null = simulate_counts(
        observed[0].sum(axis=1),
        weights,
        n_simulations=settings.covariate_simulations,
        rng=rng,
    )
    counts = np.concatenate([observed, null])
    known, middles = np.where(use, at_points, np.nan), covariate.bins.middles
    made = Covariate(covariate.name, middles[filled], weights, counts, {}, known)
    if clusters is not None and use.any():
        there = window.at(covariate.image, clusters.places_mm)
        made.effects.update(
            _design_effects(made, middles, at_points, there, use, clusters, settings)
        )
    return made


def _design_effects(
    covariate: Covariate,
    middles: FloatArray,
    at_points: FloatArray,
    at_places: FloatArray,
    use: BoolArray,
    clusters: Clusters,
    settings: SpatialSettings,
) -> dict[str, float]:
    """Measure how much clustering inflates the variance of each statistic.

    The distribution function is read off between the middles of all bins, empty ones too.
    """
    known = np.isfinite(at_places)
    steps = np.cumsum(covariate.of(np.arange(len(covariate.weights)))[1])
    below = np.append(0.0, steps)[np.searchsorted(covariate.values, middles, side="right")]
    scores: dict[str, Callable[[FloatArray], FloatArray]] = {
        "z1": lambda v: v,
        "z2": lambda v: np.interp(v, middles, below),
    }
    for shell in settings.shells_mm:
        scores[f"{shell:g}"] = partial(_nearer, shell_mm=shell)
    return {
        key: clusters.effect(score(at_points), score(at_places), use, known)
        for key, score in scores.items()
    }


def _nearer(values: FloatArray, *, shell_mm: float) -> FloatArray:
    return (values < shell_mm).astype(float)


def covariate_tests(
    covariate: Covariate, lung: str, chosen: IntArray, names: tuple[str, ...], *, min_n: int
) -> list[Test]:
    """Test a covariate with some statistics; p-values are raw.

    Parameters
    ----------
    covariate : Covariate
        In bins.
    lung : str
        Name of the chosen strata.
    chosen : (M,) int
        Strata.
    names : tuple of str
        Of `Z1`, `Z2` and `KS`.
    min_n : int
        Fewer points are not tested.

    Returns
    -------
    list of Test
        p None where there are too few points.
    """
    labels = [f"{covariate.name}: {_LONG[name]}" for name in names]
    if covariate.counts[0, chosen].sum() < max(min_n, 1):
        return [Test(label, lung, None, None) for label in labels]
    statistics = covariate.statistics(chosen)
    tests = []
    for name, label in zip(names, labels, strict=True):
        values = getattr(statistics, name.lower())
        effect = covariate.effects.get("z1" if name == "Z1" else "z2", 1.0)
        p = monte_carlo_p(values[0] / np.sqrt(effect), values[1:])
        tests.append(Test(label, lung, p, float(values[0])))
    return tests


def preference(
    covariate: Covariate, group: str, chosen: IntArray, settings: SpatialSettings
) -> Preference:
    """Give the AUC of a covariate with its interval.

    Parameters
    ----------
    covariate : Covariate
        In bins.
    group : str
        Name of the chosen strata.
    chosen : (M,) int
        Strata.
    settings : SpatialSettings
        Level.

    Returns
    -------
    Preference
        None for what so few points cannot tell.
    """
    counts, weights = covariate.of(chosen)
    n = int(counts[0].sum())
    if n == 0:
        return Preference(covariate.name, group, 0, None, None, None)
    auc = float(covariate.statistics(chosen).auc[0])
    low, high = auc_interval(
        covariate.counts[0, chosen],
        weights,
        alpha=settings.alpha,
        design_effect=covariate.effects.get("z2", 1.0),
    )
    ends = (low, high) if np.isfinite(low) else (None, None)
    return Preference(covariate.name, group, n, auc, *ends)
