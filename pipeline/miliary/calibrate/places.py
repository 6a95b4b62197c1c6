"""Where nodules are put: regions of the lung by what makes them hard to see, places in each."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from miliary.anatomy import Anatomy
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray, LabelArray
from miliary.config.calibrate import CalibrateSettings
from miliary.kernels.noise import gather_cubes
from miliary.kernels.slabs import over_slabs, slab_of

REGIONS: dict[str, int] = {"subpleural": 1, "fissural": 2, "perivascular": 3, "interior": 4}

#: Places tried for each that is wanted: some lie on a vessel or too near to a known nodule.
_TRIES = 6

#: Half width of the cube that a Gaussian mean is taken over, in standard deviations.
_CUBE_SIGMAS = 2.5

#: Voxels that are labelled together: their distances stay in the cache.
_SLAB = 2**17


def label_regions(anatomy: Anatomy, settings: CalibrateSettings) -> LabelArray:
    """Label the evaluable lung by what makes nodules hard to find there.

    Parameters
    ----------
    anatomy : Anatomy
        Lungs and distances.
    settings : CalibrateSettings
        Limits of the regions.

    Returns
    -------
    (z, y, x) uint8
        `REGIONS`, the first that holds; 0 where nothing can be seen.
    """
    regions = np.empty(anatomy.geometry.shape, np.uint8)
    far = np.uint8(REGIONS["interior"])
    near = (
        ("perivascular", anatomy.vessel_mm, settings.perivascular_mm),
        ("fissural", anatomy.fissure_mm, settings.fissural_mm),
        ("subpleural", anatomy.pleura_mm, settings.subpleural_mm),
    )

    def label(start: int, stop: int) -> None:
        part = regions[start:stop]
        part[...] = far
        for name, distance_mm, limit_mm in near:
            if distance_mm is not None:
                # The first of the regions has the lowest label. Sums of bytes take a fifth of the
                # time of what is written where a mask is true.
                is_near = (distance_mm[start:stop] < limit_mm).view(np.uint8)
                np.minimum(part, far - is_near * np.uint8(far - REGIONS[name]), out=part)
        part *= (anatomy.evaluable_labels[start:stop] > 0).view(np.uint8)

    over_slabs(label, len(regions), slab_of(regions.shape, _SLAB))
    return regions


def place_balls(
    hu: AnyArray,
    regions: LabelArray,
    spacing_mm: FloatArray,
    taken_grid_mm: FloatArray,
    settings: CalibrateSettings,
    *,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Choose places, as many in each region that there is, apart from known nodules.

    They need not keep apart from each other: each is put into a patch of its own.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        The scan.
    regions : (z, y, x) uint8
        `REGIONS`.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    taken_grid_mm : (M, 3) float
        Known nodules, as grid points.
    settings : CalibrateSettings
        How many, how large, how far apart.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    centres_grid_mm : (N, 3) float
        Places; N may be smaller than wished where there is no room.
    diameters_mm : (N,) float
        Every diameter as often as the others.
    region : (N,) int
        Label of each place.
    """
    spacing = np.asarray(spacing_mm, float)
    per_slice = {
        label: np.array([np.count_nonzero(part == label) for part in regions])
        for label in REGIONS.values()
    }
    there = [label for label, numbers in per_slice.items() if numbers.any()]
    wanted = -(-settings.n_nodules // max(len(there), 1))
    centres, region = [np.empty((0, 3))], [np.empty(0, int)]
    for label in there:
        n_voxels = int(per_slice[label].sum())
        ranks = rng.choice(n_voxels, min(_TRIES * wanted, n_voxels), replace=False)
        flat = _voxels_of(regions, label, ranks, per_slice[label])
        index = np.column_stack(np.unravel_index(flat, regions.shape))
        grid_mm = (index + rng.uniform(-0.5, 0.5, index.shape)) * spacing
        if label in _BRIGHT:
            free = _is_deep(regions, grid_mm, spacing, settings.depth_mm)
        else:
            free = _is_lung(hu, index, spacing, settings)
        free &= _is_apart(grid_mm, taken_grid_mm, settings.separation_mm)
        centres.append(grid_mm[free][:wanted])
        region.append(np.full(len(centres[-1]), label))
    places = np.concatenate(centres)
    diameters = np.resize(np.array(settings.diameters_mm), len(places))
    return places, rng.permutation(diameters), np.concatenate(region)


#: At the pleura the wall's blur is part of what makes nodules hard to see: balls go there too, but
#: none is centred on it. Found are 6 points (4) more of them than of the nodules that other code
#: puts under the pleura of lidc-0314, and as many as on phantoms.
_BRIGHT = (REGIONS["subpleural"],)


def _voxels_of(regions: LabelArray, label: int, ranks: IntArray, per_slice: IntArray) -> IntArray:
    """Flat indices of voxels of a label by their rank among them, without a list of them all."""
    ends = np.cumsum(per_slice)
    which, flat = np.searchsorted(ends, ranks, side="right"), np.empty(len(ranks), np.intp)
    for number in np.unique(which).tolist():
        mine = which == number
        first = ends[number] - per_slice[number]
        here = np.flatnonzero(regions[number] == label)
        flat[mine] = number * regions[number].size + here[ranks[mine] - first]
    return flat


def _is_lung(
    hu: AnyArray, index: IntArray, spacing: FloatArray, settings: CalibrateSettings
) -> BoolArray:
    """Whether the Gaussian mean round each voxel is that of lung, and not of a vessel."""
    half = np.maximum(np.rint(_CUBE_SIGMAS * settings.smoothing_mm / spacing).astype(int), 1)
    z, y, x = np.minimum(2 * half + 1, hu.shape).tolist()
    cubes = gather_cubes(hu, index, (z, y, x))
    axes = [
        np.exp(-0.5 * ((np.arange(n) - n // 2) * step / settings.smoothing_mm) ** 2)
        for n, step in zip((z, y, x), spacing, strict=True)
    ]
    weight = np.einsum("i,j,k->ijk", *axes)
    level = np.tensordot(cubes, weight / weight.sum(), axes=3)
    dark: BoolArray = level < settings.lung_limit_hu
    return dark


def _is_deep(
    regions: LabelArray, grid_mm: FloatArray, spacing: FloatArray, depth_mm: float
) -> BoolArray:
    """Whether what lies so far from each place along the axes is lung too."""
    deep = np.ones(len(grid_mm), bool)
    last = np.array(regions.shape) - 1
    for step in depth_mm * np.concatenate([np.eye(3), -np.eye(3)]):
        voxel = np.clip(np.rint((grid_mm + step) / spacing).astype(np.intp), 0, last)
        deep &= regions[tuple(voxel.T)] > 0
    return deep


def _is_apart(grid_mm: FloatArray, taken_mm: FloatArray, least_mm: float) -> BoolArray:
    if len(taken_mm) == 0 or len(grid_mm) == 0:
        return np.ones(len(grid_mm), bool)
    far: BoolArray = np.asarray(KDTree(taken_mm).query(grid_mm)[0]) >= least_mm
    return far
