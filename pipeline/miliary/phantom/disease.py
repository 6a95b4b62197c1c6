"""Where nodules lie: uniformly, round the lobules' centres, along the lymphatics, or few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import edt
import numpy as np
from scipy.spatial import cKDTree

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.phantom.chest import Chest
from miliary.phantom.spec import PhantomSpec
from miliary.phantom.trees import Tree, Trees, Tubes

#: Centrilobular nodules keep this distance from pleura and fissures
#: (Radiology Assistant, and hrct.health-ecomm.com: centred 5 to 10 mm from them).
CENTRILOBULAR_MM = 5.0

#: Perilymphatic nodules lie this near to pleura or fissure.
PERILYMPHATIC_MM = 2.0

#: Volume of a secondary lobule in mm³: 1.0 to 2.5 cm across
#: (Webb 2006, doi 10.1148/radiol.2392041968).
_LOBULE_MM3 = 2500.0

#: Smallest distance of a centre to the pleura: a nodule lies in the lung.
_INSIDE_MM = 0.4

#: Parts of the perilymphatic nodules at pleura, fissures, bundles and septa.
_LYMPHATIC_SHARES = (0.35, 0.25, 0.30, 0.10)

#: Nodules a cluster and its radius in mm; how much rarer nodules are outside of clusters.
_PER_CLUSTER, _CLUSTER_MM, _OUTSIDE_CLUSTER = 10, 14.0, 0.04

_ROUNDS = 300


@dataclass(frozen=True, eq=False)
class Site:
    """What the placement of nodules needs to know of a chest.

    Parameters
    ----------
    chest : Chest
        The lungs.
    trees : Trees
        Vessels and airways.
    pleura_mm : (z, y, x) float32
        Distance to the pleura inside the lungs, on the chest's coarse grid; at most too small
        by one step of it.
    lobes : tuple of int
        Lobes that may bear nodules.
    axes_mm : (M, 3) float
        Points on the axes of all tubes that a nodule's centre must not lie in.
    axes_radius_mm : (M,) float
        The tubes' radii.
    """

    chest: Chest
    trees: Trees
    pleura_mm: FloatArray
    lobes: tuple[int, ...]
    axes_mm: FloatArray
    axes_radius_mm: FloatArray

    def allowed(self, points_mm: FloatArray) -> BoolArray:
        """Tell which grid points may be centres: in a diseased lung, in no vessel or bronchus.

        Parameters
        ----------
        points_mm : (N, 3) float
            Grid points in mm.

        Returns
        -------
        (N,) bool
            Whether a nodule may be there.
        """
        if not len(points_mm):
            return np.zeros(0, bool)
        inside = self.chest.sample(self.chest.depth_mm, points_mm) > _INSIDE_MM
        inside &= np.isin(self.chest.lobes_at(points_mm), self.lobes)
        if len(self.axes_mm):
            k = np.arange(1, min(12, len(self.axes_mm)) + 1)
            distance, nearest = cKDTree(self.axes_mm).query(points_mm, k=k)
            inside &= (distance > self.axes_radius_mm[nearest]).all(axis=1)
        return inside


def make_site(chest: Chest, trees: Trees, lungs: str) -> Site:
    """Collect what the placement needs.

    Parameters
    ----------
    chest : Chest
        The lungs.
    trees : Trees
        Their vessels and airways.
    lungs : str
        `both`, `right` or `left`.

    Returns
    -------
    Site
        The site.
    """
    step = (chest.step_mm,) * 3
    pleura_mm = edt.edt(chest.depth_mm > 0, anisotropy=step, parallel=1) - 0.5 * chest.step_mm
    lobes = {"both": (1, 2, 3, 4, 5), "right": (1, 2, 3), "left": (4, 5)}[lungs]
    tubes = Tubes.join(trees.artery_tubes, trees.vein_tubes, trees.wall)
    wide = tubes.radius_mm > 0.4
    ends = tubes.start_mm[wide], tubes.end_mm[wide]
    axes_mm = np.concatenate([(1 - t) * ends[0] + t * ends[1] for t in (0.0, 0.33, 0.67)])
    return Site(chest, trees, pleura_mm, lobes, axes_mm, np.tile(tubes.radius_mm[wide], 3))


def place_nodules(
    site: Site, spec: PhantomSpec, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw places and diameters of the nodules.

    Parameters
    ----------
    site : Site
        The lungs.
    spec : PhantomSpec
        Pattern, number and sizes.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    centres_mm : (N, 3) float
        Grid points `(z, y, x)` in mm; none for the pattern `none`.
    diameters_mm : (N,) float
        Diameters.
    """
    n = 0 if spec.pattern == "none" else spec.n_nodules
    if spec.pattern == "metastases":
        diameters_mm = rng.uniform(3.0, 15.0, n)
    else:
        diameters_mm = np.maximum(rng.normal(spec.diameter_mm, spec.diameter_sd_mm, n), 0.6)
    if n == 0:
        return np.empty((0, 3)), diameters_mm
    draw = {
        "random": _uniform,
        "metastases": _uniform,
        "centrilobular": _centrilobular,
        "perilymphatic": _perilymphatic,
    }[spec.pattern](site, n, rng)
    centres_mm = _draw_until(n, draw, spec.pattern)
    return centres_mm, diameters_mm


Draw = Callable[[], FloatArray]


def _draw_until(n: int, draw: Draw, pattern: str) -> FloatArray:
    """Call a source of points until there are enough of them."""
    kept: list[FloatArray] = []
    for _ in range(_ROUNDS):
        kept.append(draw())
        if sum(map(len, kept)) >= n:
            return np.concatenate(kept)[:n]
    raise ValueError(
        f"the lungs must have room for {n} {pattern} nodules, "
        f"found {sum(map(len, kept))}; make the phantom larger or ask for fewer"
    )


def _voxels(site: Site, chosen: BoolArray) -> FloatArray:
    """Grid points of the coarse voxels chosen, in the lungs that may bear nodules."""
    points: FloatArray = np.argwhere(chosen) * site.chest.step_mm
    return points[np.isin(site.chest.lobes_at(points), site.lobes)]


def _uniform(site: Site, n: int, rng: np.random.Generator) -> Draw:
    """Every place of the lung alike."""
    voxels = _voxels(site, site.chest.depth_mm > -site.chest.step_mm)

    def draw() -> FloatArray:
        step = site.chest.step_mm
        points = voxels[rng.integers(0, max(len(voxels), 1), 2 * n if len(voxels) else 0)]
        points = points + rng.uniform(-0.5, 0.5, points.shape) * step
        return points[site.allowed(points)]

    return draw


def _centrilobular(site: Site, n: int, rng: np.random.Generator) -> Draw:
    """Rosettes: some lobules, several nodules each, round the ends of the lobular artery."""
    tree = site.trees.arteries
    lobule = lobules_of(tree, _LOBULE_MM3 / _tip_volume(site))
    tips = np.flatnonzero(tree.tips & np.isin(tree.lobe, site.lobes))
    tips = tips[_far_from_borders(site, tree.end_mm[tips])]
    present: IntArray = np.unique(lobule[tips])
    n_sick = max(1, n // 4, len(present) // 3)
    sick = rng.permutation(present)[:n_sick]
    tips = tips[np.isin(lobule[tips], sick)]

    def draw() -> FloatArray:
        chosen = tips[rng.integers(0, max(len(tips), 1), n if len(tips) else 0)]
        back = rng.uniform(0.0, 0.5, (len(chosen), 1))
        along = tree.end_mm[chosen] * (1 - back) + tree.start_mm[chosen] * back
        points = along + rng.normal(0.0, 1.3, along.shape)
        points = points[site.allowed(points)]
        return points[_far_from_borders(site, points)]

    return draw


def _tip_volume(site: Site) -> float:
    """Volume of lung a tip, in mm³."""
    volume = np.count_nonzero(site.chest.depth_mm > 0) * site.chest.step_mm**3
    tips = int(np.count_nonzero(site.trees.arteries.tips))
    return float(volume) / (tips or 1)


def lobules_of(tree: Tree, tips_a_lobule: float) -> IntArray:
    """Tell to which lobule every branch belongs: the last ancestor that supplies a whole one.

    Parameters
    ----------
    tree : Tree
        The arteries.
    tips_a_lobule : float
        How many tips make a lobule.

    Returns
    -------
    (B,) int
        Row of the lobular artery; -1 for the larger branches before it.
    """
    small = tree.supplied <= max(tips_a_lobule, 1.0)
    stem = small & ~np.where(tree.parent >= 0, small[tree.parent], False)
    lobule = np.where(stem, np.arange(len(tree)), -1)
    todo = small & ~stem
    while todo.any():
        lobule[todo] = lobule[tree.parent[todo]]
        todo = small & (lobule < 0)
    return lobule


def _far_from_borders(site: Site, points_mm: FloatArray) -> BoolArray:
    """Whether points keep the centrilobular distance from pleura and fissures."""
    pleura = site.chest.sample(site.pleura_mm, points_mm) > CENTRILOBULAR_MM + 0.5
    fissure = site.chest.fissure_offset_mm(points_mm) > CENTRILOBULAR_MM + 0.3
    return pleura & fissure


def _perilymphatic(site: Site, n: int, rng: np.random.Generator) -> Draw:
    """Clusters at pleura and fissures, along bundles and septa."""
    parents = _draw_until(max(1, n // _PER_CLUSTER), _uniform(site, n, rng), "clustered")
    tree = cKDTree(parents)
    sources = _lymphatic_sources(site, rng)

    def draw() -> FloatArray:
        many = rng.multinomial(20 * n, _LYMPHATIC_SHARES)
        parts = []
        for source, count, share in zip(sources, many, _LYMPHATIC_SHARES, strict=True):
            points = source(int(count))
            near = np.isfinite(tree.query(points, distance_upper_bound=_CLUSTER_MM)[0])
            points = points[near | (rng.random(len(points)) < _OUTSIDE_CLUSTER)]
            points = points[site.allowed(points)]
            # The shares of the four kinds hold for what is kept, not for what is drawn.
            parts.append(points[: rng.binomial(n, share)])
        return rng.permutation(np.concatenate(parts))

    return draw


def _lymphatic_sources(
    site: Site, rng: np.random.Generator
) -> tuple[Callable[[int], FloatArray], ...]:
    """Sources of points at the pleura, the fissures, the bundles and the septa."""
    chest, step = site.chest, site.chest.step_mm
    outer = _voxels(site, (chest.depth_mm > -step) & (site.pleura_mm < PERILYMPHATIC_MM + step))
    inner = _voxels(site, chest.depth_mm > 0)
    inner = inner[chest.fissure_offset_mm(inner) < PERILYMPHATIC_MM + step]

    def jittered(voxels: FloatArray, count: int) -> FloatArray:
        points = voxels[rng.integers(0, max(len(voxels), 1), count if len(voxels) else 0)]
        return points + rng.uniform(-0.5, 0.5, points.shape) * step

    def pleura(count: int) -> FloatArray:
        points = jittered(outer, count)
        return points[chest.sample(chest.depth_mm, points) < PERILYMPHATIC_MM]

    def fissures(count: int) -> FloatArray:
        points = jittered(inner, count)
        return points[chest.fissure_offset_mm(points) < PERILYMPHATIC_MM]

    def bundles(count: int) -> FloatArray:
        return _beside(site.trees.artery_tubes, (0.6, 3.0), count, rng)

    def septa(count: int) -> FloatArray:
        return _beside(site.trees.vein_tubes, (0.0, 0.6), count, rng)

    return pleura, fissures, bundles, septa


def _beside(
    tubes: Tubes, radii_mm: tuple[float, float], count: int, rng: np.random.Generator
) -> FloatArray:
    """Points at the surface of tubes of some calibre, in proportion to their length."""
    way = tubes.end_mm - tubes.start_mm
    length = np.linalg.norm(way, axis=1)
    weight: AnyArray = length * (tubes.radius_mm >= radii_mm[0]) * (tubes.radius_mm < radii_mm[1])
    if not weight.sum() > 0:
        return np.empty((0, 3))
    rows = rng.choice(len(weight), count, p=weight / weight.sum())
    aside = np.cross(way[rows], rng.standard_normal((count, 3)))
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-9)
    distance_mm = tubes.radius_mm[rows] + rng.uniform(0.3, 1.3, count)
    along = tubes.start_mm[rows] + rng.random((count, 1)) * way[rows]
    points: FloatArray = along + aside * distance_mm[:, None]
    return points
