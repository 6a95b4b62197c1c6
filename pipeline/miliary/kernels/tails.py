"""How many lie beyond a limit, told from those just below it."""

from __future__ import annotations

import numpy as np

from miliary.arrays import FloatArray
from miliary.kernels.roots import find_root

#: Bounds of the fall of a tail, per unit.
_FALL = (0.05, 20.0)


def continue_tail(distance: FloatArray, weight: FloatArray, width: float) -> tuple[float, float]:
    """Fit an exponential tail to values in a window, and tell what it holds beyond the window.

    Values that fall off as `exp(-fall x)` over the window from 0 to `width` go on beyond it with
    `n / (exp(fall width) - 1)`.

    Parameters
    ----------
    distance : (N,) float
        How far each value lies into the window, 0 to `width`.
    weight : (N,) float
        How much each counts, 0 to 1.
    width : float
        Width of the window, positive.

    Returns
    -------
    beyond : float
        Expected number beyond the window; 0 without weight.
    error : float
        Its standard error, by the number in the window and by that of the fall.
    """
    if not width > 0:
        raise ValueError(f"width must be positive, got {width}")
    n = float(np.sum(weight))
    if n <= 0:
        return 0.0, 0.0
    mean = float(np.sum(np.multiply(weight, distance)) / n)

    def excess(fall: float) -> float:
        """Mean of the truncated exponential less the one observed."""
        return float(1 / fall - width / np.expm1(fall * width) - mean)

    low, high = _FALL
    if excess(low) < 0 or excess(high) > 0:
        fall = low if excess(low) < 0 else high
    else:
        fall = find_root(excess, low, high)
    beyond = n / np.expm1(fall * width)
    # Fisher information of the fall: the variance of a truncated exponential, n times.
    variance = 1 / fall**2 - width**2 / (4 * np.sinh(fall * width / 2) ** 2)
    by_fall = width / (1 - np.exp(-fall * width)) / np.sqrt(n * max(variance, 1e-12))
    return float(beyond), float(beyond * np.hypot(by_fall, 1 / np.sqrt(n)))
