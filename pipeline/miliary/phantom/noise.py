"""Noise with the power spectrum of a scanner, and streaks between the shoulders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import fft

from miliary.arrays import FloatArray
from miliary.kernels.slabs import n_threads

#: Streaks: frequency of their largest power in 1/mm, standard deviation in radians of their
#: direction from side to side, and of their extent along z in mm.
_STREAK_PEAK, _STREAK_ANGLE, _STREAK_Z_MM = 0.25, 0.03, 1.5

#: Rows that a thread filters along z at once: what its cache holds.
_ROWS = 16


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
        Noise in HU, the same on any number of threads.
    """
    fy, fx = _frequencies(shape, spacing_mm)
    f = np.hypot(fy, fx)
    power = f * np.exp(-f / peak_per_mm)
    return _stationary(shape, power, sd_hu * _slice_weights(spacing_mm[0], z_sigma_mm), rng)


def shoulder_streaks(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> FloatArray:
    """Make noise of unit standard deviation that runs from side to side.

    Few photons come through both shoulders, so that the noise of the rays along x is large: it
    is back-projected to streaks, whose power lies at frequencies along y.

    Parameters
    ----------
    shape : (3,) int
        Voxels along z, y and x.
    spacing_mm : (3,) float
        Their size in mm.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (z, y, x) float32
        Streaks, alike in few neighbouring slices; the same on any number of threads.
    """
    fy, fx = _frequencies(shape, spacing_mm)
    f = np.hypot(fy, fx)
    angle = np.arctan2(np.abs(fx), np.abs(fy))
    power = f * np.exp(-f / _STREAK_PEAK - 0.5 * (angle / _STREAK_ANGLE) ** 2)
    return _stationary(shape, power, _slice_weights(spacing_mm[0], _STREAK_Z_MM), rng)


def _frequencies(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray]:
    """In-plane frequencies (ny, 1) and (1, nx // 2 + 1) in 1/mm, of a real transform."""
    fy: FloatArray = fft.fftfreq(shape[1], spacing_mm[1])[:, None]
    fx: FloatArray = fft.rfftfreq(shape[2], spacing_mm[2])[None, :]
    return fy, fx


def _stationary(
    shape: tuple[int, int, int], power: FloatArray, weights: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Noise with a power spectrum in plane and weights along z, whose energy is its variance."""
    n_planes = shape[0] + len(weights) - 1
    # A seed for each plane: threads may take them in any order.
    seeds = rng.integers(2**63, size=n_planes)
    gain = _gain(power, shape[2])
    noise = np.empty((n_planes, *shape[1:]), np.float32)

    def make_plane(k: int) -> None:
        normal = np.random.default_rng(seeds[k]).standard_normal((*gain.shape, 2), np.float32)
        spectrum = normal.view(np.complex64)[..., 0]
        spectrum *= gain
        noise[k] = fft.irfft2(spectrum, s=shape[1:], overwrite_x=True, norm="ortho")

    def mix_rows(first: int) -> None:
        rows = noise[:, first : first + _ROWS]
        for k in range(shape[0]):
            # Each plane is overwritten when no later one needs it.
            mixed = np.float32(weights[0]) * rows[k]
            for offset, weight in enumerate(weights[1:], 1):
                mixed += np.float32(weight) * rows[k + offset]
            rows[k] = mixed

    with ThreadPoolExecutor(n_threads()) as pool:
        list(pool.map(make_plane, range(n_planes)))
        list(pool.map(mix_rows, range(0, shape[1], _ROWS)))
    return noise[: shape[0]]


def _gain(power: FloatArray, nx: int) -> FloatArray:
    """Factors that give complex numbers of variance 2 a spectrum of unit variance in the image."""
    # All columns stand for two, but for those of no frequency and of the highest of an even nx.
    twice = np.full(power.shape[1], 2.0)
    twice[0] = 1.0
    if nx % 2 == 0:
        twice[-1] = 1.0
    mean = (power * twice).sum() / (len(power) * nx)
    # The inverse transform keeps only the real part of these columns, half of their power.
    gain: FloatArray = np.sqrt(power / mean / twice).astype(np.float32)
    return gain


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
    # Far weights that change nothing cost time.
    seen = np.abs(kept) > 1e-4 * kept.max()
    kept = kept[seen & seen[::-1]]
    weights: FloatArray = kept / np.sqrt((kept**2).sum())
    return weights
