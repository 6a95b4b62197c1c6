"""A surface bent to the sheets near it, and how sure it is a fissure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from miliary.arrays import BoolArray, FloatArray
from miliary.config.fissures import FissureSettings
from miliary.fissures.surface import Evidence, Surface
from miliary.kernels.heights import fit_heights, read_heights, sum_by_node

#: Near the pleura no sheet is looked for: what is seen goes on over so many nodes.
_MARGIN_NODES = 2
#: Nodes round a hole that is closed: vessels that cross a fissure leave holes of some 8 mm.
_DISC = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), 2)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A surface, and what of it is seen.

    Parameters
    ----------
    surface : Surface
        The surface.
    seen : (P, Q) bool
        Nodes beside which a sheet lies on the surface.
    inside : (P, Q) bool
        Nodes at which the surface is in its lung, deep enough for a sheet to be seen.
    confidence : float
        0 to 1.
    """

    surface: Surface
    seen: BoolArray
    inside: BoolArray
    confidence: float

    @property
    def shown(self) -> BoolArray:
        """Nodes at which the surface is drawn as seen: out to the pleura, too."""
        round_about = ndimage.binary_dilation(self.seen & self.inside, iterations=_MARGIN_NODES)
        shown: BoolArray = self.seen | (round_about & ~self.inside)
        return shown

    @property
    def seen_mm2(self) -> float:
        """Area of the surface in the lung that is seen."""
        return float(self.surface.node_areas_mm2()[self.seen & self.inside].sum())

    @property
    def completeness(self) -> float:
        """Share of the surface in the lung that is seen."""
        area = self.surface.node_areas_mm2()
        whole = float(area[self.inside].sum())
        return float(area[self.seen & self.inside].sum()) / whole if whole else 0.0


def bend(surface: Surface, evidence: Evidence, settings: FissureSettings) -> Surface:
    """Bend a surface to the sheets near it that face its way, ever nearer ones.

    Parameters
    ----------
    surface : Surface
        Where to start.
    evidence : Evidence
        Sheets of this lung.
    settings : FissureSettings
        Limits.

    Returns
    -------
    Surface
        Far from all sheets it keeps its start, carried on smoothly.
    """
    start = surface
    shape = surface.heights_mm.shape
    steps = np.full(2, surface.step_mm)
    least = np.cos(np.deg2rad(settings.max_turn_deg))
    for reach in settings.reaches_mm:
        away = surface.offsets_mm(evidence.points_mm)
        near = np.abs(away) < reach
        near[near] = surface.agreement(evidence.take(near)) > least
        part = evidence.take(near)
        if len(part) == 0:
            continue
        nodes = surface.nodes(part.points_mm)
        weights = part.weights * (1 - (away[near] / reach) ** 2) ** 2
        # Nodes with much evidence are no more certain than those with enough.
        total = sum_by_node(nodes, weights, shape)
        at = np.clip(np.rint(nodes).astype(np.intp), 0, np.array(shape) - 1)
        weights = weights / np.maximum(total[tuple(at.T)], 1.0)
        wanted = part.points_mm @ surface.axes[2] - start.at(nodes)
        change = fit_heights(
            nodes,
            wanted,
            weights,
            shape,
            steps,
            bending=settings.stiffness,
            pull=settings.pull,
        )
        surface = replace(surface, heights_mm=start.heights_mm + change)
    return surface


def judge(
    surface: Surface,
    evidence: Evidence,
    deep: BoolArray,
    step_mm: FloatArray,
    settings: FissureSettings,
) -> Fitted:
    """Say where a surface is seen, and how sure it is a fissure.

    What speaks for it is weighed against what as much lung beside it would give: the same
    surface, moved.

    Parameters
    ----------
    surface : Surface
        The surface.
    evidence : Evidence
        Sheets of this lung.
    deep : (z, y, x) bool
        Where in this lung a sheet could be seen, on a lattice.
    step_mm : (3,) float
        Distance of the lattice's points along z, y and x.
    settings : FissureSettings
        Limits.

    Returns
    -------
    Fitted
        With confidence 0 where the surface is not in the lung.
    """
    shifts = (0.0, *settings.moved_mm)
    supports = _supports(surface, evidence, deep, step_mm, shifts, settings)
    share, *beside = (_share(surface, *support) for support in supports)
    seen, inside = supports[0]
    excess = share - float(np.median(beside))
    area_cm2 = float(surface.node_areas_mm2()[seen & inside].sum()) / 100
    sure = min(excess / settings.sure_share, area_cm2 / settings.sure_area_cm2, 1.0)
    return Fitted(surface, seen, inside, max(sure, 0.0))


def _supports(
    surface: Surface,
    evidence: Evidence,
    deep: BoolArray,
    step_mm: FloatArray,
    shifts_mm: tuple[float, ...],
    settings: FissureSettings,
) -> list[tuple[BoolArray, BoolArray]]:
    """For each shift of a surface, nodes at which it is seen and those at which it could be."""
    shape = surface.heights_mm.shape
    least = np.cos(np.deg2rad(settings.max_turn_deg))
    evidence = evidence.take(surface.agreement(evidence) > least)
    nodes, away = surface.nodes(evidence.points_mm), surface.offsets_mm(evidence.points_mm)
    cosines, points = read_heights(surface.cosines(), nodes), surface.node_points_mm()
    supports = []
    for shift in shifts_mm:
        at = np.rint((points + shift * surface.axes[2]) / step_mm).astype(np.intp)
        within_grid = ((at >= 0) & (at < deep.shape)).all(axis=1)
        at = np.clip(at, 0, np.array(deep.shape) - 1)
        inside = (deep[tuple(at.T)] & within_grid).reshape(shape)
        near = nodes[np.abs(away - shift * cosines) < settings.seen_mm]
        total = sum_by_node(near, np.ones(len(near)), shape)
        seen = ndimage.binary_opening(total > 0, np.ones((2, 2), bool))
        closed = ndimage.binary_closing(np.pad(seen, 2), _DISC)[2:-2, 2:-2]
        supports.append((closed, inside))
    return supports


def _share(surface: Surface, seen: BoolArray, inside: BoolArray) -> float:
    area = surface.node_areas_mm2() * inside
    return float((area * seen).sum() / max(area.sum(), 1.0))
