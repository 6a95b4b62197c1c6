"""Septa inside a lung: their area a volume, and when it cannot be told."""

from __future__ import annotations

import numpy as np
import pytest

from miliary.anatomy import Anatomy, Lung
from miliary.config.fissures import FissureSettings
from miliary.findings import ImageQuality
from miliary.fissures.septa import with_septa
from miliary.geometry import Geometry
from miliary.kernels.filters import smooth

SPACING_MM = np.array([1.25, 0.7, 0.8])
SHAPE = (57, 96, 104)
SETTINGS = FissureSettings()
QUALITY = ImageQuality(25.0, (1.2, 1.0, 1.0), psf_estimated=True)
SLICE_MM = 1.25


def draw(rng, *, every_mm=None, noise_hu=25.0, cords=False):
    """A lung all over the picture, with sheets across x every so often, or cords."""
    hu = np.full(SHAPE, -860.0, np.float32)
    _, y, x = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(SHAPE, SPACING_MM, strict=True)), indexing="ij"
    )
    if every_mm is not None:
        near = np.abs((x + every_mm / 2) % every_mm - every_mm / 2)
        if cords:
            near = np.hypot(near, np.abs((y + every_mm / 2) % every_mm - every_mm / 2))
        hu += np.where(near < 0.6, 800.0, 0.0).astype(np.float32)
    hu = smooth(hu, 0.45, SPACING_MM)
    noise = smooth(rng.standard_normal(SHAPE).astype(np.float32), 0.5, SPACING_MM)
    return hu + noise_hu * noise / noise.std()


def anatomy_of(labels, fissure_mm=None):
    far = np.full(SHAPE, 20.0, np.float32)
    box = tuple(slice(0, n) for n in SHAPE)
    return Anatomy(
        box, Geometry.aligned(SHAPE, tuple(SPACING_MM), (0.0, 0.0, 0.0)), labels, labels, labels,
        labels > 9, labels > 9, far, far, (Lung("right", 300.0, 300.0), Lung("left", 1.0, 1.0)),
        fissure_mm=fissure_mm,
    )  # fmt: skip


def told(hu, quality=QUALITY, slice_mm=SLICE_MM, **changes):
    labels = np.ones(SHAPE, np.uint8)
    labels[:, :, -2:] = 2
    made = with_septa(hu, anatomy_of(labels, **changes), quality, slice_mm, SETTINGS)
    return [lung.septa_cm2_per_ml for lung in made.lungs]


@pytest.mark.parametrize("every_mm", [9.6, 16.0])
def test_the_area_of_sheets_is_told(rng, every_mm):
    right, left = told(draw(rng, every_mm=every_mm))
    # A sheet every so many mm: 10 / every_mm in cm2 a ml; blocks hold one more or less.
    assert right == pytest.approx(10 / every_mm, rel=0.15)
    assert left is None


def test_noise_is_no_sheet_and_cords_count_little(rng):
    assert told(draw(rng))[0] < 0.05
    # Vessels that were not found: only their flanks look like sheets.
    cords, sheets = (told(draw(rng, every_mm=9.6, cords=cords))[0] for cords in (True, False))
    assert cords < 0.4 * sheets


def test_what_lies_on_a_fissure_is_not_counted(rng):
    x = np.broadcast_to(np.arange(SHAPE[2]) * SPACING_MM[2], SHAPE)
    to_sheet = np.abs((x + 8.0) % 16.0 - 8.0).astype(np.float32)
    assert told(draw(rng, every_mm=16.0), fissure_mm=to_sheet)[0] < 0.05


def test_thick_slices_and_noise_cannot_show_them(rng):
    hu = draw(rng, every_mm=9.6)
    assert told(hu, slice_mm=2.5) == [None, None]
    assert told(hu, quality=ImageQuality(80.0, (1.2, 1.0, 1.0), psf_estimated=True)) == [None, None]
