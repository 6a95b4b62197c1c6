"""How large things really are, when the small ones are found less often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import AnyArray, FloatArray

#: Sizes are put together in bins of this part of the smallest step of the grid.
_PER_STEP = 2.0


@dataclass(frozen=True, eq=False)
class Populations:
    """Populations that things could come from: log-normal, on one grid of sizes.

    Parameters
    ----------
    grid : (G,) float
        Sizes, evenly spaced.
    share : (M, S, G) float
        Part of each population at each size: medians along the first axis, spreads along the
        second.
    median : (M,) float
        Medians of the populations.
    """

    grid: FloatArray
    share: FloatArray
    median: FloatArray


def log_normal_populations(grid: FloatArray, median: FloatArray, spread: FloatArray) -> Populations:
    """Make populations for all medians and spreads.

    Parameters
    ----------
    grid : (G,) float
        Sizes above 0, evenly spaced.
    median : (M,) float
        Medians, above 0.
    spread : (S,) float
        Standard deviations of the logarithm, above 0.

    Returns
    -------
    Populations
        Each summing to 1 over the grid.
    """
    away = np.log(grid / np.asarray(median)[:, None])[:, None, :] / np.asarray(spread)[:, None]
    share = np.exp(-0.5 * away**2) / grid
    share /= share.sum(axis=-1, keepdims=True)
    return Populations(np.asarray(grid, float), share, np.asarray(median, float))


def log_likelihood(
    measured: AnyArray,
    found: FloatArray,
    error: FloatArray,
    populations: Populations,
    *,
    stray: float,
) -> FloatArray:
    """Tell how well each population explains the sizes of the things that were found.

    A thing is found with a share that depends on its true size, and then measured with an error:
    so what is found of a population is larger than the population.

    Parameters
    ----------
    measured : (N,) float
        Sizes of the things found.
    found : (G,) float
        Share of things of each size that is found.
    error : (G,) float
        Standard deviation of a measured size, above 0.
    populations : Populations
        The populations.
    stray : float
        Part of what is found that may be of any size, above 0 and below 1.

    Returns
    -------
    (M, S) float
        Logarithms; 0 for nothing found.
    """
    grid = populations.grid
    # Many sizes fall together: the likelihood needs each only once.
    step = (grid[1] - grid[0]) / _PER_STEP
    size, times = np.unique(np.rint(np.asarray(measured, float) / step), return_counts=True)
    away = (size[:, None] * step - grid) / error
    seen = np.exp(-0.5 * away**2) / (error * np.sqrt(2 * np.pi)) * found
    shape = populations.share.shape
    flat = populations.share.reshape(-1, shape[-1])
    density = (flat @ seen.T) / (flat @ found)[:, None]
    mixed = (1 - stray) * density + stray / (grid[-1] - grid[0])
    result: FloatArray = (np.log(mixed) @ times).reshape(shape[:2])
    return result


def most_likely(
    log_likelihood_: FloatArray, populations: Populations
) -> tuple[FloatArray, float, float]:
    """Average the populations by how likely they are.

    Parameters
    ----------
    log_likelihood_ : (M, S) float
        Logarithms, to any constant.
    populations : Populations
        The populations.

    Returns
    -------
    share : (G,) float
        Part of the things at each size of the grid.
    median, error : float
        Of the population, and the standard error.
    """
    weight = np.exp(log_likelihood_ - log_likelihood_.max())
    weight /= weight.sum()
    share: FloatArray = np.tensordot(weight, populations.share, axes=2)
    of_median = weight.sum(axis=1)
    median = float(of_median @ populations.median)
    variance = float(of_median @ (populations.median - median) ** 2)
    return share, median, float(np.sqrt(variance))
