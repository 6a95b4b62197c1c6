"""Made-up lungs and findings for the tests of calibration, pattern and verdict."""

from __future__ import annotations

import numpy as np

from miliary.anatomy import Anatomy, Lung
from miliary.findings import Distribution, Share, SizeSummary
from miliary.geometry import Geometry
from miliary.nodules import Nodules
from miliary.pattern import LungCount

SPACING_MM = (1.25, 0.7, 0.8)


def two_boxes(shape=(31, 43, 67), spacing_mm=SPACING_MM, *, litres=(1.0, 1.0)):
    """Two lungs as boxes side by side, a vessel as a rod through each; `litres` is only said."""
    geometry = Geometry.aligned(shape, spacing_mm)
    labels = np.zeros(shape, np.uint8)
    middle = shape[2] // 2
    labels[2:-2, 3:-3, 3 : middle - 2] = 1
    labels[2:-2, 3:-3, middle + 2 : -3] = 2
    z, y, x = np.indices(shape)
    edges = [np.minimum(k, n - 1 - k) for k, n in zip((z - 1, y - 2), shape[:2], strict=True)]
    side = np.minimum(np.minimum(x - 2, shape[2] - 3 - x), np.abs(x - middle) - 2)
    sizes = np.array(spacing_mm)[:, None, None, None]
    pleura_mm = np.min(np.array([*edges, side]) * sizes, axis=0) * (labels > 0)
    off = np.hypot(
        (y - shape[1] // 2) * spacing_mm[1],
        (np.abs(x - middle) - middle // 2) * spacing_mm[2],
    )
    vessel = (off < 1.0) & (labels > 0)
    lungs = tuple(
        Lung(name, 1000 * size, 1000 * size)
        for name, size in zip(("right", "left"), litres, strict=True)
    )
    return Anatomy(
        box=tuple(slice(0, n) for n in shape),
        geometry=geometry,
        lung_labels=labels,
        evaluable_labels=np.where(vessel, np.uint8(0), labels),
        zone_labels=(labels > 0).astype(np.uint8),
        vessel_mask=vessel,
        airway_mask=np.zeros(shape, bool),
        pleura_mm=pleura_mm.astype(np.float32),
        vessel_mm=np.maximum(off - 1.0, 0).astype(np.float32),
        lungs=lungs,
    )


def nodules_in(right, left):
    """So many nodules in each lung, of no place."""
    n = right + left
    side = np.array(["right"] * right + ["left"] * left, "U6")
    text = np.full(n, "", "U6")
    number = np.full(n, 1.8)
    return Nodules(
        np.zeros((n, 3)), number, number / 20, number, number, side, text, text, number, number,
        number, number <= 2,
    )  # fmt: skip


def share(structure, ratio, *, n=200, expected=0.25, within_mm=5.0, spread=None):
    """A share with the interval that counting gives, or a wider one."""
    spread = np.sqrt(1 / max(n * expected * max(ratio, 0.05), 1.0)) if spread is None else spread
    low, high = ratio * np.exp(-1.96 * spread), (ratio + 0.02) * np.exp(1.96 * spread)
    return Share(structure, within_mm, ratio * expected, expected, ratio, low, high, 0.5, 0.5)


def distribution(n=200, *, pleura=1.0, vessel=1.0, fissure=None, clustered=False):
    """What describes n nodules with these ratios of observed to expected shares."""
    shares = [share("pleura", pleura, n=n), share("vessel", vessel, n=n, within_mm=2.5)]
    if fissure is not None:
        shares.append(share("fissure", fissure, n=n, expected=0.06))
    return Distribution(n, 0.5, 1.0, clustered, (), (), tuple(shares), ())


def sizes(n=200, median_mm=1.8, *, uniform=True):
    """A summary of n diameters."""
    return SizeSummary(
        n, median_mm, 0.2, 0.15, 0.1, 0.2, (median_mm - 0.2, median_mm + 0.2), uniform, "Made up."
    )


def count(side, n, litres=2.0, *, numerous=True):
    """A lung that surely has numerous nodules, surely has not (False), or neither (None)."""
    chance = {True: 1.0, False: 0.0, None: 0.5}[numerous]
    return LungCount(side, n, litres, n / litres, 0.8 * n / litres, 1.2 * n / litres, chance)
