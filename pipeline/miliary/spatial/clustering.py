"""How much clustering inflates the variance of sums over points: measured by near pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miliary.arrays import BoolArray, FloatArray, IntArray
from miliary.config.spatial import SpatialSettings
from miliary.kernels.covariates import design_effect, overdispersion
from miliary.kernels.pairs import pair_differences
from miliary.spatial.window import Window


@dataclass(frozen=True, eq=False)
class Placed:
    """Points in a window.

    Parameters
    ----------
    points_mm : (N, 3) float
        Grid points, all inside.
    strata : (N,) int
        Index of each point's stratum.
    moved : (N,) bool
        Which were moved into the window.
    """

    points_mm: FloatArray
    strata: IntArray
    moved: BoolArray


@dataclass(frozen=True, eq=False)
class Clusters:
    """Near pairs of points, and of places of the window to hold them against.

    Parameters
    ----------
    strata : (N,) int
        Stratum of each point.
    pairs : (P,) int, (P,) int
        Pairs of points near enough to belong to one cluster.
    places_mm : (M, 3) float
        Grid points spread evenly over the window.
    place_strata : (M,) int
        Their strata.
    place_pairs : (Q,) int, (Q,) int
        As near pairs of places.
    weights : (M,) float
        Chance of seeing a nodule at each place.
    """

    strata: IntArray
    pairs: tuple[IntArray, IntArray]
    places_mm: FloatArray
    place_strata: IntArray
    place_pairs: tuple[IntArray, IntArray]
    weights: FloatArray

    @classmethod
    def of(cls, placed: Placed, window: Window, settings: SpatialSettings) -> Clusters:
        """List the near pairs.

        Parameters
        ----------
        placed : Placed
            The points.
        window : Window
            Where points can be.
        settings : SpatialSettings
            What is near, but no more than half the radius of a ball as large as the smallest
            stratum; number of places.

        Returns
        -------
        Clusters
            Of points and window.
        """
        places, strata, weights = window.lattice(settings.reference_points)
        volumes = [stratum.volume_mm3 for stratum in window.strata]
        # Pairs farther than that are most pairs of the window: they say nothing of clusters.
        half = 0.5 * (3.0 * min(volumes, default=0.0) / (4.0 * np.pi)) ** (1 / 3)
        near, there = (
            pair_differences(p, max_mm=min(settings.cluster_reach_mm, half))[:2]
            for p in (placed.points_mm, places)
        )
        return cls(placed.strata, near, places, strata, there, weights)

    def effect(
        self, scores: FloatArray, place_scores: FloatArray, use: BoolArray, known: BoolArray
    ) -> float:
        """Give the design effect of a sum of scores whose number in each stratum is fixed.

        Parameters
        ----------
        scores : (N,) float
            Scores of the points.
        place_scores : (M,) float
            Scores of the places.
        use : (N,) bool
            The points that count.
        known : (M,) bool
            The places that count.

        Returns
        -------
        float
            At least 1.
        """
        return design_effect(
            scores[use],
            _among(self.pairs, use),
            place_scores[known],
            _among(self.place_pairs, known),
            self._expected(use, known)[known],
        )

    def side_effect(self, scores: FloatArray, place_scores: FloatArray) -> float:
        """Give the design effect of a sum of scores whose number in each stratum is not fixed.

        Parameters
        ----------
        scores : (N,) float
            Scores of the points.
        place_scores : (M,) float
            Scores of the places.

        Returns
        -------
        float
            At least 1.
        """
        return design_effect(scores, self.pairs, place_scores, self.place_pairs, self.weights)

    def number_effect(self) -> float:
        """Give the factor by which numbers of points vary more than those of single ones.

        Returns
        -------
        float
            At least 1.
        """
        n, everywhere = len(self.strata), np.ones(len(self.weights), bool)
        weights = self._expected(np.ones(n, bool), everywhere)
        return overdispersion(n, len(self.pairs[0]), self.place_pairs, weights)

    def _expected(self, use: BoolArray, known: BoolArray) -> FloatArray:
        """Weigh places so that each stratum expects the number of points that it has."""
        size = int(max(self.strata.max(initial=-1), self.place_strata.max(initial=-1))) + 1
        n = np.bincount(self.strata[use], minlength=size)
        total = np.bincount(self.place_strata[known], self.weights[known], size)
        share = n / np.where(total > 0, total, 1.0)
        weights: FloatArray = self.weights * share[self.place_strata]
        return weights


def _among(pairs: tuple[IntArray, IntArray], members: BoolArray) -> tuple[IntArray, IntArray]:
    """Keep the pairs of members, and number these anew."""
    number = np.cumsum(members) - 1
    both = members[pairs[0]] & members[pairs[1]]
    return number[pairs[0][both]], number[pairs[1][both]]
