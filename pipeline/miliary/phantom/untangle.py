"""Trees that grew through each other are moved apart, and back into their lobes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from miliary.arrays import FloatArray, IntArray
from miliary.phantom.tubes import Curves, Tubes

if TYPE_CHECKING:
    from miliary.phantom.chest import Chest

#: Searches for tubes that cut each other, and moves after each.
_SEARCHES, _MOVES = 6, 5

#: Pairs are found when they are that far from touching: what a few moves may bring together.
_SLACK_MM = 0.6

#: Air that is left between tubes of different trees, and what a move goes beyond it.
_GAP_MM = 0.05
_BEYOND_MM = 0.05

#: Longest move at once.
_STEP_MM = 1.5

#: Radius below which a tube that cannot be moved is left out: CT does not show it.
_THINNEST_MM = 0.1

#: Part of a point's move that its neighbours along the tree make too: no kinks.
_SHARED = 0.35

#: Tubes are searched by reach (half of the length and the radius): small ones need no wide search.
_REACHES_MM = (1.3, 2.0, 3.0, 5.0, 9.0, np.inf)


@dataclass(frozen=True, eq=False)
class Contact:
    """The nearest points of pairs of tubes.

    Parameters
    ----------
    distance_mm : (K,) float
        Distance of their axes there.
    way : (K, 3) float
        Unit vectors from the second tube's axis to the first's.
    at : (K,) float
        Place along the first axis, 0 to 1.
    """

    distance_mm: FloatArray
    way: FloatArray
    at: FloatArray


def untangle(moving: Curves, still: Tubes, free_mm: FloatArray, free_radius_mm: float) -> Curves:
    """Move a tree's points until its tubes cut none of the others.

    Parameters
    ----------
    moving : Curves
        The tree to be moved.
    still : Tubes
        All that stays.
    free_mm : (H, 3) float
        Places where trees may cut each other: the hila.
    free_radius_mm : float
        Around them.

    Returns
    -------
    Curves
        The same tree with other points; the few tubes that still cut are made thinner or left out.
    """
    points = moving.points_mm.copy()
    for _ in range(_SEARCHES):
        curves = replace(moving, points_mm=points)
        mine, other = near_pairs(curves.tubes, still, _SLACK_MM)
        mine, other = _outside(curves, mine, other, free_mm, free_radius_mm)
        if not _push(points, curves, still, mine, other):
            break
    return _thinned(replace(moving, points_mm=points), still, free_mm, free_radius_mm)


def near_pairs(first: Tubes, second: Tubes, slack_mm: float) -> tuple[IntArray, IntArray]:
    """Find all pairs of tubes that touch or nearly do.

    Parameters
    ----------
    first, second : Tubes
        Two tables.
    slack_mm : float
        Distance between the surfaces up to which a pair counts.

    Returns
    -------
    first_row, second_row : (K,) int
        Pairs, in an order that depends on the tables only.
    """
    found: list[tuple[IntArray, IntArray]] = [(np.empty(0, np.intp), np.empty(0, np.intp))]
    (middle_a, reach_a), (middle_b, reach_b) = (_middle_and_reach(t) for t in (first, second))
    class_a, class_b = (np.searchsorted(_REACHES_MM, r) for r in (reach_a, reach_b))
    for a in range(len(_REACHES_MM)):
        rows_a = np.flatnonzero(class_a == a)
        tree_a = cKDTree(middle_a[rows_a]) if len(rows_a) else None
        for b in range(len(_REACHES_MM)):
            rows_b = np.flatnonzero(class_b == b)
            if tree_a is None or not len(rows_b):
                continue
            widest = reach_a[rows_a].max() + reach_b[rows_b].max() + slack_mm
            pairs = tree_a.sparse_distance_matrix(
                cKDTree(middle_b[rows_b]), widest, output_type="coo_matrix"
            )
            i, j = rows_a[pairs.row], rows_b[pairs.col]
            near = pairs.data < reach_a[i] + reach_b[j] + slack_mm
            found.append((i[near], j[near]))
    i, j = (np.concatenate(rows) for rows in zip(*found, strict=True))
    apart = touch(first, second, i, j).distance_mm - first.radius_mm[i] - second.radius_mm[j]
    order = np.lexsort((j, i))
    order = order[apart[order] < slack_mm]
    return i[order], j[order]


def _middle_and_reach(tubes: Tubes) -> tuple[FloatArray, FloatArray]:
    middle = (tubes.start_mm + tubes.end_mm) / 2
    return middle, np.linalg.norm(tubes.end_mm - middle, axis=1) + tubes.radius_mm


def touch(first: Tubes, second: Tubes, i: IntArray, j: IntArray) -> Contact:
    """Find where the axes of pairs of tubes are nearest to each other.

    Parameters
    ----------
    first, second : Tubes
        Two tables.
    i, j : (K,) int
        Rows of the pairs.

    Returns
    -------
    Contact
        The nearest points (Ericson, Real-Time Collision Detection, 2005, 5.1.9).
    """
    p, q = first.start_mm[i], second.start_mm[j]
    u, v, w = first.end_mm[i] - p, second.end_mm[j] - q, p - q
    a, e, f = (np.einsum("kc,kc->k", *pair) for pair in ((u, u), (v, v), (v, w)))
    b, c = (np.einsum("kc,kc->k", *pair) for pair in ((u, v), (u, w)))
    a, e = np.maximum(a, 1e-12), np.maximum(e, 1e-12)
    denominator = a * e - b * b
    s = np.where(denominator > 1e-9 * a * e, (b * f - c * e) / np.maximum(denominator, 1e-18), 0.5)
    s = np.clip(s, 0, 1)
    t = np.clip((b * s + f) / e, 0, 1)
    s = np.clip((b * t - c) / a, 0, 1)
    way = w + s[:, None] * u - t[:, None] * v
    distance = np.linalg.norm(way, axis=1)
    # Axes that cut each other part at right angles to both.
    across = np.cross(u, v)
    across[:, 0] += 1e-9
    cut = distance < 1e-6
    way = np.where(cut[:, None], across, way)
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-12)
    return Contact(distance, way, s)


def _outside(
    curves: Curves, mine: IntArray, other: IntArray, free_mm: FloatArray, free_radius_mm: float
) -> tuple[IntArray, IntArray]:
    """Drop pairs near the hila."""
    middle = (curves.points_mm[curves.first[mine]] + curves.points_mm[curves.last[mine]]) / 2
    far = np.ones(len(mine), bool)
    for place in free_mm:
        far &= np.linalg.norm(middle - place, axis=1) > free_radius_mm
    return mine[far], other[far]


def _push(
    points: FloatArray, curves: Curves, still: Tubes, mine: IntArray, other: IntArray
) -> bool:
    """Move points away from the tubes near them, in place; False when nothing was to do."""
    moved = False
    for _ in range(_MOVES):
        tubes = replace(curves, points_mm=points).tubes
        contact = touch(tubes, still, mine, other)
        wanted = tubes.radius_mm[mine] + still.radius_mm[other] + _GAP_MM
        deep = np.flatnonzero(contact.distance_mm < wanted)
        if not len(deep):
            break
        moved = True
        push = np.minimum(wanted[deep] + _BEYOND_MM - contact.distance_mm[deep], _STEP_MM)
        step = contact.way[deep] * push[:, None]
        rows, at = mine[deep], contact.at[deep, None]
        # Both ends move so that the place of contact moves by the step.
        shared = (1 - at) ** 2 + at**2
        ends = np.concatenate([curves.first[rows], curves.last[rows]])
        moves = np.concatenate([step * (1 - at) / shared, step * at / shared])
        points += np.where(curves.fixed[:, None], 0.0, _spread(curves, ends, moves))
    return moved


def _spread(curves: Curves, ends: IntArray, moves: FloatArray) -> FloatArray:
    """Mean of the moves of every point, and a part of them for points beside it."""
    n = len(curves.points_mm)
    # The longer a move the more it counts: small ones must not stop a large one.
    weight = np.linalg.norm(moves, axis=1) + 1e-9
    total = np.bincount(ends, weight, n)
    move: FloatArray = np.stack([np.bincount(ends, weight * m, n) for m in moves.T], 1)
    move /= np.maximum(total, 1e-12)[:, None]
    rest = np.flatnonzero(total == 0)
    ours = np.zeros((n, 3))
    count = np.zeros(n)
    for a, b in ((curves.first, curves.last), (curves.last, curves.first)):
        count += np.bincount(a, total[b] > 0, n)
        ours += np.stack([np.bincount(a, m, n) for m in move[b].T], 1)
    move[rest] = _SHARED * ours[rest] / np.maximum(count[rest], 1)[:, None]
    return move


def _thinned(curves: Curves, still: Tubes, free_mm: FloatArray, free_radius_mm: float) -> Curves:
    """Make tubes that still cut others as thin as is needed; too thin to be seen, they go."""
    mine, other = near_pairs(curves.tubes, still, 0.0)
    mine, other = _outside(curves, mine, other, free_mm, free_radius_mm)
    room = touch(curves.tubes, still, mine, other).distance_mm - still.radius_mm[other]
    radius = curves.radius_mm.copy()
    np.minimum.at(radius, mine, room - 1e-6)
    kept = np.flatnonzero(radius >= _THINNEST_MM)
    return replace(
        curves,
        first=curves.first[kept],
        last=curves.last[kept],
        radius_mm=radius[kept],
        branch=curves.branch[kept],
    )


def keep_inside(curves: Curves, chest: Chest, free_mm: FloatArray, free_radius_mm: float) -> Curves:
    """Move points that left their lung or their lobe back into it.

    Parameters
    ----------
    curves : Curves
        A tree.
    chest : Chest
        Its lungs.
    free_mm : (H, 3) float
        Places where a tree enters the lungs: the hila.
    free_radius_mm : float
        Around them points stay where they are.

    Returns
    -------
    Curves
        The same tree with other points.
    """
    points = curves.points_mm.copy()
    bound = ~curves.fixed
    for place in free_mm:
        bound &= np.linalg.norm(points - place, axis=1) > free_radius_mm
    thick = np.zeros(len(points))
    for rows in (curves.first, curves.last):
        np.maximum.at(thick, rows, curves.radius_mm)
    for _ in range(4):
        depth = chest.sample(chest.depth_mm, points)
        out = np.flatnonzero(bound & (depth < thick + 0.3))
        slope = _slope(lambda p: chest.sample(chest.depth_mm, p), points[out], chest.step_mm)
        points[out] += np.clip(thick + 0.5 - depth, 0, 6.0)[out, None] * slope
        inside = np.flatnonzero(bound & (depth > 0))
        wrong = inside[chest.lobes_at(points[inside]) != curves.lobe[inside]]
        beyond = chest.fissure_offset_mm(points[wrong])
        slope = _slope(chest.fissure_offset_mm, points[wrong], 0.5)
        points[wrong] -= np.minimum(beyond + 0.5, 4.0)[:, None] * slope
    return replace(curves, points_mm=points)


def _slope(
    field: Callable[[FloatArray], FloatArray], points: FloatArray, step_mm: float
) -> FloatArray:
    """Unit vectors (N, 3) in which a field rises fastest."""
    rise = np.stack(
        [field(points + step_mm * e) - field(points - step_mm * e) for e in np.eye(3)], 1
    )
    rise = np.where(np.isfinite(rise), rise, 0.0)
    unit: FloatArray = rise / np.maximum(np.linalg.norm(rise, axis=1, keepdims=True), 1e-9)
    return unit
