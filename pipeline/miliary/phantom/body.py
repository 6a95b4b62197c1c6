"""Everything but the lungs, painted organ over organ: attenuation and tissue of every voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi

from miliary.arrays import BoolArray, FloatArray, LabelArray
from miliary.phantom.shapes import Build, cavity, diaphragm_height, ellipsoid, smooth_noise
from miliary.phantom.truth import Tissue

#: Distance between ribs, and between vertebrae, in chest mm.
_SEGMENT = 27.0


@dataclass(frozen=True, eq=False)
class Body:
    """A body under way: every `put` covers what was there.

    Parameters
    ----------
    z, y, x : (...) float
        Chest mm, of shapes that broadcast.
    hu : (z, y, x) float32
        Attenuation in HU.
    labels : (z, y, x) uint8
        Tissue.
    """

    z: FloatArray
    y: FloatArray
    x: FloatArray
    hu: FloatArray
    labels: LabelArray

    def put(self, where: BoolArray, hu: float, tissue: Tissue) -> None:
        """Paint a tissue.

        Parameters
        ----------
        where : (...) bool
            Where, of a shape that broadcasts.
        hu : float
            Its attenuation in HU.
        tissue : Tissue
            What it is.
        """
        np.copyto(self.hu, np.float32(hu), where=where)
        np.copyto(self.labels, np.uint8(tissue), where=where)


def paint_body(
    z: FloatArray,
    y: FloatArray,
    x: FloatArray,
    build: Build,
    rng: np.random.Generator,
    *,
    table: bool,
    arms: bool,
) -> tuple[FloatArray, LabelArray]:
    """Paint everything but the lungs: air, table, skin, fat, muscle, bones, organs.

    Parameters
    ----------
    z, y, x : (...) float
        Chest mm, of shapes that broadcast to three dimensions.
    build : Build
        How the chest differs from a symmetric one.
    rng : numpy.random.Generator
        Source of randomness.
    table, arms : bool
        Whether they are in the picture.

    Returns
    -------
    hu : (z, y, x) float32
        Attenuation in HU, as if the lungs were filled with fat.
    labels : (z, y, x) uint8
        Tissue.
    """
    shape = np.broadcast_shapes(z.shape, y.shape, x.shape)
    body = Body(z, y, x, np.full(shape, -1000.0, np.float32), np.zeros(shape, np.uint8))
    mottle = smooth_noise(shape, 3.0, rng)
    # Higher up the cavity closes, but neck and shoulders go on at its last width.
    inner = np.broadcast_to(cavity(np.minimum(z, 215.0), y, x), shape)
    # Each covers what was painted before it.
    _put_wall(body, inner, mottle)
    if arms:
        _put_arms(body)
    _put_mediastinum(body, inner, mottle, build)
    _put_abdomen(body, inner, build)
    _put_ribs(body, inner)
    _put_shoulders(body)
    _put_spine(body)
    if table:
        _put_table(body)
    return ndi.gaussian_filter(body.hu + 6.0 * mottle, 0.5), body.labels


def _put_wall(body: Body, inner: FloatArray, mottle: FloatArray) -> None:
    """Skin, fat under it, muscle, and fat under the pleura."""
    # The shoulders are wider than the chest below them.
    wide = 178.0 + 42.0 / (1.0 + np.exp((225.0 - body.z) / 9.0))
    skin = 1.0 - (np.abs(body.x / wide) ** 2.3 + np.abs((body.y - 4.0) / 124.0) ** 2.3) ** (1 / 2.3)
    skin = skin * 124.0
    body.put(skin > 0, -100.0, Tissue.FAT)
    body.put((skin > 0) & (skin < 2.0), 0.0, Tissue.SKIN)
    body.put((skin > 13.0 + 4.0 * mottle) & (inner < -1.0), 45.0, Tissue.MUSCLE)
    body.put((inner > -3.5) & (inner <= -1.0), -60.0, Tissue.FAT)


def _put_arms(body: Body) -> None:
    """Upper arms beside the chest, up to the shoulders."""
    across = np.hypot(np.abs(body.x) - 214.0, body.y - 10.0)
    below = body.z < 240.0
    body.put((across < 36.0) & below, -100.0, Tissue.FAT)
    body.put((across < 30.0) & below, 48.0, Tissue.MUSCLE)
    body.put((across < 11.5) & below, 900.0, Tissue.BONE)
    body.put((across < 6.0) & below, 20.0, Tissue.MARROW)


def _put_mediastinum(body: Body, inner: FloatArray, mottle: FloatArray, build: Build) -> None:
    """Heart, great vessels, hila and the fat between them."""
    z, y, x = body.z, body.y, body.x - build.shift_mm
    inside = inner > -1.0
    body.put(inside, -70.0, Tissue.FAT)
    body.put(inside & (mottle > 0.9), 20.0, Tissue.MEDIASTINUM)
    heart = ellipsoid(z, y, x, (70.0, -28.0, 20.0), (56.0, 48.0, 58.0))
    vessels = ellipsoid(z, y, x, (180.0, -12.0, -2.0), (80.0, 26.0, 24.0))
    aorta = 13.0 - np.hypot(x - 22.0, y - 50.0) + 0.0 * z
    hila = np.maximum(
        ellipsoid(z, y, x, (132.0, 12.0, -28.0), (26.0, 17.0, 26.0)),
        ellipsoid(z, y, x, (136.0, 14.0, 28.0), (26.0, 17.0, 26.0)),
    )
    for depth, tissue in (
        (vessels, Tissue.MEDIASTINUM),
        (aorta, Tissue.MEDIASTINUM),
        (hila, Tissue.MEDIASTINUM),
        (heart, Tissue.HEART),
    ):
        body.put((depth > 0) & inside, 42.0, tissue)


def _put_abdomen(body: Body, inner: FloatArray, build: Build) -> None:
    """Liver, spleen and bowel gas below the diaphragm, which has no air above it but lung."""
    below = (diaphragm_height(body.y, body.x, build) - body.z > 3.0) & (inner > -1.0)
    body.put(below & (body.x < 15.0), 58.0, Tissue.ABDOMEN)
    body.put(below & (body.x >= 15.0), 45.0, Tissue.ABDOMEN)
    gas = ellipsoid(
        body.z - build.lift_left_mm, body.y, body.x, (24.0, -34.0, 66.0), (17.0, 24.0, 30.0)
    )
    # A wall round the gas, or it would touch the lung where the dome is thin.
    body.put(below & (gas > -2.5), 40.0, Tissue.ABDOMEN)
    body.put(below & (gas > 0), -960.0, Tissue.BOWEL_GAS)


def _put_ribs(body: Body, inner: FloatArray) -> None:
    """Ribs with marrow, and the sternum."""
    # Ribs run down towards the front, so their places repeat along a slope.
    slanted = body.z + 0.55 * (90.0 - body.y)
    across = (np.mod(slanted, _SEGMENT) - _SEGMENT / 2) / 7.0
    rib = np.hypot(across, (-inner - 7.5) / 4.2)
    here = (np.abs(body.x) > 16.0) & (body.y > -88.0)
    body.put((rib < 1.0) & here, 520.0, Tissue.BONE)
    body.put((rib < 0.62) & here, 180.0, Tissue.MARROW)
    sternum = np.hypot(body.x / 19.0, (body.y + 101.0 - 0.06 * body.z) / 6.0)
    body.put((sternum < 1.0) & (body.z > 40.0) & (body.z < 235.0), 330.0, Tissue.BONE)


def _put_shoulders(body: Body) -> None:
    """Heads of the humeri, shoulder blades and collar bones: what makes streaks."""
    beside = np.abs(body.x)
    head = 24.0 - np.sqrt((beside - 178.0) ** 2 + (body.y - 12.0) ** 2 + (body.z - 246.0) ** 2)
    body.put(head > 0, 480.0, Tissue.BONE)
    body.put(head > 3.0, 220.0, Tissue.MARROW)
    flat = np.abs(body.y - 84.0 + 0.35 * (beside - 95.0)) < 3.5
    blade = (np.abs(beside - 112.0) < 38.0) & (np.abs(body.z - 195.0) < 62.0)
    body.put(flat & blade, 420.0, Tissue.BONE)
    along = np.clip((beside - 20.0) / 130.0, 0.0, 1.0)
    collar = np.hypot(body.y + 78.0 - 62.0 * along, body.z - 240.0 - 14.0 * along)
    body.put((collar < 6.0) & (beside > 20.0) & (beside < 150.0), 450.0, Tissue.BONE)


def _put_spine(body: Body) -> None:
    """Vertebrae with marrow, discs, arches, spinous processes and the canal."""
    level = np.mod(body.z, _SEGMENT)
    disc = np.abs(level - _SEGMENT / 2) > 11.0
    vertebra = np.hypot(body.x / 19.0, (body.y - 66.0) / 15.0) + 0.0 * body.z
    body.put(vertebra < 1.0, 480.0, Tissue.BONE)
    body.put(vertebra < 0.87, 190.0, Tissue.MARROW)
    body.put((vertebra < 1.0) & disc, 90.0, Tissue.MUSCLE)
    arch = np.hypot(body.x / 24.0, (body.y - 92.0) / 14.0) + 0.0 * body.z
    spinous = (np.abs(body.x) < 5.0) & (body.y > 92.0) & (body.y < 116.0) & (level < 17.0)
    body.put(((arch < 1.0) & (vertebra >= 1.0) & ~disc) | spinous, 380.0, Tissue.BONE)
    canal = np.hypot(body.x / 10.0, (body.y - 90.0) / 8.0) + 0.0 * body.z
    body.put(canal < 1.0, 35.0, Tissue.MUSCLE)


def _put_table(body: Body) -> None:
    """A hollow table under the back, where there is air."""
    off = np.abs(body.y - 142.0 + 0.0012 * body.x**2) + 0.0 * body.z
    air = body.labels == Tissue.AIR
    body.put((off < 5.0) & air, -150.0, Tissue.TABLE)
    body.put((off < 3.5) & air, -930.0, Tissue.TABLE)
