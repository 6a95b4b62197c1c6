"""The window: the part of the lungs in which a nodule could have been seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from miliary.anatomy import SIDES
from miliary.arrays import AnyArray, BoolArray, Box, FloatArray, IntArray, LabelArray
from miliary.kernels.distance_image import DistanceImage
from miliary.spatial.stratum import Stratum


@dataclass(frozen=True, eq=False)
class Window:
    """Where points can be: labelled strata, each with its own number of points.

    Parameters
    ----------
    labels : (z, y, x) uint8
        0 outside; 1 right lung, 2 left lung. Other labels make further strata.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    sensitivity : (z, y, x) float32 or uint8, or None
        Chance of finding a nodule at each voxel, up to a factor, or where it stands in `chances`;
        None for the same everywhere.
    lungs : bool
        Whether labels 1 and 2 are the right and the left lung, on axes that point to the head, to
        the back and to the left. Otherwise they are parts without a name.
    chances : (C,) float32 or None
        What the numbers of a uint8 `sensitivity` stand for: a quarter of the memory.
    """

    labels: LabelArray
    spacing_mm: FloatArray
    sensitivity: AnyArray | None = None
    lungs: bool = True
    chances: FloatArray | None = None
    _depths: dict[tuple[float, float], tuple[AnyArray, ...]] = field(
        default_factory=dict, init=False, repr=False
    )

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
        chances = self.sensitivity if self.chances is None else self.chances
        # The two ends tell of most images that all is well, ten times faster than their voxels.
        if 0 <= chances.min(initial=0) <= chances.max(initial=0) < np.inf:
            return
        seen = chances if self.chances is not None else chances[self.labels > 0]
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
        box = _bounds(self.labels, label)
        if box is None:
            return None
        inside = self.labels[box] == label
        seen = None
        if self.sensitivity is not None:
            seen = self.sensitivity[box][inside]
            if self.chances is None:
                seen = seen.astype(np.float32, copy=False)
        made = (label, box, inside, self.spacing_mm, _places_of(inside), seen, self.chances)
        return Stratum(*made)

    @property
    def volume_mm3(self) -> float:
        """Volume of all strata."""
        return sum(stratum.volume_mm3 for stratum in self.strata)

    @property
    def nouns(self) -> tuple[str, str]:
        """What the points are and where they are, for sentences."""
        return ("nodules", "the evaluable lung") if self.lungs else ("points", "the mask")

    @property
    def groups(self) -> dict[str, IntArray]:
        """The strata that are described together, by name: all of them first, then each."""
        labels = [stratum.label for stratum in self.strata]
        if self.lungs:
            whole, parts = "both", {side: label for side, label in SIDES.items() if label in labels}
        else:
            named = {f"part {label}": label for label in labels}
            whole, parts = "all", named if len(named) > 1 else {}
        each = {name: np.array([labels.index(label)]) for name, label in parts.items()}
        return {whole: np.arange(len(labels)), **each}

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
        n_per_stratum = np.asarray(n_per_stratum)
        owners = np.repeat(np.arange(len(self.strata)), n_per_stratum)
        return self.sample_many(n_per_stratum[None], rng), owners

    def sample_many(self, numbers: IntArray, rng: np.random.Generator) -> FloatArray:
        """Draw random patterns together.

        Parameters
        ----------
        numbers : (S, L) int
            How many points of each pattern in each of `strata`.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        (N, 3) float
            Grid points, pattern after pattern, and in each stratum after stratum.
        """
        owners = np.repeat(np.tile(np.arange(len(self.strata)), len(numbers)), numbers.ravel())
        points = np.empty((len(owners), 3))
        for number, (stratum, n) in enumerate(
            zip(self.strata, numbers.sum(axis=0).tolist(), strict=True)
        ):
            points[owners == number] = stratum.draw(n, rng)
        return points

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
        places: list[FloatArray] = [np.empty((0, 3))]
        weights: list[FloatArray] = [np.empty(0)]
        counts = []
        for stratum in self.strata:
            # Half a step in, so that the lattice does not start on the border.
            first = (step // 2 - stratum.start) % step
            grid = tuple(slice(int(a), None, int(b)) for a, b in zip(first, step, strict=True))
            zyx = np.argwhere(stratum.inside[grid]) * step + first
            places.append((zyx + stratum.start) * self.spacing_mm)
            counts.append(len(zyx))
            weights.append(self._chances_at(zyx + stratum.start))
        return (
            np.concatenate(places),
            np.repeat(np.arange(len(counts)), counts),
            np.concatenate(weights),
        )

    def _chances_at(self, zyx: IntArray) -> FloatArray:
        """Give the sensitivity of some voxels (N, 3); 1 where there is none."""
        if self.sensitivity is None:
            return np.ones(len(zyx))
        z, y, x = zyx.T
        found: AnyArray = self.sensitivity[z, y, x]
        return found if self.chances is None else self.chances[found]

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

    def border_at(
        self, points_mm: FloatArray, strata: IntArray, *, voxel_mm: float, hole_mm: float
    ) -> FloatArray:
        """Give how deep points lie in their strata, narrow holes closed.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points.
        strata : (N,) int
            Index of each point's stratum.
        voxel_mm, hole_mm : float
            As for `Stratum.depth`.

        Returns
        -------
        (N,) float32
            Distance to the border.
        """
        if len(points_mm) == 0:
            return np.empty(0, np.float32)
        key = (voxel_mm, hole_mm)
        if key not in self._depths:
            self._depths[key] = self._depth_table(voxel_mm, hole_mm)
        # Few points at a time but in every simulation: no loop over strata, and axis by axis.
        depths, offsets, starts, highest, strides, factors = self._depths[key]
        flat = offsets.take(strata)
        for axis, column in enumerate(np.asarray(points_mm).T):
            # Half a voxel on, so that truncation is to the nearest voxel.
            block = column * (1.0 / (self.spacing_mm[axis] * factors[axis]))
            block += ((0.5 - starts[:, axis]) / factors[axis]).take(strata)
            np.maximum(block, 0.0, out=block)
            block = np.minimum(block.astype(np.intp), highest[:, axis].take(strata))
            block *= strides[:, axis].take(strata)
            flat += block
        at_points: FloatArray = depths.take(flat)
        return at_points

    def _depth_table(self, voxel_mm: float, hole_mm: float) -> tuple[AnyArray, ...]:
        """Put the depths of all strata into one array, with what finds a voxel in it."""
        depths = [s.depth(voxel_mm=voxel_mm, hole_mm=hole_mm) for s in self.strata]
        shapes = np.array([depth.shape for depth in depths])
        ends = np.cumsum(shapes.prod(axis=1))
        return (
            np.concatenate([depth.ravel() for depth in depths]),
            ends - shapes.prod(axis=1),
            np.array([stratum.start for stratum in self.strata]),
            shapes - 1,
            np.stack([shapes[:, 1] * shapes[:, 2], shapes[:, 2], np.ones_like(ends)], axis=1),
            np.array(self.strata[0].factors(voxel_mm)),
        )

    def at(self, image: AnyArray | DistanceImage, points_mm: FloatArray) -> AnyArray:
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


def _bounds(labels: LabelArray, label: int) -> Box | None:
    """Give the smallest box around a label, slice by slice; None where it has no voxel."""
    used = np.zeros(labels.shape[1:], bool)
    slices = []
    for number, part in enumerate(labels):
        here = part == label
        if here.any():
            slices.append(number)
            used |= here
    if not slices:
        return None
    rows, columns = (np.flatnonzero(used.any(axis=axis)).tolist() for axis in (1, 0))
    ends = ((line[0], line[-1] + 1) for line in (slices, rows, columns))
    z, y, x = (slice(*pair) for pair in ends)
    return z, y, x


def _places_of(inside: BoolArray) -> IntArray:
    """List the voxels of a mask as flat indices, slice by slice: each is eight bytes at first."""
    places = np.empty(np.count_nonzero(inside), np.int32)
    end = 0
    for number, part in enumerate(inside):
        here = np.flatnonzero(part)
        here += number * part.size
        places[end : end + len(here)] = here
        end += len(here)
    return places


def _ball_offsets(spacing_mm: FloatArray, radius_mm: float) -> IntArray:
    """List the voxel steps that can bring a point within a radius."""
    reach = np.ceil(radius_mm / spacing_mm).astype(int) + 1
    grid = np.stack(np.meshgrid(*[np.arange(-k, k + 1) for k in reach], indexing="ij"), axis=-1)
    steps = grid.reshape(-1, 3)
    # The point may lie half a voxel off the centre of its own.
    reachable = np.linalg.norm(np.maximum(np.abs(steps) - 0.5, 0) * spacing_mm, axis=1) <= radius_mm
    return np.asarray(steps[reachable])
