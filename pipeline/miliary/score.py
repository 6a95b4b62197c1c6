"""How well found nodules agree with known ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from miliary.arrays import FloatArray, IntArray

#: Width of the bins of diameter, in mm, counted from 0.
BIN_MM = 0.2


@dataclass(frozen=True)
class SizeBin:
    """Sensitivity for true nodules of a range of diameters.

    Parameters
    ----------
    low_mm, high_mm : float
        Diameters above the first, up to and with the second.
    n : int
        True nodules in the range.
    found : int
        Those of them that were found.
    """

    low_mm: float
    high_mm: float
    n: int
    found: int

    @property
    def sensitivity(self) -> float:
        """Share found."""
        return self.found / self.n


@dataclass(frozen=True, eq=False)
class Score:
    """Agreement of found and true nodules; what cannot be known is None.

    Parameters
    ----------
    n_true, n_found : int
        Lengths of the two tables.
    matches : (M, 2) int
        Rows of the found and of the true table that belong together.
    missed, false : (K,) int
        Rows of the true table not found, and of the found table without a true nodule.
    sensitivity : float or None
        Share of the true nodules that were found.
    by_size : tuple of SizeBin
        Sensitivity by diameter, bins without nodules left out.
    false_per_litre : float or None
        False positives a litre of lung.
    place_mm : float or None
        Median distance of matched centres.
    size_bias_mm, size_sd_mm : float or None
        Median and standard deviation of found minus true diameter.
    """

    n_true: int
    n_found: int
    matches: IntArray
    missed: IntArray
    false: IntArray
    sensitivity: float | None
    by_size: tuple[SizeBin, ...]
    false_per_litre: float | None
    place_mm: float | None
    size_bias_mm: float | None
    size_sd_mm: float | None


def score(
    found_points_mm: FloatArray,
    found_diameters_mm: FloatArray,
    truth_points_mm: FloatArray,
    truth_diameters_mm: FloatArray,
    *,
    reach_mm: float,
    lung_litres: float | None,
) -> Score:
    """Compare found nodules with true ones.

    Parameters
    ----------
    found_points_mm : (N, 3) float
        Centres of what was found, in any frame common with the truth.
    found_diameters_mm : (N,) float
        Their diameters.
    truth_points_mm : (M, 3) float
        Centres of the true nodules.
    truth_diameters_mm : (M,) float
        Their diameters.
    reach_mm : float
        Largest distance of two centres that may belong together.
    lung_litres : float or None
        Volume that was searched; None where unknown.

    Returns
    -------
    Score
        One-to-one matches, nearest first, and what follows from them.
    """
    found = np.asarray(found_points_mm, float).reshape(-1, 3)
    truth = np.asarray(truth_points_mm, float).reshape(-1, 3)
    found_mm = np.asarray(found_diameters_mm, float).reshape(-1)
    truth_mm = np.asarray(truth_diameters_mm, float).reshape(-1)
    if len(found) != len(found_mm) or len(truth) != len(truth_mm):
        raise ValueError(
            "every point needs a diameter, got "
            f"{len(found)} and {len(found_mm)} found, {len(truth)} and {len(truth_mm)} true"
        )
    if lung_litres is not None and not lung_litres > 0:
        raise ValueError(f"lung_litres must be positive or None, got {lung_litres}")
    matches = match(found, truth, reach_mm=reach_mm)
    false = np.setdiff1d(np.arange(len(found)), matches[:, 0])
    missed = np.setdiff1d(np.arange(len(truth)), matches[:, 1])
    distance_mm = np.linalg.norm(found[matches[:, 0]] - truth[matches[:, 1]], axis=1)
    error_mm = found_mm[matches[:, 0]] - truth_mm[matches[:, 1]]
    return Score(
        n_true=len(truth),
        n_found=len(found),
        matches=matches,
        missed=missed,
        false=false,
        sensitivity=len(matches) / len(truth) if len(truth) else None,
        by_size=_by_size(truth_mm, matches[:, 1]),
        false_per_litre=None if lung_litres is None else len(false) / lung_litres,
        place_mm=float(np.median(distance_mm)) if len(matches) else None,
        size_bias_mm=float(np.median(error_mm)) if len(matches) else None,
        size_sd_mm=float(error_mm.std()) if len(matches) else None,
    )


def match(found_mm: FloatArray, truth_mm: FloatArray, *, reach_mm: float) -> IntArray:
    """Pair points one to one, the nearest pair first.

    Parameters
    ----------
    found_mm : (N, 3) float
        Points in mm.
    truth_mm : (M, 3) float
        Points in mm, in the same frame.
    reach_mm : float
        Largest distance of a pair.

    Returns
    -------
    (K, 2) int
        Rows of the two tables, by increasing distance; ties in the order of the rows.
    """
    if not reach_mm > 0:
        raise ValueError(f"reach_mm must be positive, got {reach_mm}")
    if not len(found_mm) or not len(truth_mm):
        return np.empty((0, 2), np.intp)
    near = cKDTree(found_mm).sparse_distance_matrix(
        cKDTree(truth_mm), reach_mm, output_type="coo_matrix"
    )
    # Going by distance, each pair that is still free is the nearest left for both of its points.
    free_found, free_truth = np.ones(len(found_mm), bool), np.ones(len(truth_mm), bool)
    pairs = []
    for k in np.lexsort((near.col, near.row, near.data)):
        row, column = near.row[k], near.col[k]
        if free_found[row] and free_truth[column]:
            free_found[row] = free_truth[column] = False
            pairs.append((row, column))
    return np.array(pairs, np.intp).reshape(-1, 2)


def _by_size(truth_mm: FloatArray, found_rows: IntArray) -> tuple[SizeBin, ...]:
    """Sensitivity in bins of the true diameter."""
    if not len(truth_mm):
        return ()
    # The nudge keeps 1.8, which is 9.000000000000002 bins, in the bin that ends with it.
    number = np.ceil(truth_mm / BIN_MM - 1e-6).astype(np.intp)
    found = np.isin(np.arange(len(truth_mm)), found_rows)
    total, hits = np.bincount(number), np.bincount(number, found)
    return tuple(
        SizeBin(round((k - 1) * BIN_MM, 6), round(k * BIN_MM, 6), int(total[k]), int(hits[k]))
        for k in np.flatnonzero(total)
    )
