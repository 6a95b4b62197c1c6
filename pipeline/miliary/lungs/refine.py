"""The boundary of the lungs at full resolution, on a crop of the scan."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from miliary.anatomy import SIDES, RindMap
from miliary.arrays import AnyArray, BoolArray, Box, FloatArray, IntArray, LabelArray
from miliary.config.lungs import LungSettings
from miliary.geometry import Geometry
from miliary.kernels.airtree import find_fork
from miliary.kernels.bitmasks import Bits, blank_bits, pack
from miliary.kernels.distances import close_gaps, deeper_than, distance_to, within
from miliary.kernels.filters import smooth_in_slabs
from miliary.kernels.regions import bounding_box, fill_holes, keep_large, stretch, stretch_slab
from miliary.kernels.slabs import on_threads
from miliary.lungs.coarse import LUMEN_HU, Coarse, CoarseLungs
from miliary.lungs.hemithorax import Airless
from miliary.volume import Volume

#: What a voxel of the coarse grid is while the boundary is drawn.
_OUT, _SHELL, _CORE = 0, 1, 2
#: The same for each side in one image, a bit each, and where air of the bronchi may be.
_SHELL_OF, _CORE_OF = ({1: np.uint8(bit), 2: np.uint8(2 * bit)} for bit in (1, 4))
_LUMEN = np.uint8(16)
#: What any of the labels of lungs has some bit of.
_ANY = np.uint8(255)
#: By how much the coarse grid may be off in telling midway from lung to wall: by 1 to 4 HU in a
#: phantom and in three patients. Where it is off by more, the boundary is drawn twice.
_UNSURE_HU = 12.0
#: Two voxels from a surface, the next centre behind it is farther by this share of a voxel.
_CENTRE_VOXELS = 0.37
#: Crumbs that the refined boundary leaves apart from the lung.
_CRUMB_ML = 1.0


@dataclass(frozen=True, eq=False)
class LungMasks:
    """Lungs and airways on a crop of the volume.

    Parameters
    ----------
    box : tuple of three slices
        Where the crop lies in the volume.
    geometry : Geometry
        The grid of the crop.
    lung_labels : (z, y, x) uint8
        1 right lung, 2 left lung.
    dense : Bits
        What is dense in the lungs, blurred a little: mostly looked at once, for masses.
    airway_mask : (z, y, x) bool
        Air in trachea and bronchi.
    hemithorax_labels : (z, y, x) uint8
        1 right, 2 left: aerated lung and what is left of its place without air.
    airless_labels : (z, y, x) uint8
        What that is: 1 rind or effusion, 2 consolidation or collapse.
    rinds : tuple of RindMap
        The thickness of the rind of each side that has one.
    carina_z : float or None
        Slice of the crop in which the trachea divides; None where it is not seen.
    cut : tuple of (side, edge)
        Which lung is cut off by which edge of the scan.
    """

    box: Box
    geometry: Geometry
    lung_labels: LabelArray
    dense: Bits
    airway_mask: BoolArray
    hemithorax_labels: LabelArray
    airless_labels: LabelArray
    rinds: tuple[RindMap, ...]
    carina_z: float | None
    cut: tuple[tuple[str, str], ...] = ()

    @property
    def any_airless(self) -> bool:
        """Whether anything holds no air; one zero stands for an image of them."""
        return self.airless_labels.strides != (0, 0, 0) and bool(self.airless_labels.any())


def refine_lungs(
    volume: Volume, found: CoarseLungs, airless: Airless, settings: LungSettings
) -> LungMasks:
    """Draw the boundary of the lungs at full resolution.

    Only a shell round the coarse boundary is looked at: inside it everything is lung, vessels
    and nodules too.

    Parameters
    ----------
    volume : Volume
        The scan.
    found : CoarseLungs
        Lungs on the coarse grid.
    airless : Airless
        Tissue without air in their place, on the same grid.
    settings : LungSettings
        Limits.

    Returns
    -------
    LungMasks
        Lungs and airways.
    """
    coarse = found.grid
    both = np.logical_or.reduce([*found.sides.values(), airless.kind_labels > 0])
    margin = np.ceil(settings.crop_margin_mm / coarse.spacing_mm).astype(int)
    box = bounding_box(both, margin)
    fine = _fine_box(box, coarse.factors, volume.geometry.shape)
    geometry = volume.geometry.crop(fine)
    sides = {side: mask[box] for side, mask in found.sides.items()}
    states = _states(sides, found.never[box], coarse, settings)
    lumen = within(found.airway[box], float(coarse.spacing_mm.max()), coarse.spacing_mm)
    drawn = _Drawn.blank(geometry.shape)
    drawn.fill(volume.hu[fine], states, lumen, coarse.hu[box], coarse.factors, geometry, settings)
    parts = on_threads(
        lambda side: drawn.smooth_side(side, states[side], coarse.factors, geometry, settings),
        states,
    )
    labels = np.zeros(geometry.shape, np.uint8)
    for side, (part, mask) in zip(states, parts, strict=True):
        labels[part] += (mask & (labels[part] == 0)) * np.uint8(side)
    hemithorax, kinds = _with_airless(labels, airless, box, coarse)
    return LungMasks(
        box=fine,
        geometry=geometry,
        lung_labels=labels,
        dense=drawn.dense.both(pack(labels, where=_ANY)),
        airway_mask=drawn.air,
        hemithorax_labels=hemithorax,
        airless_labels=kinds,
        rinds=_rind_maps(airless, coarse, volume),
        carina_z=_carina(found, fine),
        cut=_cut_off(labels, fine, volume, settings),
    )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What the smoothed scan says, voxel by voxel; it is not kept itself.

    Parameters
    ----------
    lungs : (z, y, x) uint8
        For what is lung a bit of its side, which is its label.
    air : (z, y, x) bool
        Air in trachea and bronchi.
    dense : Bits
        What is dense.
    """

    lungs: LabelArray
    air: BoolArray
    dense: Bits

    @classmethod
    def blank(cls, shape: tuple[int, int, int]) -> _Drawn:
        """Start with nothing."""
        return cls(np.zeros(shape, np.uint8), np.zeros(shape, bool), blank_bits(shape))

    def fill(
        self,
        hu: AnyArray,
        states: dict[int, LabelArray],
        lumen: BoolArray,
        coarse_hu: FloatArray,
        factors: tuple[int, int, int],
        geometry: Geometry,
        settings: LungSettings,
    ) -> None:
        """Hold the smoothed scan against limits, slab by slab, where lungs or air may be."""
        plan = lumen * _LUMEN
        for side, state in states.items():
            plan |= (state == _SHELL) * _SHELL_OF[side] | (state == _CORE) * _CORE_OF[side]
        where = stretch(plan > 0, factors, geometry.shape)
        sides = [
            _Side(self.lungs, side, _midway(coarse_hu[state != _OUT], settings), settings)
            for side, state in states.items()
        ]

        def draw(part: slice, smoothed: FloatArray) -> None:
            planned = stretch_slab(plan, factors, part, smoothed.shape)
            for one in sides:
                one.draw(part, planned, smoothed)
            self.air[part] = (planned & _LUMEN).astype(bool) & (smoothed < LUMEN_HU)
            self.dense.words[part] = pack(smoothed > settings.lump_hu).words

        smooth_in_slabs(hu, settings.smoothing_mm, geometry.spacing_mm, draw, where=where)
        settled = [one.settle() for one in sides]
        if sides != settled:
            self.lungs.fill(0)
            sides = settled
            smooth_in_slabs(hu, settings.smoothing_mm, geometry.spacing_mm, draw, where=where)
            for one in sides:
                one.settle()

    def smooth_side(
        self,
        side: int,
        coarse_state: LabelArray,
        factors: tuple[int, int, int],
        geometry: Geometry,
        settings: LungSettings,
    ) -> tuple[Box, BoolArray]:
        """Close one lung; gives the part of the image that it lies in, and its voxels there."""
        box = bounding_box(coarse_state != _OUT)
        fine = _fine_box(box, factors, geometry.shape)
        mask = (self.lungs[fine] & np.uint8(side)).astype(bool)
        allowed = stretch(coarse_state[box] != _OUT, factors, mask.shape)
        mask = close_gaps(mask, settings.margin_closing_mm, geometry.spacing_mm)
        mask &= allowed
        mask = fill_holes(mask)
        mask &= allowed
        return fine, keep_large(mask, _CRUMB_ML / geometry.voxel_ml)


@dataclass(frozen=True, eq=False)
class _Side:
    """Where one lung ends: midway from lung to soft tissue.

    What lung has is known only when all of it was smoothed. The coarse grid tells it to a few
    HU, so that few voxels have to wait.

    Parameters
    ----------
    lungs : (z, y, x) uint8
        Gets a bit of this side.
    side : int
        Its label.
    guess_hu : float
        Midway, about.
    settings : LungSettings
        Limits.
    waiting : list of (voxels, values)
        What lies near the guess: indices into the flattened image, and smoothed values.
    sample : list of array
        Smoothed values of some of the lung.
    """

    lungs: LabelArray
    side: int
    guess_hu: float
    settings: LungSettings
    waiting: list[tuple[IntArray, FloatArray]] = field(default_factory=list)
    sample: list[FloatArray] = field(default_factory=list)

    def draw(self, part: slice, planned: LabelArray, smoothed: FloatArray) -> None:
        """Draw what is sure of a slab, and keep what is not."""
        shell = (planned & _SHELL_OF[self.side]).astype(bool)
        core = (planned & _CORE_OF[self.side]).astype(bool)
        # Every second voxel along each axis is plenty for a median.
        few = (slice(None, None, 2),) * 3
        self.sample.append(smoothed[few][(shell | core)[few]])
        core |= shell & (smoothed < self.guess_hu - _UNSURE_HU)
        self.lungs[part] |= core * np.uint8(self.side)
        shell &= smoothed < self.guess_hu + _UNSURE_HU
        shell &= ~core
        index = np.flatnonzero(shell)
        first = part.start * self.lungs[0].size
        self.waiting.append((index + first, smoothed.ravel()[index]))

    def settle(self) -> _Side:
        """Decide on what has waited; gives itself, or what to begin anew with where it was off."""
        seen = np.concatenate([np.empty(0, np.float32), *self.sample])
        # Of a lung of a few voxels the sample may have none.
        known = bool((seen < self.settings.air_hu).any())
        limit_hu = _midway(seen, self.settings) if known else self.guess_hu
        flat = self.lungs.ravel()
        for index, values in self.waiting:
            flat[index[values < limit_hu]] |= np.uint8(self.side)
        if abs(limit_hu - self.guess_hu) <= _UNSURE_HU:
            return self
        return _Side(self.lungs, self.side, limit_hu, self.settings)


def _midway(hu: FloatArray, settings: LungSettings) -> float:
    """Midway from what lung among some values has to soft tissue."""
    return (float(np.median(hu[hu < settings.air_hu])) + settings.wall_hu) / 2


def _with_airless(
    labels: LabelArray, airless: Airless, box: Box, coarse: Coarse
) -> tuple[LabelArray, LabelArray]:
    """Hemithorax of each side, and the kind of what in it holds no air."""
    if not airless.any:
        # One zero stands for all: an image of them is a tenth of a gigabyte in a long scan.
        return labels, np.broadcast_to(np.uint8(0), labels.shape)
    free = labels == 0
    side = stretch(airless.side_labels[box], coarse.factors, labels.shape) * free
    kind = stretch(airless.kind_labels[box], coarse.factors, labels.shape) * free
    return labels + side, kind


def _rind_maps(airless: Airless, coarse: Coarse, volume: Volume) -> tuple[RindMap, ...]:
    """Places of a rind's thickness in the world; a coarse voxel's middle is that of its block."""
    names = {label: side for side, label in SIDES.items()}
    maps = []
    for label, rind in airless.rinds.items():
        fine = (rind.index + 0.5) * coarse.factors - 0.5
        points = volume.geometry.to_world(fine)
        maps.append(RindMap(names[label], points, rind.thickness_mm))
    return tuple(maps)


def _carina(found: CoarseLungs, fine: Box) -> float | None:
    """Slice of the crop in which the trachea divides; it may lie above the crop's own slices."""
    z = find_fork(found.airway, found.grid.spacing_mm)
    if z is None:
        return None
    return float((z + 0.5) * found.grid.factors[0] - 0.5 - fine[0].start)


def _fine_box(box: Box, factors: tuple[int, int, int], shape: tuple[int, int, int]) -> Box:
    z, y, x = (
        slice(bounds.start * factor, min(bounds.stop * factor, size))
        for bounds, factor, size in zip(box, factors, shape, strict=True)
    )
    return z, y, x


def _states(
    sides: dict[int, BoolArray], never: BoolArray, coarse: Coarse, settings: LungSettings
) -> dict[int, LabelArray]:
    """Say of every coarse voxel whether it is lung, or to be looked at closely, for each lung."""
    spacing = coarse.spacing_mm
    reach_mm = settings.shell_mm + _CENTRE_VOXELS * float(spacing.mean())
    near = {side: within(mask, reach_mm, spacing) for side, mask in sides.items()}
    _part_contested(near, sides, reach_mm, spacing)
    states = {}
    for side, mask in sides.items():
        state = np.full(mask.shape, _OUT, np.uint8)
        state[near[side]] = _SHELL
        state[deeper_than(mask, reach_mm, spacing)] = _CORE
        state[never] = _OUT
        states[side] = state
    return states


def _part_contested(
    near: dict[int, BoolArray],
    sides: dict[int, BoolArray],
    reach_mm: float,
    spacing_mm: FloatArray,
) -> None:
    """Give what both lungs reach to the nearer one, in place; distances cost too much elsewhere."""
    contested = np.logical_and.reduce(list(near.values()))
    if len(sides) < 2 or not contested.any():
        return
    part = bounding_box(contested, np.ceil(reach_mm / spacing_mm).astype(int))
    away = {side: distance_to(mask[part], spacing_mm) for side, mask in sides.items()}
    nearest = np.minimum.reduce(list(away.values()))
    for side in sides:
        near[side][part] &= away[side] <= nearest


def _cut_off(
    labels: LabelArray, box: Box, volume: Volume, settings: LungSettings
) -> tuple[tuple[str, str], ...]:
    """Find lungs that the first or the last slice of the scan cuts."""
    pixel_cm2 = float(np.prod(volume.geometry.spacing_mm[1:])) / 100.0
    edges = {"lower": labels[0], "upper": labels[-1]}
    if box[0].start > 0:
        del edges["lower"]
    if box[0].stop < volume.geometry.shape[0]:
        del edges["upper"]
    return tuple(
        (side, edge)
        for side, label in SIDES.items()
        for edge, section in edges.items()
        if np.count_nonzero(section == label) * pixel_cm2 >= settings.cut_cm2
    )
