"""Random patterns in a window, reduced to counts from which every summary function follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.kernels.forks import on_processes
from miliary.kernels.pairs import nearest_distances, pair_histogram
from miliary.kernels.points import censored_counts
from miliary.spatial.window import Window

#: How often points that lie too near to others are drawn anew before they are left as they are:
#: only a window that is nearly full needs more, and there no point pattern is random.
_MAX_REDRAWS = 50
#: Balls dropped at random one after the other fill 0.38 of space, and then none fits in; fuller
#: than this, the detector's rule is left away.
_MAX_PACKED = 0.3


#: Patterns are counted together up to so many points, which fit in the cache: a pattern of 300
#: alone takes twice the time.
_BATCH_POINTS = 6000
#: Pairs, distances seen, distances lost and the sum of nearest distances of some patterns.
_Rows = tuple[IntArray, IntArray, IntArray, FloatArray]
#: Distances to empty places seen and lost.
_Spaces = tuple[IntArray, IntArray]


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
    _keep_apart(points, strata, window, min_separation_mm, rng)
    return points, strata


def _keep_apart(
    points: FloatArray,
    strata: IntArray,
    window: Window,
    min_separation_mm: float,
    rng: np.random.Generator,
) -> None:
    """Draw points anew, in place, that come too near to earlier ones."""
    ball = np.pi / 6 * min_separation_mm**3
    if ball <= 0 or len(points) < 2 or len(points) * ball > _MAX_PACKED * window.volume_mm3:
        return
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


def _near_kept(
    tree: KDTree, points_mm: FloatArray, drawn_anew: BoolArray, min_separation_mm: float
) -> BoolArray:
    """Tell which points lie too near to a point of the first round that was kept."""
    # The stubs know of one place only.
    near = cast("list[list[int]]", tree.query_ball_point(points_mm, min_separation_mm))
    sizes = np.fromiter(map(len, near), np.intp, len(near))
    neighbours = np.fromiter(chain.from_iterable(near), np.intp, int(sizes.sum()))
    kept = np.repeat(np.arange(len(near)), sizes)[~drawn_anew[neighbours]]
    too_near: BoolArray = np.bincount(kept, minlength=len(near)) > 0
    return too_near


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
    min_separation_mm: float,
    rng: np.random.Generator,
) -> Counts:
    """Count the observed pattern and as many simulated ones as the settings ask for.

    Every simulation has its own child of one seed, so that none depends on how the others are
    shared out: the counts are the same on any number of processes.

    Parameters
    ----------
    points_mm : (N, 3) float
        Grid points inside the window.
    strata : (N,) int
        Index of each point's stratum.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Numbers of simulations, radii.
    min_separation_mm : float
        Smallest distance of two simulated points; 0 for none.
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

    owners = np.repeat(np.arange(len(n)), n)

    def simulate(batch: IntArray) -> tuple[_Rows, list[_Spaces]]:
        sources = [np.random.default_rng(seeds[number]) for number in batch]
        patterns = window.sample_many(n, sources)
        for points, source in zip(patterns, sources, strict=True):
            _keep_apart(points, owners, window, min_separation_mm, source)
        drawn = [(points, owners) for points in patterns]
        few = batch < settings.empty_space_simulations
        spaces = [empty.count(*pattern) for pattern, use in zip(drawn, few, strict=True) if use]
        return _count(drawn, window, settings), spaces

    # The observed pattern comes first, and makes what the window keeps for all.
    rows = [_count([(points_mm, strata)], window, settings)]
    empties = [empty.count(points_mm, strata)]
    n_batches = -(-settings.simulations // max(1, _BATCH_POINTS // max(len(points_mm), 1)))
    batches = np.array_split(np.arange(settings.simulations), n_batches)
    for more, spaces in on_processes(simulate, batches):
        rows.append(more)
        empties += spaces
    return _joined(n, rows, empties)


def count_pattern(
    points_mm: FloatArray, strata: IntArray, window: Window, settings: SpatialSettings
) -> Counts:
    """Count one pattern, without any simulation.

    Parameters
    ----------
    points_mm : (N, 3) float
        Grid points inside the window.
    strata : (N,) int
        Index of each point's stratum.
    window : Window
        Where points can be.
    settings : SpatialSettings
        Radii.

    Returns
    -------
    Counts
        One row.
    """
    row = _count([(points_mm, strata)], window, settings)
    spaces = _Empty(window, settings).count(points_mm, strata)
    return _joined(np.bincount(strata, minlength=len(window.strata)), [row], [spaces])


def _joined(n: IntArray, rows: list[_Rows], empties: list[_Spaces]) -> Counts:
    pairs, seen, lost, nearest = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Counts(n, pairs, seen, lost, nearest, *map(np.stack, zip(*empties, strict=True)))


def _count(
    patterns: Sequence[tuple[FloatArray, IntArray]], window: Window, settings: SpatialSettings
) -> _Rows:
    """Reduce patterns to their pair histograms and nearest-neighbour counts, all in one go."""
    shape = len(patterns), len(window.strata)
    points = np.concatenate([points for points, _ in patterns])
    strata = np.concatenate([strata for _, strata in patterns])
    # Strata of different patterns are different groups, in which pairs are counted apart.
    pattern = np.repeat(np.arange(shape[0]), [len(points) for points, _ in patterns])
    groups, n_groups = pattern * shape[1] + strata, shape[0] * shape[1]
    pairs, nearest = pair_histogram(
        points, groups, n_strata=n_groups, max_mm=settings.max_radius_mm, bin_mm=settings.bin_mm
    )
    border = window.border_at(
        points, strata, voxel_mm=settings.lag_voxel_mm, hole_mm=settings.hole_mm
    )
    seen, lost = _censored(groups, nearest, border, n_groups, settings)
    known = np.where(np.isfinite(nearest), nearest, 0.0)
    return (
        pairs.astype(np.int32).reshape(*shape, pairs.shape[1]),
        seen.reshape(*shape, seen.shape[1]),
        lost.reshape(*shape, lost.shape[1]),
        np.bincount(groups, known, n_groups).astype(float).reshape(shape),
    )


def _censored(
    groups: IntArray,
    distances_mm: FloatArray,
    borders_mm: FloatArray,
    n_groups: int,
    settings: SpatialSettings,
) -> tuple[IntArray, IntArray]:
    """Count seen and censored distances in each group."""
    seen, lost = censored_counts(
        distances_mm,
        borders_mm,
        groups,
        n_groups=n_groups,
        step_mm=settings.bin_mm,
        n_steps=round(settings.max_radius_mm / settings.bin_mm),
    )
    return seen.astype(np.int32), lost.astype(np.int32)


class _Empty:
    """Places spread over the window, from which the distance to the nearest point is taken."""

    def __init__(self, window: Window, settings: SpatialSettings) -> None:
        self.n_strata, self.settings = len(window.strata), settings
        self.places, self.strata, _ = window.lattice(settings.lattice_points)
        self.borders = window.border_at(
            self.places, self.strata, voxel_mm=settings.lag_voxel_mm, hole_mm=settings.hole_mm
        )

    def count(self, points_mm: FloatArray, strata: IntArray) -> _Spaces:
        distances = np.full(len(self.places), np.inf)
        for number in range(self.n_strata):
            here = self.strata == number
            distances[here] = nearest_distances(
                self.places[here], points_mm[strata == number], same=False
            )
        return _censored(self.strata, distances, self.borders, self.n_strata, self.settings)
