"""Slow twins of what is drawn: sums of many small Gaussians."""

from __future__ import annotations

import numpy as np


def blurred_tube(places_mm, start_mm, end_mm, radius_mm, psf_sigma_mm, step_mm=0.06):
    """Share of a tube with flat ends at (N, 3) places, as the sum over small pieces of it."""
    start, sigma = np.asarray(start_mm, float), np.asarray(psf_sigma_mm, float)
    way = np.asarray(end_mm, float) - start
    length = np.linalg.norm(way)
    unit = way / length
    first = np.cross(unit, np.eye(3)[np.argmin(np.abs(unit))])
    first /= np.linalg.norm(first)
    second = np.cross(unit, first)
    axis = np.arange(-radius_mm, radius_mm + step_mm, step_mm / 2)
    a, b = (grid.ravel() for grid in np.meshgrid(axis, axis))
    inside = a**2 + b**2 <= radius_mm**2
    along = np.arange(step_mm, length, 2 * step_mm)
    disc = a[inside, None] * first + b[inside, None] * second
    points = (start + along[:, None, None] * unit + disc).reshape(-1, 3)
    volume = np.pi * radius_mm**2 * length / len(points)
    norm = volume / ((2 * np.pi) ** 1.5 * sigma.prod())
    return np.array(
        [norm * np.exp(-0.5 * (((points - p) / sigma) ** 2).sum(axis=1)).sum() for p in places_mm]
    )


def width_at_half_maximum(values, step_mm):
    """Full width at half maximum of a peak, between neighbouring samples by straight lines."""
    values = np.asarray(values, float)
    top = int(values.argmax())
    # The parabola through the three highest samples has the true maximum.
    left, middle, right = values[top - 1 : top + 2]
    half = (middle + (right - left) ** 2 / (8 * (2 * middle - left - right))) / 2
    above = np.flatnonzero(values >= half)
    first, last = above[0], above[-1]
    before = (half - values[first - 1]) / (values[first] - values[first - 1])
    after = (values[last] - half) / (values[last] - values[last + 1])
    return (last - first + 1 - before + after) * step_mm
