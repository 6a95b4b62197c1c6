"""For points and a mask of one's own: no scan, no lung, no nodule needed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from miliary.arrays import AnyArray, FloatArray, LabelArray
from miliary.config.spatial import SpatialSettings
from miliary.findings import Distribution
from miliary.spatial.describe import describe_distribution
from miliary.spatial.window import Window


def describe_points(
    points_mm: ArrayLike,
    mask: AnyArray,
    spacing_mm: ArrayLike,
    *,
    origin_mm: ArrayLike = (0.0, 0.0, 0.0),
    sensitivity: FloatArray | None = None,
    distances_mm: Mapping[str, FloatArray] | None = None,
    sizes: ArrayLike | None = None,
    min_separation_mm: float = 0.0,
    settings: SpatialSettings | None = None,
    seed: int = 0,
) -> Distribution:
    """Describe how points lie in a mask of any shape, against randomness in this very mask.

    K, L, g, G, F and J with global envelopes, one primary test, and the tests, shares and curves
    of `describe_distribution`, for any points: cells in a tissue, pores in a stone.

    Parameters
    ----------
    points_mm : (N, 3) float
        Positions along the axes of the mask, in their order.
    mask : (I, J, K) bool or int
        Where points can be. Whole numbers above 0, up to 255, make parts, each of which keeps its
        number of points.
    spacing_mm : (3,) float
        Voxel size along the axes of the mask.
    origin_mm : (3,) float
        Position of the centre of the first voxel.
    sensitivity : (I, J, K) float or None
        Chance of seeing a point at each voxel, up to a factor; None for the same everywhere.
    distances_mm : mapping of str to (I, J, K) float, or None
        Images of distances to structures; whether points keep to these is tested.
    sizes : (N,) float or None
        Sizes of the points, above 0; whether these depend on place is tested. Not finite where
        unknown.
    min_separation_mm : float
        No two points can lie nearer, by how they were found; 0 for no such rule.
    settings : SpatialSettings or None
        Radii, numbers of simulations; the defaults unless given.
    seed : int
        The same seed gives the same result, on any number of threads.

    Returns
    -------
    Distribution
        Of `all` points, and of `part 1` and so on where there are several. Nothing in it is made
        up: what so few points, or so small a mask, cannot tell is None, with a sentence in `notes`.
        Points up to `settings.move_mm` outside the mask are moved into it, others left out, both
        told in `notes`.

    Raises
    ------
    ValueError
        For points that are not N rows of three finite numbers or that all lie outside the mask,
        a mask that is not of whole numbers, images of another shape, sizes of another number.

    Examples
    --------
    Forty pairs of points in a ball of 40 mm are not random:

    >>> import numpy as np
    >>> from miliary.config.spatial import SpatialSettings
    >>> rng = np.random.default_rng(1)
    >>> i, j, k = np.indices((27, 41, 41))
    >>> ball = ((i - 13) * 3.0) ** 2 + ((j - 20) * 2.0) ** 2 + ((k - 20) * 2.0) ** 2 < 40.0**2
    >>> voxels = rng.permutation(np.argwhere(ball))[:40]
    >>> points = np.repeat(voxels * [3.0, 2.0, 2.0], 2, axis=0) + rng.normal(0, 1, (80, 3))
    >>> quick = SpatialSettings(simulations=99, empty_space_simulations=99)
    >>> found = describe_points(points, ball, [3.0, 2.0, 2.0], settings=quick)
    >>> found.csr_p, found.clustered, found.clark_evans < 0.6
    (0.01, True, True)
    """
    points = _points_of(points_mm) - np.asarray(origin_mm, float)
    window = Window(_labels_of(mask), np.asarray(spacing_mm, float), sensitivity, lungs=False)
    settings = settings or SpatialSettings()
    found = describe_distribution(
        points,
        window,
        distances_mm=distances_mm or {},
        sizes_mm=None if sizes is None else np.asarray(sizes, float),
        min_separation_mm=min_separation_mm,
        settings=settings,
        rng=np.random.default_rng(seed),
    )
    if len(points) and found.n == 0:
        low, high = points.min(axis=0).round(1), points.max(axis=0).round(1)
        raise ValueError(
            f"points_mm must lie in the mask, got all {len(points)} outside, {low} to {high} mm "
            "from its first voxel; give them along the axes of the mask, and origin_mm as the "
            "centre of that voxel"
        )
    return found


def _points_of(points_mm: ArrayLike) -> FloatArray:
    """Check points; an empty list is none."""
    points: FloatArray = np.asarray(points_mm, float)
    if points.size == 0:
        return np.empty((0, 3))
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points_mm must be N rows of three numbers, got shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"points_mm must be finite, got {(~np.isfinite(points)).sum()} others")
    return points


def _labels_of(mask: AnyArray) -> LabelArray:
    """Make labels of a mask."""
    mask = np.asarray(mask)
    if mask.dtype == bool or mask.size == 0:
        return mask.astype(np.uint8)
    low, high = mask.min(), mask.max()
    # Compared before they are cast: a value out of range would come out as another.
    if not (low >= 0 and high <= 255 and np.array_equal(np.rint(mask), mask)):
        raise ValueError(f"mask must be bool or whole numbers from 0 to 255, got {low} to {high}")
    return mask.astype(np.uint8)
