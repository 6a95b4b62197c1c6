"""The figures of a result for papers and notebooks: `result.plot.sizes()` and the like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from miliary.report import figures, maps
from miliary.report.panels import draw_chart, make_panels, make_scenes
from miliary.report.views import chosen_curves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from miliary.analysis import Analysis
    from miliary.findings import Curve
    from miliary.report.charts import Chart

_STRUCTURES = ("pleura", "vessel", "fissure")
_FUNCTIONS = ("K", "L", "g", "G", "F", "J")
_LUNGS = {"both": "both lungs", "right": "right lung", "left": "left lung"}
_TITLES = {
    "K": "K: pairs within r",
    "L": "L: pairs within r, root",
    "g": "g: pairs at r",
    "G": "G: nearest neighbour within r",
    "F": "F: nodule within r of any place",
    "J": "J: (1 − G) / (1 − F)",
    "kmm": "k: likeness of sizes at r",
}


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
        return plot_curves(self._curves((function,), lung))

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
        return plot_functions(self._of_one_lung(_STRUCTURES, lung))

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
        return plot_functions(self._of_one_lung(_FUNCTIONS, lung))

    def sizes(self) -> Figure:
        """Draw the diameters beside the spread that measurement error alone would give.

        Returns
        -------
        matplotlib.figure.Figure
            One panel.
        """
        return plot_chart(figures.size_chart(self.analysis.accepted, self.analysis.size))

    def sensitivity(self) -> Figure:
        """Draw how many simulated nodules this scan gave back, by diameter and region.

        Returns
        -------
        matplotlib.figure.Figure
            One panel.
        """
        return plot_chart(figures.sensitivity_chart(self.analysis.calibration))

    def size_error(self) -> Figure:
        """Draw bias and spread of the measured diameters of simulated nodules.

        Returns
        -------
        matplotlib.figure.Figure
            One panel.
        """
        return plot_chart(figures.size_error_chart(self.analysis.calibration))

    def nodules(self) -> Figure:
        """Draw every nodule over the lungs, seen from the front.

        Returns
        -------
        matplotlib.figure.Figure
            One picture.
        """
        return make_scenes([maps.show_nodules(self.analysis, self.analysis.config.report)])

    def density(self) -> Figure:
        """Draw the smoothed density of nodules, averaged from front to back.

        Returns
        -------
        matplotlib.figure.Figure
            One picture with its scale.
        """
        return make_scenes([maps.show_density(self.analysis, self.analysis.config.report)])

    def anatomy(self) -> Figure:
        """Draw lungs, lobes, fissures and what is left out on a coronal and an axial slice.

        Returns
        -------
        matplotlib.figure.Figure
            Two pictures.
        """
        settings = self.analysis.config.report
        planes = ("coronal", "axial")
        return make_scenes([maps.show_anatomy(self.analysis, settings, name) for name in planes])

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


def plot_chart(chart: Chart) -> Figure:
    """Draw a chart that stands alone.

    Parameters
    ----------
    chart : Chart
        What to show.

    Returns
    -------
    matplotlib.figure.Figure
        One panel.
    """
    figure, (axes,) = make_panels(1)
    draw_chart(axes, chart)
    return figure


def plot_curves(curves: Sequence[Curve]) -> Figure:
    """Draw summary functions beside their expectation and global envelope, a panel each.

    Parameters
    ----------
    curves : sequence of Curve
        Distance distributions, L (drawn as L(r) - r) or any other function.

    Returns
    -------
    matplotlib.figure.Figure
        One row of panels; an empty panel where there is no curve.
    """
    figure, panels = make_panels(max(len(curves), 1))
    for axes, curve in zip(panels, curves, strict=False):
        title = _LUNGS.get(curve.lung, curve.lung) if len(curves) > 1 else ""
        draw_chart(axes, figures.curve_chart(curve), title=title)
    return figure


def plot_functions(curves: Sequence[Curve]) -> Figure:
    """Draw several summary functions of the same nodules as small panels.

    Parameters
    ----------
    curves : sequence of Curve
        K (drawn over its expectation), g, F, G, J, the mark correlation, or any other.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels a row; an empty panel where there is no curve.
    """
    figure, panels = make_panels(max(len(curves), 1), columns=3)
    for place, (axes, curve) in enumerate(zip(panels, curves, strict=False)):
        title = _TITLES.get(curve.function, curve.function)
        draw_chart(axes, figures.curve_chart(curve), title=title, legend=place == 0)
    return figure
