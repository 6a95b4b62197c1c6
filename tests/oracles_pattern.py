"""Made-up lungs and findings for the tests of calibration, pattern and verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from miliary.anatomy import Anatomy, Lung
from miliary.findings import Curve, Distribution, Share, SizeSummary
from miliary.geometry import Geometry
from miliary.nodules import Nodules
from miliary.pattern import LungCount, Sight

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


#: Expected shares of the made-up lungs: within 2.5 and within 5 mm.
EXPECTED = {"pleura": (0.12, 0.25), "fissure": (0.06, 0.12), "vessel": (0.25, 0.45)}


@dataclass(frozen=True)
class Scene:
    """Nodules, and what describes how they lie."""

    nodules: Nodules
    distribution: Distribution


def share(structure, ratio, *, n=200, expected=0.25, within_mm=5.0, spread=None):
    """A share with the interval that counting gives, or a wider one."""
    spread = np.sqrt(1 / max(n * expected * max(ratio, 0.05), 1.0)) if spread is None else spread
    low, high = ratio * np.exp(-1.96 * spread), (ratio + 0.02) * np.exp(1.96 * spread)
    return Share(structure, within_mm, ratio * expected, expected, ratio, low, high, 0.5, 0.5)


def pair_curve(ratio):
    """K of a pattern with so many times the pairs of a random one, at every distance."""
    r_mm = np.arange(0.5, 12, 0.5)
    random = 4 / 3 * np.pi * r_mm**3
    return Curve("K", "both", r_mm, ratio * random, random, 0.5 * random, 2 * random)


def scene(n=200, *, pleura=1.0, touching=1.0, vessel=1.0, fissure=None, pairs=1.0, score=0.99):
    """So many nodules with these ratios of observed to expected shares in every shell.

    At the pleura, `touching` times as many of those within 5 mm lie within 2.5 mm.
    """
    ratios = {"pleura": pleura, "vessel": vessel, "fissure": fissure}
    known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    distances = {
        name: _distances(n, EXPECTED[name], ratio, touching if name == "pleura" else 1.0, k)
        for k, (name, ratio) in enumerate(known.items())
    }
    shares = [
        share(name, ratio, n=n, expected=expected, within_mm=within_mm)
        for name, ratio in known.items()
        for within_mm, expected in zip((2.5, 5.0), EXPECTED[name], strict=True)
    ]
    nodules = replace(
        nodules_in(n - n // 2, n // 2),
        score=np.full(n, score),
        **{f"{name}_mm": distances.get(name, np.full(n, np.nan)) for name in ratios},
    )
    curves = () if pairs is None else (pair_curve(pairs),)
    clustered = None if pairs is None else pairs > 2
    found = Distribution(n, 0.5, 1.0, clustered, (), curves, tuple(shares), ())
    return Scene(nodules, found)


def _distances(n, expected, ratio, touching, seed):
    """Distances of which the right shares lie within 2.5 and 5 mm, in any order."""
    near, within = (round(n * min(ratio * share, 1.0)) for share in expected)
    near = min(round(touching * near), within)
    distance = np.full(n, 12.0)
    distance[:within] = 4.0
    distance[:near] = 1.0
    return np.random.default_rng(seed).permutation(distance)


def sizes(n=200, median_mm=1.8, *, uniform=True):
    """A summary of n diameters."""
    return SizeSummary(
        n, median_mm, 0.2, 0.15, 0.1, 0.2, (median_mm - 0.2, median_mm + 0.2), uniform, "Made up."
    )


def count(side, n, litres=2.0, *, numerous=True):
    """A lung that surely has numerous nodules, surely has not (False), or neither (None)."""
    chance = {True: 1.0, False: 0.0, None: 0.5}[numerous]
    return LungCount(side, n, litres, n / litres, 0.8 * n / litres, 1.2 * n / litres, chance)


#: Two lungs with numerous nodules, in a scan that shows them well.
BOTH = (count("right", 120), count("left", 100))
CLEAR = Sight(slice_mm=1.0, pixel_mm=0.7, sensitivity=0.8)
