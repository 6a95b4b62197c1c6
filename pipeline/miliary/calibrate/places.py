"""Where nodules are put: regions of the lung by what makes them hard to see, places in each."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from miliary.anatomy import Anatomy
from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray, LabelArray
from miliary.config.calibrate import CalibrateSettings
from miliary.kernels.noise import gather_cubes

REGIONS: dict[str, int] = {"subpleural": 1, "fissural": 2, "perivascular": 3, "interior": 4}

#: Places tried for each that is wanted: some lie on a vessel or too near to a known nodule.
_TRIES = 6

#: Half width of the cube that a Gaussian mean is taken over, in standard deviations.
_CUBE_SIGMAS = 2.5


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
    regions = np.full(anatomy.geometry.shape, REGIONS["interior"], np.uint8)
    regions[anatomy.vessel_mm < settings.perivascular_mm] = REGIONS["perivascular"]
    if anatomy.fissure_mm is not None:
        regions[anatomy.fissure_mm < settings.fissural_mm] = REGIONS["fissural"]
    regions[anatomy.pleura_mm < settings.subpleural_mm] = REGIONS["subpleural"]
    regions[anatomy.evaluable_labels == 0] = 0
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
    inside = [np.flatnonzero(regions.ravel() == label) for label in REGIONS.values()]
    inside = [voxels for voxels in inside if len(voxels)]
    wanted = -(-settings.n_nodules // max(len(inside), 1))
    centres, region = [np.empty((0, 3))], [np.empty(0, int)]
    for voxels in inside:
        flat = rng.choice(voxels, min(_TRIES * wanted, len(voxels)), replace=False)
        index = np.column_stack(np.unravel_index(flat, regions.shape))
        grid_mm = (index + rng.uniform(-0.5, 0.5, index.shape)) * spacing
        label = int(regions.ravel()[voxels[0]])
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
