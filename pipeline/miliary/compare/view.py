"""One scan as the page of a comparison shows it."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.arrays import AnyArray, FloatArray, LabelArray
from miliary.geometry import Geometry


@dataclass(frozen=True, eq=False)
class ScanView:
    """Pixels of a scan and where the first scan's places are in it.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units, or masks drawn like them.
    lung_labels : (z, y, x) int
        1 right, 2 left.
    geometry : Geometry
        The grid of both.
    matrix : (4, 4) float
        From world points of the first scan to those of this one.
    drawn : bool
        Whether masks stand for pixels.
    """

    hu: AnyArray
    lung_labels: LabelArray
    geometry: Geometry
    matrix: FloatArray
    drawn: bool
