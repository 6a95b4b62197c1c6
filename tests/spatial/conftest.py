"""The small lungs of the spatial tests: a window, distances in it, its zones."""

from __future__ import annotations

import edt
import numpy as np
import pytest

from miliary.spatial import Window
from spatial_cases import SPACING, two_lungs


@pytest.fixture(scope="module")
def window():
    return Window(two_lungs(), SPACING)


@pytest.fixture(scope="module")
def images(window):
    inside = window.labels > 0
    pleura = edt.edt(inside, anisotropy=tuple(SPACING)).astype(np.float32)
    vessel = np.full(inside.shape, np.nan, np.float32)
    y, x = np.indices(inside.shape[1:])
    vessel[:] = np.hypot((y - 30) * 0.7, (x - 70) * 0.8) - 2.4
    return {"pleura": pleura, "vessel": vessel}


@pytest.fixture(scope="module")
def zones(window):
    z = np.indices(window.labels.shape)[0]
    return np.where(window.labels > 0, 3 - np.minimum(z // 15, 2), 0).astype(np.uint8)
