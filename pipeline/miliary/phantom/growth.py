"""Trees that fill a volume: growth towards groups of points.

The volume-filling branching of Tawhai, Pullan and Hunter (Ann Biomed Eng 2000; 28:793-802):
every branch heads for the centre of the points it has to supply, which are then divided between
its daughters, until one point is left. Here all branches of a generation grow at once, and the
dividing plane is drawn unevenly, so that twigs leave large vessels sideways. Points can be
bound to cells: a branch supplies whole cells until it has one alone, whose centre it goes to.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray

#: Exponent of Murray's law: the cubes of the daughters' radii add up to the parent's.
MURRAY = 3.0

#: Part of the way to the centre of its points that a branch goes before it divides; Tawhai's
#: 0.4 makes the trunks of whole lobes too long.
_ADVANCE = 0.35

#: Part of a branch's direction that it keeps from its parent.
_INERTIA = 0.3

#: Weight of the points' spread along a branch, where they are divided: less than 1, so that
#: daughters part sideways, more than 0, so that twigs leave along a trunk.
_ALONG = 0.55

#: Largest shift of the dividing plane from the centre, in standard deviations of the points:
#: what makes daughters of unequal size.
_UNEQUAL = 0.8

#: Part of the way to the place of least volume that a node goes in a round of `settle`.
_SETTLE = 0.5


@dataclass(frozen=True, eq=False)
class Tree:
    """Straight branches, each after its parent.

    Parameters
    ----------
    start_mm, end_mm : (B, 3) float
        Grid points `(z, y, x)` in mm.
    radius_mm : (B,) float
        Radius of the branch.
    parent : (B,) int
        Row of the parent, -1 at a root.
    supplied : (B,) int
        Tips that hang on the branch.
    lobe : (B,) uint8
        Lobe that it supplies.
    lobule : (B,) int
        Row of the only lobule that it supplies, -1 for larger branches.
    """

    start_mm: FloatArray
    end_mm: FloatArray
    radius_mm: FloatArray
    parent: IntArray
    supplied: IntArray
    lobe: AnyArray
    lobule: IntArray

    def __len__(self) -> int:
        return len(self.parent)

    @classmethod
    def join(cls, parts: list[Tree]) -> Tree:
        """Put tables of branches one after the other.

        Parameters
        ----------
        parts : list of Tree
            The tables; `parent` already counts rows of the whole.

        Returns
        -------
        Tree
            All their rows.
        """
        if not parts:
            none = np.empty(0, np.intp)
            return cls(np.empty((0, 3)), np.empty((0, 3)), np.empty(0), none, none, none, none)
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    @property
    def tips(self) -> BoolArray:
        """Whether a branch has no daughters."""
        tips = np.ones(len(self), bool)
        tips[self.parent[self.parent >= 0]] = False
        return tips


def grow(
    seeds_mm: FloatArray,
    group: IntArray,
    roots_mm: FloatArray,
    heading: FloatArray,
    rng: np.random.Generator,
    *,
    cell: IntArray | None = None,
) -> Tree:
    """Grow one tree for every group of points, all of them a generation at a time.

    Parameters
    ----------
    seeds_mm : (S, 3) float
        Points to reach.
    group : (S,) int
        Which root supplies a point.
    roots_mm : (G, 3) float
        Where the trees begin.
    heading : (G, 3) float
        Directions in which they begin.
    rng : numpy.random.Generator
        Source of randomness.
    cell : (S,) int, optional
        Cells, none of them of two groups: points of a cell stay together until they are alone.

    Returns
    -------
    Tree
        Its tips are the points; `lobe` is the group, `lobule` the cell; the radii are 0.
    """
    bound, middles = _cells(seeds_mm, cell)
    levels: list[Tree] = []
    owner, chosen = np.asarray(group), np.arange(len(seeds_mm))
    start, toward = roots_mm, heading
    parent, lobe = np.full(len(roots_mm), -1), np.arange(len(roots_mm))
    alone = np.zeros(len(roots_mm), bool)
    n_done = 0
    while len(chosen):
        present, owner = np.unique(owner, return_inverse=True)
        start, toward, parent = start[present], toward[present], parent[present]
        lobe, before = lobe[present], alone[present]
        alone, first = _alone(bound[chosen], owner, len(present))
        # Whole cells are divided by their middles, the points of one by their own places.
        places = np.where(alone[owner, None], seeds_mm[chosen], middles[chosen])
        count, centre, axis = _territories(places, owner, start, rng)
        arrived = (count == 1) | (alone & ~before)
        way = centre - start
        straight = way + _INERTIA * toward * np.linalg.norm(way, axis=1, keepdims=True)
        end = np.where(arrived[:, None], centre, start + _ADVANCE * straight)
        row = np.where(alone & (cell is not None), first, -1)
        levels.append(Tree(start, end, np.zeros(len(start)), parent, count, lobe, row))
        rows = n_done + np.arange(len(present))
        n_done += len(present)
        second = _divide(places, owner, centre, axis, count, rng)
        more = count[owner] > 1
        chosen, owner = chosen[more], 2 * owner[more] + second[more]
        length = np.linalg.norm(end - start, axis=1, keepdims=True)
        toward = np.repeat((end - start) / np.maximum(length, 1e-9), 2, axis=0)
        start, parent, lobe = np.repeat(end, 2, axis=0), np.repeat(rows, 2), np.repeat(lobe, 2)
        alone = np.repeat(alone, 2)
    return Tree.join(levels)


def _cells(seeds_mm: FloatArray, cell: IntArray | None) -> tuple[IntArray, FloatArray]:
    """Cell of every point and the middle of its points; every point its own when there are none."""
    if cell is None:
        return np.arange(len(seeds_mm)), seeds_mm
    names, row, count = np.unique(cell, return_inverse=True, return_counts=True)
    middle = np.stack([np.bincount(row, p, len(names)) for p in seeds_mm.T], 1)
    return np.asarray(cell), (middle / count[:, None])[row]


def _alone(cell: IntArray, owner: IntArray, n: int) -> tuple[BoolArray, IntArray]:
    """Whether all points of an owner are of one cell, and the cell of its first point."""
    first = np.empty(n, np.intp)
    first[owner[::-1]] = cell[::-1]
    other = np.bincount(owner, cell != first[owner], n)
    return other == 0, first


def _territories(
    points: FloatArray, owner: IntArray, start: FloatArray, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Count, centre and an axis of spread, a little turned at random, of each owner's points."""
    n = len(start)
    count = np.bincount(owner, minlength=n)
    centre = np.stack([np.bincount(owner, p, n) for p in points.T], 1) / count[:, None]
    way = centre - start
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    rest = points - centre[owner]
    along = np.einsum("sk,sk->s", rest, way[owner])
    rest -= (1 - _ALONG) * along[:, None] * way[owner]
    covariance = np.empty((n, 3, 3))
    for i in range(3):
        for j in range(3):
            covariance[:, i, j] = np.bincount(owner, rest[:, i] * rest[:, j], n) / count
    axis = np.linalg.eigh(covariance)[1][:, :, 2]
    axis = axis + 0.25 * rng.standard_normal((n, 3))
    return count, centre, axis / np.linalg.norm(axis, axis=1, keepdims=True)


def _divide(
    places: FloatArray,
    owner: IntArray,
    centre: FloatArray,
    axis: FloatArray,
    count: IntArray,
    rng: np.random.Generator,
) -> BoolArray:
    """Tell which points go to the second daughter; neither daughter is without points."""
    n = len(count)
    offset = np.einsum("sk,sk->s", places - centre[owner], axis[owner])
    spread = np.sqrt(np.bincount(owner, offset**2, n) / count)
    limit = spread * rng.uniform(-_UNEQUAL, _UNEQUAL, n)
    second = offset > limit[owner]
    # An uneven plane may miss all points; one through the centre misses only points in one place.
    second = np.where(_one_sided(second, owner, count)[owner], offset > 1e-9, second)
    rank = np.empty(len(owner), np.intp)
    order = np.lexsort((offset, owner))
    rank[order] = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    halved = _one_sided(second, owner, count)[owner]
    return np.where(halved, rank >= count[owner] // 2, second)


def _one_sided(second: BoolArray, owner: IntArray, count: IntArray) -> BoolArray:
    """Whether all points of an owner go to the same daughter: it would never end dividing."""
    taken = np.bincount(owner, second, len(count))
    one_sided: BoolArray = (taken == 0) | (taken == count)
    return one_sided


def with_radii(tree: Tree, tip_radius_mm: float) -> Tree:
    """Set the radii by Murray's law.

    Parameters
    ----------
    tree : Tree
        A grown tree.
    tip_radius_mm : float
        Radius of its tips.

    Returns
    -------
    Tree
        The same with radii whose cubes add up.
    """
    return replace(tree, radius_mm=tip_radius_mm * tree.supplied ** (1.0 / MURRAY))


def settle(tree: Tree, rounds: int) -> Tree:
    """Move nodes towards the places where the vessels that meet there have the least volume.

    A step of Weiszfeld's method with the branches' cross-sections as weights: trunks become
    straight, and the thinner a twig, the more upright it stands on its trunk.

    Parameters
    ----------
    tree : Tree
        With radii; roots and tips stay.
    rounds : int
        How often.

    Returns
    -------
    Tree
        The same tree with other nodes.
    """
    child = np.flatnonzero(tree.parent >= 0)
    node = ~tree.tips
    end = tree.end_mm
    for _ in range(rounds):
        start = np.where((tree.parent >= 0)[:, None], end[tree.parent], tree.start_mm)
        length = np.linalg.norm(end - start, axis=1)
        weight = tree.radius_mm**2 / np.maximum(length, 0.5)
        total, drawn = weight.copy(), weight[:, None] * start
        total += np.bincount(tree.parent[child], weight[child], len(tree))
        for axis in range(3):
            pull = weight[child] * end[child, axis]
            drawn[:, axis] += np.bincount(tree.parent[child], pull, len(tree))
        best = drawn / total[:, None]
        end = np.where(node[:, None], end + _SETTLE * (best - end), end)
    start = np.where((tree.parent >= 0)[:, None], end[tree.parent], tree.start_mm)
    return replace(tree, start_mm=start, end_mm=end)
