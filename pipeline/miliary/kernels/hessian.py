"""Eigenvalues of the Hessian of an image: tubes, blobs and plates answer differently."""

from __future__ import annotations

import numpy as np

from miliary.arrays import FloatArray, IntArray
from miliary.kernels.slabs import on_threads
from miliary.kernels.stencil import Stencil

#: Voxels worked on at a time: a few megabytes of temporaries, which stay in the cache.
_CHUNK = 65536
#: Below this share of the largest entry three eigenvalues are one.
_TINY = 1e-20


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
    voxels = Stencil.anywhere(smoothed, flat_index, spacing_mm)

    def work(start: int) -> None:
        part = slice(start, start + _CHUNK)
        near = voxels.take(part)
        result[:, part] = symmetric_eigenvalues(np.concatenate([near.straight(), near.mixed()]))

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
