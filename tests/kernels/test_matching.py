"""Points matched, and how often that is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from miliary.kernels.matching import local_density, match_points


def test_the_density_of_a_random_pattern(rng):
    points = rng.uniform(0, 100, (4000, 3))
    inside = rng.uniform(20, 80, (500, 3))
    told = local_density(points, inside, neighbours=6)
    assert_allclose(np.median(told), 4000 / 100**3, rtol=0.15)
    assert_allclose(local_density(points[:3], inside, neighbours=4), 0)


@pytest.mark.parametrize("n", [300, 1000])
def test_the_chance_told_is_the_chance_there_is(rng, n):
    """Half of the points have a counterpart, moved by a known error; the rest are others."""
    sigma, kept = 0.8, n // 2
    earlier = rng.uniform(0, 100, (n, 3))
    later = np.concatenate(
        [earlier[:kept] + sigma * rng.standard_normal((kept, 3)), rng.uniform(0, 100, (kept, 3))]
    )
    rows, there, _, wrong = match_points(earlier, later, error_mm=sigma, found=0.5, neighbours=4)
    is_wrong = rows != there
    sure = wrong <= 0.05
    assert sure.sum() > 20
    # The limit is 5 %; three standard errors of the fewest matches are 4 %.
    assert is_wrong[sure].mean() <= 0.09
    # What is withheld is wrong far more often.
    assert is_wrong[~sure].mean() > 3 * is_wrong[sure].mean()


def test_nothing_to_match():
    rows, there, distance, wrong = match_points(
        np.empty((0, 3)), np.ones((4, 3)), error_mm=1.0, found=0.5, neighbours=4
    )
    assert len(rows) == len(there) == len(distance) == len(wrong) == 0
    with pytest.raises(ValueError, match="error_mm must be above 0, got 0"):
        match_points(np.ones((1, 3)), np.ones((1, 3)), error_mm=0.0, found=0.5, neighbours=4)
