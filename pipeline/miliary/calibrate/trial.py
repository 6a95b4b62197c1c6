"""A small copy of the scan, patch by patch, with a ball in the middle of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from miliary.arrays import AnyArray, BoolArray, FloatArray, IntArray
from miliary.config.calibrate import CalibrateSettings
from miliary.findings import ImageQuality
from miliary.kernels.balls import add_balls
from miliary.kernels.filters import smooth
from miliary.kernels.mosaic import first_voxels, patch_shape, stack_patches, to_stack
from miliary.nodules import Candidates


@dataclass(frozen=True, eq=False)
class Trial:
    """Patches of a scan on top of each other, as one image that the steps can be run on.

    Parameters
    ----------
    hu : (Z, y, x) float32
        Hounsfield units.
    inside_lung : (Z, y, x) bool
        Lung; the first and last slice of every patch are not, so that patches do not touch.
    near : (Z, y, x) bool
        Round the middle of each patch: where candidates are looked at.
    centres_grid_mm : (N, 3) float
        Where the balls go, as grid points of this image.
    """

    hu: FloatArray
    inside_lung: BoolArray
    near: BoolArray
    centres_grid_mm: FloatArray


def cut_trial(
    hu: AnyArray,
    inside_lung: BoolArray,
    spacing_mm: FloatArray,
    centres_grid_mm: FloatArray,
    settings: CalibrateSettings,
) -> Trial:
    """Cut a patch round every place.

    Parameters
    ----------
    hu : (z, y, x) int16 or float32
        Hounsfield units.
    inside_lung : (z, y, x) bool
        Lungs.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    centres_grid_mm : (N, 3) float
        Places, at least one.
    settings : CalibrateSettings
        Size of the patches.

    Returns
    -------
    Trial
        Without balls as yet.
    """
    spacing = np.asarray(spacing_mm, float)
    index = centres_grid_mm / spacing
    patch = patch_shape(hu.shape, spacing, settings.patch_mm)
    first = first_voxels(hu.shape, np.rint(index).astype(np.intp), patch)
    inside = stack_patches(inside_lung, first, patch)
    for edge in (0, patch[0] - 1):
        inside[edge :: patch[0]] = False
    here = to_stack(index, np.arange(len(index)), first, patch)
    near = np.zeros(inside.shape, bool)
    half = np.ceil(settings.near_mm / spacing).astype(int)
    middle = np.rint(here).astype(int)
    for low, high in zip(np.maximum(middle - half, 0), middle + half + 1, strict=True):
        near[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = True
    return Trial(stack_patches(hu, first, patch).astype(np.float32), inside, near, here * spacing)


def inject(
    trial: Trial,
    spacing_mm: FloatArray,
    diameters_mm: FloatArray,
    quality: ImageQuality,
    tissue_hu: float | FloatArray,
    settings: CalibrateSettings,
) -> FloatArray:
    """Put a ball into each patch, through the scan's own point spread.

    Parameters
    ----------
    trial : Trial
        Patches and places.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    diameters_mm : (N,) float
        Diameters.
    quality : ImageQuality
        Point spread of the scan.
    tissue_hu : float or (N,) float
        What they are made of.
    settings : CalibrateSettings
        What counts as lung around them.

    Returns
    -------
    (Z, y, x) float32
        The patches with balls.
    """
    return add_balls(
        trial.hu,
        smooth(trial.hu, settings.smoothing_mm, spacing_mm),
        spacing_mm,
        trial.centres_grid_mm,
        diameters_mm,
        psf_sigma_mm=quality.psf_sigma_mm,
        tissue_hu=tissue_hu,
        lung_limit_hu=settings.lung_limit_hu,
        reach_mm=settings.level_reach_mm,
    )


def match_found(
    centres_grid_mm: FloatArray, candidates: Candidates, spacing_mm: FloatArray, reach_mm: float
) -> tuple[BoolArray, IntArray]:
    """Tell which balls were found, and by which candidate.

    Parameters
    ----------
    centres_grid_mm : (N, 3) float
        Balls, farther apart than twice the reach.
    candidates : Candidates
        What the detector accepted.
    spacing_mm : (3,) float
        Voxel size along z, y and x.
    reach_mm : float
        How near is found.

    Returns
    -------
    found : (N,) bool
        Whether a candidate is near.
    which : (N,) int
        The likeliest of those that are near; of no meaning where none is.
    """
    which = np.zeros(len(centres_grid_mm), int)
    if len(candidates) == 0 or len(centres_grid_mm) == 0:
        return np.zeros(len(centres_grid_mm), bool), which
    tree = KDTree(candidates.index_zyx * spacing_mm)
    near: AnyArray = np.asarray(tree.query_ball_point(centres_grid_mm, reach_mm), object)
    found: BoolArray = np.array([len(rows) > 0 for rows in near])
    for ball in np.flatnonzero(found):
        rows = np.asarray(near[ball], int)
        which[ball] = rows[np.argmax(candidates.score[rows])]
    return found, which
