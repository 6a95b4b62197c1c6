"""Small lungs, points in them and their description, for the tests of the spatial step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from miliary.config.spatial import SpatialSettings
from miliary.findings import Distribution
from miliary.spatial import describe_distribution, sample_null

SPACING = np.array([1.25, 0.7, 0.8])
FAST = SpatialSettings(
    simulations=99,
    empty_space_simulations=39,
    covariate_simulations=199,
    max_radius_mm=10.0,
    lattice_points=300,
    directions=200,
    reference_points=3000,
)


def two_lungs():
    """Two ragged ellipsoids of unequal size with a hole through one of them."""
    z, y, x = np.indices((44, 64, 96))
    right = ((z - 22) / 20) ** 2 + ((y - 32) / 28) ** 2 + ((x - 26) / 22) ** 2 < 1
    left = ((z - 22) / 18) ** 2 + ((y - 32) / 24) ** 2 + ((x - 74) / 17) ** 2 < 1
    left &= (y - 30) ** 2 + (x - 70) ** 2 > 9
    return (right + 2 * left).astype(np.uint8)


def describe(
    points, window, images, zones=None, settings=FAST, seed=1, min_separation_mm=2.0, lobes=None,
    sizes=None, **changes,
) -> Distribution:  # fmt: skip
    return describe_distribution(
        points,
        window,
        distances_mm=images,
        zone_labels=zones,
        lobe_labels=lobes,
        sizes_mm=sizes,
        min_separation_mm=min_separation_mm,
        settings=replace(settings, **changes),
        rng=np.random.default_rng(seed),
    )


def random_points(window, n, rng, min_separation_mm=2.0):
    return sample_null(window, np.array(n), min_separation_mm=min_separation_mm, rng=rng)


def cluster(window, rng, n_parents, n_children, sigma_mm):
    parents, _ = random_points(window, n_parents, rng, 0.0)
    points = np.repeat(parents, n_children, axis=0)
    points = points + rng.normal(0, sigma_mm, points.shape)
    return points[window.at(window.labels, points) > 0]
