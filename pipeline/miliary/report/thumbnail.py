"""A case at a glance, for the page of a cohort."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from miliary.analysis import Analysis
from miliary.report.charts import AMBER
from miliary.report.slabs import frame_lungs, fullest_level, make_slab

_WIDTH_PX = 112
_QUALITY = 55


def render_thumbnail(analysis: Analysis) -> bytes:
    """Draw the lungs from the front, small, with a dot for each nodule.

    Parameters
    ----------
    analysis : Analysis
        One case.

    Returns
    -------
    bytes
        A WebP picture of some 2 kB; the patient's right at the left.
    """
    settings = replace(analysis.config.report, picture_px=_WIDTH_PX)
    frame = frame_lungs(analysis, settings)
    slab = make_slab(frame, 1, fullest_level(frame, analysis.anatomy.lung_labels), settings)
    picture = Image.fromarray(slab.pixels).convert("RGB")
    drawn = ImageDraw.Draw(picture)
    shape = np.array(frame.hu.shape)
    share = (frame.index_zyx + 0.5) / shape
    x, y = share[:, 2] * picture.width, (1 - share[:, 0]) * picture.height
    for at in np.rint(np.column_stack([x - 0.5, y - 0.5])).astype(int).tolist():
        drawn.point(at, fill=AMBER)
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=_QUALITY, method=4)
    return packed.getvalue()
