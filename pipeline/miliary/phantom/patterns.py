"""Where the nodules of a pattern may lie: sources of places, one a pattern."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.phantom.site import Site
from miliary.phantom.tubes import Tubes

#: Centrilobular nodules keep this distance from pleura and fissures
#: (Radiology Assistant, and hrct.health-ecomm.com: centred 5 to 10 mm from them).
CENTRILOBULAR_MM = 5.0

#: Perilymphatic nodules lie this near to pleura, fissure or septum.
PERILYMPHATIC_MM = 2.0

#: Parts of the perilymphatic nodules at pleura, fissures, bundles and septa.
_LYMPHATIC_SHARES = (0.35, 0.25, 0.25, 0.15)

#: Nodules a cluster and its radius in mm; part of the nodules that lie in none.
_PER_CLUSTER, _CLUSTER_MM, _STRAY = 10, 14.0, 0.1

#: Nodules a rosette, and their spread round the end of the lobular artery in mm.
_PER_ROSETTE, _ROSETTE_MM = 4, 3.2

#: Places that a source tries at once.
_BATCH = 4096

Draw = Callable[[], FloatArray]


def places(site: Site, pattern: str, n: int, rng: np.random.Generator) -> Draw:
    """Give the source of places of a pattern.

    Parameters
    ----------
    site : Site
        The lungs.
    pattern : str
        One of `PATTERNS`; random, metastases and none lie anywhere.
    n : int
        For how many nodules: more fill more lobules and clusters.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    callable
        Gives some more (M, 3) grid points in mm at every call; always as many or as few
        whatever is needed, so that fewer nodules are the first of more.
    """
    if pattern == "centrilobular":
        return _centrilobular(site, n, rng)
    if pattern == "perilymphatic":
        return _perilymphatic(site, n, rng)
    return lambda: site.uniform(_BATCH, rng)


def _centrilobular(site: Site, n: int, rng: np.random.Generator) -> Draw:
    """Rosettes: some lobules, several nodules each, round the ends of the lobular artery."""
    seeds = site.lobules.seeds_mm[np.isin(site.lobules.lobe, site.lobes)]
    seeds = rng.permutation(seeds[_far_from_borders(site, seeds)])
    # As many lobules as the nodules fill, but at least a third of all: the disease is diffuse.
    sick = seeds[: max(n // _PER_ROSETTE, len(seeds) // 3, 1)]

    def draw() -> FloatArray:
        centres = sick[rng.integers(0, max(len(sick), 1), 1024 if len(sick) else 0)]
        points = centres + rng.normal(0.0, _ROSETTE_MM / np.sqrt(3.0), centres.shape)
        points = points[site.allowed(points)]
        return points[_far_from_borders(site, points)]

    return draw


def _far_from_borders(site: Site, points_mm: FloatArray) -> BoolArray:
    """Whether points keep the centrilobular distance from pleura and fissures."""
    chest = site.chest
    pleura = chest.sample(chest.true_depth_mm, points_mm) > CENTRILOBULAR_MM + 0.5
    fissure = chest.fissure_offset_mm(points_mm) > CENTRILOBULAR_MM + 0.3
    return pleura & fissure


def _perilymphatic(site: Site, n: int, rng: np.random.Generator) -> Draw:
    """Clusters at pleura and fissures, along bundles and septa, and a few strays."""
    pools = _lymphatic_pools(site, max(4000, 20 * n), rng)
    shares = np.array(_LYMPHATIC_SHARES) * [len(pool) > 0 for pool in pools]
    shares /= max(shares.sum(), 1e-9)
    clusters: list[list[IntArray]] = []
    for pool, share in zip(pools, shares, strict=True):
        n_clusters = int(np.ceil(share * max(n, 1) / _PER_CLUSTER))
        parents = pool[rng.integers(0, max(len(pool), 1), n_clusters if len(pool) else 0)]
        near = KDTree(pool).query_ball_point(parents, _CLUSTER_MM) if len(pool) else []
        clusters.append([np.array(rows, np.intp) for rows in near])

    def draw() -> FloatArray:
        points = []
        for kind in rng.choice(len(pools), 1024, p=shares) if shares.any() else ():
            own = clusters[kind][rng.integers(0, len(clusters[kind]))]
            stray = rng.random() < _STRAY
            row = rng.integers(0, len(pools[kind])) if stray else own[rng.integers(0, len(own))]
            points.append(pools[kind][row])
        return np.array(points).reshape(-1, 3)

    return draw


def _lymphatic_pools(site: Site, count: int, rng: np.random.Generator) -> tuple[FloatArray, ...]:
    """Places at the pleura, the fissures, the bundles and the septa that may be centres."""
    chest = site.chest
    points = np.concatenate([site.uniform(count, rng) for _ in range(6)])
    pleura = chest.sample(chest.true_depth_mm, points) < PERILYMPHATIC_MM
    fissure = chest.fissure_offset_mm(points) < PERILYMPHATIC_MM
    inner = points[~(pleura | fissure)]
    septum = site.lobules.septum_mm(inner, chest.lobes_at(inner)) < 0.5 * PERILYMPHATIC_MM
    bundles = _beside(site.trees.artery_tubes, (0.6, 3.0), count, rng)
    return points[pleura], points[fissure], bundles[site.allowed(bundles)], inner[septum]


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
