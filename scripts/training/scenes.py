"""Versions of a source with nodules in them: changed, bent, blurred, noisier."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import edt
import numpy as np
from scipy import ndimage

from miliary.kernels.balls import add_balls
from miliary.kernels.filters import smooth
from miliary.model import Detector

#: Share of the nodules that are put within this distance of a vessel, and of the pleura.
BESIDE_VESSEL, VESSEL_MM = 0.28, 2.0
UNDER_PLEURA, PLEURA_MM = 0.12, 3.0
#: Smoothed like this, lung is darker than that: nodules are centred there.
LUNG_SIGMA_MM, LUNG_HU = 0.6, -600.0
#: Millimetres around the lungs that are kept of a scan for it.
LAST_MARGIN_MM = 10.0
#: Smooth fields that bend: distance of their nodes, and standard deviation.
BEND_NODES_MM, BEND_MM = 12.0, (0.5, 2.2)


@dataclass(frozen=True)
class Recipe:
    """Which nodules are put in: shares beside vessels and pleura and of small ones, and sizes."""

    beside_vessel: float
    under_pleura: float
    small: float
    small_mm: tuple[float, float]
    large_mm: float
    #: Blur of the lung that a nodule is added to; drawn anew for each version, or always the same.
    base_sigma_mm: tuple[float, ...]


USUAL = Recipe(BESIDE_VESSEL, UNDER_PLEURA, 0.9, (1.0, 3.4), 7.0, (0.8,))
#: Of the last look: more of what is hard.
HARD = Recipe(0.36, 0.14, 0.92, (1.1, 3.1), 7.0, (0.4, 0.8))


@dataclass(frozen=True)
class Job:
    """One version of a source; without `detector` only what blobs tell of themselves is wanted."""

    name: str
    file: Path
    number: int
    density: float
    detector: Detector | None
    last: bool = False

    @property
    def as_it_is(self) -> bool:
        return self.number % 5 == 0 if self.last else self.number == 0

    @property
    def noise_hu(self) -> float:
        """The most noise that is added."""
        if self.number == 0 or (self.last and self.number % 10 == 0):
            return 0.0
        return 15.0 if self.as_it_is else 35.0

    def source(self):
        """Image, masks and spacing of the source."""
        source = np.load(self.file)
        images = source["hu"].astype(np.float32), source["inside"], source["unsure"]
        spacing = source["spacing"]
        if self.last:
            images = cropped(images, np.ceil(LAST_MARGIN_MM / spacing).astype(int))
        return images[0], images[1:], spacing

    def changed(self, hu, masks, spacing, rng):
        """The source as this version has it."""
        if self.as_it_is:
            return hu, masks, spacing
        bent = self.last and self.number % 5 != 1 and not self.name.startswith("phantom")
        return (bend if bent else change)(hu, masks, spacing, rng)


@dataclass(frozen=True)
class Scene:
    """A version of a source with nodules in it."""

    hu: np.ndarray
    inside: np.ndarray
    unsure: np.ndarray
    spacing: np.ndarray
    centres: np.ndarray
    diameters: np.ndarray

    @classmethod
    def of(cls, job: Job, rng: np.random.Generator) -> Scene:
        """Change a source, and put nodules in."""
        recipe = HARD if job.last else USUAL
        hu, (inside, unsure), spacing = job.changed(*job.source(), rng)
        centres = places(hu, inside, spacing, job.density, recipe, rng)
        n = len(centres)
        # Mostly small ones.
        small, split_mm = rng.random(n) < recipe.small, recipe.small_mm[1]
        small_mm = rng.uniform(*recipe.small_mm, n)
        diameters = np.where(small, small_mm, rng.uniform(split_mm, recipe.large_mm, n))
        sigma = (rng.uniform(0.35, 0.8), *(rng.uniform(0.33, 0.6),) * 2)
        blur = recipe.base_sigma_mm
        hu = add_balls(
            hu,
            smooth(hu, rng.uniform(*blur) if len(blur) == 2 else blur[0], spacing),
            spacing,
            centres,
            diameters,
            psf_sigma_mm=sigma,
            tissue_hu=float(rng.uniform(-60, 80)),
            lung_limit_hu=LUNG_HU,
            reach_mm=4.0,
        )
        if job.noise_hu:
            noise = ndimage.gaussian_filter(rng.normal(size=hu.shape), rng.uniform(0.3, 0.9))
            hu = hu + rng.uniform(0, job.noise_hu) * noise / noise.std()
            hu = hu.astype(np.float32)
        return cls(np.round(hu), inside, unsure, spacing, centres, diameters)


def places(hu, inside, spacing, density, recipe, rng) -> np.ndarray:
    """Choose centres in mm: most at random in the lung, more beside vessels and the pleura."""
    step = tuple(float(length) for length in spacing)
    lung = smooth(hu, LUNG_SIGMA_MM, spacing) < LUNG_HU
    n = density * np.count_nonzero(inside & lung) * spacing.prod() / 1e6
    vessel_mm = edt.edt(~(inside & ~lung), anisotropy=step)
    pleura_mm = edt.edt(inside, anisotropy=step)
    chosen = []
    for where, share in (
        (pleura_mm > 0, 1 - recipe.beside_vessel - recipe.under_pleura),
        (vessel_mm < VESSEL_MM, recipe.beside_vessel),
        (pleura_mm < PLEURA_MM, recipe.under_pleura),
    ):
        free = np.flatnonzero(inside & lung & where)
        chosen.append(rng.choice(free, int(share * n), replace=False))
    voxels = np.column_stack(np.unravel_index(np.unique(np.concatenate(chosen)), hu.shape))
    return (voxels + rng.uniform(-0.5, 0.5, voxels.shape)) * spacing


def change(hu, masks, spacing, rng):
    """Make the anatomy larger or smaller, put it on another grid, sharpen or soften it."""
    pixel = rng.uniform(0.6, 0.85)
    target = np.array([rng.uniform(0.7, 1.3) if spacing[0] < 1.5 else spacing[0], pixel, pixel])
    factor = spacing * rng.uniform(0.8, 1.2) / target
    hu = ndimage.zoom(hu, factor, order=1)
    masks = [ndimage.zoom(mask.astype(np.uint8), factor, order=0) > 0 for mask in masks]
    return sharpened(hu, target, rng), masks, target


def bend(hu, masks, spacing, rng):
    """As `change`, but along each axis by another factor, and bent by smooth random fields."""
    pixel = rng.uniform(0.6, 0.85)
    target = np.array([rng.uniform(0.7, 1.3), pixel, pixel])
    axes = np.exp(rng.uniform(-0.2, 0.2, 3))
    if spacing[0] < 1.5:
        scale = rng.uniform(0.65, 1.2) * axes
    else:
        # Thick slices are only good for thinner ones of smaller lungs.
        scale = np.array([rng.uniform(0.45, 0.65), *([rng.uniform(0.65, 1.05)] * 2)]) * axes
    factor = spacing * scale / target
    shape = np.floor(np.array(hu.shape) * factor).astype(int)
    amplitude = rng.uniform(*BEND_MM)
    where = []
    for axis, n in enumerate(shape):
        along = np.arange(n, dtype=np.float32) / factor[axis]
        along = along.reshape([-1 if other == axis else 1 for other in range(3)])
        where.append(
            along + smooth_field(shape, target, amplitude, rng) / np.float32(spacing[axis])
        )
    bent = [ndimage.map_coordinates(hu, where, order=1, mode="nearest", output=np.float32)]
    for mask in masks:
        part = ndimage.map_coordinates(mask.astype(np.float32), where, order=1, output=np.float32)
        bent.append(part > 0.5)
    return sharpened(bent[0], target, rng), bent[1:], target


def smooth_field(shape, spacing, sd_mm, rng) -> np.ndarray:
    """Cubic splines over blurred random nodes, whose standard deviation is given."""
    nodes = np.ceil(shape * spacing / BEND_NODES_MM).astype(int) + 3
    field = ndimage.gaussian_filter(rng.normal(size=nodes), 0.7)
    field = (field * (sd_mm / field.std())).astype(np.float32)
    for axis, (n, step) in enumerate(zip(shape, spacing, strict=True)):
        place = np.arange(n, dtype=np.float32) * step / BEND_NODES_MM + 1
        before = np.floor(place).astype(int)
        f = place - before
        spline = ((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3)
        field = np.moveaxis(field, axis, 0)
        # The nodes before, on either side, and after.
        field = sum(
            field[np.clip(before + off, 0, len(field) - 1)]
            * (weight / 6).reshape(-1, 1, 1).astype(np.float32)
            for off, weight in zip((-1, 0, 1, 2), spline, strict=True)
        )
        field = np.moveaxis(field, 0, axis)
    return field


def cropped(images, margin):
    """Arrays without what is farther from the first mask than so many voxels."""
    inside = images[1]
    box = []
    for axis, spare in enumerate(margin):
        along = np.flatnonzero(inside.any(tuple(other for other in range(3) if other != axis)))
        box.append(slice(max(along[0] - spare, 0), along[-1] + spare + 1))
    return tuple(image[tuple(box)] for image in images)


def sharpened(hu, spacing, rng) -> np.ndarray:
    """Sharpen or soften."""
    blurred = ndimage.gaussian_filter(hu, rng.uniform(0.5, 0.9) / spacing)
    return hu + np.float32(rng.uniform(-0.3, 1.5)) * (hu - blurred)
