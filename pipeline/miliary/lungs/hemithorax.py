"""What a hemithorax holds besides aerated lung: rind or effusion, consolidation or collapse."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from miliary.arrays import BoolArray, LabelArray
from miliary.config.lungs import LungSettings
from miliary.kernels.distances import depth_inside, within
from miliary.kernels.slabs import on_threads
from miliary.lungs.coarse import CoarseLungs
from miliary.lungs.collapse import find_collapse
from miliary.lungs.rind import Rind, find_rind

#: Kinds of tissue without air, by label.
RIND, COLLAPSE = 1, 2
KINDS: dict[int, str] = {RIND: "rind or effusion", COLLAPSE: "consolidation or collapse"}


@dataclass(frozen=True, eq=False)
class Airless:
    """Tissue without air inside the pleura, on the coarse grid.

    Parameters
    ----------
    side_labels : (z, y, x) uint8
        1 right, 2 left.
    kind_labels : (z, y, x) uint8
        1 rind or effusion, 2 consolidation or collapse.
    rinds : dict of int to Rind
        The rind of each side that has one.
    bronchi : (z, y, x) bool
        Air within consolidation that was taken for lung.
    """

    side_labels: LabelArray
    kind_labels: LabelArray
    rinds: dict[int, Rind]
    bronchi: BoolArray

    @property
    def any(self) -> bool:
        """Whether there is some."""
        return bool(self.kind_labels.any())

    def without(self, found: CoarseLungs) -> CoarseLungs:
        """Take air that lies within consolidation, in its bronchi, out of the lungs.

        Parameters
        ----------
        found : CoarseLungs
            Lungs on the coarse grid.

        Returns
        -------
        CoarseLungs
            Without it.
        """
        within_it = self.bronchi
        return replace(found, sides={side: mask & ~within_it for side, mask in found.sides.items()})


def find_airless(found: CoarseLungs, settings: LungSettings) -> Airless:
    """Find what fills a hemithorax besides aerated lung.

    Parameters
    ----------
    found : CoarseLungs
        Lungs on the coarse grid.
    settings : LungSettings
        Limits.

    Returns
    -------
    Airless
        Nothing where the lungs fill their place.
    """
    looked = dict(
        zip(
            found.sides,
            on_threads(lambda side: find_rind(found, side, settings), found.sides),
            strict=True,
        )
    )
    rinds = {side: rind for side, rind in looked.items() if rind.mask.any()}
    masks = {side: rind.mask for side, rind in rinds.items()}
    lumps = find_collapse(found, masks, settings)
    spacing = found.grid.spacing_mm
    side_labels = np.zeros(found.never.shape, np.uint8)
    kind_labels = np.zeros_like(side_labels)
    for side, mask in lumps.items():
        # In a sulcus without lung, a rind is all there is; a lobe is thicker.
        thick = side not in rinds or depth_inside(mask, spacing).max() > settings.rind_lobe_mm
        side_labels[mask], kind_labels[mask] = side, COLLAPSE if thick else RIND
    for side, mask in masks.items():
        free = mask & (kind_labels == 0)
        side_labels[free], kind_labels[free] = side, RIND
    both = np.logical_or.reduce(list(found.sides.values()))
    bronchi = (kind_labels > 0) & both
    for side in found.sides:
        _bridge(side_labels, kind_labels, side, found.sides[side], float(spacing.max()), found)
    return Airless(side_labels, kind_labels, rinds, bronchi)


def _bridge(
    side_labels: LabelArray,
    kind_labels: LabelArray,
    side: int,
    lung: BoolArray,
    reach_mm: float,
    found: CoarseLungs,
) -> None:
    """Let the tissue begin inside the coarse lung: at full resolution its border lies within."""
    for kind in KINDS:
        mask = (side_labels == side) & (kind_labels == kind)
        if mask.any():
            near = within(mask, 1.01 * reach_mm, found.grid.spacing_mm) & lung
            near &= kind_labels == 0
            side_labels[near], kind_labels[near] = side, kind
