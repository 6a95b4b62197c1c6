"""Arteries, veins and airways of both lungs: three trees that do not touch.

Arteries run through the middles of the lobules and end inside them, bronchi run beside arteries,
veins run in the septa between lobules. Radii follow Murray's law.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.phantom.chest import CARINA, HILUM, TRACHEA_TOP, Chest
from miliary.phantom.growth import Tree, grow, settle, with_radii
from miliary.phantom.lobules import Lobules
from miliary.phantom.tubes import Curves, Tubes, bend
from miliary.phantom.untangle import keep_inside, untangle

if TYPE_CHECKING:
    from miliary.phantom.spec import ChestSpec

#: Smallest artery, in mm radius, whose bronchus is drawn: below it the wall is not seen on CT.
_SMALLEST_BRONCHUS_MM = 0.9

#: Lumen of a bronchus as a part of its artery, and its wall's thickness: least, and a part of
#: the artery's radius.
_LUMEN, _LEAST_WALL_MM, _WALL = 0.85, 0.25, 0.12

#: Wall that is left where a bronchus had to be made thinner.
_THINNEST_WALL_MM = 0.1

#: Where trees may touch each other: that near to a hilum, in mm at adult size.
_HILUM_MM = 10.0

#: Part of the way from a lobule's middle to its border on which arteries end.
_WITHIN = 0.85

#: Depth under the pleura in mm where most arteries end, and most veins that do not reach it.
_BARE_MM = 1.5

#: Part of the arteries and of the veins that come nearer to the pleura.
_SUBPLEURAL = (0.5, 0.8)

#: Rounds of `settle`.
_SETTLED = 2

#: Where the vessels of a lobe begin, from its hilum: (z, y) in mm at adult size, lobes 1 to 5.
_ARTERY_ROOT = np.array([[8.0, -4.0], [-2.0, -6.0], [-8.0, 4.0], [9.0, 1.0], [-6.0, 7.0]])
_VEIN_ROOT = np.array([[-4.0, -13.0], [-9.0, -13.0], [-24.0, -2.0], [-3.0, -13.0], [-22.0, 0.0]])


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


def grow_trees(chest: Chest, lobules: Lobules, spec: ChestSpec, rng: np.random.Generator) -> Trees:
    """Grow both vessel trees and the bronchi into the lungs of a chest.

    Parameters
    ----------
    chest : Chest
        The lungs to fill.
    lobules : Lobules
        Their lobules.
    spec : ChestSpec
        Spacing and radius of the tips.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Trees
        No two of them cut each other, but at the hila.
    """
    tips, cell = _artery_tips(chest, lobules, spec.vessel_tip_spacing_mm, rng)
    lobe = lobules.lobe[cell]
    radius = spec.vessel_tip_radius_mm
    arteries = _grow_lobes(chest, tips, lobe, cell, _ARTERY_ROOT, radius, rng)
    tips, lobe = _vein_tips(chest, lobules, spec.vessel_tip_spacing_mm, rng)
    veins = _grow_lobes(chest, tips, lobe, None, _VEIN_ROOT, radius, rng)
    hila = np.array([chest.to_grid(np.array(HILUM[side])) for side in ("right", "left")])
    free = (hila, _HILUM_MM * chest.scale)
    trunk_lumen, trunk_wall = _trunk(chest)
    artery_curves = untangle(keep_inside(bend(arteries, rng), chest, *free), trunk_wall, *free)
    walls = untangle(_bronchi(chest, arteries, artery_curves), artery_curves.tubes, *free)
    still = Tubes.join(artery_curves.tubes, walls.tubes, trunk_wall)
    vein_curves = untangle(keep_inside(bend(veins, rng), chest, *free), still, *free)
    lumen_mm = _LUMEN * arteries.radius_mm[walls.branch]
    lumen = replace(walls, radius_mm=np.clip(walls.radius_mm - _THINNEST_WALL_MM, 0, lumen_mm))
    return Trees(
        _as_drawn(arteries, artery_curves),
        _as_drawn(veins, vein_curves),
        artery_curves.tubes,
        vein_curves.tubes,
        Tubes.join(trunk_lumen, lumen.tubes),
        Tubes.join(trunk_wall, walls.tubes),
    )


def _as_drawn(tree: Tree, curves: Curves) -> Tree:
    """The tree with its nodes where its curves end."""
    end = curves.points_mm[: len(tree)]
    start = np.where((tree.parent >= 0)[:, None], end[tree.parent], tree.start_mm)
    return replace(tree, start_mm=start, end_mm=end)


def _lattice(
    chest: Chest, spacing_mm: float, shift: float, subpleural: float, rng: np.random.Generator
) -> FloatArray:
    """Jittered lattice points inside the lungs, one for every cube of the spacing."""
    depth = chest.depth_mm
    volume = int(np.count_nonzero(depth > 0))
    bare = volume - int(np.count_nonzero(depth > _BARE_MM))
    # What the outermost millimetres lack of points is made up for in the rest.
    share = 1 - (1 - subpleural) * bare / max(volume, 1)
    step = spacing_mm * float(np.cbrt(max(share, 0.3)))
    shape_mm = np.array(depth.shape) * chest.step_mm
    axes = [(np.arange(int(n / step) + 1) + shift) * step for n in shape_mm]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    points = points + rng.uniform(-0.36, 0.36, points.shape) * step
    margin_mm = np.where(rng.random(len(points)) < subpleural, 0.4, _BARE_MM)
    inside: FloatArray = points[chest.sample(depth, points) > margin_mm]
    return inside


def _artery_tips(
    chest: Chest, lobules: Lobules, spacing_mm: float, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Points inside the lobules, and the lobules; one at least for every lobule."""
    points = _lattice(chest, spacing_mm, 0.0, _SUBPLEURAL[0], rng)
    lobe = chest.lobes_at(points)
    row = lobules.nearest(points, lobe, 1)[1][:, 0]
    points, lobe, row = points[row >= 0], lobe[row >= 0], row[row >= 0]
    middle = lobules.seeds_mm[row]
    points = middle + _WITHIN * (points - middle)
    stays = (chest.lobes_at(points) == lobe) & (chest.sample(chest.depth_mm, points) > 0.4)
    lonely = np.setdiff1d(np.arange(len(lobules)), row[stays])
    lonely = lonely[chest.sample(chest.depth_mm, lobules.seeds_mm[lonely]) > 0]
    return (
        np.concatenate([points[stays], lobules.seeds_mm[lonely]]),
        np.concatenate([row[stays], lonely]),
    )


def _vein_tips(
    chest: Chest, lobules: Lobules, spacing_mm: float, rng: np.random.Generator
) -> tuple[FloatArray, AnyArray]:
    """Points on the septa, and their lobes."""
    points = _lattice(chest, spacing_mm, 0.5, _SUBPLEURAL[1], rng)
    lobe = chest.lobes_at(points)
    moved = lobules.to_septum(points, lobe)
    stays = (chest.lobes_at(moved) == lobe) & (chest.sample(chest.depth_mm, moved) > 0.4)
    return np.where(stays[:, None], moved, points), lobe


def _grow_lobes(
    chest: Chest,
    tips_mm: FloatArray,
    lobe: AnyArray,
    cell: IntArray | None,
    root: FloatArray,
    tip_radius_mm: float,
    rng: np.random.Generator,
) -> Tree:
    """Grow a tree for every lobe from its hilum, with radii."""
    side = np.array([HILUM[_side(number)] for number in range(1, 6)])
    begin = np.zeros((6, 3))
    begin[1:] = chest.to_grid(side + np.column_stack([root, np.zeros(5)]))
    heading = np.zeros((6, 3))
    heading[1:] = chest.to_grid(np.sign(side) * [0.0, 0.0, 1.0]) - chest.to_grid(np.zeros(3))
    heading[1:] /= np.linalg.norm(heading[1:], axis=1, keepdims=True)
    tree = grow(tips_mm, lobe, begin, heading, rng, cell=cell)
    return settle(with_radii(tree, tip_radius_mm), _SETTLED)


def _bronchi(chest: Chest, arteries: Tree, curves: Curves) -> Curves:
    """Outer surface of the bronchi beside the arteries.

    At a fork the bronchus lies on the side from which the fork is seen flat, so that its own
    fork cuts none of the arteries.
    """
    shown = arteries.radius_mm > _SMALLEST_BRONCHUS_MM
    wall_mm = _LUMEN * arteries.radius_mm + _LEAST_WALL_MM + _WALL * arteries.radius_mm
    aside = _fork_sides(arteries)
    before = np.where(arteries.parent >= 0, arteries.parent, np.arange(len(arteries)))
    n_roots = np.count_nonzero(arteries.parent < 0)
    n_ends = len(arteries) + n_roots
    rows = np.flatnonzero(shown[curves.branch])
    branch = curves.branch[rows]
    points = curves.points_mm.copy()
    reach = 1.1 * (arteries.radius_mm + wall_mm) + 0.2
    ends = np.flatnonzero(shown)
    points[ends] += aside[ends] * reach[ends, None]
    inner = curves.first[rows] >= n_ends
    at, of = curves.first[rows][inner], branch[inner]
    part = _part_of_way(curves, rows)[inner, None]
    side = (1 - part) * aside[before[of]] + part * aside[of]
    along = curves.points_mm[curves.last[rows][inner]] - curves.points_mm[at]
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    side -= np.einsum("kc,kc->k", side, along)[:, None] * along
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    points[at] += side * reach[of, None]
    roots = np.flatnonzero(arteries.parent < 0)
    hila = [chest.to_grid(np.array(HILUM[_side(lobe)])) for lobe in arteries.lobe[roots]]
    points[len(arteries) : n_ends] = np.array(hila).reshape(-1, 3)
    return replace(
        curves,
        points_mm=points,
        first=curves.first[rows],
        last=curves.last[rows],
        radius_mm=wall_mm[branch],
        branch=branch,
    )


def _part_of_way(curves: Curves, rows: IntArray) -> FloatArray:
    """Where along its branch a piece begins, 0 to 1; the pieces of a branch stand together."""
    branch = curves.branch[rows]
    begin = np.searchsorted(branch, branch, side="left")
    count = np.searchsorted(branch, branch, side="right") - begin
    part: FloatArray = (np.arange(len(rows)) - begin) / np.maximum(count, 1)
    return part


def _fork_sides(tree: Tree) -> FloatArray:
    """Unit vectors (B, 3) upright on the forks at the branches' ends, the same way as before."""
    way = tree.end_mm - tree.start_mm
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    child = np.flatnonzero(tree.parent >= 0)
    first, last = np.full(len(tree), -1), np.full(len(tree), -1)
    first[tree.parent[child[::-1]]], last[tree.parent[child]] = child[::-1], child
    upright = np.cross(way[first], way[last])
    flat = np.linalg.norm(upright, axis=1) < 1e-3
    upright[flat | (first < 0)] = np.cross(way, [0.35, 0.2, 1.0])[flat | (first < 0)]
    upright /= np.maximum(np.linalg.norm(upright, axis=1, keepdims=True), 1e-9)
    # Parents stand before daughters: a generation at a time, each on the side of its parent.
    sign = np.ones(len(tree))
    level = np.flatnonzero(tree.parent < 0)
    while len(level):
        before = tree.parent[level]
        same = np.einsum("kc,kc->k", upright[before], upright[level]) * sign[before]
        sign[level] = np.where((before >= 0) & (same < 0), -1.0, 1.0)
        level = child[np.isin(tree.parent[child], level)]
    side: FloatArray = upright * sign[:, None]
    return side


def _trunk(chest: Chest) -> tuple[Tubes, Tubes]:
    """Lumen and outer surface of the trachea and the main bronchi."""
    carina, top = chest.to_grid(np.array(CARINA)), chest.to_grid(np.array(TRACHEA_TOP))
    hila = [chest.to_grid(np.array(HILUM[side])) for side in ("right", "left")]
    starts, ends = np.array([top, carina, carina]), np.array([carina, *hila])
    lumen, wall = (np.array([8.5, 6.5, 5.8]) * chest.scale + extra for extra in (0.0, 1.2))
    return Tubes(starts, ends, lumen), Tubes(starts, ends, wall)


def _side(lobe: int) -> str:
    return "right" if lobe <= 3 else "left"
