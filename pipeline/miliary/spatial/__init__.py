"""Spatial statistics in an irregular mask: points in mm and a window, nothing else is needed."""

from __future__ import annotations

from miliary.spatial.describe import PRIMARY, describe_distribution
from miliary.spatial.simulate import sample_null
from miliary.spatial.window import Stratum, Window

__all__ = ["PRIMARY", "Stratum", "Window", "describe_distribution", "sample_null"]
