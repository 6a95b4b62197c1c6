"""Spatial statistics in an irregular mask: points in mm and a window, nothing else is needed.

`describe_points` takes points and a mask of one's own, `describe_distribution` nodules and lungs.
"""

from __future__ import annotations

from miliary.spatial.describe import describe_distribution
from miliary.spatial.own import describe_points
from miliary.spatial.randomness import PRIMARY
from miliary.spatial.simulate import sample_null
from miliary.spatial.stratum import Stratum
from miliary.spatial.window import Window

__all__ = [
    "PRIMARY",
    "Stratum",
    "Window",
    "describe_distribution",
    "describe_points",
    "sample_null",
]
