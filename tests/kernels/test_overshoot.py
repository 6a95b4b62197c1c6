"""Edge enhancement: its widths by brute force, and edges drawn with it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from miliary.kernels.edgefit import fit_edges
from miliary.kernels.overshoot import HALO, Overshoot, halo_across, width_in_plane

SHAPE, SPACING = (19, 23, 29), np.array([1.25, 0.7, 0.8])
MIDDLE = np.array([[9.0, 11.0, 14.0]])
LENGTHS = {"smoothing_mm": 1.0, "reach_mm": 2.2, "width_mm": 1.8}
#: The model is exact on a plane: only the step at which a fit rests is left.
EXACT = 5e-3


@pytest.mark.parametrize("enhancement", [0.0, 0.3, 1.0])
def test_the_width_is_between_those_of_a_line_and_a_point(enhancement):
    x = np.linspace(0, 4, 40001)
    widths = []
    for dimensions in (1, 2):
        wide = enhancement / HALO**dimensions * np.exp(-0.5 * (x / HALO) ** 2)
        profile = (1 + enhancement) * np.exp(-0.5 * x**2) - wide
        widths.append(2 * x[np.argmax(profile < profile[0] / 2)])
    assert_allclose(width_in_plane(enhancement), np.sqrt(widths[0] * widths[1]), rtol=1e-3)


def test_the_halo_lies_in_plane_alone():
    halo = halo_across(np.array([0.0, 0.5, 1.0]), 1.3)
    assert_allclose(halo[[0, 2]], [HALO, 1.0])
    variance = 1.3**2 * 0.25 + 0.75
    assert_allclose(halo[1], np.sqrt((1.3**2 * 0.25 + HALO**2 * 0.75) / variance))


@pytest.mark.parametrize("enhancement", [0.15, 0.5])
def test_an_enhanced_plane_has_its_width_and_no_overshoot_left(enhancement):
    normal = np.array([0.3, 0.9, -0.4]) / np.linalg.norm([0.3, 0.9, -0.4])
    away = (np.moveaxis(np.indices(SHAPE), 0, -1) - MIDDLE[0]) * SPACING @ normal
    share = (1 + enhancement) * special.ndtr(away / 0.45)
    share -= enhancement * special.ndtr(away / (0.45 * 2.5))
    image = (-850 + 890 * share).astype(np.float32)
    fit = fit_edges(
        image, MIDDLE, SPACING, **LENGTHS, overshoot=Overshoot(enhancement, np.array([2.5]))
    )
    assert_allclose(fit.sigma_mm, 0.45, rtol=EXACT)
    assert fit.residual_hu[0] < 1.0
    plain = fit_edges(image, MIDDLE, SPACING, **LENGTHS)
    assert plain.sigma_mm[0] < 0.43
    assert plain.residual_hu[0] > 4.0


def test_edges_without_enhancement_can_be_taken(rng):
    none = Overshoot.none(5)
    assert none.enhancement == 0
    assert_array_equal(none.take(np.array([3, 0])).halo, [1.0, 1.0])
