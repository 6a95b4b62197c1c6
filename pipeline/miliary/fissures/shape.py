"""What fissures look like in people: a mean surface and its modes, laid into a lung's box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

import numpy as np

from miliary.arrays import BoolArray, FloatArray
from miliary.config.fissures import FissureSettings
from miliary.fissures.surface import Surface
from miliary.kernels.heights import read_heights

PRIOR_FILE = "fissure_prior.npz"
#: The prior's nodes along each axis, over this span of the lung's box.
N_NODES = 25
SPAN = (-0.1, 1.1)
#: Share of a lung beyond its box on either side: a thin tongue of lung must not stretch it.
_TAIL = 0.005
#: Steps of Newton's method that lay the mean surface into a box.
_PLACING_STEPS = 8


@dataclass(frozen=True, eq=False)
class Frame:
    """How a fissure is described: as a height over a plane.

    Parameters
    ----------
    side : str
        `right` or `left`.
    axes : (3, 3) float
        Unit vectors `(z, y, x)` of the plane's two axes and of the height; the second axis is x.
    """

    side: str
    axes: FloatArray


#: Level: the plane's axes are y and x, the height is z.
_LEVEL = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
#: Oblique fissures rise to the back: along one axis z and y both grow, the height is to the
#: back and down. Real ones are steep below and nearly level above; this is between.
_OBLIQUE = np.array([[1, 1, 0], [0, 0, np.sqrt(2)], [-1, 1, 0]]) / np.sqrt(2)
#: The horizontal fissure is found after its oblique one.
FRAMES: dict[str, Frame] = {
    "right_oblique": Frame("right", _OBLIQUE),
    "right_horizontal": Frame("right", _LEVEL),
    "left_oblique": Frame("left", _OBLIQUE),
}


@dataclass(frozen=True, eq=False)
class Placed:
    """The prior of one fissure in one lung.

    Parameters
    ----------
    mean : Surface
        The mean surface.
    modes_mm : (K, P, Q) float
        Departures from it of one standard deviation each.
    """

    mean: Surface
    modes_mm: FloatArray

    def surface(self, coefficients: FloatArray) -> Surface:
        """Make a surface of the prior.

        Parameters
        ----------
        coefficients : (K,) float
            Standard deviations of each mode.

        Returns
        -------
        Surface
            On the nodes of the mean.
        """
        heights = self.mean.heights_mm + np.tensordot(coefficients, self.modes_mm, 1)
        return Surface(self.mean.axes, self.mean.origin_mm, self.mean.step_mm, heights)


def lung_box(inside: BoolArray, spacing_mm: FloatArray) -> FloatArray:
    """Give the box round a lung, without its thinnest tails.

    Parameters
    ----------
    inside : (Z, Y, X) bool
        A lung, not empty.
    spacing_mm : (3,) float
        Voxel size along z, y and x.

    Returns
    -------
    (2, 3) float
        Lowest and highest grid point along z, y and x.
    """
    bounds = []
    for axis, step in enumerate(spacing_mm):
        counts = np.count_nonzero(inside, axis=tuple({0, 1, 2} - {axis})).cumsum()
        tails = counts[-1] * np.array([_TAIL, 1 - _TAIL])
        bounds.append(np.searchsorted(counts, tails) * step)
    return np.array(bounds, float).T


def box_axes(axes: FloatArray) -> FloatArray:
    """Give a frame's axes for points in shares of a lung's box.

    Parameters
    ----------
    axes : (3, 3) float
        Unit vectors of the plane's two axes and of the height.

    Returns
    -------
    (3, 3) float
        Over the box the first two run from 0 to 1.
    """
    scaled: FloatArray = axes / np.abs(axes).sum(axis=1, keepdims=True)
    return scaled


def to_nodes(shares: FloatArray) -> FloatArray:
    """Turn shares of a lung's box into nodes of the prior.

    Parameters
    ----------
    shares : (N, 2) float
        Along the plane's axes, 0 to 1 over the box.

    Returns
    -------
    (N, 2) float
        In units of nodes.
    """
    return (shares - SPAN[0]) / (SPAN[1] - SPAN[0]) * (N_NODES - 1)


@lru_cache(maxsize=1)
def _load_prior() -> dict[str, FloatArray]:
    place = resources.files("miliary") / "weights" / PRIOR_FILE
    with place.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def height_over_depth() -> float:
    """Height of a lung as a multiple of its depth from front to back, in the reference subject.

    Returns
    -------
    float
        For lungs that the scan cuts off.
    """
    return float(_load_prior()["height_over_depth"])


def place_prior(name: str, box_mm: FloatArray, settings: FissureSettings) -> Placed:
    """Lay the prior of a fissure into a lung's box.

    Parameters
    ----------
    name : str
        A key of `FRAMES`.
    box_mm : (2, 3) float
        Lowest and highest grid point of the lung.
    settings : FissureSettings
        Limits.

    Returns
    -------
    Placed
        Mean and modes in mm, shift and tilts as the last three modes.
    """
    axes, prior = FRAMES[name].axes, _load_prior()
    low, size = box_mm[0], box_mm[1] - box_mm[0]
    corners = (low + size * np.indices((2, 2, 2)).reshape(3, -1).T) @ axes[:2].T
    origin = corners.min(axis=0) - settings.node_mm
    shape = np.ceil(np.ptp(corners, axis=0) / settings.node_mm).astype(int) + 3
    start = np.full(shape, (low + size / 2) @ axes[2])
    surface = Surface(axes, origin, settings.node_mm, start)
    share_axes = box_axes(axes)
    # By how much the share along the height grows a mm; the rest is Newton's method.
    slope = axes[2] @ (share_axes[2] / size)
    for _ in range(_PLACING_STEPS):
        shares = (surface.node_points_mm() - low) / size @ share_axes.T
        nodes = to_nodes(shares[:, :2])
        excess = shares[:, 2] - read_heights(prior[f"{name}_mean"], nodes)
        surface = replace(surface, heights_mm=surface.heights_mm - (excess / slope).reshape(shape))
    modes = settings.prior_spread * read_heights(prior[f"{name}_modes"], nodes)
    tilts = settings.shift_share * np.array([np.ones(len(nodes)), *(2 * shares[:, :2].T - 1)])
    both = np.concatenate([modes, tilts]) / slope
    return Placed(surface, both.reshape(-1, *shape))
