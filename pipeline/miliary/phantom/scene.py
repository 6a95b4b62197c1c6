"""The scene in Hounsfield units and labels, a slab of slices at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, LabelArray
from miliary.geometry import Box
from miliary.kernels.balls import REACH_SIGMAS, render_balls
from miliary.phantom.chest import Chest, fissure_present, label_lobes
from miliary.phantom.scanner import Upsampler, draw_tubes, edge_share, gradient_length
from miliary.phantom.spec import PhantomSpec
from miliary.phantom.trees import Trees, Tubes

#: Attenuation in HU.
_VESSEL_HU, _WALL_HU, _AIR_HU, _FISSURE_HU = (np.float32(hu) for hu in (45.0, 20.0, -1000.0, 20.0))

#: Thickness of a fissure in mm: seen as a faint line of about -700 HU at 1 mm.
_FISSURE_MM = 0.22

#: A voxel is called fissure when its centre is that near.
_FISSURE_LABEL_MM = 0.75

#: Blurred share from which a voxel is called vessel.
_VESSEL_SHARE = 0.25

#: Slices a slab: memory stays small, and each of two threads has slabs to do.
_SLAB = 16


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything to be drawn.

    Parameters
    ----------
    spec : PhantomSpec
        Grid, point spread and attenuation.
    chest : Chest
        Lungs and body.
    trees : Trees
        Vessels and airways.
    centres_mm : (N, 3) float
        Nodules, grid points `(z, y, x)` in mm.
    diameters_mm : (N,) float
        Their diameters.
    """

    spec: PhantomSpec
    chest: Chest
    trees: Trees
    centres_mm: FloatArray
    diameters_mm: FloatArray


@dataclass(frozen=True, eq=False)
class Images:
    """What was drawn; see `Phantom` for the meaning.

    Parameters
    ----------
    hu : (z, y, x) int16
        Hounsfield units.
    lung_labels, lobe_labels : (z, y, x) uint8
        Labels.
    vessel_mask, airway_mask, fissure_mask : (z, y, x) bool
        Masks.
    """

    hu: AnyArray
    lung_labels: LabelArray
    lobe_labels: LabelArray
    vessel_mask: BoolArray
    airway_mask: BoolArray
    fissure_mask: BoolArray


@dataclass(frozen=True, eq=False)
class _Fields:
    """Coarse fields ready for interpolation, chest coordinates, and fissures as height maps."""

    up: Upsampler
    depth_mm: FloatArray
    z: FloatArray
    y: FloatArray
    x: FloatArray
    heights: tuple[FloatArray, ...]
    tilts: tuple[FloatArray, ...]


def render(scene: Scene, noise_hu: FloatArray) -> Images:
    """Draw a scene with its noise.

    Parameters
    ----------
    scene : Scene
        What to draw.
    noise_hu : (z, y, x) float32
        Noise to be added.

    Returns
    -------
    Images
        Hounsfield units and labels; the same on any number of threads, as slabs are drawn
        each for itself.
    """
    spec, chest = scene.spec, scene.chest
    slope = gradient_length(chest.depth_mm, chest.step_mm)
    z, y, x = (
        ((np.arange(n) * s - o) / chest.scale).astype(np.float32)
        for n, s, o in zip(spec.shape, spec.spacing_mm, chest.origin_mm, strict=True)
    )
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    coarse = _Fields(
        Upsampler(chest.step_mm, spec.shape, spec.spacing_mm),
        chest.depth_mm / slope,
        z,
        y,
        x,
        tuple(f.height(y, x).astype(np.float32) for f in chest.fissures),
        tuple(f.tilt(y, x).astype(np.float32) for f in chest.fissures),
    )
    images = Images(
        np.empty(spec.shape, np.int16),
        lung_labels=np.zeros(spec.shape, np.uint8),
        lobe_labels=np.zeros(spec.shape, np.uint8),
        vessel_mask=np.zeros(spec.shape, bool),
        airway_mask=np.zeros(spec.shape, bool),
        fissure_mask=np.zeros(spec.shape, bool),
    )
    across = _lung_window(scene)
    boxes = [
        (slice(k, min(k + _SLAB, spec.shape[0])), *across) for k in range(0, spec.shape[0], _SLAB)
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda box: _slab(scene, coarse, noise_hu, images, box), boxes))
    return images


def _lung_window(scene: Scene) -> tuple[slice, slice]:
    """Rows and columns of the phantom that the lungs need, with a margin for the blur."""
    spec, chest = scene.spec, scene.chest
    windows = []
    for axis in (1, 2):
        others = tuple(k for k in range(3) if k != axis)
        where = np.flatnonzero((chest.depth_mm > 0).any(axis=others)) * chest.step_mm
        low, high = (where[0] - 8.0, where[-1] + 8.0) if len(where) else (0.0, 0.0)
        first, last = (int(edge / spec.spacing_mm[axis]) for edge in (low, high))
        windows.append(slice(max(first, 0), min(max(last, 1), spec.shape[axis])))
    return windows[0], windows[1]


def _slab(scene: Scene, coarse: _Fields, noise_hu: FloatArray, images: Images, box: Box) -> None:
    """Draw some slices and write them into the images; lungs are in the box only."""
    spec = scene.spec
    whole = (box[0], slice(0, spec.shape[1]), slice(0, spec.shape[2]))
    hu = coarse.up.part(scene.chest.body_hu, whole)
    chest_hu = hu[:, box[1], box[2]]
    chest_hu[...] = _lung_part(scene, coarse, images, box, chest_hu)
    hu += noise_hu[box[0]]
    images.hu[box[0]] = np.clip(np.rint(hu, out=hu), -1024, 3071, out=hu)


def _lung_part(
    scene: Scene, coarse: _Fields, images: Images, box: Box, body: FloatArray
) -> FloatArray:
    """Lungs in front of the body within a box; the labels of the box are written."""
    spec, chest = scene.spec, scene.chest
    depth = coarse.up.part(coarse.depth_mm, box)
    inside = depth > 0
    heights = tuple(height[:, box[1], box[2]] for height in coarse.heights)
    z, x = coarse.z[box[0]], coarse.x[:, :, box[2]]
    lobes = label_lobes(heights, z, x) * inside
    images.lobe_labels[box] = lobes
    images.lung_labels[box] = inside * (np.uint8(1) + (lobes > 3))

    lung = coarse.up.part(chest.texture_hu, box)
    fissure, near = _fissures(scene, coarse, box)
    lung += fissure * (_FISSURE_HU - lung)
    images.fissure_mask[box] = near & inside
    trees = scene.trees
    vessel = 1.0 - (1.0 - _tubes(scene, trees.artery_tubes, box)) * (
        1.0 - _tubes(scene, trees.vein_tubes, box)
    )
    wall, lumen = _tubes(scene, trees.wall, box), _tubes(scene, trees.lumen, box)
    images.vessel_mask[box] = (vessel >= _VESSEL_SHARE) & inside
    images.airway_mask[box] = lumen >= 0.5
    for share, tissue_hu in ((vessel, _VESSEL_HU), (wall, _WALL_HU), (lumen, _AIR_HU)):
        lung += share * (tissue_hu - lung)

    body = body + lumen * (_AIR_HU - body)
    hu = body + edge_share(depth, _sigma_across(depth, spec)) * (lung - body)
    # A nodule replaces lung: at the pleura, where lung and wall are blurred into each other,
    # what it adds still belongs to the lung alone. It never gets denser than tissue.
    tissue = np.maximum(hu, np.float32(spec.nodule_hu))
    added = _nodules(scene, box) * np.maximum(np.float32(spec.nodule_hu) - lung, 0)
    lungs_hu: FloatArray = np.minimum(hu + added, tissue)
    return lungs_hu


def _sigma_across(depth_mm: FloatArray, spec: PhantomSpec) -> FloatArray:
    """Standard deviation of the point spread across the lung's surface, voxel by voxel."""
    sigmas = np.asarray(spec.psf_sigma_mm, np.float32)
    if np.ptp(sigmas) == 0 or min(depth_mm.shape) <= 1:
        return np.full_like(depth_mm, sigmas.mean())
    steps = np.gradient(depth_mm, *(np.float32(step) for step in spec.spacing_mm))
    along = sum(np.square(step) for step in steps)
    across = sum(np.square(sigma * step) for sigma, step in zip(sigmas, steps, strict=True))
    # Where the depth is flat, deep inside or far outside, any spread will do.
    spread: FloatArray = np.sqrt(across / np.maximum(along, 1e-6) + (along < 1e-6) * sigmas[0] ** 2)
    return spread


def _fissures(scene: Scene, coarse: _Fields, box: Box) -> tuple[FloatArray, BoolArray]:
    """Share of the fissures in a box, and where they are near."""
    spec, chest = scene.spec, scene.chest
    sigma_mm = float(np.sqrt(np.mean(np.square(spec.psf_sigma_mm))))
    z, x = coarse.z[box[0]], coarse.x[:, :, box[2]]
    heights = tuple(height[:, box[1], box[2]] for height in coarse.heights)
    shape = tuple(part.stop - part.start for part in box)
    there = np.ones(shape, np.float32)
    if spec.incomplete_fissures:
        there = np.clip(4.0 * (0.9 - coarse.up.part(chest.gap, box)), 0.0, 1.0)
    share, near = np.zeros(shape, np.float32), np.zeros(shape, bool)
    for number, tilt in enumerate(coarse.tilts):
        offset_mm = (z - heights[number]) * (tilt[:, box[1], box[2]] * np.float32(chest.scale))
        close = np.abs(offset_mm) < 4 * sigma_mm
        close &= fissure_present(heights, number, z, x)
        peak = _FISSURE_MM / (sigma_mm * np.sqrt(2 * np.pi))
        line = peak * np.exp(-0.5 * (offset_mm[close] / sigma_mm) ** 2)
        share[close] = np.maximum(share[close], line * there[close])
        near[close] |= (np.abs(offset_mm[close]) <= _FISSURE_LABEL_MM) & (there[close] > 0.5)
    return share, near


def _start_mm(scene: Scene, box: Box) -> FloatArray:
    """Grid point of the first voxel of a box."""
    return np.array([part.start for part in box]) * scene.spec.spacing_mm


def _tubes(scene: Scene, tubes: Tubes, box: Box) -> FloatArray:
    """Share of tubes in a box."""
    share = np.zeros(tuple(part.stop - part.start for part in box), np.float32)
    lift_mm = _start_mm(scene, box)
    moved = Tubes(tubes.start_mm - lift_mm, tubes.end_mm - lift_mm, tubes.radius_mm)
    draw_tubes(share, moved, scene.spec.spacing_mm, scene.spec.psf_sigma_mm)
    return share


def _nodules(scene: Scene, box: Box) -> FloatArray:
    """Share of nodules in a box."""
    spec = scene.spec
    low, high = (edge * spec.spacing_mm[0] for edge in (box[0].start, box[0].stop))
    reach = scene.diameters_mm / 2 + (REACH_SIGMAS + 1) * spec.psf_sigma_mm[0]
    z = scene.centres_mm[:, 0]
    here = (z + reach > low) & (z - reach < high)
    shape_z, shape_y, shape_x = (part.stop - part.start for part in box)
    return render_balls(
        (shape_z, shape_y, shape_x),
        spec.spacing_mm,
        scene.centres_mm[here] - _start_mm(scene, box),
        scene.diameters_mm[here],
        spec.psf_sigma_mm,
    )
