"""Random patterns in a window, reduced to counts from which every summary function follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.kernels.points import censored_counts, nearest_distances, pair_histogram
from miliary.spatial.window import Window

#: How often points that lie too near to others are drawn anew before they are left as they are:
#: only a window that is nearly full needs more, and there no point pattern is random.
_MAX_REDRAWS = 50
#: Balls dropped at random one after the other fill 0.38 of space, and then none fits in; fuller
#: than this, the detector's rule is left away.
_MAX_PACKED = 0.3


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of patterns: the observed one first, then the simulated ones.

    Parameters
    ----------
    n : (L,) int
        Points in each stratum, the same in every pattern.
    pairs : (S, L, B) int
        Pairs within a stratum by distance, in bins.
    seen, lost : (S, L, B + 2) int
        Distances to the nearest neighbour, seen and censored, for G.
    nearest_mm : (S, L) float
        Sums of the distances to the nearest neighbour.
    empty_seen, empty_lost : (E, L, B + 2) int
        Distances from places to the nearest point, for F, of the first E patterns.
    """

    n: IntArray
    pairs: IntArray
    seen: IntArray
    lost: IntArray
    nearest_mm: FloatArray
    empty_seen: IntArray
    empty_lost: IntArray


def sample_null(
    window: Window,
    n_per_stratum: IntArray,
    *,
    min_separation_mm: float,
    rng: np.random.Generator,
) -> tuple[FloatArray, IntArray]:
    """Draw one random pattern that the detector could have given.

    Points are uniform, or follow the window's sensitivity, with the number in each stratum
    fixed. A point that comes too near to an earlier one is drawn anew, as the detector keeps
    one nodule of two.

    Parameters
    ----------
    window : Window
        Where points can be.
    n_per_stratum : (L,) int
        How many in each stratum.
    min_separation_mm : float
        Smallest distance of two points; 0 for none. Where the window has no room left, points
        come nearer.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    points_mm : (N, 3) float
        Grid points.
    strata : (N,) int
        Index of each point's stratum.
    """
    points, strata = window.sample(n_per_stratum, rng)
    ball = np.pi / 6 * min_separation_mm**3
    if ball <= 0 or len(points) < 2 or len(points) * ball > _MAX_PACKED * window.volume_mm3:
        return points, strata
    # The tree keeps the first round, while `points` change under it.
    tree = KDTree(points, compact_nodes=False, balanced_tree=False, copy_data=True)
    pairs = tree.query_pairs(min_separation_mm, output_type="ndarray")
    late = np.unique(pairs.max(axis=1)) if len(pairs) else np.empty(0, np.intp)
    drawn_anew = np.zeros(len(points), bool)
    drawn_anew[late] = True
    # `late` is in the order of the strata, as samples are.
    for _ in range(_MAX_REDRAWS):
        if len(late) == 0:
            break
        again = np.bincount(strata[late], minlength=len(window.strata))
        points[late] = window.sample(again, rng)[0]
        late = late[
            _near_kept(tree, points[late], drawn_anew, min_separation_mm)
            | (_nearest_among(points, drawn_anew)[late] < min_separation_mm)
        ]
    return points, strata


def _near_kept(
    tree: KDTree, points_mm: FloatArray, drawn_anew: BoolArray, min_separation_mm: float
) -> BoolArray:
    """Tell which points lie too near to a point of the first round that was kept."""
    near = tree.query_ball_point(points_mm, min_separation_mm)
    return np.array([not drawn_anew[neighbours].all() for neighbours in near], bool)


def _nearest_among(points_mm: FloatArray, members: BoolArray) -> FloatArray:
    """Measure the distance of some points to the nearest of them; infinite for all others."""
    nearest = np.full(len(points_mm), np.inf)
    nearest[members] = nearest_distances(points_mm[members], points_mm[members], same=True)
    return nearest


def count_patterns(
    points_mm: FloatArray,
    strata: IntArray,
    window: Window,
    settings: SpatialSettings,
    *,
    rng: np.random.Generator,
) -> Counts:
    """Count the observed pattern and as many simulated ones as the settings ask for.

    Every simulation has its own child of one seed, so that none depends on how the others are
    shared out.

    Parameters
    ----------
    points_mm : (N, 3) float
        Grid points inside the window.
    strata : (N,) int
        Index of each point's stratum.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Numbers of simulations, radii, separation.
    rng : numpy.random.Generator
        Source of the seed.

    Returns
    -------
    Counts
        The observed pattern in the first row.
    """
    n = np.bincount(strata, minlength=len(window.strata))
    empty = _Empty(window, settings)
    seeds = np.random.SeedSequence(int(rng.integers(2**63))).spawn(settings.simulations)
    rows = [_count(points_mm, strata, window, settings)]
    empties = [empty.count(points_mm, strata)]
    for number, seed in enumerate(seeds):
        points, of = sample_null(
            window,
            n,
            min_separation_mm=settings.min_separation_mm,
            rng=np.random.default_rng(seed),
        )
        rows.append(_count(points, of, window, settings))
        if number < settings.empty_space_simulations:
            empties.append(empty.count(points, of))
    pairs, seen, lost, nearest = (np.stack(column) for column in zip(*rows, strict=True))
    return Counts(n, pairs, seen, lost, nearest, *map(np.stack, zip(*empties, strict=True)))


def _count(
    points_mm: FloatArray, strata: IntArray, window: Window, settings: SpatialSettings
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Reduce one pattern to its pair histogram and its nearest-neighbour counts."""
    n_strata = len(window.strata)
    pairs, nearest = pair_histogram(
        points_mm,
        strata,
        n_strata=n_strata,
        max_mm=settings.max_radius_mm,
        bin_mm=settings.bin_mm,
    )
    seen, lost = _censored(points_mm, strata, nearest, window, settings)
    known = np.where(np.isfinite(nearest), nearest, 0.0)
    return pairs.astype(np.int32), seen, lost, np.bincount(strata, known, n_strata).astype(float)


def _censored(
    places_mm: FloatArray,
    strata: IntArray,
    distances_mm: FloatArray,
    window: Window,
    settings: SpatialSettings,
    borders_mm: FloatArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Count seen and censored distances in each stratum."""
    n_steps = round(settings.max_radius_mm / settings.bin_mm)
    counts = np.zeros((2, len(window.strata), n_steps + 2), np.int32)
    for number, stratum in enumerate(window.strata):
        members = strata == number
        border = (
            borders_mm[members]
            if borders_mm is not None
            else stratum.border_at(
                places_mm[members], voxel_mm=settings.lag_voxel_mm, hole_mm=settings.hole_mm
            )
        )
        counts[:, number] = censored_counts(
            distances_mm[members], border, step_mm=settings.bin_mm, n_steps=n_steps
        )
    return counts[0], counts[1]


class _Empty:
    """Places spread over the window, from which the distance to the nearest point is taken."""

    def __init__(self, window: Window, settings: SpatialSettings) -> None:
        self.window, self.settings = window, settings
        self.places, self.strata, _ = window.lattice(settings.lattice_points)
        self.borders = np.zeros(len(self.places), np.float32)
        for number, stratum in enumerate(window.strata):
            members = self.strata == number
            self.borders[members] = stratum.border_at(
                self.places[members], voxel_mm=settings.lag_voxel_mm, hole_mm=settings.hole_mm
            )

    def count(self, points_mm: FloatArray, strata: IntArray) -> tuple[IntArray, IntArray]:
        distances = np.full(len(self.places), np.inf)
        for number in range(len(self.window.strata)):
            here = self.strata == number
            distances[here] = nearest_distances(
                self.places[here], points_mm[strata == number], same=False
            )
        return _censored(
            self.places, self.strata, distances, self.window, self.settings, self.borders
        )
