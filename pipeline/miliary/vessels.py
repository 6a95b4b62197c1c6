"""Vessels of the lungs, without the nodules that lie beside them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from miliary.arrays import AnyArray, BoolArray, Box, FloatArray, IntArray, LabelArray
from miliary.config.vessels import VesselSettings
from miliary.kernels.bitmasks import Bits, pack, unpack
from miliary.kernels.filters import smooth_in_slabs
from miliary.kernels.hessian import eigenvalues_at
from miliary.kernels.inside import cap_inside, median_inside, spread_inside
from miliary.kernels.tubes import blob_cores, long_components, response_noise, tube_response
from miliary.volume import Volume

#: One of so many rows of the lungs is plenty for a median.
_MEDIAN_EVERY = 11
#: A sample of this many voxels gives the noise to a percent.
_NOISE_SAMPLE = 40000
#: What reaches a contrast on one scale has voxels with this share of it on the next finer one, no
#: farther than so many standard deviations of the blur between: even where these had all the
#: contrast there is (950 HU), more of the blur's weight must be on them than lies beyond.
_FINER_SHARE, _FINER_SIGMAS = 0.6, 3.2


#: What filters over the scales say of a voxel, each a bit of one image: tubes by the lower and the
#: higher limit, cores of small blobs, what is dense without further proof, or over some width, and
#: blobs at a scale so fine that a nodule beside a vessel is not one with it; and what is dense
#: enough at a scale for the next one to be worth while.
_LOW, _HIGH, _BLOB, _BRIGHT, _WIDE, _FINE, _DENSE = (np.uint8(1 << bit) for bit in range(7))


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
    found = _answers(_Scan(image, inside, lung_hu, spacing), settings)
    del image
    return _in_one_piece(found, inside, spacing, settings)


def _in_one_piece(
    found: LabelArray, inside: BoolArray, spacing_mm: FloatArray, settings: VesselSettings
) -> BoolArray:
    """Choose of what filters answer to the pieces that are vessels."""
    thick = _says(found, _BRIGHT).eroded(settings.thick_mm, spacing_mm)
    # What is dense but thin must answer as a tube: so nodules on large vessels stay out.
    solid = thick.grown(settings.thick_mm, spacing_mm)
    blobs = _says(found, _BLOB).without(solid)
    mask = _says(found, _LOW).without(blobs.grown(settings.blob_radius_mm, spacing_mm))
    # A stub on a large vessel is a nodule that leans on it; a branch goes on.
    side = mask.without(solid.grown(settings.rim_mm, spacing_mm))
    stays = long_components(
        unpack(side), None, spacing_mm, min_length_mm=settings.min_branch_mm, max_fill=np.inf
    )
    mask = mask.without(side).either(pack(stays)).either(solid.both(pack(inside)))
    long = long_components(
        unpack(mask),
        unpack(solid.either(_says(found, _HIGH))),
        spacing_mm,
        min_length_mm=settings.min_length_mm,
        max_fill=settings.max_fill,
    )
    # Last, so that a vessel with a gap beside a nodule is still one, and long.
    mask = pack(long)
    fine = _says(found, _FINE).both(mask).grown(settings.blob_radius_mm, spacing_mm)
    return unpack(mask.without(fine.without(solid)))


def _says(found: LabelArray, answer: np.uint8) -> Bits:
    """Where filters gave an answer."""
    return pack(found, where=answer)


@dataclass(frozen=True, eq=False)
class _Scan:
    """What filters look at.

    Parameters
    ----------
    image : (z, y, x) array
        Hounsfield units, cut down to a ceiling, with lung outside of the lungs.
    inside : (z, y, x) bool
        The lungs.
    lung_hu : float
        What lung has.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    """

    image: AnyArray
    inside: BoolArray
    lung_hu: float
    spacing_mm: FloatArray

    def denser(
        self, part: slice, smoothed: FloatArray, by_hu: float
    ) -> tuple[IntArray, FloatArray]:
        """Voxels of a slab of the lungs that are denser than lung by some contrast, and by what."""
        dense: BoolArray = smoothed > self.lung_hu + by_hu
        dense &= self.inside[part]
        index: IntArray = np.flatnonzero(dense)
        return index, smoothed.reshape(-1)[index] - np.float32(self.lung_hu)


def _answers(scan: _Scan, settings: VesselSettings) -> LabelArray:
    """Ask for tubes, small blobs and what is bright, scale by scale."""
    found = np.zeros(scan.image.shape, np.uint8)
    sample = spread_inside(scan.inside, _NOISE_SAMPLE)
    scales = sorted({*settings.scales_mm, settings.fine_blob_wide_mm})
    where, around_mm = scan.inside, 0.0
    for scale, next_scale in zip_longest(scales, scales[1:]):
        _look_at(scan, found, sample, (scale, next_scale), where, around_mm, settings)
        if next_scale is not None and next_scale > settings.fine_blob_wide_mm:
            # Something dense is there on coarse scales only near what is dense on finer ones.
            where = unpack(_says(found, _DENSE))
            around_mm = _FINER_SIGMAS * float(np.sqrt(next_scale**2 - scale**2))
    _look_finer(scan, found, settings)
    return found


def _look_at(
    scan: _Scan,
    found: LabelArray,
    sample: IntArray,
    scales_mm: tuple[float, float | None],
    where: BoolArray,
    around_mm: float,
    settings: VesselSettings,
) -> None:
    """Ask at a scale, slab by slab, and say where the next one may be worth while."""
    scale, next_scale = scales_mm
    contrasts = dict(zip(settings.scales_mm, settings.contrast_hu, strict=True))
    asked_hu = contrasts.get(scale, np.inf)
    limits = [(_DENSE, _FINER_SHARE * contrasts.get(next_scale or 0.0, np.inf))]
    if scale == min(settings.scales_mm):
        limits.append((_BRIGHT, settings.bright_hu))
    if scale == settings.fine_blob_wide_mm:
        limits.append((_WIDE, settings.fine_blob_wide_hu))
    least_hu = min(asked_hu, *(by_hu for _, by_hu in limits))
    told: list[_Told] = []

    def look(part: slice, slab: FloatArray) -> None:
        # Few voxels are denser by the least of the limits: the others are held against those alone.
        index, by_hu = scan.denser(part, _own(slab, part), least_hu)
        answers = found[part].reshape(-1)
        answers &= ~_DENSE
        for answer, limit_hu in limits:
            answers[index[by_hu > limit_hu]] |= answer
        if scale in contrasts:
            asked = index[by_hu > asked_hu]
            told.append(_ask(scan, slab, part, asked, sample, scale, settings))

    smooth_in_slabs(
        scan.image, scale, scan.spacing_mm, look, where=where, around_mm=around_mm, halo=1
    )
    # In a noisy scan the limits rise with the noise of the response.
    none = np.empty((3, 0), np.float32)
    noise = response_noise(np.concatenate([none, *(one.noise for one in told)], axis=1))
    factor = min(1.0, settings.low_hu / max(settings.low_noise * noise, 1e-6))
    for one in told:
        answers = found[one.part].ravel()
        for answer, least_hu in ((_LOW, settings.low_hu), (_HIGH, settings.high_hu)):
            answers[one.index[one.response * factor > least_hu]] |= answer
        answers[one.index[one.core]] |= _BLOB


@dataclass(frozen=True, eq=False)
class _Told:
    """What a slab tells at a scale.

    Parameters
    ----------
    part : slice
        Its slices.
    index : (N,) int
        Voxels that were looked at, as indices into the flattened slab.
    response : (N,) float32
        Their answer to tubes.
    core : (N,) bool
        Whether each is the core of a small blob.
    noise : (3, M) float32
        Eigenvalues at a sample of voxels.
    """

    part: slice
    index: IntArray
    response: FloatArray
    core: BoolArray
    noise: FloatArray


def _ask(
    scan: _Scan,
    slab: FloatArray,
    part: slice,
    index: IntArray,
    sample: IntArray,
    scale: float,
    settings: VesselSettings,
) -> _Told:
    """Ask some voxels of a smoothed slab and its halo for tubes and blobs."""
    size = slab[0].size
    before = size if part.start > 0 else 0
    values = eigenvalues_at(slab, index + before, scan.spacing_mm, scale=scale**2)
    core = np.zeros(len(index), bool)
    if scale <= settings.nodule_scale_mm:
        core = blob_cores(values, min_ratio=settings.blob_ratio, min_response=settings.blob_hu)
    first, last = np.searchsorted(sample, [part.start * size, part.stop * size])
    local = sample[first:last] - part.start * size + before
    local = local[~np.isnan(slab.ravel()[local])]
    return _Told(
        part,
        index.astype(np.int32),
        tube_response(values, end_penalty=settings.end_penalty),
        core,
        eigenvalues_at(slab, local, scan.spacing_mm, scale=scale**2),
    )


def _own(slab: FloatArray, part: slice) -> FloatArray:
    """Slices of a slab without those of its halo, one on either side."""
    first = min(part.start, 1)
    return slab[first : first + part.stop - part.start]


def _look_finer(scan: _Scan, found: LabelArray, settings: VesselSettings) -> None:
    """Look for fine blobs beside what is wide, in all that can become vessel."""
    beside = _says(found, _WIDE).grown(settings.beside_mm, scan.spacing_mm)
    wanted = unpack(beside.both(_says(found, _LOW | _BRIGHT)))
    scale = max(settings.fine_blob_mm, settings.fine_blob_steps * float(scan.spacing_mm.min()))

    def look(part: slice, slab: FloatArray) -> None:
        index = np.flatnonzero(wanted[part])
        before = slab[0].size if part.start > 0 else 0
        values = eigenvalues_at(slab, index + before, scan.spacing_mm, scale=scale**2)
        core = blob_cores(
            values, min_ratio=settings.fine_blob_ratio, min_response=settings.fine_blob_hu
        )
        found[part].ravel()[index[core]] |= _FINE

    smooth_in_slabs(scan.image, scale, scan.spacing_mm, look, where=wanted, halo=1)
