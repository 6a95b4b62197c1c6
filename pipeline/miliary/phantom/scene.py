"""The scene in Hounsfield units and tissues, a slab of slices at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from miliary.arrays import AnyArray, BoolArray, Box, FloatArray, LabelArray
from miliary.phantom.chest import Chest
from miliary.phantom.disease import Lesions
from miliary.phantom.fields import Upsampler
from miliary.phantom.lobules import SeptumField
from miliary.phantom.point_spread import PointSpread
from miliary.phantom.slab import Shares, Slab
from miliary.phantom.spec import PhantomSpec
from miliary.phantom.trees import Trees

#: Slices a slab: memory stays small, and each of two threads has slabs to do.
_SLAB = 16

#: Margin in mm round the lungs that is drawn in detail.
_MARGIN_MM = 8.0


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything to be drawn.

    Parameters
    ----------
    spec : PhantomSpec
        Grid and disease.
    chest : Chest
        Lungs and body.
    trees : Trees
        Vessels and airways.
    septa : SeptumField
        Faces between lobules.
    lesions : Lesions
        Nodules.
    """

    spec: PhantomSpec
    chest: Chest
    trees: Trees
    septa: SeptumField
    lesions: Lesions


@dataclass(frozen=True, eq=False)
class Images:
    """What was drawn; see `Phantom` for the meaning.

    Parameters
    ----------
    hu : (z, y, x) int16
        Hounsfield units.
    tissue_labels, lung_labels, hemithorax_labels, lobe_labels : (z, y, x) uint8
        Labels.
    fissure_mask : (z, y, x) bool
        Mask.
    """

    hu: AnyArray
    tissue_labels: LabelArray
    lung_labels: LabelArray
    hemithorax_labels: LabelArray
    lobe_labels: LabelArray
    fissure_mask: BoolArray


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
    scanner, chest = scene.spec.scanner, scene.chest
    up = Upsampler(chest.step_mm, scanner.shape, scanner.spacing_mm)
    images = Images(
        np.empty(scanner.shape, np.int16),
        tissue_labels=np.zeros(scanner.shape, np.uint8),
        lung_labels=np.zeros(scanner.shape, np.uint8),
        hemithorax_labels=np.zeros(scanner.shape, np.uint8),
        lobe_labels=np.zeros(scanner.shape, np.uint8),
        fissure_mask=np.zeros(scanner.shape, bool),
    )
    spread = PointSpread.of(scanner)
    window = _lung_window(scene)
    n = scanner.shape[0]
    parts = [slice(k, min(k + _SLAB, n)) for k in range(0, n, _SLAB)]

    def draw(part: slice) -> None:
        _draw_slab(scene, up, spread, noise_hu, images, (part, *window))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(draw, parts))
    return images


def _lung_window(scene: Scene) -> tuple[slice, slice]:
    """Rows and columns of the phantom that the lungs need, with a margin for the blur."""
    scanner, chest = scene.spec.scanner, scene.chest
    windows = []
    for axis in (1, 2):
        others = tuple(k for k in range(3) if k != axis)
        where = np.flatnonzero((chest.pleural_mm > 0).any(axis=others)) * chest.step_mm
        low, high = (where[0] - _MARGIN_MM, where[-1] + _MARGIN_MM) if len(where) else (0.0, 0.0)
        first, last = (int(edge / scanner.spacing_mm[axis]) for edge in (low, high))
        windows.append(slice(max(first, 0), min(max(last, 1), scanner.shape[axis])))
    return windows[0], windows[1]


def _draw_slab(
    scene: Scene,
    up: Upsampler,
    spread: PointSpread,
    noise_hu: FloatArray,
    images: Images,
    box: Box,
) -> None:
    """Draw some slices and write them into the images; lungs are in the box only."""
    scanner, chest = scene.spec.scanner, scene.chest
    whole = (box[0], slice(0, scanner.shape[1]), slice(0, scanner.shape[2]))
    hu = np.zeros([part.stop - part.start for part in whole], np.float32)
    middle = int(np.argmin(np.abs(spread.slice_offsets_mm)))
    for k, (offset_mm, weight) in enumerate(
        zip(spread.slice_offsets_mm, spread.slice_weights, strict=True)
    ):
        drawn = up.part(chest.body_hu, whole, float(offset_mm))
        inner = drawn[:, box[1], box[2]]
        slab = Slab.look(scene.spec, chest, up, box, float(offset_mm), spread.sigma_mm)
        shares = slab.shares(scene.trees, scene.septa, scene.lesions)
        inner[...] = slab.attenuation(shares, inner)
        hu += np.float32(weight) * drawn
        # Labels are those of the slice's middle; what lies beside it is only blurred into it.
        if k == middle:
            _label(slab, shares, up.nearest(chest.body_labels, whole), images)
    hu = spread.sharpened(hu, scanner.spacing_mm)
    hu += noise_hu[box[0]]
    images.hu[box[0]] = np.clip(np.rint(hu, out=hu), -1024, 3071, out=hu)


def _label(slab: Slab, shares: Shares, body_labels: LabelArray, images: Images) -> None:
    """Write the labels of a slab into the images."""
    box = slab.box
    side = np.where(slab.right, np.uint8(1), np.uint8(2))
    images.lung_labels[box] = side * slab.aerated
    images.hemithorax_labels[box] = side * (slab.pleural_mm > 0)
    images.lobe_labels[box] = slab.lobes * (slab.depth_mm > 0)
    images.fissure_mask[box] = shares.fissure_near
    images.tissue_labels[box[0]] = body_labels
    images.tissue_labels[box] = slab.tissues(shares, body_labels[:, box[1], box[2]])
