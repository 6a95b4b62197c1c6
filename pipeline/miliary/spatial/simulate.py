"""Random patterns in a window, reduced to counts from which every summary function follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.kernels.forks import on_processes
from miliary.kernels.pairs import close_pairs, pair_histogram
from miliary.kernels.points import censored_counts
from miliary.kernels.sweeps import nearest_within
from miliary.spatial.window import Window

#: How often points that lie too near to others are drawn anew before they are left as they are:
#: only a window that is nearly full needs more, and there no point pattern is random.
_MAX_REDRAWS = 50
#: Balls dropped at random one after the other fill 0.38 of space, and then none fits in; fuller
#: than this, the detector's rule is left away.
_MAX_PACKED = 0.3


#: Points drawn anew, times points of a pattern, up to which each is held against all of these.
_FEW = 2**17
#: Patterns are counted together up to so many points, which fit in the cache: a pattern of 300
#: alone takes twice the time.
_BATCH_POINTS = 24000
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
    _keep_apart(points[None], strata, window, min_separation_mm, rng)
    return points, strata


def _keep_apart(
    patterns: FloatArray,
    strata: IntArray,
    window: Window,
    min_separation_mm: float,
    rng: np.random.Generator,
) -> None:
    """Draw points of (S, N, 3) anew, in place, that come too near to earlier ones of their pattern.

    All patterns are looked at together, far from each other.
    """
    n_patterns, n_points = patterns.shape[:2]
    ball = np.pi / 6 * min_separation_mm**3
    if ball <= 0 or n_points < 2 or n_points * ball > _MAX_PACKED * window.volume_mm3:
        return
    shape = n_patterns, len(window.strata)
    points, groups = patterns.reshape(-1, 3), _groups(np.tile(strata, n_patterns), shape)
    far = np.zeros((len(points), 3))
    far[:, 0] = (groups // shape[1]) * (2.0 * len(window.labels) * window.spacing_mm[0])
    # Later ones, which are in the order of the patterns and of their strata, as samples are.
    late = np.unique(np.maximum(*close_pairs(points + far, min_separation_mm)))
    for _ in range(_MAX_REDRAWS):
        if len(late) == 0:
            break
        again = np.bincount(groups[late], minlength=shape[0] * shape[1]).reshape(shape)
        points[late] = window.sample_many(again, rng)
        # One drawn anew gives way to whatever is there by now.
        if len(late) * n_points > _FEW:
            crowded = np.zeros(len(points), bool)
            crowded[np.concatenate(close_pairs(points + far, min_separation_mm))] = True
            late = late[crowded[late]]
        else:
            late = late[_has_neighbour(patterns, late, min_separation_mm)]


def _has_neighbour(patterns: FloatArray, rows: IntArray, max_mm: float) -> BoolArray:
    """Tell which of a few points of (S, N, 3) have another of their pattern within a distance."""
    mates = patterns[rows // patterns.shape[1]]
    mates -= patterns.reshape(-1, 3)[rows][:, None]
    squares = np.einsum("ijk,ijk->ij", mates, mates)
    squares[np.arange(len(rows)), rows % patterns.shape[1]] = np.inf
    near: BoolArray = squares.min(axis=1) <= max_mm * max_mm
    return near


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

    Simulations are made a batch at a time, each batch of its own child of one seed. How many make
    one depends on the points alone: the counts are the same on any number of processes.

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
    n_batches = -(-settings.simulations // max(1, _BATCH_POINTS // max(len(points_mm), 1)))
    batches = np.array_split(np.arange(settings.simulations), n_batches)
    seeds = np.random.SeedSequence(int(rng.integers(2**63))).spawn(n_batches)
    owners = np.repeat(np.arange(len(n)), n)

    def simulate(task: tuple[IntArray, np.random.SeedSequence]) -> tuple[_Rows, _Spaces]:
        batch, source = task[0], np.random.default_rng(task[1])
        drawn = window.sample_many(np.tile(n, (len(batch), 1)), source)
        patterns = drawn.reshape(len(batch), -1, 3)
        _keep_apart(patterns, owners, window, min_separation_mm, source)
        few = patterns[batch < settings.empty_space_simulations]
        return _count(patterns, owners, window, settings), empty.count(few, owners)

    # The observed pattern comes first, and makes what the window keeps for all.
    rows = [_count(points_mm[None], strata, window, settings)]
    empties = [empty.count(points_mm[None], strata)]
    for more, spaces in on_processes(simulate, zip(batches, seeds, strict=True)):
        rows.append(more)
        empties.append(spaces)
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
    row = _count(points_mm[None], strata, window, settings)
    spaces = _Empty(window, settings).count(points_mm[None], strata)
    return _joined(np.bincount(strata, minlength=len(window.strata)), [row], [spaces])


def _joined(n: IntArray, rows: list[_Rows], empties: list[_Spaces]) -> Counts:
    pairs, seen, lost, nearest = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Counts(n, pairs, seen, lost, nearest, *map(np.concatenate, zip(*empties, strict=True)))


def _count(
    patterns: FloatArray, strata: IntArray, window: Window, settings: SpatialSettings
) -> _Rows:
    """Reduce patterns (S, N, 3) to pair histograms and nearest-neighbour counts, all in one go."""
    shape = len(patterns), len(window.strata)
    points, strata = patterns.reshape(-1, 3), np.tile(strata, len(patterns))
    # Strata of different patterns are different groups, in which pairs are counted apart.
    groups, n_groups = _groups(strata, shape), shape[0] * shape[1]
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


def _groups(strata: IntArray, shape: tuple[int, int]) -> IntArray:
    """Number the strata of some patterns, one pattern after the other."""
    return np.repeat(np.arange(shape[0]), len(strata) // max(shape[0], 1)) * shape[1] + strata


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

    def count(self, patterns: FloatArray, strata: IntArray) -> _Spaces:
        """Count the distances from every place to patterns (S, N, 3)."""
        shape = len(patterns), self.n_strata
        distances = np.full((len(patterns), len(self.places)), np.inf)
        for number in range(self.n_strata):
            here = self.strata == number
            # What lies beyond the border is lost from sight: no farther need be looked.
            distances[:, here] = nearest_within(
                self.places[here], self.borders[here], patterns[:, strata == number]
            )
        groups = _groups(np.tile(self.strata, shape[0]), shape)
        borders = np.tile(self.borders, shape[0])
        counts = _censored(groups, distances.ravel(), borders, shape[0] * shape[1], self.settings)
        seen, lost = (count.reshape(*shape, count.shape[1]) for count in counts)
        return seen, lost
