"""Vessels of the lungs, without the nodules that lie beside them."""

from __future__ import annotations

import numpy as np

from miliary.arrays import BoolArray, Box, FloatArray, LabelArray
from miliary.config.vessels import VesselSettings
from miliary.kernels.distances import deeper_than, within
from miliary.kernels.filters import smooth
from miliary.kernels.hessian import eigenvalues_at
from miliary.kernels.inside import cap_inside, median_inside, spread_inside
from miliary.kernels.tubes import blob_cores, long_components, response_noise, tube_response
from miliary.volume import Volume

#: One of so many voxels of the lungs is plenty for a median.
_MEDIAN_EVERY = 11
#: A sample of this many voxels gives the noise to a percent.
_NOISE_SAMPLE = 40000
#: What reaches a contrast on one scale has voxels with this share of it on the next finer one, no
#: farther than so many standard deviations of the blur between: even where these had all the
#: contrast there is (950 HU), more of the blur's weight must be on them than lies beyond.
_FINER_SHARE, _FINER_SIGMAS = 0.6, 3.2


#: What filters over the scales say of a voxel, each a bit of one image: tubes by the lower and the
#: higher limit, cores of small blobs, what is dense without further proof, or over some width, and
#: blobs at a scale so fine that a nodule beside a vessel is not one with it.
_LOW, _HIGH, _BLOB, _BRIGHT, _WIDE, _FINE = (np.uint8(1 << bit) for bit in range(6))


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
    lung_hu = median_inside(hu, inside, every=_MEDIAN_EVERY)
    # With lung outside too, the wall makes no ridges along the pleura.
    image = cap_inside(hu, inside, ceiling=settings.ceiling_hu, outside=lung_hu)
    found = _answers(image, inside, lung_hu, spacing, settings)
    # What follows takes as much memory again.
    del image
    thick = deeper_than(_says(found, _BRIGHT), settings.thick_mm, spacing)
    # What is dense but thin must answer as a tube: so nodules on large vessels stay out.
    solid = within(thick, settings.thick_mm, spacing)
    blobs = _says(found, _BLOB) & ~solid
    mask = _says(found, _LOW) & ~within(blobs, settings.blob_radius_mm, spacing)
    # A stub on a large vessel is a nodule that leans on it; a branch goes on.
    side = mask & ~within(solid, settings.rim_mm, spacing)
    stays = long_components(
        side, side, spacing, min_length_mm=settings.min_branch_mm, max_fill=np.inf
    )
    mask &= stays | ~side
    mask |= solid & inside
    mask = long_components(
        mask,
        solid | _says(found, _HIGH),
        spacing,
        min_length_mm=settings.min_length_mm,
        max_fill=settings.max_fill,
    )
    # Last, so that a vessel with a gap beside a nodule is still one, and long.
    fine = _says(found, _FINE) & mask
    mask &= solid | ~within(fine, settings.blob_radius_mm, spacing)
    return mask


def _says(found: LabelArray, answer: np.uint8) -> BoolArray:
    """Where filters gave an answer."""
    said: BoolArray = (found & answer) > 0
    return said


def _answers(
    image: FloatArray,
    inside: BoolArray,
    lung_hu: float,
    spacing_mm: FloatArray,
    settings: VesselSettings,
) -> LabelArray:
    """Ask for tubes, small blobs and what is bright, scale by scale."""
    found = np.zeros(image.shape, np.uint8)
    flat = found.ravel()
    sample = spread_inside(inside, _NOISE_SAMPLE)
    wanted = {*settings.scales_mm, settings.fine_blob_wide_mm}
    contrasts = dict(zip(settings.scales_mm, settings.contrast_hu, strict=True))
    smoothed, finer = np.empty_like(image), 0.0
    for scale in sorted(wanted):
        _coarser(image, smoothed, (finer, scale), inside, lung_hu, spacing_mm, settings)
        finer = scale
        if scale == min(settings.scales_mm):
            found |= _BRIGHT * (inside & (smoothed > lung_hu + settings.bright_hu))
        if scale == settings.fine_blob_wide_mm:
            found |= _WIDE * (inside & (smoothed > lung_hu + settings.fine_blob_wide_hu))
        if scale not in contrasts:
            continue
        looked = np.flatnonzero(inside & (smoothed > lung_hu + contrasts[scale]))
        values = eigenvalues_at(smoothed, looked, spacing_mm, scale=scale**2)
        response = tube_response(values, end_penalty=settings.end_penalty)
        # In a noisy scan the limits rise with the noise of the response.
        told = sample[~np.isnan(smoothed.ravel()[sample])]
        noise = response_noise(eigenvalues_at(smoothed, told, spacing_mm, scale=scale**2))
        response *= min(1.0, settings.low_hu / max(settings.low_noise * noise, 1e-6))
        flat[looked[response > settings.low_hu]] |= _LOW
        flat[looked[response > settings.high_hu]] |= _HIGH
        if scale <= settings.nodule_scale_mm:
            core = blob_cores(values, min_ratio=settings.blob_ratio, min_response=settings.blob_hu)
            flat[looked[core]] |= _BLOB
    _look_finer(image, smoothed, found, spacing_mm, settings)
    return found


def _coarser(
    image: FloatArray,
    smoothed: FloatArray,
    scales_mm: tuple[float, float],
    inside: BoolArray,
    lung_hu: float,
    spacing_mm: FloatArray,
    settings: VesselSettings,
) -> None:
    """Put an image smoothed by the second of two scales in place of that by the first.

    On coarse scales there is only something dense near what is dense on the finer one, in few
    places; elsewhere, and outside of the lungs, they have NaN.
    """
    finer, scale = scales_mm
    if scale <= settings.fine_blob_wide_mm:
        smooth(image, scale, spacing_mm, where=inside, into=smoothed)
        return
    contrast = dict(zip(settings.scales_mm, settings.contrast_hu, strict=True))[scale]
    dense = inside & (smoothed > lung_hu + _FINER_SHARE * contrast)
    around_mm = _FINER_SIGMAS * float(np.sqrt(scale**2 - finer**2))
    smooth(image, scale, spacing_mm, where=dense, around_mm=around_mm, into=smoothed)


def _look_finer(
    image: FloatArray,
    smoothed: FloatArray,
    found: LabelArray,
    spacing_mm: FloatArray,
    settings: VesselSettings,
) -> None:
    """Look for fine blobs beside what is wide, in all that can become vessel."""
    beside = within(_says(found, _WIDE), settings.beside_mm, spacing_mm)
    wanted = _says(found, _LOW | _BRIGHT) & beside
    index = np.flatnonzero(wanted)
    scale = max(settings.fine_blob_mm, settings.fine_blob_steps * float(spacing_mm.min()))
    smooth(image, scale, spacing_mm, where=wanted, into=smoothed)
    values = eigenvalues_at(smoothed, index, spacing_mm, scale=scale**2)
    core = blob_cores(
        values, min_ratio=settings.fine_blob_ratio, min_response=settings.fine_blob_hu
    )
    found.ravel()[index[core]] |= _FINE
