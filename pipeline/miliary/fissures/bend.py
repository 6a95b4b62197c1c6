"""A surface bent to the sheets near it, and how sure it is a fissure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from miliary.arrays import BoolArray, FloatArray
from miliary.config.fissures import FissureSettings
from miliary.fissures.surface import Evidence, Surface
from miliary.kernels.heights import fit_heights, sum_by_node

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
        near = (np.abs(away) < reach) & (surface.agreement(evidence) > least)
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
    seen, inside = _support(surface, evidence, deep, step_mm, settings)
    share = _share(surface, seen, inside)
    beside = []
    for shift in settings.moved_mm:
        moved = replace(surface, heights_mm=surface.heights_mm + shift)
        beside.append(_share(moved, *_support(moved, evidence, deep, step_mm, settings)))
    excess = share - float(np.median(beside))
    area_cm2 = float(surface.node_areas_mm2()[seen & inside].sum()) / 100
    sure = min(excess / settings.sure_share, area_cm2 / settings.sure_area_cm2, 1.0)
    return Fitted(surface, seen, inside, max(sure, 0.0))


def _support(
    surface: Surface,
    evidence: Evidence,
    deep: BoolArray,
    step_mm: FloatArray,
    settings: FissureSettings,
) -> tuple[BoolArray, BoolArray]:
    """Nodes at which the surface is seen, and those at which it could be."""
    shape = surface.heights_mm.shape
    at = np.rint(surface.node_points_mm() / step_mm).astype(np.intp)
    within_grid = ((at >= 0) & (at < deep.shape)).all(axis=1)
    at = np.clip(at, 0, np.array(deep.shape) - 1)
    inside = (deep[tuple(at.T)] & within_grid).reshape(shape)
    least = np.cos(np.deg2rad(settings.max_turn_deg))
    near = np.abs(surface.offsets_mm(evidence.points_mm)) < settings.seen_mm
    near &= surface.agreement(evidence) > least
    part = evidence.take(near)
    total = sum_by_node(surface.nodes(part.points_mm), np.ones(len(part)), shape)
    seen = ndimage.binary_opening(total > 0, np.ones((2, 2), bool))
    closed = ndimage.binary_closing(np.pad(seen, 2), _DISC)[2:-2, 2:-2]
    return closed, inside


def _share(surface: Surface, seen: BoolArray, inside: BoolArray) -> float:
    area = surface.node_areas_mm2() * inside
    return float((area * seen).sum() / max(area.sum(), 1.0))
