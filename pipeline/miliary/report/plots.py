"""The figures of a result for papers and notebooks: `result.plot.sizes()` and the like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from miliary.report import figures, maps
from miliary.report.views import chosen_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from miliary.analysis import Analysis
    from miliary.findings import Curve

_STRUCTURES = ("pleura", "vessel", "fissure")
_FUNCTIONS = ("K", "L", "g", "G", "F", "J")


@dataclass(frozen=True, eq=False)
class Plots:
    """Figures of one case; each is a matplotlib Figure that stands alone.

    They are made without pyplot: show one by naming it last in a notebook cell, or write it by
    `figure.savefig("sizes.pdf")`. What a scan does not tell is an empty panel.

    Parameters
    ----------
    analysis : Analysis
        The case.
    """

    analysis: Analysis

    def curve(self, function: str, lung: str | None = None) -> Figure:
        """Draw one function with its expectation and envelope, a panel a lung.

        Parameters
        ----------
        function : str
            `K`, `L`, `g`, `G`, `F`, `J`, `kmm`, `pleura`, `fissure` or `vessel`.
        lung : str or None
            `both`, `right` or `left`; every one that there is unless given.

        Returns
        -------
        matplotlib.figure.Figure
            One row of panels.
        """
        return figures.plot_curves(self._curves((function,), lung))

    def distances(self, lung: str | None = None) -> Figure:
        """Draw the distances to pleura, vessels and fissures against expectation.

        Parameters
        ----------
        lung : str or None
            `both`, `right` or `left`; the first that there is unless given.

        Returns
        -------
        matplotlib.figure.Figure
            A panel a structure.
        """
        return figures.plot_functions(self._of_one_lung(_STRUCTURES, lung))

    def functions(self, lung: str | None = None) -> Figure:
        """Draw K, L, g, G, F and J with their envelopes.

        Parameters
        ----------
        lung : str or None
            `both`, `right` or `left`; the first that there is unless given.

        Returns
        -------
        matplotlib.figure.Figure
            Two rows of panels.
        """
        return figures.plot_functions(self._of_one_lung(_FUNCTIONS, lung))

    def sizes(self) -> Figure:
        """Draw the diameters beside the spread that measurement error alone would give.

        Returns
        -------
        matplotlib.figure.Figure
            One panel.
        """
        return figures.plot_sizes(self.analysis.accepted, self.analysis.size)

    def sensitivity(self) -> Figure:
        """Draw how many simulated nodules this scan gave back, by diameter and region.

        Returns
        -------
        matplotlib.figure.Figure
            One panel.
        """
        return figures.plot_sensitivity(self.analysis.calibration)

    def size_error(self) -> Figure:
        """Draw bias and spread of the measured diameters of simulated nodules.

        Returns
        -------
        matplotlib.figure.Figure
            One panel.
        """
        return figures.plot_size_error(self.analysis.calibration)

    def nodules(self) -> Figure:
        """Draw every nodule over the lungs, seen from the front.

        Returns
        -------
        matplotlib.figure.Figure
            One picture.
        """
        return maps.plot_coronal_nodules(self.analysis, self.analysis.config.report)

    def density(self) -> Figure:
        """Draw the smoothed density of nodules, averaged from front to back.

        Returns
        -------
        matplotlib.figure.Figure
            One picture with its scale.
        """
        return maps.plot_coronal_density(self.analysis, self.analysis.config.report)

    def anatomy(self) -> Figure:
        """Draw lungs, lobes, fissures and what is left out on a coronal and an axial slice.

        Returns
        -------
        matplotlib.figure.Figure
            Two pictures.
        """
        return maps.plot_anatomy(self.analysis, self.analysis.config.report)

    def _curves(self, functions: tuple[str, ...], lung: str | None) -> list[Curve]:
        curves = self.analysis.spatial.curves
        known = {curve.function for curve in curves} | {*_STRUCTURES, *_FUNCTIONS, "kmm"}
        for function in functions:
            if function not in known:
                raise ValueError(f"function must be one of {sorted(known)}, got {function!r}")
        if lung not in (None, "both", "right", "left"):
            raise ValueError(f"lung must be both, right or left, got {lung!r}")
        found = chosen_curves(curves, functions)
        return [curve for curve in found if lung in (None, curve.lung)]

    def _of_one_lung(self, functions: tuple[str, ...], lung: str | None) -> list[Curve]:
        found = self._curves(functions, lung)
        return [curve for curve in found if curve.lung == found[0].lung]
