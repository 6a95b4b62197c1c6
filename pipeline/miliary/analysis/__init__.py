"""The result of an analysis: everything that was found in one scan, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from miliary.analysis.summary import SUMMARY_SCHEMA, summarise
from miliary.anatomy import Anatomy
from miliary.arrays import BoolArray, IntArray
from miliary.config import Config
from miliary.findings import (
    Calibration,
    Distribution,
    ImageQuality,
    Pattern,
    SizeSummary,
    Verdict,
)
from miliary.nodules import Nodules
from miliary.volume import Volume

if TYPE_CHECKING:
    from miliary.report.plots import Plots

__all__ = ["SUMMARY_SCHEMA", "Analysis"]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that was found in one scan.

    Parameters
    ----------
    volume : Volume
        The scan.
    config : Config
        What it was analysed with.
    seed : int
        Seed of every random number.
    quality : ImageQuality
        Noise and point spread, measured in the scan.
    anatomy : Anatomy
        Lungs, vessels and distances.
    nodules : Nodules
        Those that the operating point accepts; with `detect.keep_all` every candidate.
    calibration : Calibration
        Sensitivity and size error, measured in the scan.
    size : SizeSummary
        How large and how alike they are.
    described : tuple of str
        The lungs whose nodules `size`, `spatial` and `pattern` are about: those with numerous
        nodules, or all that can be judged when none has.
    spatial : Distribution
        How they lie.
    pattern : Pattern
        Which distribution that is.
    miliary : Verdict
        The flag with its criteria.
    notes : tuple of str
        Sentences for a reader: what was odd, what could not be judged.
    seconds : tuple of (step, seconds)
        Wall time of each step.
    """

    volume: Volume
    config: Config
    seed: int
    quality: ImageQuality
    anatomy: Anatomy
    nodules: Nodules
    calibration: Calibration
    size: SizeSummary
    described: tuple[str, ...]
    spatial: Distribution
    pattern: Pattern
    miliary: Verdict
    notes: tuple[str, ...]
    seconds: tuple[tuple[str, float], ...]

    @property
    def accepted(self) -> Nodules:
        """The nodules that the operating point accepts: all of them unless `keep_all` is set."""
        return self.nodules.take(self._accepts)

    @property
    def accepted_numbers(self) -> IntArray:
        """Number of each accepted nodule in `nodules.csv` and in the masks, counted from 1."""
        numbers: IntArray = np.flatnonzero(self._accepts) + 1
        return numbers

    @property
    def _accepts(self) -> BoolArray:
        accepts: BoolArray = self.nodules.score >= self.config.detect.threshold
        return accepts

    @property
    def plot(self) -> Plots:
        """Figures for papers and notebooks: `result.plot.sizes()`, each a matplotlib Figure."""
        from miliary.report.plots import Plots

        return Plots(self)

    def to_dict(self) -> dict[str, Any]:
        """Give the content of `summary.json`.

        Returns
        -------
        dict
            Plain numbers, strings, lists and None.
        """
        return summarise(self)

    def save(self, folder: str | Path) -> Path:
        """Write the case folder of the contract; it appears whole or not at all.

        Parameters
        ----------
        folder : path
            The case folder; must not exist, or be one that this tool wrote.

        Returns
        -------
        Path
            The folder.
        """
        from miliary.case_folder import write_case

        return write_case(self, Path(folder))
