"""Branches as bent tubes: what is drawn of a tree."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.phantom.growth import Tree

#: Relative spread of the calibre along a branch, and its mean over its thirds: found by trial
#: so that the phantom has as many blob-like maxima as real lungs
#: (tests/phantom/test_hardness.py).
_UNEVEN = 0.15
_FLARE = np.array([1.06, 0.96, 0.98])

#: Radius from which the calibre becomes more even, in mm.
_EVEN_FROM_MM = 1.2

#: Pieces of a branch at least, and their length at most, but for the longest branches.
_PIECES, _PIECE_MM, _MOST = 3, 4.0, 12

#: Largest relative deviation of the calibre, in standard deviations.
_LIMIT = 2.5


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
class Curves:
    """Branches as chains of pieces between points that can be moved.

    Parameters
    ----------
    points_mm : (P, 3) float
        The ends of the branches in their order, then where roots begin, then points between.
    first, last : (N,) int
        Points that a piece joins.
    radius_mm : (N,) float
        Radii of the pieces.
    branch : (N,) int
        Branches that they belong to.
    lobe : (P,) uint8
        Lobes of the points.
    fixed : (P,) bool
        Points that must not be moved.
    """

    points_mm: FloatArray
    first: IntArray
    last: IntArray
    radius_mm: FloatArray
    branch: IntArray
    lobe: AnyArray
    fixed: BoolArray

    def __len__(self) -> int:
        return len(self.radius_mm)

    @property
    def tubes(self) -> Tubes:
        """The pieces as capsules."""
        return Tubes(self.points_mm[self.first], self.points_mm[self.last], self.radius_mm)


def _unevenness(radius_mm: FloatArray) -> FloatArray:
    """Relative spread of the calibre: trunks taper evenly, twigs do not."""
    spread: FloatArray = _UNEVEN * np.minimum(1.0, _EVEN_FROM_MM / np.maximum(radius_mm, 1e-9))
    return spread


def _on_curve(
    tree: Tree, control_mm: FloatArray, branch: IntArray, share: FloatArray
) -> FloatArray:
    """Points (N, 3) that lie so far along the quadratic curves of some branches."""
    at = share[:, None]
    points_mm: FloatArray = (
        (1 - at) ** 2 * tree.start_mm[branch]
        + 2 * at * (1 - at) * control_mm[branch]
        + at**2 * tree.end_mm[branch]
    )
    return points_mm


def bend(tree: Tree, rng: np.random.Generator) -> Curves:
    """Make branches curves that leave their parents smoothly, of uneven calibre.

    Parameters
    ----------
    tree : Tree
        The branches.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Curves
        Three pieces a branch, more for long ones, along a quadratic curve.
    """
    n = len(tree)
    way = tree.end_mm - tree.start_mm
    length = np.linalg.norm(way, axis=1, keepdims=True)
    before = np.where((tree.parent >= 0)[:, None], way[tree.parent], way) if n else way
    along = before / np.maximum(np.linalg.norm(before, axis=1, keepdims=True), 1e-9)
    control = tree.start_mm + 0.5 * way + 0.08 * length * (along + rng.normal(0, 0.5, way.shape))
    pieces = np.clip(np.ceil(length[:, 0] / _PIECE_MM), _PIECES, _MOST).astype(np.intp)
    branch = np.repeat(np.arange(n), pieces)
    number = np.arange(len(branch)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    inner = np.flatnonzero(number > 0)
    curve = _on_curve(tree, control, branch[inner], number[inner] / pieces[branch[inner]])
    roots = np.flatnonzero(tree.parent < 0)
    origin = tree.parent.copy()
    origin[roots] = n + np.arange(len(roots))
    first, last = origin[branch], branch.copy()
    first[inner] = n + len(roots) + np.arange(len(inner))
    last[inner - 1] = first[inner]
    # Real vessels are neither round nor even; they are widest where they part.
    uneven = np.clip(rng.standard_normal(len(branch)), -_LIMIT, _LIMIT)
    flare = _FLARE[3 * number // pieces[branch]] if n else np.empty(0)
    points = np.concatenate([tree.end_mm, tree.start_mm[roots], curve])
    fixed = np.zeros(len(points), bool)
    fixed[n : n + len(roots)] = True
    return Curves(
        points,
        first,
        last,
        tree.radius_mm[branch] * flare * np.exp(_unevenness(tree.radius_mm)[branch] * uneven),
        branch,
        tree.lobe[np.concatenate([np.arange(n), roots, branch[inner]])],
        fixed,
    )
