"""Vessels of the lungs, without the nodules that lie beside them."""

from __future__ import annotations

import numpy as np

from miliary.arrays import BoolArray, FloatArray, LabelArray
from miliary.config.vessels import VesselSettings
from miliary.geometry import Box
from miliary.kernels.distances import deeper_than, within
from miliary.kernels.filters import smooth
from miliary.kernels.hessian import eigenvalues_at
from miliary.kernels.tubes import blob_cores, long_components, tube_response
from miliary.volume import Volume

#: Soft tissue with contrast and without is one: denser is cut down to this before filtering.
_CEILING_HU = 100.0
#: Scales up to this are those of nodules of 1 to 3 mm.
_NODULE_SCALE_MM = 1.5
#: How far the middle of a nodule lies from the inside of the vessel beside it.
_BESIDE_MM = 1.5
#: A thin vessel alone is beaded by the grid, and swallows no nodule: only beside what is dense on
#: this scale blobs are looked for on a fine one.
_WIDE_SCALE_MM = 1.3


def find_vessels(
    volume: Volume, box: Box, lung_labels: LabelArray, settings: VesselSettings
) -> BoolArray:
    """Find the vessels inside the lungs, down to about 1.5 mm.

    Tubes by their curvature at several scales, and whatever is as dense as soft tissue; in one
    piece of some length. Walls of bronchi count as vessels. Small blobs do not, nor what only
    a blob holds together.

    Parameters
    ----------
    volume : Volume
        The scan.
    box : tuple of three slices
        The crop.
    lung_labels : (z, y, x) uint8
        Lungs on the crop, 0 outside.
    settings : VesselSettings
        Limits.

    Returns
    -------
    (z, y, x) bool
        Vessels on the crop.
    """
    spacing = volume.geometry.spacing_mm
    inside = lung_labels > 0
    if not inside.any():
        return np.zeros(inside.shape, bool)
    hu = volume.hu[box]
    lung_hu = float(np.median(hu[inside][::11]))
    # With lung outside too, the wall makes no ridges along the pleura.
    image = np.full(hu.shape, lung_hu, np.float32)
    np.minimum(hu, np.float32(_CEILING_HU), out=image, where=inside, casting="unsafe")
    response, blobs, bright = _responses(image, inside, lung_hu, spacing, settings)
    wide = inside & (smooth(image, _WIDE_SCALE_MM, spacing) > lung_hu + settings.fine_blob_wide_hu)
    thick = deeper_than(bright, settings.thick_mm, spacing)
    # What is dense but thin must answer as a tube: so nodules on large vessels stay out.
    solid = within(thick, settings.thick_mm, spacing)
    mask = response > settings.low_hu
    mask &= ~within(blobs & ~solid, settings.blob_radius_mm, spacing)
    # A stub on a large vessel is a nodule that leans on it; a branch goes on.
    side = mask & ~within(solid, settings.rim_mm, spacing)
    stays = long_components(
        side, side, spacing, min_length_mm=settings.min_branch_mm, max_fill=np.inf
    )
    mask &= stays | ~side
    mask |= solid & inside
    mask = long_components(
        mask,
        solid | (response > settings.high_hu),
        spacing,
        min_length_mm=settings.min_length_mm,
        max_fill=settings.max_fill,
    )
    # Last, so that a vessel with a gap beside a nodule is still one, and long.
    mask &= solid | ~_fine_blobs(image, mask, wide, spacing, settings)
    return mask


def _responses(
    image: FloatArray,
    inside: BoolArray,
    lung_hu: float,
    spacing_mm: FloatArray,
    settings: VesselSettings,
) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Strongest tube response over the scales, the cores of small blobs, and what is bright."""
    strongest = np.zeros(image.shape, np.float32)
    blobs, bright = np.zeros(image.shape, bool), np.zeros(image.shape, bool)
    index = np.flatnonzero(inside)
    for scale, contrast in zip(settings.scales_mm, settings.contrast_hu, strict=True):
        smoothed = smooth(image, scale, spacing_mm)
        if scale == min(settings.scales_mm):
            bright = inside & (smoothed > lung_hu + settings.bright_hu)
        looked, response, values, noise = tube_response(
            smoothed,
            index,
            sigma_mm=scale,
            spacing_mm=spacing_mm,
            min_value=lung_hu + contrast,
            end_penalty=settings.end_penalty,
        )
        # In a noisy scan the limits rise with the noise of the response.
        response *= min(1.0, settings.low_hu / max(settings.low_noise * noise, 1e-6))
        strongest.ravel()[looked] = np.maximum(strongest.ravel()[looked], response)
        if scale <= _NODULE_SCALE_MM:
            blobs.ravel()[looked] |= blob_cores(
                values, min_ratio=settings.blob_ratio, min_response=settings.blob_hu
            )
    return strongest, blobs, bright


def _fine_blobs(
    image: FloatArray,
    mask: BoolArray,
    wide: BoolArray,
    spacing_mm: FloatArray,
    settings: VesselSettings,
) -> BoolArray:
    """Blobs of a mask at a scale so fine that a nodule beside a vessel is not one with it."""
    blobs = np.zeros(image.shape, bool)
    index = np.flatnonzero(mask & within(wide, _BESIDE_MM, spacing_mm))
    scale = max(settings.fine_blob_mm, settings.fine_blob_steps * float(spacing_mm.min()))
    smoothed = smooth(image, scale, spacing_mm)
    values = eigenvalues_at(smoothed, index, spacing_mm, scale=scale**2)
    blobs.ravel()[index] = blob_cores(
        values, min_ratio=settings.fine_blob_ratio, min_response=settings.fine_blob_hu
    )
    return within(blobs, settings.blob_radius_mm, spacing_mm)
