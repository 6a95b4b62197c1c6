"""Roots by halving against those of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from miliary.kernels.roots import find_root

#: What `brentq` is asked for below.
CLOSE = 1e-13


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (lambda x: np.cos(x) - x, 0.0, 2.0),
        (lambda x: 1 - np.exp(x / 3 - 7), -50.0, 50.0),
        (lambda x: x**3 + x - 0.7, -1.0, 2.5),
        (lambda x: -np.tanh(1e3 * (x - 0.1)), -1.0, 1.0),
    ],
)
def test_a_root_is_that_of_scipy(function, low, high):
    expected = optimize.brentq(function, low, high, xtol=CLOSE, rtol=1e-14)
    assert find_root(function, low, high) == pytest.approx(expected, abs=10 * CLOSE)


def test_a_root_may_be_an_end():
    assert find_root(lambda x: x - 1, 1.0, 3.0) == 1.0
    assert find_root(lambda x: x - 3, 1.0, 3.0) == 3.0


@pytest.mark.parametrize("value", [1.0, -2.0, np.nan])
def test_without_a_change_of_sign_there_is_none(value):
    with pytest.raises(ValueError, match="signs at both ends must differ"):
        find_root(lambda _: value, 0.0, 1.0)
