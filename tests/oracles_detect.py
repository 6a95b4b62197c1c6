"""Slow twins and drawn lungs for the tests of detection, size and their kernels."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import optimize

from miliary.anatomy import LEFT, RIGHT, Anatomy, Lung
from miliary.geometry import Geometry
from miliary.kernels.balls import ball_profile, render_balls
from miliary.model import Detector, FeatureSpec, Perceptron

SHAPE, SPACING = (19, 23, 29), np.array([1.25, 0.7, 0.8])
LUNG_HU, TISSUE_HU = -850.0, 30.0


def is_maximum(image, place):
    """Compare a voxel with its 26 neighbours, of equals the later one being the greater."""
    for offset in product((-1, 0, 1), repeat=3):
        neighbour = tuple(p + o for p, o in zip(place, offset, strict=True))
        if (image[neighbour], neighbour) > (image[place], place):
            return False
    return True


def keep_apart(points_mm, priority, separation_mm):
    """Go from the best point downwards and measure to all that were kept."""
    kept = []
    for k in sorted(range(len(points_mm)), key=lambda k: -priority[k]):
        if all(np.linalg.norm(points_mm[k] - points_mm[j]) > separation_mm for j in kept):
            kept.append(k)
    return np.isin(np.arange(len(points_mm)), kept)


def interpolate(image, index):
    """Weigh the eight voxels round a point; beyond the border the outermost voxels go on."""
    low = np.floor(index).astype(int)
    total = 0.0
    for corner in product((0, 1), repeat=3):
        weight = np.prod(np.where(corner, index - low, 1 - (index - low)))
        place = np.clip(low + corner, 0, np.array(image.shape) - 1)
        total += weight * image[tuple(place)]
    return total


def laplacian(image, spacing_mm):
    """Sum the second differences; beyond the border the outermost voxels go on."""
    wide = np.pad(image.astype(float), 1, mode="edge")
    middle, total = wide[1:-1, 1:-1, 1:-1], 0.0
    for axis, length in enumerate(spacing_mm):
        ahead, back = (np.roll(wide, step, axis)[1:-1, 1:-1, 1:-1] for step in (1, -1))
        total = total + (ahead + back - 2 * middle) / length**2
    return total


def hessian_at(image, flat_index, spacing_mm):
    """Differences of differences, voxel by voxel and in double precision: (N, 3, 3)."""
    found = []
    steps = np.eye(3, dtype=int)
    for place in np.column_stack(np.unravel_index(flat_index, image.shape)):

        def value(*moves, place=place):
            return float(image[tuple(place + sum(moves))])

        matrix = np.empty((3, 3))
        for a, b in product(range(3), repeat=2):
            ahead, back, u, v = steps[a], -steps[a], steps[b], -steps[b]
            if a == b:
                total = value(ahead) - 2 * value(0 * ahead) + value(back)
            else:
                total = (value(ahead, u) - value(back, u) - value(ahead, v) + value(back, v)) / 4
            matrix[a, b] = total / (spacing_mm[a] * spacing_mm[b])
        found.append(matrix)
    return np.array(found).reshape(-1, 3, 3)


def interior_indices(shape):
    """List the voxels that have all their 26 neighbours."""
    inner = np.zeros(shape, bool)
    inner[1:-1, 1:-1, 1:-1] = True
    return np.flatnonzero(inner)


def flood(mask, seed):
    """Walk from a voxel to all that hang together with it, diagonals too."""
    if not mask[seed]:
        return np.empty((0, 3), int)
    seen, todo = {seed}, [seed]
    while todo:
        place = todo.pop()
        for offset in product((-1, 0, 1), repeat=3):
            other = tuple(p + o for p, o in zip(place, offset, strict=True))
            inside = all(0 <= p < n for p, n in zip(other, mask.shape, strict=True))
            if inside and other not in seen and mask[other]:
                seen.add(other)
                todo.append(other)
    return np.array(sorted(seen))


def fit_one_ball(image, start_mm, spacing_mm, sigma_mm, reach_mm):
    """Least squares by SciPy with numeric derivatives: z, y, x, diameter, contrast, background."""
    grid = np.stack(np.indices(image.shape), -1).reshape(-1, 3) * spacing_mm
    near = np.linalg.norm(grid - start_mm, axis=1) <= reach_mm
    places, values = grid[near], image.reshape(-1)[near]

    def residual(parameters):
        distance = np.linalg.norm(places - parameters[:3], axis=1)
        share = ball_profile(distance, parameters[3], sigma_mm)
        return values - parameters[5] - parameters[4] * share

    guess = [*start_mm, 2.0, TISSUE_HU - LUNG_HU, LUNG_HU]
    return optimize.least_squares(residual, guess, x_scale=[1, 1, 1, 1, 100, 100]).x


def draw_balls(
    shape, spacing_mm, centres_mm, diameters_mm, psf_sigma_mm, *, rng=None, noise_hu=0.0
):
    """Draw balls of tissue in lung, in noise where wanted."""
    share = render_balls(shape, tuple(spacing_mm), centres_mm, diameters_mm, psf_sigma_mm)
    image = LUNG_HU + (TISSUE_HU - LUNG_HU) * share
    if rng is not None:
        image = image + rng.normal(0, noise_hu, shape)
    return image.astype(np.float32)


def lattice(n_side, gap_mm, spacing_mm, rng):
    """Give the shape of a cube, and places in it that keep apart, as grid points."""
    axis = (np.arange(n_side) + 0.5) * gap_mm
    centres = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    shape = tuple(np.ceil(n_side * gap_mm / np.asarray(spacing_mm)).astype(int).tolist())
    return shape, centres + rng.uniform(-0.5, 0.5, centres.shape)


def linear_perceptron(n_features, column, *, mean=0.0, scale=1.0):
    """Make a perceptron whose logit is one of its features, centred and scaled."""
    weight = np.zeros((n_features, 1), np.float32)
    weight[column] = 1.0
    mean_of, scale_of = np.zeros(n_features, np.float32), np.ones(n_features, np.float32)
    mean_of[column], scale_of[column] = mean, scale
    return Perceptron(mean_of, scale_of, 1e6, (weight,), (np.zeros(1, np.float32),))


def linear_detector(n_own, n_features, column, *, mean=0.0, scale=1.0):
    """Make a detector that drops no blob and goes by one of the features."""
    spec = FeatureSpec()
    n_glance = n_own + n_around(spec.glance, len(spec.sigmas_mm))
    thorough = linear_perceptron(n_features, column, mean=mean, scale=scale)
    short = (linear_perceptron(n_own, 0), -1e9, linear_perceptron(n_glance, 0), -1e9)
    return Detector(*short, (thorough,))


def n_around(look, n_scales):
    """Count what a look tells besides the blob's own numbers."""
    radii, rays = len(look.rays.radii_mm), look.rays
    ridges = (radii - 1) * (len(rays.ridge_quantiles) + len(rays.axis_quantiles))
    return 2 + 3 + n_scales + radii * len(rays.shell_quantiles) + ridges + 3 * (2 * radii - 1)


def box_anatomy(shape=SHAPE, spacing_mm=SPACING, *, origin_mm=(-10.0, 20.0, 30.0), lobes=False):
    """Make two boxes of lung, right at small x, with one voxel of wall round and between them."""
    labels = np.zeros(shape, np.uint8)
    half = shape[2] // 2
    labels[1:-1, 1:-1, 1:half] = RIGHT
    labels[1:-1, 1:-1, half + 1 : -1] = LEFT
    zones = np.zeros(shape, np.uint8)
    for zone, part in zip((3, 2, 1), np.array_split(np.arange(shape[0]), 3), strict=True):
        zones[part] = zone
    far = np.full(shape, 9.0, np.float32)
    return Anatomy(
        box=tuple(slice(0, n) for n in shape),
        geometry=Geometry.aligned(shape, tuple(np.asarray(spacing_mm).tolist()), origin_mm),
        lung_labels=labels,
        evaluable_labels=labels,
        zone_labels=np.where(labels > 0, zones, 0).astype(np.uint8),
        vessel_mask=np.zeros(shape, bool),
        airway_mask=np.zeros(shape, bool),
        pleura_mm=np.where(labels > 0, np.float32(4.0), np.float32(0.0)),
        vessel_mm=far,
        lungs=(Lung("right", 1.0, 1.0), Lung("left", 1.0, 1.0)),
        lobe_labels=np.where(labels == RIGHT, 3, np.where(labels == LEFT, 5, 0)).astype(np.uint8)
        if lobes
        else None,
    )
