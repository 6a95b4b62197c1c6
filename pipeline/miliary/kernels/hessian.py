"""Eigenvalues of the Hessian of an image: tubes, blobs and plates answer differently."""

from __future__ import annotations

import numpy as np

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.kernels.filters import smooth
from miliary.kernels.slabs import on_threads

#: Voxels worked on at a time: a few megabytes of temporaries, which stay in the cache.
_CHUNK = 65536
#: Below this share of the largest entry three eigenvalues are one.
_TINY = 1e-20


def hessian_eigenvalues(
    image: FloatArray, inside: BoolArray, *, sigma_mm: float, spacing_mm: FloatArray
) -> FloatArray:
    """Eigenvalues of the scale-normalised Hessian at every voxel of a mask.

    Second differences of the smoothed image stand for its derivatives: flat lung gives 0 but for
    the rounding of the Gaussian's single precision, and only voxels of the mask cost anything.

    Parameters
    ----------
    image : (Z, Y, X) float32
        Image, such as Hounsfield units.
    inside : (Z, Y, X) bool
        Where to look.
    sigma_mm : float
        Standard deviation of the Gaussian that smooths first; from about one voxel on the
        differences are true to the derivatives.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (3, N) float32
        Eigenvalues times `sigma_mm` squared, in units of the image, ascending, for the voxels
        of the mask in C order (scatter them with `out[inside] = values[i]`). A bright tube has
        two strongly negative ones and one near 0, a bright blob three negative ones.

    Raises
    ------
    ValueError
        When shapes differ or the scale is not positive.
    """
    if image.shape != inside.shape or image.ndim != 3:
        raise ValueError(f"inside must have the image's shape {image.shape}, got {inside.shape}")
    if not sigma_mm > 0:
        raise ValueError(f"sigma_mm must be positive, got {sigma_mm}")
    smoothed = smooth(image, sigma_mm, spacing_mm)
    return eigenvalues_at(smoothed, np.flatnonzero(inside), spacing_mm, scale=sigma_mm**2)


def eigenvalues_at(
    smoothed: FloatArray, flat_index: IntArray, spacing_mm: FloatArray, *, scale: float
) -> FloatArray:
    """Eigenvalues of the Hessian of a smoothed image at chosen voxels.

    Parameters
    ----------
    smoothed : (Z, Y, X) float32
        Smoothed image.
    flat_index : (N,) int
        Voxels, as indices into the flattened image; beyond the border the image goes on flat.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    scale : float
        Factor of the result: the smoothing sigma squared normalises it.

    Returns
    -------
    (3, N) float32
        Eigenvalues, ascending.
    """
    result = np.empty((3, len(flat_index)), np.float32)
    flat = np.ascontiguousarray(smoothed, np.float32).ravel()
    weights = np.asarray(spacing_mm, float)

    def work(start: int) -> None:
        part = slice(start, start + _CHUNK)
        entries = hessian_entries(flat, flat_index[part], smoothed.shape, weights)
        result[:, part] = symmetric_eigenvalues(entries)

    on_threads(work, range(0, len(flat_index), _CHUNK))
    result *= np.float32(scale)
    return result


def symmetric_eigenvalues(entries: FloatArray) -> FloatArray:
    """Eigenvalues of symmetric 3 x 3 matrices in closed form.

    The trigonometric solution of the characteristic cubic; no iteration, so it vectorises.

    Parameters
    ----------
    entries : (6, N) float
        Entries aa, bb, cc, ab, ac, bc of each matrix.

    Returns
    -------
    (3, N) float
        Eigenvalues, ascending.
    """
    aa, bb, cc, ab, ac, bc = entries
    mean = (aa + bb + cc) / 3
    aa, bb, cc = aa - mean, bb - mean, cc - mean
    ab2, ac2, bc2 = ab * ab, ac * ac, bc * bc
    spread = np.sqrt((aa * aa + bb * bb + cc * cc + 2 * (ab2 + ac2 + bc2)) / 6)
    # Determinant, cosine and angle in one place: memory touched first is what takes time.
    cosine = aa * (bb * cc - bc2) - cc * ab2 - bb * ac2 + 2 * (ab * ac * bc)
    cosine /= 2 * (spread * spread * spread) + np.asarray(_TINY, entries.dtype)
    # Rounding may carry the cosine of a double eigenvalue beyond one.
    angle = np.arccos(np.clip(cosine, -1, 1, out=cosine), out=cosine)
    angle /= 3
    spread *= 2
    values = np.empty((3, *mean.shape), entries.dtype)
    low, middle, high = values
    np.cos(angle, out=high)
    angle += 2 * np.pi / 3
    np.cos(angle, out=low)
    for value in (low, high):
        value *= spread
        value += mean
    np.multiply(mean, 3, out=middle)
    middle -= low
    middle -= high
    return values


def solve_symmetric(entries: FloatArray, vectors: FloatArray) -> FloatArray:
    """Solve systems of three equations with symmetric matrices in closed form.

    Parameters
    ----------
    entries : (6, N) float
        Entries aa, bb, cc, ab, ac, bc of each matrix, none of them singular.
    vectors : (3, N) float
        Right-hand sides.

    Returns
    -------
    (3, N) float
        Solutions.
    """
    aa, bb, cc, ab, ac, bc = entries
    u, v, w = vectors
    # The adjugate, symmetric too.
    to_aa, to_bb, to_cc = bb * cc - bc * bc, aa * cc - ac * ac, aa * bb - ab * ab
    to_ab, to_ac, to_bc = ac * bc - ab * cc, ab * bc - ac * bb, ab * ac - aa * bc
    determinant = aa * to_aa + ab * to_ab + ac * to_ac
    solved: FloatArray = np.stack(
        [
            to_aa * u + to_ab * v + to_ac * w,
            to_ab * u + to_bb * v + to_bc * w,
            to_ac * u + to_bc * v + to_cc * w,
        ]
    )
    solved /= determinant
    return solved


def hessian_entries(
    flat: FloatArray, index: IntArray, shape: tuple[int, ...], spacing: FloatArray
) -> FloatArray:
    """Second differences of an image at chosen voxels.

    Parameters
    ----------
    flat : (Z * Y * X,) float32
        Smoothed image, flattened.
    index : (N,) int
        Voxels; beyond the border the image goes on flat.
    shape : (3,) int
        Shape of the image.
    spacing : (3,) float
        Voxel size along z, y and x in mm.

    Returns
    -------
    (6, N) float32
        Entries zz, yy, xx, zy, zx, yx of each Hessian, per mm2.
    """
    ahead, back = neighbour_steps(index, shape)
    entries = np.empty((6, len(index)), np.float32)
    centre = 2 * flat[index]
    for axis in range(3):
        entries[axis] = flat[index + ahead[axis]] + flat[index + back[axis]] - centre
        entries[axis] /= spacing[axis] ** 2
    for row, (a, b) in enumerate(((0, 1), (0, 2), (1, 2)), start=3):
        entries[row] = flat[index + ahead[a] + ahead[b]] + flat[index + back[a] + back[b]]
        entries[row] -= flat[index + ahead[a] + back[b]] + flat[index + back[a] + ahead[b]]
        entries[row] /= 4 * spacing[a] * spacing[b]
    return entries


def neighbour_steps(
    index: IntArray, shape: tuple[int, ...]
) -> tuple[list[AnyArray], list[AnyArray]]:
    """Give the steps from voxels to their neighbours in the flattened image.

    Parameters
    ----------
    index : (N,) int
        Voxels, as indices into the flattened image.
    shape : (3,) int
        Shape of the image.

    Returns
    -------
    ahead, back : list of three () or (N,) int
        Steps along z, y and x to the next and to the previous voxel; 0 where there is none. One
        number where all voxels have the neighbour.
    """
    row = index // shape[2]
    section = row // shape[1]
    place = (section, row - section * shape[1], index - row * shape[2])
    ahead, back = [], []
    for at, n, stride in zip(place, shape, (shape[1] * shape[2], shape[2], 1), strict=True):
        # Nearly always no voxel lies at the border.
        inner = len(at) > 0 and at.min() > 0 and at.max() < n - 1
        ahead.append(np.asarray(stride if inner else np.where(at < n - 1, stride, 0)))
        back.append(np.asarray(-stride if inner else np.where(at > 0, -stride, 0)))
    return ahead, back
