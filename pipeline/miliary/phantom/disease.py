"""The nodules of a population: places by pattern and gradient, sizes, and what they hang on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from miliary.arrays import AnyArray, FloatArray, IntArray
from miliary.phantom.chest import Chest
from miliary.phantom.patterns import Draw, places
from miliary.phantom.site import Site
from miliary.phantom.spec import NoduleSpec
from miliary.phantom.tubes import Tubes

#: Part of the lobules with centrilobular nodules whose bronchiole is filled, and its radius.
_BUDDING, _BUD_MM = 0.4, 0.45

#: Multiples of the golden section are spread evenly over 0 to 1.
_GOLDEN = (5**0.5 - 1) / 2

#: Smallest diameter of a nodule in mm, and the extent of metastases.
_SMALLEST_MM, _METASTASES_MM = 0.6, (3.0, 15.0)

#: Calls of a source before the lungs are said to be full.
_ROUNDS = 300


@dataclass(frozen=True, eq=False)
class Lesions:
    """Balls to draw, one row each, and the filled bronchioles that some hang on.

    Parameters
    ----------
    centres_mm : (N, 3) float
        Grid points `(z, y, x)` in mm.
    diameter_mm, nodule_hu, edge_mm : (N,) float
        Size, attenuation and blur of the edge.
    pattern : (N,) str
        Pattern of the population.
    stem_mm : (N, 3) float
        Where the filled bronchiole begins that a nodule hangs on.
    stem_radius_mm : (N,) float
        Its radius; 0 where there is none.
    """

    centres_mm: FloatArray
    diameter_mm: FloatArray
    nodule_hu: FloatArray
    edge_mm: FloatArray
    pattern: AnyArray
    stem_mm: FloatArray
    stem_radius_mm: FloatArray

    def take(self, rows: IntArray) -> Lesions:
        """Give some of the nodules.

        Parameters
        ----------
        rows : (M,) int
            Which.

        Returns
        -------
        Lesions
            Those, in that order.
        """
        return Lesions(*(getattr(self, item.name)[rows] for item in fields(self)))

    @classmethod
    def join(cls, parts: list[Lesions]) -> Lesions:
        """Put populations one after the other.

        Parameters
        ----------
        parts : list of Lesions
            At least one.

        Returns
        -------
        Lesions
            All their rows.
        """
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    @property
    def buds(self) -> Tubes:
        """Filled bronchioles from the middle of a lobule to its nodules: tree-in-bud."""
        hung = self.stem_radius_mm > 0
        return Tubes(self.stem_mm[hung], self.centres_mm[hung], self.stem_radius_mm[hung])


def place_nodules(site: Site, wish: NoduleSpec, rng: np.random.Generator) -> Lesions:
    """Draw places and diameters of a population of nodules.

    Places come one after the other: fewer nodules of the same generator are the first of more.

    Parameters
    ----------
    site : Site
        The lungs.
    wish : NoduleSpec
        Pattern, number and sizes.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Lesions
        The nodules; none for the pattern `none`.

    Raises
    ------
    ValueError
        Where the lungs have no room for so many.
    """
    place_rng, size_rng = rng.spawn(2)
    n = 0 if wish.pattern == "none" else wish.n_nodules
    draw = places(site, wish.pattern, n, place_rng)
    centres_mm = _draw_until(n, _graded(site, wish, draw, place_rng), wish.pattern)
    height = _height(site.chest, centres_mm)
    diameter_mm = _diameters(wish, n, size_rng) * wish.diameter_gradient ** (0.5 - height)
    stem_mm, stem_radius_mm = _stems(site, centres_mm)
    return Lesions(
        centres_mm,
        diameter_mm,
        np.full(n, wish.nodule_hu),
        np.full(n, wish.edge_mm),
        np.full(n, wish.pattern),
        stem_mm,
        stem_radius_mm * (wish.pattern == "centrilobular"),
    )


def _draw_until(n: int, draw: Draw, pattern: str) -> FloatArray:
    """Call a source of points until there are enough of them."""
    kept: list[FloatArray] = [np.empty((0, 3))]
    for _ in range(_ROUNDS):
        if sum(map(len, kept)) >= n:
            return np.concatenate(kept)[:n]
        kept.append(draw())
    raise ValueError(
        f"the lungs must have room for {n} {pattern} nodules, "
        f"found {sum(map(len, kept))}; make the phantom larger or ask for fewer"
    )


def _diameters(wish: NoduleSpec, n: int, rng: np.random.Generator) -> FloatArray:
    """Draw diameters in mm."""
    mean, sd = wish.diameter_mm, wish.diameter_sd_mm
    if wish.pattern == "metastases":
        drawn = rng.uniform(*_METASTASES_MM, n)
    elif wish.diameters_mm:
        drawn = rng.choice(wish.diameters_mm, n)
    elif wish.diameter_distribution == "lognormal":
        spread = np.sqrt(np.log1p((sd / mean) ** 2))
        drawn = mean * np.exp(spread * rng.standard_normal(n) - spread**2 / 2)
    elif wish.diameter_distribution == "uniform":
        drawn = mean + np.sqrt(3.0) * sd * rng.uniform(-1.0, 1.0, n)
    else:
        drawn = rng.normal(mean, sd, n)
    diameter_mm: FloatArray = np.maximum(drawn, _SMALLEST_MM)
    return diameter_mm


def _height(chest: Chest, points_mm: FloatArray) -> FloatArray:
    """Height of points in the lungs, 0 at the base to 1 at the apex."""
    inside = np.argwhere(chest.depth_mm[::4, ::4, ::4] > 0) * (4 * chest.step_mm)
    heights = chest.frame.to_chest(inside)[:, 0] if len(inside) else np.array([0.0, 1.0])
    low, high = heights.min(), max(heights.max(), heights.min() + 1.0)
    height: FloatArray = np.clip((chest.frame.to_chest(points_mm)[:, 0] - low) / (high - low), 0, 1)
    return height


def _graded(site: Site, wish: NoduleSpec, draw: Draw, rng: np.random.Generator) -> Draw:
    """Thin a source so that the density falls evenly (in its logarithm) from base to apex."""
    if wish.gradient == 1.0:
        return draw

    def thinned() -> FloatArray:
        points = draw()
        weight = wish.gradient ** (0.5 - _height(site.chest, points))
        most = max(wish.gradient, 1.0 / wish.gradient) ** 0.5
        kept: FloatArray = points[rng.random(len(points)) < weight / most]
        return kept

    return thinned


def _stems(site: Site, centres_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Middle of the lobule of each nodule, and the bronchiole's radius, 0 where none is filled."""
    row = site.lobules.nearest(centres_mm, site.chest.lobes_at(centres_mm), 1)[1][:, 0]
    # Which lobules bud follows from the lobule alone: more nodules do not change it.
    budding = np.modf(row * _GOLDEN)[0] < _BUDDING
    return site.lobules.seeds_mm[row], np.where(budding, _BUD_MM, 0.0)
