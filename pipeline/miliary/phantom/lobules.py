"""Secondary pulmonary lobules as Voronoi cells inside the lobes, and the septa between them.

A point belongs to the lobule of the nearest seed of its own lobe, so that no lobule crosses a
fissure. Such a cell is convex: the distance of an inner point to its border is the least of the
distances to the planes midway between its seed and the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from miliary.arrays import AnyArray, FloatArray, IntArray

if TYPE_CHECKING:
    from miliary.phantom.chest import Chest

#: Lobes of both lungs, numbered from 1.
LOBES = range(1, 6)

#: Times that seeds move to the middle of their cell: once leaves widths as varied as real ones.
_RELAXED = 1

#: Seeds looked at first for the nearest face; the few points that need more look at all.
_NEAR = 16

#: Voxels of the coarse grid along a block's edge, and seeds kept a block.
_BLOCK, _KEPT = 2, 6

#: Blocks outside of a lobe that can be asked too: a voxel's lobe is finer than a block's.
_AROUND = 3

#: Points looked up at once: what fits into a processor's cache.
_BATCH = 16_384


@dataclass(frozen=True, eq=False)
class Lobules:
    """The secondary lobules of both lungs, one row each.

    Parameters
    ----------
    seeds_mm : (L, 3) float
        Their middles, grid points `(z, y, x)` in mm.
    lobe : (L,) uint8
        Their lobes, 1 to 5.
    salt : int
        Draws a random number for every septum, see `SeptumField.presence`.
    """

    seeds_mm: FloatArray
    lobe: AnyArray
    salt: int = 0

    def __len__(self) -> int:
        return len(self.lobe)

    @cached_property
    def _search(self) -> dict[int, tuple[IntArray, cKDTree]]:
        rows = {number: np.flatnonzero(self.lobe == number) for number in LOBES}
        return {number: (r, cKDTree(self.seeds_mm[r])) for number, r in rows.items() if len(r)}

    def nearest(self, points_mm: FloatArray, lobe: AnyArray, k: int) -> tuple[FloatArray, IntArray]:
        """Find the nearest seeds of the same lobe.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points in mm.
        lobe : (N,) int
            Their lobes.
        k : int
            How many seeds.

        Returns
        -------
        distance_mm : (N, k) float
            Distances, the nearest first; infinite where the lobe has fewer seeds.
        row : (N, k) int
            Rows of the lobules; -1 where there are fewer.
        """
        distance = np.full((len(points_mm), k), np.inf)
        row = np.full((len(points_mm), k), -1, np.intp)
        for number, (rows, tree) in self._search.items():
            here = np.flatnonzero(np.asarray(lobe) == number)
            distance[here], found = tree.query(points_mm[here], k=np.arange(1, k + 1))
            row[here] = np.append(rows, -1)[found]
        return distance, row

    def septum_mm(self, points_mm: FloatArray, lobe: AnyArray) -> FloatArray:
        """Measure the distance to the nearest face between lobules of the same lobe.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points in mm.
        lobe : (N,) int
            Their lobes.

        Returns
        -------
        (N,) float
            Exact distances; infinite where the lobe has one lobule or none.
        """
        points, lobe = np.asarray(points_mm, float).reshape(-1, 3), np.asarray(lobe)
        distance, row = self.nearest(points, lobe, _NEAR)
        face: FloatArray = _face_mm(distance, row, self.seeds_mm).min(axis=1, initial=np.inf)
        # A seed at distance d has its face no nearer than half of what d is longer than the
        # distance of the own seed: often more seeds cannot matter.
        gap = np.where(np.isfinite(distance[:, -1]), distance[:, -1] - distance[:, 0], np.inf)
        unsure = np.flatnonzero(gap / 2 < face)
        if len(unsure):
            distance, row = self.nearest(points[unsure], lobe[unsure], len(self))
            face[unsure] = _face_mm(distance, row, self.seeds_mm).min(axis=1)
        return face

    def to_septum(self, points_mm: FloatArray, lobe: AnyArray) -> FloatArray:
        """Move points to the nearest face between lobules.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points in mm.
        lobe : (N,) int
            Their lobes.

        Returns
        -------
        (N, 3) float
            Points midway between two seeds; those of a lobe without septa stay.
        """
        points = np.asarray(points_mm, float).reshape(-1, 3)
        distance, row = self.nearest(points, lobe, _NEAR)
        face = _face_mm(distance, row, self.seeds_mm)
        other = face.argmin(axis=1)
        every = np.arange(len(points))
        nearest_mm = face[every, other]
        here = np.flatnonzero(np.isfinite(nearest_mm))
        moved: FloatArray = points.copy()
        way = self.seeds_mm[row[here, other[here]]] - self.seeds_mm[row[here, 0]]
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        moved[here] += way * nearest_mm[here, None]
        return moved


def _face_mm(distance: FloatArray, row: IntArray, seeds_mm: FloatArray) -> FloatArray:
    """Distance (N, k) to the planes between the first seed and each; infinite for the first."""
    if not len(seeds_mm):
        return np.full(distance.shape, np.inf)
    apart = np.linalg.norm(seeds_mm[row] - seeds_mm[row[:, :1]], axis=2)
    squared = np.where(row >= 0, distance, 0.0) ** 2
    face = np.full(distance.shape, np.inf)
    np.divide(squared - squared[:, :1], 2 * apart, where=(row >= 0) & (apart > 0), out=face)
    return face


def make_lobules(chest: Chest, lobule_mm: float, rng: np.random.Generator) -> Lobules:
    """Divide the lungs into secondary lobules.

    Parameters
    ----------
    chest : Chest
        The lungs.
    lobule_mm : float
        Mean width of a lobule: the cube root of its share of the lobe's volume.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Lobules
        At least one for every lobe that the coarse grid of the chest sees.
    """
    inside = np.argwhere(chest.depth_mm > 0) * chest.step_mm
    lobes = chest.lobes_at(inside) if len(inside) else np.empty(0, np.uint8)
    seeds: list[FloatArray] = [np.empty((0, 3))]
    names: list[AnyArray] = [np.empty(0, np.uint8)]
    for number in LOBES:
        places = inside[lobes == number]
        if len(places):
            wanted = len(places) * chest.step_mm**3 / lobule_mm**3
            n = min(max(1, round(wanted)), len(places))
            seeds.append(_spread(places, n, chest.step_mm, rng))
            names.append(np.full(n, number, np.uint8))
    return Lobules(np.concatenate(seeds), np.concatenate(names), int(rng.integers(2**63)))


def _spread(places: FloatArray, n: int, step_mm: float, rng: np.random.Generator) -> FloatArray:
    """Draw n of the places and even them out a little (Lloyd's method)."""
    seeds = rng.permutation(places)[:n] + rng.uniform(-0.3, 0.3, (n, 3)) * step_mm
    # Every other voxel shows the middle of a cell well enough.
    few = places[:: max(1, len(places) // (300 * n))]
    for _ in range(_RELAXED):
        owner = cKDTree(seeds).query(few)[1]
        count = np.bincount(owner, minlength=n)
        middle: FloatArray = np.stack([np.bincount(owner, p, n) for p in few.T], 1)
        middle /= np.maximum(count, 1)[:, None]
        seeds = np.where(count[:, None] > 0, middle, seeds)
    return seeds


class SeptumField:
    """Distance to the septa at millions of points: the nearest seeds of every block are known.

    Parameters
    ----------
    lobules : Lobules
        The lobules.
    chest : Chest
        Its coarse grid gives the blocks.
    """

    def __init__(self, lobules: Lobules, chest: Chest) -> None:
        self.block_mm = chest.step_mm * _BLOCK
        self._salt = np.uint64(lobules.salt)
        # A last seed far away stands for every one that is missing.
        self._seeds = np.vstack([lobules.seeds_mm, np.full((1, 3), 1e6)]).astype(np.float32)
        self._shape = np.array([-(-n // _BLOCK) + 1 for n in chest.depth_mm.shape])
        self._block_row = np.zeros((6, int(self._shape.prod())), np.int32)
        self._kept = self._keep(lobules, chest)

    def _keep(self, lobules: Lobules, chest: Chest) -> IntArray:
        """Rows (blocks, kept) of the seeds nearest to each block's middle; row 0 has none."""
        far = len(lobules)
        kept = [np.full((1, _KEPT), far)]
        middles = (np.argwhere(np.ones(self._shape, bool)) + 0.5 * (1 - 1 / _BLOCK)) * self.block_mm
        deep = chest.sample(chest.depth_mm, middles) > -2 * self.block_mm
        lobe = np.zeros(len(middles), np.uint8)
        lobe[deep] = chest.lobes_at(middles[deep])
        n_rows = 1
        for number in LOBES:
            here = (lobe == number).reshape(self._shape)
            here = ndi.maximum_filter(here, 2 * _AROUND + 1).reshape(-1) & deep
            blocks = np.flatnonzero(here)
            row = lobules.nearest(middles[blocks], np.full(len(blocks), number), _KEPT)[1]
            kept.append(np.where(row < 0, far, row))
            self._block_row[number, blocks] = n_rows + np.arange(len(blocks))
            n_rows += len(blocks)
        return np.concatenate(kept).astype(np.int32)

    def at(self, points_mm: FloatArray, lobe: AnyArray) -> tuple[FloatArray, IntArray]:
        """Look up the distance to the nearest septum.

        Parameters
        ----------
        points_mm : (M, 3) float
            Grid points in mm, inside the lungs.
        lobe : (M,) int
            Their lobes.

        Returns
        -------
        distance_mm : (M,) float32
            Distances: exact near a septum, where it has neighbours; large without one.
        face : (M,) int64
            The septum: the same number for the same two lobules, from either side.
        """
        distance = np.empty(len(points_mm), np.float32)
        face = np.empty(len(points_mm), np.int64)
        for begin in range(0, len(points_mm), _BATCH):
            part = slice(begin, begin + _BATCH)
            distance[part], face[part] = self._part(points_mm[part], lobe[part])
        return distance, face

    def _part(self, points_mm: FloatArray, lobe: AnyArray) -> tuple[FloatArray, IntArray]:
        points = np.ascontiguousarray(np.asarray(points_mm, np.float32).T)
        # A block holds the voxels whose indices it divides, half a voxel before the first on.
        block = (points + np.float32(self.block_mm / (2 * _BLOCK))) / np.float32(self.block_mm)
        z, y, x = (
            np.clip(b.astype(np.int32), 0, n - 1) for b, n in zip(block, self._shape, strict=True)
        )
        index = (z * np.int32(self._shape[1]) + y) * np.int32(self._shape[2]) + x
        rows = self._kept[self._block_row[lobe, index]].T
        seeds = self._seeds[rows] - points.T
        squared = np.einsum("kmc,kmc->km", seeds, seeds)
        every = np.arange(len(lobe))
        own = squared.argmin(axis=0)
        between = seeds - seeds[own, every]
        apart = np.sqrt(np.einsum("kmc,kmc->km", between, between))
        face_mm = (squared - squared[own, every]) / (2 * np.maximum(apart, np.float32(1e-6)))
        face_mm[apart == 0] = np.float32(1e9)
        other = face_mm.argmin(axis=0)
        first, second = rows[own, every].astype(np.int64), rows[other, every].astype(np.int64)
        face = np.minimum(first, second) * len(self._seeds) + np.maximum(first, second)
        return face_mm[other, every], face

    def presence(self, face: IntArray) -> FloatArray:
        """Give every septum a random number of its own.

        Parameters
        ----------
        face : (M,) int64
            Septa, as `at` gives them.

        Returns
        -------
        (M,) float32
            Evenly spread from 0 to 1: a septum is shown where it is below the share wanted.
        """
        # The mixer of SplitMix64 (Steele, Lea and Flood 2014).
        mixed = np.asarray(face).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + self._salt
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        return ((mixed >> np.uint64(40)).astype(np.float32) / np.float32(2**24)).astype(np.float32)
