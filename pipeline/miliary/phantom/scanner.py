"""From shapes to Hounsfield units: blurred tubes and sheets, partial volume, coloured noise."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import fft, special
from scipy import ndimage as ndi

from miliary.arrays import FloatArray
from miliary.geometry import Box
from miliary.phantom.trees import Tubes

#: Largest radius in sigmas that is looked up; wider tubes have the edge of a half-space.
_WIDE = 6.0

#: Steps a sigma of the table of blurred discs, along the distance and along the radius. Radii
#: are not interpolated: 1/128 keeps the area of the thinnest vessels within 1.5 %.
_STEPS, _RADIUS_STEPS = 32, 128

#: Reach of the blur beyond a tube's surface, in sigmas.
_REACH_SIGMAS = 3.5

#: Tubes times voxels drawn at once.
_BATCH = 3_000_000


@cache
def disc_table() -> FloatArray:
    """Tabulate the share of a disc blurred by a unit Gaussian.

    The integral of a shifted round Gaussian over a disc is the distribution function of the
    non-central chi-square with two degrees of freedom.

    Returns
    -------
    (R, D) float32
        Shares by radius and distance from the axis, in steps of 1/128 and 1/32 sigma.
    """
    grid = np.arange(int((_WIDE + 5.0) * _STEPS) + 1) / _STEPS
    radius = np.arange(int(_WIDE * _RADIUS_STEPS) + 1)[:, None] / _RADIUS_STEPS
    table: FloatArray = special.chndtr(radius**2, 2.0, grid**2).astype(np.float32)
    return table


def blurred_disc(distance: FloatArray, radius: FloatArray, table: FloatArray) -> FloatArray:
    """Look up the share of a disc blurred by a unit Gaussian.

    Parameters
    ----------
    distance, radius : (...) float
        Distance from the axis and radius, in sigmas, of one shape.
    table : (R, D) float32
        What `disc_table` gives.

    Returns
    -------
    (...) float32
        Shares, 0 to 1.
    """
    # Beyond the table only the distance to the edge matters.
    wide = np.maximum(radius - np.float32(_WIDE), 0)
    row = np.minimum(radius, np.float32(_WIDE)) * _RADIUS_STEPS
    row = (row + np.float32(0.5)).astype(np.int32)
    column = np.clip((distance - wide) * _STEPS, 0, table.shape[1] - 1.01)
    left = column.astype(np.int32)
    part = column - left
    at = row * np.int32(table.shape[1]) + left
    low, high = table.reshape(-1)[at], table.reshape(-1)[at + 1]
    share: FloatArray = low + part * (high - low)
    return share


def draw_tubes(
    image: FloatArray,
    tubes: Tubes,
    spacing_mm: tuple[float, float, float],
    psf_sigma_mm: tuple[float, float, float],
) -> None:
    """Draw blurred tubes into an image of shares, in place; the largest share of a voxel stays.

    Parameters
    ----------
    image : (z, y, x) float32
        Shares so far.
    tubes : Tubes
        What to draw; parts outside of the image are cut off.
    spacing_mm : (3,) float
        Voxel size along z, y and x in mm.
    psf_sigma_mm : (3,) float
        Standard deviation of the point spread along z, y and x in mm.
    """
    spacing = np.asarray(spacing_mm, float)
    sigma = np.asarray(psf_sigma_mm, float)
    reach = tubes.radius_mm[:, None] + _REACH_SIGMAS * sigma
    low = np.minimum(tubes.start_mm, tubes.end_mm) - reach
    high = np.maximum(tubes.start_mm, tubes.end_mm) + reach
    first = np.clip(np.ceil(low / spacing), 0, image.shape).astype(np.intp)
    last = np.clip(np.floor(high / spacing) + 1, 0, image.shape).astype(np.intp)
    size = last - first
    table = disc_table()
    visible = np.flatnonzero((size > 0).all(axis=1))
    # Tubes of like size share a batch, drawn in boxes of the largest of them.
    order = visible[np.lexsort(tuple(size[visible].T))]
    begin = 0
    while begin < len(order):
        stop = min(begin + 512, len(order))
        box = size[order[begin:stop]].max(axis=0)
        stop = begin + max(1, min(stop - begin, _BATCH // int(box.prod())))
        rows = order[begin:stop]
        box = size[rows].max(axis=0)
        origin = np.minimum(first[rows], np.array(image.shape) - box)
        part = Tubes(tubes.start_mm[rows], tubes.end_mm[rows], tubes.radius_mm[rows])
        share = _tube_patches(part, origin, box, spacing, sigma, table)
        _, ny, nx = image.shape
        z, y, x = (origin[:, a, None] + np.arange(box[a]) for a in range(3))
        index = (z[:, :, None, None] * ny + y[:, None, :, None]) * nx + x[:, None, None, :]
        drawn = share > 2e-4
        np.maximum.at(image.reshape(-1), index[drawn], share[drawn])
        begin = stop


def _tube_patches(
    tubes: Tubes,
    first_zyx: FloatArray,
    box: FloatArray,
    spacing: FloatArray,
    sigma: FloatArray,
    table: FloatArray,
) -> FloatArray:
    """Shares (N, z, y, x) of each tube in a box of its own."""
    axes = [
        ((first_zyx[:, a, None] + np.arange(box[a])) * spacing[a] - tubes.start_mm[:, a, None])
        .astype(np.float32)
        .reshape(len(tubes), *(-1 if b == a else 1 for b in range(3)))
        for a in range(3)
    ]
    way = (tubes.end_mm - tubes.start_mm).astype(np.float32)
    squared = np.maximum((way**2).sum(axis=1), 1e-12)
    wz, wy, wx = (way[:, a].reshape(-1, 1, 1, 1) for a in range(3))
    along = axes[0] * wz + axes[1] * wy + axes[2] * wx
    along = np.clip(along / squared.reshape(-1, 1, 1, 1), 0.0, 1.0)
    z, y, x = axes[0] - along * wz, axes[1] - along * wy, axes[2] - along * wx
    z, y, x = z * z, y * y, x * x
    distance2 = np.maximum(z + y + x, np.float32(1e-12))
    # The width of the spread in the direction of the nearest point of the axis.
    spread2 = (z * sigma[0] ** 2 + y * sigma[1] ** 2 + x * sigma[2] ** 2) / distance2
    spread = np.sqrt(spread2, dtype=np.float32)
    radius = tubes.radius_mm.astype(np.float32).reshape(-1, 1, 1, 1) / spread
    return blurred_disc(np.sqrt(distance2) / spread, radius, table)


def edge_share(depth_mm: FloatArray, sigma_mm: FloatArray | float) -> FloatArray:
    """Share of a half-space blurred by a Gaussian, by the depth inside it.

    Parameters
    ----------
    depth_mm : (...) float
        Depth inside the half-space, negative outside.
    sigma_mm : (...) float
        Standard deviation of the point spread across the edge.

    Returns
    -------
    (...) float32
        Shares, 0 to 1.
    """
    in_sigmas = np.asarray(depth_mm / np.asarray(sigma_mm, np.float32), np.float32)
    share: FloatArray = special.ndtr(in_sigmas)
    return share


def coloured_noise(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    sd_hu: float,
    peak_per_mm: float,
    z_sigma_mm: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Make stationary noise with the power spectrum of filtered back-projection.

    In plane the power is `f exp(-f/peak)`: a ramp that the kernel rolls off, with its maximum
    at the peak. Along z it is that of a Gaussian slice profile.

    Parameters
    ----------
    shape : (3,) int
        Voxels along z, y and x.
    spacing_mm : (3,) float
        Their size in mm.
    sd_hu : float
        Standard deviation, in the mean over many phantoms.
    peak_per_mm : float
        Frequency of the largest in-plane power, in 1/mm.
    z_sigma_mm : float
        Standard deviation of the slice profile in mm; 0 for independent slices.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (z, y, x) float32
        Noise in HU.
    """
    fy = fft.fftfreq(shape[1], spacing_mm[1])[:, None]
    fx = fft.fftfreq(shape[2], spacing_mm[2])[None, :]
    f = np.hypot(fy, fx)
    power = f * np.exp(-f / peak_per_mm)
    # White noise of unit variance through this gain has the variance that is divided out.
    gain = np.sqrt(power / power.mean())[:, : shape[2] // 2 + 1].astype(np.float32)
    weights = sd_hu * _slice_weights(spacing_mm[0], z_sigma_mm)
    reach = len(weights) // 2
    noise = np.zeros(shape, np.float32)
    for k in range(-reach, shape[0] + reach):
        white = rng.standard_normal(shape[1:], np.float32)
        plane = fft.irfft2(fft.rfft2(white) * gain, s=shape[1:])
        for offset, weight in zip(range(-reach, reach + 1), weights, strict=True):
            if 0 <= k + offset < shape[0]:
                noise[k + offset] += np.float32(weight) * plane
    return noise


def _slice_weights(step_mm: float, sigma_mm: float) -> FloatArray:
    """Weights along z, of unit energy, that correlate slices as a Gaussian profile would.

    They are the symmetric root of the autocorrelation `exp(-d²/4s²)` at the slices' distances:
    a sampled Gaussian would correlate thick-set slices too little.
    """
    reach = int(np.ceil(5 * sigma_mm / step_mm))
    n = 4 * reach + 1
    lags_mm = np.minimum(np.arange(n), n - np.arange(n)) * step_mm
    wanted = np.exp(-0.25 * (lags_mm / sigma_mm) ** 2) if reach else np.ones(1)
    root = fft.ifft(np.sqrt(np.maximum(fft.fft(wanted).real, 0.0))).real
    kept = np.roll(root, reach)[: 2 * reach + 1]
    weights: FloatArray = kept / np.sqrt((kept**2).sum())
    return weights


class Upsampler:
    """Linear interpolation of coarse fields onto parts of the phantom's grid.

    Parameters
    ----------
    step_mm : float
        Voxel size of the coarse fields, whose first voxel lies on the first of the phantom.
    shape : (3,) int
        Voxels of the phantom.
    spacing_mm : (3,) float
        Their size in mm.
    """

    def __init__(
        self,
        step_mm: float,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
    ) -> None:
        places = [np.arange(n) * step / step_mm for n, step in zip(shape, spacing_mm, strict=True)]
        self._low = [p.astype(np.intp) for p in places]
        self._part = [(p - p.astype(np.intp)).astype(np.float32) for p in places]

    def part(self, field: FloatArray, box: Box) -> FloatArray:
        """Interpolate a field in a part of the phantom.

        Parameters
        ----------
        field : (z, y, x) float32
            A coarse field.
        box : tuple of three slices
            Which voxels of the phantom.

        Returns
        -------
        (k, m, n) float32
            Values on the phantom's grid.
        """
        low, part = self._low[0][box[0]], self._part[0][box[0], None, None]
        values = field[low] * (1 - part) + field[low + 1] * part
        low, part = self._low[1][box[1]], self._part[1][box[1], None]
        values = values[:, low] * (1 - part) + values[:, low + 1] * part
        low, part = self._low[2][box[2]], self._part[2][box[2]]
        result: FloatArray = values[:, :, low] * (1 - part) + values[:, :, low + 1] * part
        return result


def gradient_length(field: FloatArray, step_mm: float) -> FloatArray:
    """Length of the gradient of a coarse field, for turning it into a distance.

    Parameters
    ----------
    field : (z, y, x) float
        The field.
    step_mm : float
        Its voxel size.

    Returns
    -------
    (z, y, x) float32
        Lengths a mm, at least 0.2.
    """
    length = ndi.gaussian_gradient_magnitude(field, 1.0) / step_mm
    bounded: FloatArray = np.maximum(length, 0.2).astype(np.float32)
    return bounded
