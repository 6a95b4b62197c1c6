"""How many lie beyond a limit, told from those just below it."""

from __future__ import annotations

import numpy as np

from miliary.arrays import FloatArray
from miliary.kernels.roots import find_root

#: The fall is looked for within this of the usual one, in logarithms: 20 times either way.
_FARTHEST = 3.0


def continue_tail(
    distance: FloatArray, weight: FloatArray, width: float, *, fall: float, spread: float
) -> tuple[float, float]:
    """Fit an exponential tail to values in a window, and tell what it holds beyond the window.

    Values that fall off as `exp(-fall x)` over the window from 0 to `width` go on beyond it with
    `n / (exp(fall width) - 1)`. How steeply they fall is known before, and what lies in the window
    may say otherwise: few values alone would leave it wide open, and with it all that lies beyond.

    Parameters
    ----------
    distance : (N,) float
        How far each value lies into the window, 0 to `width`.
    weight : (N,) float
        How much each counts, 0 to 1.
    width : float
        Width of the window, positive.
    fall : float
        Usual fall, per unit of distance; positive.
    spread : float
        Standard deviation of its logarithm from one set of values to another; positive.

    Returns
    -------
    beyond : float
        Expected number beyond the window; 0 without weight.
    error : float
        Its standard error, by the number in the window and by that of the fall.
    """
    for name, value in (("width", width), ("fall", fall), ("spread", spread)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
    n = float(np.sum(weight))
    if n <= 0:
        return 0.0, 0.0
    mean = float(np.sum(np.multiply(weight, distance)) / n)

    def slope(move: float) -> float:
        """Of less the log posterior of a fall, `move` from the usual one in logarithms."""
        steep = fall * np.exp(move)
        expected = 1 / steep - width / np.expm1(steep * width)
        return float(n * steep * (mean - expected) + move / spread**2)

    if slope(-_FARTHEST) < 0 < slope(_FARTHEST):
        move = find_root(slope, -_FARTHEST, _FARTHEST)
    else:
        move = _FARTHEST if slope(_FARTHEST) < 0 else -_FARTHEST
    steep = fall * float(np.exp(move))
    beyond = n / np.expm1(steep * width)
    # Fisher information of the log fall: the variance of a truncated exponential, n times.
    variance = 1 / steep**2 - width**2 / (4 * np.sinh(steep * width / 2) ** 2)
    known = n * steep**2 * max(variance, 0.0) + 1 / spread**2
    by_fall = steep * width / (1 - np.exp(-steep * width)) / np.sqrt(known)
    return float(beyond), float(beyond * np.hypot(by_fall, 1 / np.sqrt(n)))
