"""Many small balls seen through a Gaussian point spread: the forward model of every nodule.

The phantom draws with it, the size fit fits it, the self-calibration injects it. A voxel is a
point sample of the blurred ball: the point spread is the whole of it, with detector aperture,
kernel, slice profile and voxel.
"""

from __future__ import annotations

import numpy as np
from scipy import special
from scipy.spatial import KDTree

from miliary.arrays import FloatArray, IntArray

#: Half the width of a drawn patch beyond the ball's radius, in sigmas: 1e-4 of the sum is cut.
REACH_SIGMAS = 4.0

#: Standard deviations below this part of the largest are raised to it, as a delta has no patch.
_FLOOR = 1e-6

#: Balls times voxels times nodes that are computed at once: some 100 MB of doubles.
_BATCH = 2_000_000


def ball_profile(
    distance_mm: FloatArray, diameter_mm: FloatArray | float, psf_sigma_mm: float
) -> FloatArray:
    """Compute the share of a ball blurred by an isotropic Gaussian, at a distance.

    The convolution in closed form: with radius R, distance r and standard deviation s,
    `[erf((R-r)/s√2) + erf((R+r)/s√2)]/2 - s/(r√2π) [exp(-(R-r)²/2s²) - exp(-(R+r)²/2s²)]`.

    Parameters
    ----------
    distance_mm : (...) float
        Distances from the ball's centre in mm.
    diameter_mm : (...) float
        Diameters in mm, of a shape that broadcasts with the distances.
    psf_sigma_mm : float
        Standard deviation of the point spread in mm, positive.

    Returns
    -------
    (...) float64
        Share of the ball, 0 to 1: 1 deep inside a large one.
    """
    if not psf_sigma_mm > 0:
        raise ValueError(f"psf_sigma_mm must be positive, got {psf_sigma_mm}")
    # Near the centre the second term is 0/0; 1e-4 sigma is off by 1e-8 of the whole.
    r = np.maximum(np.asarray(distance_mm, float) / psf_sigma_mm, 1e-4)
    radius = np.asarray(diameter_mm, float) / (2.0 * psf_sigma_mm)
    below, above = radius - r, radius + r
    inside = 0.5 * (special.erf(below / np.sqrt(2)) + special.erf(above / np.sqrt(2)))
    rim = np.exp(-0.5 * below**2) - np.exp(-0.5 * above**2)
    share: FloatArray = inside - rim / (r * np.sqrt(2 * np.pi))
    return share


def ball_patches(
    centres_offset_mm: FloatArray,
    diameters_mm: FloatArray,
    psf_sigma_mm: tuple[float, float, float],
    patch_shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
) -> FloatArray:
    """Draw each ball in a patch of its own.

    The smallest of the three standard deviations is convolved in closed form, what the others
    have more by Gauss-Hermite quadrature along their axes: smooth in place and diameter, so
    that a fit may differentiate it.

    Parameters
    ----------
    centres_offset_mm : (N, 3) float
        Place `(z, y, x)` of each ball from the centre of the patch's middle voxel
        (index `patch_shape // 2`), in mm.
    diameters_mm : (N,) float
        Diameters in mm.
    psf_sigma_mm : (3,) float
        Standard deviation of the point spread along z, y and x in mm, positive.
    patch_shape : (3,) int
        Voxels of a patch along z, y and x.
    spacing_mm : (3,) float
        Voxel size along z, y and x in mm.

    Returns
    -------
    (N, pz, py, px) float32
        Share of the ball in every voxel; length 0 without balls.
    """
    centres = np.asarray(centres_offset_mm, float).reshape(-1, 3)
    diameters = np.asarray(diameters_mm, float).reshape(-1)
    if len(centres) != len(diameters):
        raise ValueError(
            f"every ball needs a diameter, got {len(centres)} centres and {len(diameters)}"
        )
    nodes, weights, sigma = _quadrature(psf_sigma_mm)
    patches = np.empty((len(centres), *patch_shape), np.float32)
    batch = max(1, _BATCH // (int(np.prod(patch_shape)) * len(nodes)))
    for first in range(0, len(centres), batch):
        part = slice(first, first + batch)
        axes = [
            (np.arange(n) - n // 2) * step - centres[part, a, None]
            for a, (n, step) in enumerate(zip(patch_shape, spacing_mm, strict=True))
        ]
        share = np.zeros((len(axes[0]), *patch_shape))
        for node, weight in zip(nodes, weights, strict=True):
            z, y, x = ((axis - shift) ** 2 for axis, shift in zip(axes, node, strict=True))
            squared = z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]
            share += weight * ball_profile(
                np.sqrt(squared), diameters[part, None, None, None], sigma
            )
        patches[part] = share
    return patches


def render_balls(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    centres_grid_mm: FloatArray,
    diameters_mm: FloatArray,
    psf_sigma_mm: tuple[float, float, float],
) -> FloatArray:
    """Draw balls into an image; where they overlap their shares add up, to 1 at most.

    Parameters
    ----------
    shape : (3,) int
        Voxels along z, y and x.
    spacing_mm : (3,) float
        Voxel size along z, y and x in mm.
    centres_grid_mm : (N, 3) float
        Centres as grid points `(z, y, x)` in mm from the first voxel's centre; what reaches
        over the border is cut off.
    diameters_mm : (N,) float
        Diameters in mm.
    psf_sigma_mm : (3,) float
        Standard deviation of the point spread along z, y and x in mm, positive.

    Returns
    -------
    (z, y, x) float32
        Share of the voxel that is ball; zeros without balls.
    """
    spacing = np.asarray(spacing_mm, float)
    centres = np.asarray(centres_grid_mm, float).reshape(-1, 3)
    diameters = np.asarray(diameters_mm, float).reshape(-1)
    image = np.zeros(shape, np.float32)
    middle = np.rint(centres / spacing).astype(np.intp)
    offset = centres - middle * spacing
    reach_mm = diameters[:, None] / 2 + REACH_SIGMAS * np.asarray(psf_sigma_mm, float)
    half = np.ceil(reach_mm / spacing + 0.5).astype(np.intp)
    for size in np.unique(half, axis=0):
        mine = np.flatnonzero((half == size).all(axis=1))
        z, y, x = (2 * size + 1).tolist()
        for rows in np.array_split(mine, 1 + len(mine) * z * y * x // (4 * _BATCH)):
            patches = ball_patches(
                offset[rows], diameters[rows], psf_sigma_mm, (z, y, x), spacing_mm
            )
            _add_patches(image, patches, middle[rows] - size)
    return np.minimum(image, 1.0, out=image)


def _add_patches(image: FloatArray, patches: FloatArray, first_zyx: FloatArray) -> None:
    """Add patches to an image in place, without the parts that lie outside of it."""
    inside = np.ones(patches.shape, bool)
    index = np.zeros(patches.shape, np.intp)
    for axis, size in enumerate(image.shape):
        place = first_zyx[:, axis, None] + np.arange(patches.shape[axis + 1])
        widths = [len(patches), 1, 1, 1]
        widths[axis + 1] = -1
        place = place.reshape(widths)
        inside &= (place >= 0) & (place < size)
        index = index * size + place
    np.add.at(image.reshape(-1), index[inside], patches[inside])


def _quadrature(
    psf_sigma_mm: tuple[float, float, float],
) -> tuple[FloatArray, FloatArray, float]:
    """Nodes (K, 3) in mm, weights (K,) and the isotropic sigma that together are the spread."""
    sigmas = np.asarray(psf_sigma_mm, float)
    if sigmas.shape != (3,) or not (sigmas > 0).all():
        raise ValueError(f"psf_sigma_mm must be three positive lengths, got {psf_sigma_mm}")
    smallest = float(max(sigmas.min(), _FLOOR * sigmas.max()))
    axes, weights = [], []
    for extra in np.sqrt(np.maximum(sigmas**2 - smallest**2, 0.0)):
        # The fewest nodes that keep every share within 1e-3, measured for extra/smallest from
        # 0.3 to 4 and radii from 0.3 to 4 sigmas: 2, 3, 4, 5, 8, 12, 22 and 36 are needed.
        ratio = extra / smallest
        n = 1 if ratio < 1e-3 else int(np.ceil(1 + 2 * ratio + 1.7 * ratio**2))
        place, weight = np.polynomial.hermite_e.hermegauss(n)
        axes.append(place * extra)
        weights.append(weight / weight.sum())
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    joint = np.einsum("i,j,k->ijk", *weights).reshape(-1)
    return nodes, joint, smallest


def add_balls(
    image: FloatArray,
    smoothed: FloatArray,
    spacing_mm: FloatArray,
    centres_grid_mm: FloatArray,
    diameters_mm: FloatArray,
    *,
    psf_sigma_mm: tuple[float, float, float],
    tissue_hu: float | FloatArray,
    lung_limit_hu: float,
    reach_mm: float,
) -> FloatArray:
    """Put balls of soft tissue into a scan, as its scanner would have shown them.

    A ball takes the place of lung, so it adds what tissue has more than the lung around it; where
    a vessel runs already, it adds only what is missing. The noise of the scan stays as it is.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Scan in HU.
    smoothed : (Z, Y, X) float32
        The same, with its noise smoothed away: tells lung from vessel.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    centres_grid_mm : (N, 3) float
        Centres as grid points.
    diameters_mm : (N,) float
        Diameters.
    psf_sigma_mm : (3,) float
        Standard deviation of the point spread along z, y and x.
    tissue_hu : float or (N,) float
        What the balls are made of, all or each.
    lung_limit_hu : float
        Brighter voxels do not count for the level of the lung around a ball.
    reach_mm : float
        Half width of the neighbourhood that tells this level.

    Returns
    -------
    (Z, Y, X) float32
        A new image.
    """
    spacing = np.asarray(spacing_mm, float)
    middle = np.rint(np.asarray(centres_grid_mm, float).reshape(-1, 3) / spacing).astype(np.intp)
    share = render_balls(
        image.shape,
        (spacing[0], spacing[1], spacing[2]),
        centres_grid_mm,
        diameters_mm,
        psf_sigma_mm,
    )
    drawn = np.flatnonzero(share > 0)
    voxels = np.unravel_index(drawn, share.shape)
    # The level of the lung, ball by ball, spread over the voxels by the nearest ball.
    level = _lung_levels(smoothed, middle, spacing, lung_limit_hu, reach_mm)
    nearest = _nearest_balls(middle * spacing, voxels, spacing)
    here = level[nearest]
    tissue = np.broadcast_to(tissue_hu, len(middle))[nearest]
    filled = np.clip((smoothed.ravel()[drawn] - here) / (tissue - here), 0.0, 1.0)
    result = np.array(image, np.float32, order="C")
    result.ravel()[drawn] += share.ravel()[drawn] * (tissue - here) * (1.0 - filled)
    return result


def _nearest_balls(
    middle_mm: FloatArray, voxels: tuple[IntArray, ...], spacing: FloatArray
) -> IntArray:
    """Give the ball whose middle is nearest to each voxel of some balls.

    Where none is nearer to another than twice what is drawn of it, z alone tells: in a stack of
    patches.
    """
    if len(middle_mm) == 0:
        return np.empty(0, np.intp)
    order = np.argsort(middle_mm[:, 0])
    along = middle_mm[order, 0]
    halfway = (along[1:] + along[:-1]) / 2
    # A table of slices: the voxels are many.
    slices = np.arange(int(voxels[0].max(initial=0)) + 1) * spacing[0]
    nearest: IntArray = order[np.searchsorted(halfway, slices)][voxels[0]]
    squares = np.zeros(len(nearest))
    for axis, column in enumerate(voxels):
        steps = column * spacing[axis] - middle_mm[:, axis].take(nearest)
        squares += steps * steps
    if len(along) < 2 or 2.0 * np.sqrt(squares.max(initial=0.0)) < np.diff(along).min():
        return nearest
    places = np.column_stack(voxels) * spacing
    return np.asarray(KDTree(middle_mm).query(places)[1], np.intp)


def _lung_levels(
    smoothed: FloatArray, middle: IntArray, spacing: FloatArray, limit_hu: float, reach_mm: float
) -> FloatArray:
    """Median of the voxels round each place that are darker than the limit; the limit if none is.

    Their mean would hold the blur of vessels: balls got 2 % less contrast than nodules drawn into a
    phantom, by the median 1 %.
    """
    half = np.ceil(reach_mm / spacing).astype(int)
    axes = [np.arange(-h, h + 1) for h in half]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    last = np.array(smoothed.shape) - 1
    z, y, x = np.moveaxis(np.clip(middle[:, None] + offsets, 0, last), -1, 0)
    values = smoothed[z, y, x]
    # Brighter ones go to the end, and the middle is that of those before them.
    ordered = np.sort(np.where(values < limit_hu, values, np.inf), axis=1)
    n_dark = np.count_nonzero(values < limit_hu, axis=1)
    rows = np.arange(len(values))
    # With an odd number the two in the middle are one and the same.
    low, high = (ordered[rows, np.maximum(n_dark - k, 0) // 2] for k in (1, 0))
    level: FloatArray = np.where(n_dark > 0, (low + high) / 2, limit_hu)
    return level
