"""Pictures with what is drawn over them, apart from how: `svg_scene` draws them for a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from miliary.arrays import AnyArray, FloatArray, LabelArray

#: Colours of cividis (Nuñez, Anderton & Renslow 2018), of matplotlib's table every sixteenth;
#: between them it is as good as straight.
_CIVIDIS = np.array([
    [0, 34, 78], [0, 46, 106], [26, 56, 111], [50, 67, 109], [67, 78, 108], [83, 90, 109],
    [97, 101, 111], [111, 112, 115], [125, 124, 120], [140, 136, 120], [155, 148, 118],
    [171, 160, 114], [188, 174, 108], [205, 187, 99], [222, 201, 88], [240, 216, 70],
    [254, 232, 56],
])  # fmt: skip


@dataclass(frozen=True, eq=False)
class Outline:
    """Lines round something.

    Parameters
    ----------
    parts : tuple of (N, 2) float
        Points (right, down) in mm from the upper left corner of the picture, line by line.
    dashed : bool
        Whether they are dashed.
    """

    parts: tuple[FloatArray, ...]
    dashed: bool


@dataclass(frozen=True)
class Name:
    """Words in the picture.

    Parameters
    ----------
    right_mm, down_mm : float
        Their middle, from the upper left corner.
    text : str
        The words.
    """

    right_mm: float
    down_mm: float
    text: str


@dataclass(frozen=True)
class Key:
    """An entry of the legend.

    Parameters
    ----------
    text : str
        Its words.
    kind : str
        `line`, `dashed`, `thick` or `patch`.
    color : (3,) tuple of int
        Red, green and blue, 0 to 255.
    """

    text: str
    kind: Literal["line", "dashed", "thick", "patch"]
    color: tuple[int, int, int] = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture on black, the patient's right at its left.

    Parameters
    ----------
    size_mm : (2,) tuple of float
        Its width and height.
    pixels : (rows, columns, 3) uint8
        An image, its first row at the top.
    place_mm : (4,) tuple of float
        Where that lies: left, top, width and height.
    dots_mm : (N, 2) float
        Nodules, right and down.
    outlines : tuple of Outline
        Lines over the image.
    names : tuple of Name
        Words over it.
    keys : tuple of Key
        The legend below.
    top_per_l : float or None
        What the lightest colour of cividis stands for; None where there is no such scale.
    ruler_mm : float
        Length of a rule below; none where 0.
    """

    size_mm: tuple[float, float]
    pixels: LabelArray
    place_mm: tuple[float, float, float, float]
    dots_mm: FloatArray
    outlines: tuple[Outline, ...] = ()
    names: tuple[Name, ...] = ()
    keys: tuple[Key, ...] = ()
    top_per_l: float | None = None
    ruler_mm: float = 0.0


def cividis(shares: AnyArray) -> LabelArray:
    """Colour shares of a scale.

    Parameters
    ----------
    shares : (...) float
        0 to 1, what lies beyond as its ends; NaN where nothing is known.

    Returns
    -------
    (..., 3) uint8
        Red, green and blue; black where nothing is known.
    """
    known = np.isfinite(shares)
    at = np.clip(np.where(known, shares, 0.0), 0, 1) * (len(_CIVIDIS) - 1)
    steps = np.arange(len(_CIVIDIS))
    channels = [np.interp(at, steps, channel) for channel in _CIVIDIS.T]
    colors = np.where(known[..., None], np.stack(channels, axis=-1), 0.0)
    return np.rint(colors).astype(np.uint8)
