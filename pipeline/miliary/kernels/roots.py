"""Where a function of one number changes its sign."""

from __future__ import annotations

from collections.abc import Callable


def find_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find where a function is 0, by halving: some fifty calls.

    SciPy's `brentq` takes ten, and a tenth of a second for the import of all its optimisers.

    Parameters
    ----------
    function : callable
        Continuous.
    low, high : float
        Where its signs differ, or it is 0.

    Returns
    -------
    float
        To the last digit.

    Raises
    ------
    ValueError
        Where the signs at both ends are the same.
    """
    at_low, at_high = function(low), function(high)
    if not at_low * at_high <= 0:
        raise ValueError(f"signs at both ends must differ, got {at_low:.3g} and {at_high:.3g}")
    if at_low == 0:
        return low
    while low < (middle := 0.5 * (low + high)) < high:
        value = function(middle)
        if value == 0:
            return middle
        if (value > 0) == (at_low > 0):
            low = middle
        else:
            high = middle
    return high
