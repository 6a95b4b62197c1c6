"""Slow twins of the spatial kernels: loops that can be read, and nothing shared with them."""

from __future__ import annotations

import itertools
import math

import numpy as np


def set_covariance_at(mask, voxel_mm, lag_mm):
    """Sum the overlaps of every voxel box with every voxel box moved by the lag."""
    voxels = np.argwhere(mask)
    total = 0.0
    for voxel in voxels:
        offset = (voxels - voxel) * voxel_mm + lag_mm
        total += np.prod(np.clip(voxel_mm - np.abs(offset), 0, None), axis=1).sum()
    return total


def pair_histogram(points, strata, n_strata, max_mm, bin_mm):
    """Count pairs one by one."""
    counts = np.zeros((n_strata, round(max_mm / bin_mm)), int)
    nearest = [math.inf] * len(points)
    for i, j in itertools.combinations(range(len(points)), 2):
        if strata[i] != strata[j]:
            continue
        distance = math.dist(points[i], points[j])
        nearest[i], nearest[j] = min(nearest[i], distance), min(nearest[j], distance)
        if distance < max_mm:
            counts[strata[i], int(distance / bin_mm)] += 1
    return counts, np.array(nearest)


def pair_correlation(distances, weights, radius, bandwidth, corrected):
    """Sum the kernel over pairs."""
    total = 0.0
    for d, w in zip(distances, weights, strict=True):
        u = (radius - d) / bandwidth
        if abs(u) <= 1 and d > 0:
            total += 2 * w * 0.75 / bandwidth * (1 - u * u) / (4 * math.pi * d * d)
    if corrected:
        v = min(radius / bandwidth, 1)
        total /= 0.75 * (v + 2 / 3 - v**3 / 3)
    return total


def kaplan_meier(distances, border, radii):
    """Multiply the shares that stay, radius by radius, as the definition has it."""
    values, stays = [], 1.0
    previous = -math.inf
    for radius in radii:
        risk = seen = 0
        for d, b in zip(distances, border, strict=True):
            # At risk: neither seen before nor lost before this radius was reached.
            if d <= b:
                risk += d > previous
                seen += previous < d <= radius
            else:
                risk += b >= radius
        if risk:
            stays *= 1 - seen / risk
        values.append(1 - stays)
        previous = radius
    return np.array(values)


def extreme_rank_lengths(curves, alternative):
    """Rank by counting, sort the ranks of each curve, and compare the lists."""
    n = len(curves)
    lists = []
    for i in range(n):
        ranks = []
        for d in range(curves.shape[1]):
            below = (curves[:, d] < curves[i, d]).sum()
            same = (curves[:, d] == curves[i, d]).sum()
            low = below + (same + 1) / 2
            high = n + 1 - low
            ranks.append({"less": low, "greater": high, "two-sided": min(low, high)}[alternative])
        lists.append(sorted(ranks))
    return np.array([sum(other <= mine for other in lists) / n for mine in lists])


def covariate_statistics(sample, window_values):
    """Compute Z1, Z2, KS and AUC from raw values."""
    n, mean, spread = len(sample), np.mean(window_values), np.std(window_values)
    u = [
        np.mean([(w < v) + 0.5 * (w == v) for w in window_values])
        for v in sample
    ]  # fmt: skip
    gaps = [
        abs(np.mean([s <= v for s in sample]) - np.mean([w <= v for w in window_values]))
        for v in window_values
    ]
    return (
        (np.sum(sample) - n * mean) / math.sqrt(n * spread**2),
        math.sqrt(12 / n) * (np.sum(u) - n / 2),
        max(gaps),
        np.mean(u),
    )


def border_distance(mask, voxel_mm):
    """Measure every voxel's distance to every outside centre, less half the smallest voxel."""
    padded = np.pad(mask, 1)
    outside = np.argwhere(~padded) * voxel_mm
    depth = np.zeros(mask.shape)
    for voxel in np.argwhere(mask):
        gaps = np.linalg.norm(outside - (voxel + 1) * voxel_mm, axis=1)
        depth[tuple(voxel)] = gaps.min() - min(voxel_mm) / 2
    return depth


def mark_correlation(points, strata, marks, radius, bandwidth, max_mm, bin_mm):
    """Take the mean product of marks over pairs, by Epanechnikov's kernel at binned distances."""
    above = below = 0.0
    for i, j in itertools.combinations(range(len(points)), 2):
        distance = math.dist(points[i], points[j])
        if strata[i] != strata[j] or distance > max_mm:
            continue
        middle = (int(distance / bin_mm) + 0.5) * bin_mm
        weight = max(0.0, 1 - ((radius - middle) / bandwidth) ** 2)
        above += weight * marks[i] * marks[j]
        below += weight
    return above / below if below else math.nan


def intensity(counts, room, sigma, reach):
    """Sum Gaussian weights of every point and of all room around every voxel."""
    voxels = np.argwhere(np.ones(counts.shape))
    values, errors = np.full(counts.shape, np.nan), np.full(counts.shape, np.nan)
    for here in np.argwhere(room > 0):
        steps = (voxels - here) / sigma
        near = (np.abs(voxels - here) <= np.ceil(reach * np.array(sigma))).all(axis=1)
        weight = np.where(near, np.exp(-0.5 * (steps**2).sum(axis=1)), 0.0)
        below = (weight * room.ravel()).sum()
        values[tuple(here)] = (weight * counts.ravel()).sum() / below
        errors[tuple(here)] = math.sqrt((weight**2 * counts.ravel()).sum()) / below
    return values, errors


def auc_spread(sample, strata, window_values):
    """Mean share of the window below each value, and its variance within strata."""
    share = np.array([np.mean([(w < v) + 0.5 * (w == v) for w in window_values]) for v in sample])
    squares = sum(
        ((share[strata == s] - share[strata == s].mean()) ** 2).sum() for s in np.unique(strata)
    )
    return share.mean(), (squares + 1 / 12) / (len(sample) - len(np.unique(strata)) + 1)


def design_effect(scores, points, place_scores, places, weights, reach):
    """Sum covariances of near pairs, one by one, less what near places give by themselves."""
    weights = weights / weights.sum()
    mine = scores - np.mean(scores)
    theirs = place_scores - weights @ place_scores
    n, observed, expected = len(scores), 0.0, 0.0
    for i, j in itertools.permutations(range(n), 2):
        if math.dist(points[i], points[j]) <= reach:
            observed += mine[i] * mine[j]
    for i, j in itertools.permutations(range(len(places)), 2):
        if math.dist(places[i], places[j]) <= reach:
            expected += (n - 1) * weights[i] * weights[j] * theirs[i] * theirs[j]
    return 1 + observed / np.sum(mine**2) - expected / np.sum(weights * theirs**2)
