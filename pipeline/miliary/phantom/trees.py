"""Arteries, veins and airways: trees that fill the lobes, with radii by Murray's law.

Growth is the volume-filling branching of Tawhai, Pullan and Hunter (Ann Biomed Eng 2000;
28:793-802): every branch heads for the centre of the points it has to supply, which are then
divided between its daughters, until one point is left. Here all branches of a generation grow
at once, and the dividing plane is drawn unevenly, so that twigs leave large vessels sideways.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.phantom.chest import CARINA, HILUM, TRACHEA_TOP, Chest

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

#: Relative spread of the calibre along a branch, and its mean over the three pieces: found by
#: trial so that the phantom has as many blob-like maxima as real lungs
#: (tests/phantom/test_hardness.py).
_UNEVEN = 0.13
_FLARE = np.array([1.06, 0.96, 0.98])

#: Smallest artery, in mm radius, whose bronchus is drawn: below it the wall is not seen on CT.
_SMALLEST_BRONCHUS_MM = 0.9


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
    """

    start_mm: FloatArray
    end_mm: FloatArray
    radius_mm: FloatArray
    parent: IntArray
    supplied: IntArray
    lobe: AnyArray

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
            return cls(np.empty((0, 3)), np.empty((0, 3)), np.empty(0), none, none, none)
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    @property
    def tips(self) -> BoolArray:
        """Whether a branch has no daughters."""
        tips = np.ones(len(self), bool)
        tips[self.parent[self.parent >= 0]] = False
        return tips


@dataclass(frozen=True, eq=False)
class Tubes:
    """Capsules to draw, one row each.

    Parameters
    ----------
    start_mm, end_mm : (N, 3) float
        Ends of the axes, grid points `(z, y, x)` in mm.
    radius_mm : (N,) float
        Radii.
    """

    start_mm: FloatArray
    end_mm: FloatArray
    radius_mm: FloatArray

    def __len__(self) -> int:
        return len(self.radius_mm)

    @classmethod
    def join(cls, *parts: Tubes) -> Tubes:
        """Put tables of tubes one after the other.

        Parameters
        ----------
        *parts : Tubes
            The tables.

        Returns
        -------
        Tubes
            All their rows.
        """
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


@dataclass(frozen=True, eq=False)
class Trees:
    """Everything tubular in the chest.

    Parameters
    ----------
    arteries, veins : Tree
        Vessels, as branches.
    artery_tubes, vein_tubes : Tubes
        The same, bent.
    lumen, wall : Tubes
        Air of trachea and bronchi, and their outer surface.
    """

    arteries: Tree
    veins: Tree
    artery_tubes: Tubes
    vein_tubes: Tubes
    lumen: Tubes
    wall: Tubes


def grow_trees(
    chest: Chest, tip_spacing_mm: float, tip_radius_mm: float, rng: np.random.Generator
) -> Trees:
    """Grow both vessel trees and the bronchi into the lungs of a chest.

    Parameters
    ----------
    chest : Chest
        The lungs to fill.
    tip_spacing_mm : float
        Distance between the tips of one tree in mm.
    tip_radius_mm : float
        Radius of the last branches in mm.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Trees
        The arteries' tips lie on a jittered lattice, the veins' in the gaps of it.
    """
    seeds = [_lattice(chest, tip_spacing_mm, shift, rng) for shift in (0.0, 0.5)]
    above, beside = chest.scale * np.array([[7.0, -3.0, 0.0], [-8.0, -5.0, 0.0]])
    arteries = _grow_lobes(chest, seeds[0], above, tip_radius_mm, rng)
    veins = _grow_lobes(chest, seeds[1], beside, tip_radius_mm, rng)
    lumen, wall = _airways(chest, arteries)
    return Trees(arteries, veins, bend(arteries, rng), bend(veins, rng), lumen, wall)


def _lattice(chest: Chest, spacing_mm: float, shift: float, rng: np.random.Generator) -> FloatArray:
    """Jittered lattice points inside the lungs: even like lobules, without their order."""
    shape_mm = np.array(chest.depth_mm.shape) * chest.step_mm
    axes = [(np.arange(int(n / spacing_mm) + 1) + shift) * spacing_mm for n in shape_mm]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    points = points + rng.uniform(-0.36, 0.36, points.shape) * spacing_mm
    # The outermost millimetres of a lung hold no vessel that CT shows, but for some that reach
    # the pleura, veins above all.
    margin_mm = np.where(rng.random(len(points)) < 0.15 + 0.25 * shift, 0.4, 2.5)
    inside: FloatArray = points[chest.sample(chest.depth_mm, points) > margin_mm]
    return inside


def _grow_lobes(
    chest: Chest,
    seeds_mm: FloatArray,
    offset_mm: FloatArray,
    tip_radius_mm: float,
    rng: np.random.Generator,
) -> Tree:
    """Grow a tree for every lobe from its hilum, and set the radii."""
    lobe = chest.lobes_at(seeds_mm)
    roots, heading = np.zeros((6, 3)), np.zeros((6, 3))
    for number in range(1, 6):
        hilum = np.array(HILUM["right" if number <= 3 else "left"])
        roots[number] = chest.to_grid(hilum) + offset_mm
        heading[number] = (0.0, 0.0, np.sign(hilum[2]))
    tree = grow(seeds_mm, lobe, roots, heading, rng)
    return replace(tree, radius_mm=tip_radius_mm * tree.supplied ** (1.0 / MURRAY))


def grow(
    seeds_mm: FloatArray,
    group: IntArray,
    roots_mm: FloatArray,
    heading: FloatArray,
    rng: np.random.Generator,
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

    Returns
    -------
    Tree
        Its tips are the points; the radii are 0.
    """
    levels: list[Tree] = []
    owner = np.asarray(group)
    chosen = np.arange(len(seeds_mm))
    start, toward = roots_mm, heading
    parent, lobe = np.full(len(roots_mm), -1), np.arange(len(roots_mm))
    n_done = 0
    while len(chosen):
        present, owner = np.unique(owner, return_inverse=True)
        start, toward, parent, lobe = (
            start[present],
            toward[present],
            parent[present],
            lobe[present],
        )
        count, centre, axis = _territories(seeds_mm[chosen], owner, start, rng)
        way = centre - start
        straight = way + _INERTIA * toward * np.linalg.norm(way, axis=1, keepdims=True)
        single = count == 1
        end = np.where(single[:, None], centre, start + _ADVANCE * straight)
        levels.append(Tree(start, end, np.zeros(len(start)), parent, count, lobe))
        rows = n_done + np.arange(len(present))
        n_done += len(present)
        offset = np.einsum("sk,sk->s", seeds_mm[chosen] - centre[owner], axis[owner])
        spread = np.sqrt(np.bincount(owner, offset**2, len(present)) / count)
        limit = spread * rng.uniform(-0.8, 0.8, len(present))
        second = _never_empty(offset > limit[owner], offset, owner, len(present))
        more = ~single[owner]
        chosen, owner = chosen[more], 2 * owner[more] + second[more]
        length = np.linalg.norm(end - start, axis=1, keepdims=True)
        toward = np.repeat((end - start) / np.maximum(length, 1e-9), 2, axis=0)
        start, parent, lobe = np.repeat(end, 2, axis=0), np.repeat(rows, 2), np.repeat(lobe, 2)
    return Tree.join(levels)


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


def _never_empty(second: BoolArray, offset: FloatArray, owner: IntArray, n: int) -> BoolArray:
    """Give both daughters at least one point: else a branch would go on without dividing."""
    taken = np.bincount(owner, second, n)
    count = np.bincount(owner, minlength=n)
    halved = (taken == 0) | (taken == count)
    order = np.lexsort((offset, owner))
    rank = np.empty(len(owner), np.intp)
    rank[order] = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return np.where(halved[owner], rank >= count[owner] // 2, second)


def bend(tree: Tree, rng: np.random.Generator) -> Tubes:
    """Draw branches as curves that leave their parents smoothly.

    Parameters
    ----------
    tree : Tree
        The branches.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Tubes
        Three pieces a branch, along a quadratic curve.
    """
    way = tree.end_mm - tree.start_mm
    length = np.linalg.norm(way, axis=1, keepdims=True)
    before = np.where((tree.parent >= 0)[:, None], way[tree.parent], way) if len(tree) else way
    along = before / np.maximum(np.linalg.norm(before, axis=1, keepdims=True), 1e-9)
    control = tree.start_mm + 0.5 * way + 0.08 * length * (along + rng.normal(0, 0.5, way.shape))
    steps = np.linspace(0.0, 1.0, 4)[:, None, None]
    curve = (
        (1 - steps) ** 2 * tree.start_mm
        + 2 * steps * (1 - steps) * control
        + steps**2 * tree.end_mm
    )
    # Real vessels are neither round nor even; they are widest where they part.
    uneven = np.exp(rng.normal(0.0, _UNEVEN, (3, len(tree)))) * _FLARE[:, None]
    radius_mm = (tree.radius_mm * uneven).reshape(-1)
    return Tubes(curve[:-1].reshape(-1, 3), curve[1:].reshape(-1, 3), radius_mm)


def _airways(chest: Chest, arteries: Tree) -> tuple[Tubes, Tubes]:
    """Lumen and outer surface of the bronchi beside the arteries, the trachea and its branches."""
    shown = arteries.radius_mm > _SMALLEST_BRONCHUS_MM
    lumen_mm, wall_mm = 0.85 * arteries.radius_mm, 0.25 + 0.12 * arteries.radius_mm
    way = arteries.end_mm - arteries.start_mm
    aside = np.cross(way, np.array([0.35, 0.2, 1.0]))
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-9)
    end = arteries.end_mm + aside * (arteries.radius_mm + lumen_mm + wall_mm)[:, None]
    root = np.array([chest.to_grid(np.array(HILUM[_side(lobe)])) for lobe in arteries.lobe])
    start = np.where((arteries.parent >= 0)[:, None], end[arteries.parent], root.reshape(-1, 3))
    bronchi = [Tubes(start[shown], end[shown], r[shown]) for r in (lumen_mm, lumen_mm + wall_mm)]
    carina, top = chest.to_grid(np.array(CARINA)), chest.to_grid(np.array(TRACHEA_TOP))
    hila = [chest.to_grid(np.array(HILUM[side])) for side in ("right", "left")]
    starts, ends = np.array([top, carina, carina]), np.array([carina, *hila])
    lumen, wall = (np.array([8.5, 6.5, 5.8]) * chest.scale + extra for extra in (0.0, 1.2))
    return (
        Tubes.join(Tubes(starts, ends, lumen), bronchi[0]),
        Tubes.join(Tubes(starts, ends, wall), bronchi[1]),
    )


def _side(lobe: int) -> str:
    return "right" if lobe <= 3 else "left"
