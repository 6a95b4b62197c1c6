"""The window: the part of the lungs in which a nodule could have been seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray, LabelArray
from miliary.geometry import Box
from miliary.kernels.mask import LagTable, border_distance, coarse_counts, set_covariance


@dataclass(frozen=True, eq=False)
class Stratum:
    """One lung of a window.

    Parameters
    ----------
    label : int
        Its label in the window.
    box : tuple of three slices
        Where it lies in the window's grid.
    inside : (z, y, x) bool
        Its voxels in the box.
    spacing_mm : (3,) float
        Voxel size.
    index : (M,) int32
        Its voxels, as flat indices into the box.
    sensitivity : (M,) float32 or None
        Chance of finding a nodule in each, up to a factor.
    """

    label: int
    box: Box
    inside: BoolArray
    spacing_mm: FloatArray
    index: IntArray
    sensitivity: FloatArray | None
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def start(self) -> IntArray:
        """First index of the box along each axis."""
        return np.array([bounds.start for bounds in self.box])

    @cached_property
    def volume_mm3(self) -> float:
        """Volume of the stratum."""
        return float(len(self.index) * np.prod(self.spacing_mm))

    @cached_property
    def visible_mm3(self) -> float:
        """Volume weighted by sensitivity."""
        if self.sensitivity is None:
            return self.volume_mm3
        return float(self.sensitivity.sum(dtype=float) * np.prod(self.spacing_mm))

    def covariance(self, *, max_lag_mm: float, voxel_mm: float) -> LagTable:
        """Give the set covariance, computed once.

        Parameters
        ----------
        max_lag_mm : float
            Longest lag.
        voxel_mm : float
            Take it on voxels of about this size; 0 for the window's own, which is exact.

        Returns
        -------
        LagTable
            The covariance.
        """
        key = ("covariance", max_lag_mm, voxel_mm)
        if key not in self._made:
            factors = self._factors(voxel_mm)
            self._made[key] = set_covariance(
                coarse_counts(self.inside, factors),
                self.spacing_mm * factors,
                max_lag_mm=max_lag_mm,
                capacity=int(np.prod(factors)),
            )
        table: LagTable = self._made[key]
        return table

    def border_at(self, points_mm: FloatArray, *, voxel_mm: float, hole_mm: float) -> FloatArray:
        """Give how deep points lie in the stratum, narrow holes closed.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points in the stratum.
        voxel_mm : float
            Take distances on voxels of about this size; they are off by up to one of these.
        hole_mm : float
            Holes no wider than twice this do not count as border.

        Returns
        -------
        (N,) float32
            Distance to the border.
        """
        factors = self._factors(voxel_mm)
        key = ("border", voxel_mm, hole_mm)
        if key not in self._made:
            counts = coarse_counts(self.inside, factors)
            self._made[key] = border_distance(
                counts >= np.prod(factors) / 2, self.spacing_mm * factors, hole_mm=hole_mm
            )
        depth: FloatArray = self._made[key]
        voxel = np.rint(points_mm / self.spacing_mm).astype(np.intp) - self.start
        z, y, x = np.clip(voxel // factors, 0, np.array(depth.shape) - 1).T
        at_points: FloatArray = depth[z, y, x]
        return at_points

    def places(self, chosen: IntArray) -> FloatArray:
        """Give the centres of some of the voxels.

        Parameters
        ----------
        chosen : (K,) int
            Positions in `index`.

        Returns
        -------
        (K, 3) float
            Grid points.
        """
        zyx = np.stack(np.unravel_index(self.index[chosen], self.inside.shape), axis=1)
        places: FloatArray = (zyx + self.start) * self.spacing_mm
        return places

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw random points, uniform or as the sensitivity has it.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        (n, 3) float
            Grid points, anywhere in the voxels.
        """
        points = self.places(self._draw(n, rng))
        points += (rng.random((n, 3)) - 0.5) * self.spacing_mm
        return points

    def _draw(self, n: int, rng: np.random.Generator) -> IntArray:
        """Draw voxels; by rejection where sensitivity differs, which needs no table of sums."""
        if self.sensitivity is None or not self.visible_mm3 > 0:
            return rng.integers(len(self.index), size=n)
        highest = float(self.sensitivity.max())
        share = self.visible_mm3 / self.volume_mm3 / highest
        drawn = np.empty(0, np.intp)
        while len(drawn) < n:
            more = rng.integers(len(self.index), size=int(1.2 * (n - len(drawn)) / share) + 8)
            kept = rng.random(len(more)) * highest < self.sensitivity[more]
            drawn = np.concatenate([drawn, more[kept]])
        return drawn[:n]

    def _factors(self, voxel_mm: float) -> tuple[int, ...]:
        # The tolerance keeps 0.75 mm at two to 1.5 in spite of rounding.
        return tuple(max(int(voxel_mm / size + 1e-6), 1) for size in self.spacing_mm)


@dataclass(frozen=True, eq=False)
class Window:
    """Where points can be: labelled strata, each with its own number of points.

    Parameters
    ----------
    labels : (z, y, x) uint8
        0 outside; 1 right lung, 2 left lung. Other labels make further strata.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    sensitivity : (z, y, x) float32 or None
        Chance of finding a nodule at each voxel, up to a factor; None for the same everywhere.
    """

    labels: LabelArray
    spacing_mm: FloatArray
    sensitivity: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.labels.ndim != 3 or self.labels.dtype != np.uint8:
            raise ValueError(
                "labels must be a uint8 array of three axes, "
                f"got {self.labels.dtype} of {self.labels.ndim}"
            )
        object.__setattr__(self, "spacing_mm", np.asarray(self.spacing_mm, float))
        if self.spacing_mm.shape != (3,) or not (self.spacing_mm > 0).all():
            raise ValueError(f"spacing_mm must be three numbers above 0, got {self.spacing_mm}")
        if self.sensitivity is None:
            return
        if self.sensitivity.shape != self.labels.shape:
            raise ValueError(
                f"sensitivity must have the shape of labels {self.labels.shape}, "
                f"got {self.sensitivity.shape}"
            )
        seen = self.sensitivity[self.labels > 0]
        if not (np.isfinite(seen).all() and (seen >= 0).all()):
            raise ValueError(
                "sensitivity must be finite and not below 0 inside the window, "
                f"got {(~(seen >= 0)).sum()} other values"
            )

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """The labels that have voxels, in their order."""
        highest = int(self.labels.max(initial=0))
        made = (self._stratum(label) for label in range(1, highest + 1))
        return tuple(stratum for stratum in made if stratum is not None)

    def _stratum(self, label: int) -> Stratum | None:
        inside = self.labels == label
        if not inside.any():
            return None
        box = _bounds(inside)
        inside = np.ascontiguousarray(inside[box])
        index = np.flatnonzero(inside).astype(np.int32)
        seen = None
        if self.sensitivity is not None:
            seen = self.sensitivity[box].ravel()[index].astype(np.float32)
        return Stratum(label, box, inside, self.spacing_mm, index, seen)

    @property
    def volume_mm3(self) -> float:
        """Volume of all strata."""
        return sum(stratum.volume_mm3 for stratum in self.strata)

    def sample(
        self, n_per_stratum: IntArray, rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray]:
        """Draw random points with a fixed number in each stratum.

        Parameters
        ----------
        n_per_stratum : (L,) int
            How many in each of `strata`.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        points_mm : (N, 3) float
            Grid points, stratum after stratum.
        strata : (N,) int
            Index of each point's stratum.
        """
        parts = [s.sample(int(n), rng) for s, n in zip(self.strata, n_per_stratum, strict=True)]
        points = np.concatenate([np.empty((0, 3)), *parts])
        return points, np.repeat(np.arange(len(parts)), n_per_stratum)

    def lattice(self, n_places: int) -> tuple[FloatArray, IntArray, FloatArray]:
        """Spread places evenly over the window, at voxel centres.

        Parameters
        ----------
        n_places : int
            About how many.

        Returns
        -------
        places_mm : (M, 3) float
            Grid points.
        strata : (M,) int
            Index of each place's stratum.
        weights : (M,) float
            Sensitivity; 1 where there is none.
        """
        pitch = (self.volume_mm3 / max(n_places, 1)) ** (1 / 3)
        step = np.maximum(np.rint(pitch / self.spacing_mm), 1).astype(int)
        places, weights = [np.empty((0, 3))], [np.empty(0)]
        counts = []
        for stratum in self.strata:
            # Half a step in, so that the lattice does not start on the border.
            first = (step // 2 - stratum.start) % step
            grid = tuple(slice(int(a), None, int(b)) for a, b in zip(first, step, strict=True))
            zyx = np.argwhere(stratum.inside[grid]) * step + first
            places.append((zyx + stratum.start) * self.spacing_mm)
            counts.append(len(zyx))
            z, y, x = (zyx + stratum.start).T
            weights.append(
                np.ones(len(zyx)) if self.sensitivity is None else self.sensitivity[z, y, x]
            )
        return (
            np.concatenate(places),
            np.repeat(np.arange(len(counts)), counts),
            np.concatenate(weights),
        )

    def locate(
        self, points_mm: FloatArray, *, move_mm: float
    ) -> tuple[FloatArray, IntArray, BoolArray]:
        """Find each point's stratum, and move points that are just outside to the nearest voxel.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points.
        move_mm : float
            How far a point may be moved.

        Returns
        -------
        points_mm : (N, 3) float
            Points, those moved at the centre of their new voxel.
        strata : (N,) int
            Index of each point's stratum; -1 outside.
        moved : (N,) bool
            Which were moved.
        """
        points = np.array(points_mm, float).reshape(-1, 3)
        label = self.at(self.labels, points)
        moved = np.zeros(len(points), bool)
        outside = np.flatnonzero(label == 0)
        if len(outside) and move_mm > 0:
            offsets = _ball_offsets(self.spacing_mm, move_mm)
            home = np.rint(points[outside] / self.spacing_mm).astype(np.intp)
            # Distance from the point itself, not from its voxel's centre.
            there = (home[:, None] + offsets) * self.spacing_mm
            distance = np.asarray(np.linalg.norm(there - points[outside, None], axis=2))
            free = self.at(self.labels, there.reshape(-1, 3)).reshape(distance.shape)
            distance = np.where((free > 0) & (distance <= move_mm), distance, np.inf)
            best = distance.argmin(axis=1)
            rows = np.flatnonzero(distance.min(axis=1) < np.inf)
            points[outside[rows]] = there[rows, best[rows]]
            moved[outside[rows]] = True
            label = self.at(self.labels, points)
        order = np.full(256, -1)
        order[[stratum.label for stratum in self.strata]] = np.arange(len(self.strata))
        return points, order[label], moved

    def at(self, image: AnyArray, points_mm: FloatArray) -> AnyArray:
        """Read an image of the window's grid at the nearest voxels.

        Parameters
        ----------
        image : (z, y, x) array
            Any image of this grid.
        points_mm : (N, 3) float
            Grid points.

        Returns
        -------
        (N,) array
            Values; 0 off the grid.
        """
        shape = np.array(image.shape)
        voxel = np.rint(np.asarray(points_mm, float) / self.spacing_mm)
        on_grid: BoolArray = np.asarray(((voxel >= 0) & (voxel < shape)).all(axis=1))
        z, y, x = np.where(on_grid[:, None], voxel, 0).astype(np.intp).T
        if image.size == 0:
            return np.zeros(len(voxel), image.dtype)
        return np.where(on_grid, image[z, y, x], np.zeros((), image.dtype))


def _bounds(mask: BoolArray) -> Box:
    """Give the smallest box around the voxels of a mask that has some."""
    flat: BoolArray = np.asarray(mask.any(axis=0))
    used = [np.flatnonzero(line) for line in (mask.any(axis=(1, 2)), flat.any(axis=1), flat.any(0))]
    z, y, x = (slice(int(line[0]), int(line[-1]) + 1) for line in used)
    return z, y, x


def _ball_offsets(spacing_mm: FloatArray, radius_mm: float) -> IntArray:
    """List the voxel steps that can bring a point within a radius."""
    reach = np.ceil(radius_mm / spacing_mm).astype(int) + 1
    grid = np.stack(np.meshgrid(*[np.arange(-k, k + 1) for k in reach], indexing="ij"), axis=-1)
    steps = grid.reshape(-1, 3)
    # The point may lie half a voxel off the centre of its own.
    reachable = np.linalg.norm(np.maximum(np.abs(steps) - 0.5, 0) * spacing_mm, axis=1) <= radius_mm
    return np.asarray(steps[reachable])
