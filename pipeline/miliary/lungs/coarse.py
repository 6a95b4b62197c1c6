"""Lungs on a coarse grid: what is air, what of it is lung, and which side it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.anatomy import LEFT, RIGHT
from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.lungs import LungSettings
from miliary.errors import AnatomyError
from miliary.kernels.airtree import find_gas, find_tube, grow_air
from miliary.kernels.distances import close_gaps, deeper_than, within
from miliary.kernels.regions import (
    block_mean,
    bounding_box,
    components,
    fill_holes,
    label_means,
    label_parts,
    largest_part,
    members,
    split_in_two,
)
from miliary.volume import Volume

#: Tissue of the body is above, on the coarse grid.
TISSUE_HU = -300.0
#: The lumen of the trachea is below, on the coarse grid.
LUMEN_HU = -700.0
#: Voxels in which the air round the body fades into what it touches.
_RIM_VOXELS = 1.5
#: Erosions tried to part joined lungs: past 12 mm it is the lungs that give way.
_SPLIT_RADII_MM = np.arange(1.0, 12.5, 1.5)
#: Two lungs whose centres are farther apart than this along x are the right and the left one,
#: even where a shifted mediastinum puts both on one side of the body's middle.
_APART_MM = 40.0


@dataclass(frozen=True, eq=False)
class Coarse:
    """The scan on the coarse grid.

    Parameters
    ----------
    hu : (z, y, x) float32
        Block means.
    factors : (3,) int
        Voxels of the scan in a block along z, y and x.
    spacing_mm : (3,) float
        Size of a block.
    """

    hu: FloatArray
    factors: tuple[int, int, int]
    spacing_mm: FloatArray

    @property
    def voxel_ml(self) -> float:
        """Volume of a block in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000.0


@dataclass(frozen=True, eq=False)
class CoarseLungs:
    """What was found on the coarse grid.

    Parameters
    ----------
    grid : Coarse
        The grid.
    sides : dict of int to (z, y, x) bool
        Each lung that was found, by its label, gaps and holes filled.
    airway : (z, y, x) bool
        Air in trachea and bronchi.
    never : (z, y, x) bool
        What is no lung whatever its density: outside, bowel, trachea and main bronchi.
    middle_x : float
        Index of the body's middle along x.
    """

    grid: Coarse
    sides: dict[int, BoolArray]
    airway: BoolArray
    never: BoolArray
    middle_x: float


def find_coarse_lungs(volume: Volume, settings: LungSettings) -> CoarseLungs:
    """Find lungs, their sides and the airways on the coarse grid.

    Parameters
    ----------
    volume : Volume
        The scan.
    settings : LungSettings
        Limits.

    Returns
    -------
    CoarseLungs
        Masks.

    Raises
    ------
    AnatomyError
        When the image shows no lung.
    """
    coarse = _coarse(volume, settings)
    body = _body(coarse.hu)
    middle_x = _middle_x(body)
    outside = _outside_air(coarse, body, settings)
    airway = _airways(coarse, ~outside, middle_x, settings)
    blocked = outside | within(airway, settings.airway_wall_mm, coarse.spacing_mm)
    gas = _bowel_gas(coarse, ~blocked, settings)
    air = (coarse.hu < settings.air_hu) & ~blocked & ~gas
    sides = _sides(coarse, air, middle_x, settings)
    never = outside | gas | _wide_airways(airway, coarse.spacing_mm, settings)
    return CoarseLungs(coarse, sides, airway, never, middle_x)


def _coarse(volume: Volume, settings: LungSettings) -> Coarse:
    spacing = volume.geometry.spacing_mm
    z, y, x = (max(1, round(settings.coarse_mm / step)) for step in spacing)
    hu = block_mean(volume.hu, (z, y, x))
    return Coarse(hu, (z, y, x), spacing * (z, y, x))


def _outside_air(coarse: Coarse, body: BoolArray, settings: LungSettings) -> BoolArray:
    """Air round the body, without lung that the side of a small field of view lays open."""
    labels, sizes = components(coarse.hu < settings.air_hu)
    is_pure = coarse.hu < settings.outside_air_hu
    n_pure = np.bincount(labels[is_pure], minlength=len(sizes))
    outside = _touching_sides(labels) & (n_pure > settings.outside_air_share * sizes)
    found = members(labels, outside)
    pure, _ = label_parts(found & is_pure)
    around = within(
        members(pure, _touching_sides(pure)),
        _RIM_VOXELS * coarse.spacing_mm.max(),
        coarse.spacing_mm,
    )
    return found & ~_opened_lung(coarse, found & ~around, body, settings)


def _touching_sides(labels: IntArray) -> BoolArray:
    """Say of each label whether it reaches the sides, the front or the back of the image."""
    touches = np.zeros(int(labels.max()) + 1, bool)
    for border in (labels[:, [0, -1]], labels[:, :, [0, -1]]):
        touches[border] = True
    touches[0] = False
    return touches


def _opened_lung(
    coarse: Coarse, rest: BoolArray, body: BoolArray, settings: LungSettings
) -> BoolArray:
    """Find regions as dense as lung, with the body before and behind them."""
    if np.count_nonzero(rest) * coarse.voxel_ml < settings.open_lung_ml:
        return np.zeros_like(rest)
    labels, sizes = components(rest)
    lung = sizes * coarse.voxel_ml >= settings.open_lung_ml
    if lung.any():
        lung &= label_means(coarse.hu, labels, len(sizes) - 1) > settings.open_lung_hu
    # Mostly what is left of the air round the body is pure.
    if lung.any():
        between = np.logical_or.accumulate(body, axis=1)
        between &= np.logical_or.accumulate(body[:, ::-1], axis=1)[:, ::-1]
        lung &= label_means(between, labels, len(sizes) - 1) >= settings.open_lung_share
    return members(labels, lung)


def _body(hu: FloatArray) -> BoolArray:
    """Tissue of the body: the largest region that is denser than air."""
    body = largest_part(hu > TISSUE_HU)
    if not body.any():
        raise AnatomyError("the image must show a body, got nothing denser than air; check it")
    return body


def _middle_x(body: BoolArray) -> float:
    """Index of the body's middle along x: the median of its voxels."""
    counts = np.count_nonzero(body, axis=(0, 1)).cumsum()
    return float(np.searchsorted(counts, counts[-1] / 2))


def _airways(
    coarse: Coarse, inside: BoolArray, middle_x: float, settings: LungSettings
) -> BoolArray:
    trachea = find_tube(
        (coarse.hu < LUMEN_HU) & inside,
        coarse.spacing_mm,
        middle_x=middle_x,
        reach_mm=settings.trachea_reach_mm,
        area_mm2=settings.trachea_area_mm2,
        min_length_mm=settings.trachea_length_mm,
    )
    if not trachea.any():
        return trachea
    return grow_air(
        coarse.hu,
        trachea,
        inside,
        thresholds_hu=settings.airway_hu,
        max_voxels=settings.airway_max_ml / coarse.voxel_ml,
        max_growth=settings.airway_max_growth,
    )


def _bowel_gas(coarse: Coarse, inside: BoolArray, settings: LungSettings) -> BoolArray:
    """Stomach and bowel gas with the mixed voxels on its walls."""
    low, high = (ml / coarse.voxel_ml for ml in settings.gas_ml)
    gas = find_gas(
        coarse.hu,
        inside,
        gas_hu=settings.gas_hu,
        soft_hu=TISSUE_HU,
        voxels=(low, high),
        min_soft_share=settings.gas_soft_share,
    )
    return within(gas, float(coarse.spacing_mm.max()), coarse.spacing_mm) if gas.any() else gas


def _wide_airways(airway: BoolArray, spacing_mm: FloatArray, settings: LungSettings) -> BoolArray:
    """Trachea and main bronchi with their walls; narrower bronchi belong to the lung."""
    wide = np.zeros_like(airway)
    if airway.any():
        reach_mm = settings.airway_cut_mm + settings.airway_wall_mm
        box = bounding_box(airway, np.ceil(reach_mm / spacing_mm).astype(int))
        core = deeper_than(airway[box], settings.airway_cut_mm, spacing_mm)
        wide[box] = within(core, reach_mm, spacing_mm) if core.any() else core
    return wide


def _sides(
    coarse: Coarse, air: BoolArray, middle_x: float, settings: LungSettings
) -> dict[int, BoolArray]:
    """Air of each lung, gaps and holes filled; a lung without air is left out."""
    voxel_ml = coarse.voxel_ml
    labels, sizes = components(air)
    order = [n for n in np.argsort(sizes)[::-1] if sizes[n] * voxel_ml >= settings.min_region_ml]
    if not order:
        raise AnatomyError(
            f"the image must show aerated lung of {settings.min_region_ml:g} ml at least, got "
            f"{sizes.max(initial=0) * voxel_ml:.1f} ml; check that it is a chest CT in HU"
        )
    order += _islands(coarse, labels, sizes, settings)
    parts = _parts(labels, order, coarse.spacing_mm, settings)
    found = {}
    for side, mask in _assigned(parts, middle_x, coarse.spacing_mm).items():
        box = bounding_box(mask)
        closed = close_gaps(mask[box], settings.closing_mm, coarse.spacing_mm)
        mask[box] = fill_holes(closed)
        found[side] = mask
    return found


def _islands(
    coarse: Coarse, labels: IntArray, sizes: IntArray, settings: LungSettings
) -> list[int]:
    """Small regions as dense as lung close to it: what consolidation has cut off."""
    ml = sizes * coarse.voxel_ml
    small = np.flatnonzero((ml >= settings.island_ml) & (ml < settings.min_region_ml))
    if len(small) == 0:
        return []
    low, high = settings.island_hu
    means = label_means(coarse.hu, labels, len(sizes) - 1)
    likely = np.zeros(len(sizes), bool)
    likely[small] = (low < means[small]) & (means[small] < high)
    if not likely.any():
        return []
    # Only now, and round them alone: the distance is long, so to tell it takes a transform.
    reach = np.ceil(settings.island_reach_mm / coarse.spacing_mm).astype(int)
    box = bounding_box(members(labels, likely), reach)
    labels = labels[box]
    large = members(labels, ml >= settings.min_region_ml)
    far = ~within(large, settings.island_reach_mm, coarse.spacing_mm)
    likely[labels[far]] = False
    return np.flatnonzero(likely).tolist()


def _parts(
    labels: IntArray, order: list[int], spacing_mm: FloatArray, settings: LungSettings
) -> list[BoolArray]:
    """Masks of the regions of air, largest first, joined lungs parted."""
    masks = []
    for label in order:
        mask = labels == label
        if label == order[0]:
            box = bounding_box(mask)
            halves = split_in_two(
                mask[box],
                spacing_mm,
                min_share=settings.split_share,
                radii_mm=_SPLIT_RADII_MM,
            )
            if halves.max() == 2 and _gap_x(halves) * spacing_mm[2] >= _APART_MM:
                other = np.zeros_like(mask)
                mask[box], other[box] = halves == 1, halves == 2
                masks.append(other)
        masks.append(mask)
    return masks


def _centre_x(mask: BoolArray) -> float:
    counts = np.count_nonzero(mask, axis=(0, 1))
    return float(np.average(np.arange(len(counts)), weights=counts))


def _gap_x(halves: IntArray) -> float:
    return _centre_x(halves == 2) - _centre_x(halves == 1)


def _assigned(
    masks: list[BoolArray], middle_x: float, spacing_mm: FloatArray
) -> dict[int, BoolArray]:
    """Join the regions of each side; the right lung has the smaller x."""
    masks = sorted(masks, key=np.count_nonzero, reverse=True)
    centres = [_centre_x(mask) for mask in masks]
    if len(masks) > 1 and abs(centres[0] - centres[1]) * spacing_mm[2] >= _APART_MM:
        low, high = sorted(centres[:2])
        middle_x = middle_x if low < middle_x < high else (low + high) / 2
    found: dict[int, BoolArray] = {}
    for mask, centre in zip(masks, centres, strict=True):
        side = RIGHT if centre < middle_x else LEFT
        found[side] = found[side] | mask if side in found else mask
    return dict(sorted(found.items()))
