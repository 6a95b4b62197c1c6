"""Pictures with dots, outlines and names as SVG: the image as JPEG, all else as what it is."""

from __future__ import annotations

import numpy as np

from miliary.report.charts import AMBER, ticks
from miliary.report.scenes import Key, Scene, cividis
from miliary.report.slabs import jpeg_uri
from miliary.report.svg import document, dots_of, path_of, words
from miliary.report.uris import data_uri

_WIDTH = 360
#: Of the strip below for a rule, a scale or a row of the legend, and of an entry of that.
_STRIP, _ROW, _ENTRY = 40, 17, 112
_QUALITY = 82
#: Above so many nodules dots are smaller.
_MANY = 800
_LARGE_DOT, _SMALL_DOT = 4.8, 3.2
#: Left end and width of the scale.
_SCALE = (80, 200)
_WHITE = "#fff"


def scene_uri(scene: Scene) -> str:
    """Draw a picture into a data URI.

    Parameters
    ----------
    scene : Scene
        What to show.

    Returns
    -------
    str
        `data:image/svg+xml;base64,...`.
    """
    return data_uri(draw_scene(scene).encode(), "image/svg+xml")


def draw_scene(scene: Scene) -> str:
    """Draw a picture.

    Parameters
    ----------
    scene : Scene
        What to show.

    Returns
    -------
    str
        An SVG document on black, its strip or legend below.
    """
    per_mm = _WIDTH / scene.size_mm[0]
    height = round(scene.size_mm[1] * per_mm)
    rows = [scene.keys[k : k + 3] for k in range(0, len(scene.keys), 3)]
    below = _ROW * len(rows) + 8 if rows else _STRIP
    over = "".join(
        [
            _draw_image(scene, per_mm),
            *(_draw_outline(outline.parts, per_mm, outline.dashed) for outline in scene.outlines),
            _draw_dots(scene, per_mm),
            *(
                _white(name.right_mm * per_mm, name.down_mm * per_mm + 4, name.text, "middle", True)
                for name in scene.names
            ),
            _white(6, 17, "R", "start", True),
            _white(_WIDTH - 6, 17, "L", "end", True),
        ]
    )
    return document(
        _WIDTH,
        height + below,
        f'<path d="M0 0H{_WIDTH}V{height + below}H0Z" fill="#000"/>'
        f'<svg width="{_WIDTH}" height="{height}">{over}</svg>'
        + _draw_ruler(scene, per_mm, height)
        + _draw_scale(scene, height)
        + "".join(_draw_keys(row, height + 4 + _ROW * k) for k, row in enumerate(rows)),
    )


def _draw_image(scene: Scene, per_mm: float) -> str:
    left, top, width, height = (length * per_mm for length in scene.place_mm)
    return (
        f'<image href="{jpeg_uri(scene.pixels, _QUALITY)}" x="{left:.2f}" y="{top:.2f}" '
        f'width="{width:.2f}" height="{height:.2f}" preserveAspectRatio="none"/>'
    )


def _draw_outline(parts: tuple[np.ndarray, ...], per_mm: float, dashed: bool) -> str:
    way = "".join(path_of(part * per_mm) for part in parts)
    dash = ' stroke-dasharray="3.7 1.6"' if dashed else ""
    return f'<path d="{way}" stroke="{_WHITE}"{dash}/>' if way else ""


def _draw_dots(scene: Scene, per_mm: float) -> str:
    """Draw each nodule with a dark rim."""
    if not len(scene.dots_mm):
        return ""
    size = _LARGE_DOT if len(scene.dots_mm) < _MANY else _SMALL_DOT
    return (
        f'<defs><path id="dots" d="{dots_of(scene.dots_mm * per_mm)}" stroke-linecap="round"/>'
        f'</defs><use href="#dots" stroke="#000" stroke-width="{size + 1.2:g}"/>'
        f'<use href="#dots" stroke="{AMBER}" stroke-width="{size:g}" stroke-opacity=".9"/>'
    )


def _draw_ruler(scene: Scene, per_mm: float, top: float) -> str:
    if not scene.ruler_mm:
        return ""
    half = scene.ruler_mm * per_mm / 2
    way = f"M{_WIDTH / 2 - half:.1f} {top + 12}h{2 * half:.1f}"
    text = _white(_WIDTH / 2, top + 28, f"{scene.ruler_mm:g} mm", "middle")
    return f'<path d="{way}" stroke="{_WHITE}" stroke-width="2.5"/>{text}'


def _draw_scale(scene: Scene, top: float) -> str:
    """Draw a bar of colours with numbers below."""
    if scene.top_per_l is None:
        return ""
    left, width = _SCALE
    shades = cividis(np.linspace(0, 1, 9))
    stops = "".join(
        f'<stop offset="{k / 8:g}" stop-color="rgb{tuple(shade)}"/>'
        for k, shade in enumerate(shades.tolist())
    )
    numbers = "".join(
        _white(left + value / scene.top_per_l * width, top + 29, text, "middle")
        for value, text in ticks(0.0, scene.top_per_l, 4)
    )
    return (
        f'<linearGradient id="scale">{stops}</linearGradient>'
        f'<path d="M{left} {top + 8}h{width}v8h-{width}Z" fill="url(#scale)"/>'
        + _white(left - 8, top + 16, "per litre", "end")
        + numbers
    )


def _draw_keys(row: tuple[Key, ...], top: float) -> str:
    drawn = []
    for place, key in enumerate(row):
        x, y = 12 + _ENTRY * place, top + 8
        color = f"rgb{key.color}"
        if key.kind == "patch":
            drawn.append(f'<path d="M{x} {y - 4}h18v8h-18Z" fill="{color}"/>')
        else:
            width = 3.5 if key.kind == "thick" else 1.4
            dash = ' stroke-dasharray="3.7 1.6"' if key.kind == "dashed" else ""
            way = f'<path d="M{x} {y}h18" stroke="{color}" stroke-width="{width}"{dash}/>'
            drawn.append(way)
        drawn.append(_white(x + 24, y + 4, key.text, "start"))
    return "".join(drawn)


def _white(x: float, y: float, text: str, anchor: str, outlined: bool = False) -> str:
    rim = ' font-weight="600" stroke="#000" stroke-width="3" paint-order="stroke"'
    shown = f'fill="{_WHITE}" text-anchor="{anchor}"{rim if outlined else ""}'
    return words(x, y, text, shown)
