"""The result of an analysis: everything that was found in one scan, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from miliary.anatomy import SIDES, ZONES, Anatomy
from miliary.config import Config
from miliary.findings import (
    Calibration,
    Distribution,
    ImageQuality,
    Pattern,
    Share,
    SizeSummary,
    Verdict,
)
from miliary.nodules import Nodules
from miliary.volume import Volume

#: Version of the layout of `summary.json`; the first number changes when a key is renamed.
SUMMARY_SCHEMA = "miliary-summary-1.0"

#: The shells that `involvement` tells of, structure by structure, in mm; the others stand in
#: `shells`.
_SHELLS_MM = {
    "subpleural": ("pleura", 5.0),
    "fissural": ("fissure", 5.0),
    "vascular": ("vessel", 2.5),
}


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
        return self.nodules.take(self.nodules.score >= self.config.detect.threshold)

    def to_dict(self) -> dict[str, Any]:
        """Give the content of `summary.json`.

        Returns
        -------
        dict
            Plain numbers, strings, lists and None.
        """
        return {
            "schema": SUMMARY_SCHEMA,
            "case": self.volume.case,
            "acquisition": self._acquisition(),
            "lungs": {side: _lung(self.anatomy, side) for side in SIDES},
            "detection": {
                "found": len(self.accepted),
                "operating_point": self.config.detect.threshold,
                "injected": self.calibration.injected,
                "sensitivity": [asdict(row) for row in self.calibration.sensitivity],
                "size_bias_mm": _by_diameter(self.calibration.size_bias_mm),
                "se_factor": self.calibration.se_factor,
                "size_sd_mm": _by_diameter(self.calibration.size_sd_mm),
            },
            "size": {"lungs": list(self.described), **asdict(self.size)},
            "randomness": self._randomness(),
            "involvement": self._involvement(),
            "pattern": {
                "label": self.pattern.label,
                "scores": dict(self.pattern.scores),
                "reasons": list(self.pattern.reasons),
            },
            "miliary": {
                "flag": self.miliary.flag,
                "extent": self.miliary.extent,
                "criteria": [asdict(criterion) for criterion in self.miliary.criteria],
            },
            "notes": list(self.notes),
        }

    def _acquisition(self) -> dict[str, Any]:
        return {
            "spacing_mm": [float(length) for length in self.volume.geometry.spacing_mm],
            "shape": list(self.volume.geometry.shape),
            **asdict(self.volume.acquisition),
            "noise_hu": self.quality.noise_hu,
            "psf_fwhm_mm": list(self.quality.psf_fwhm_mm),
            "psf_estimated": self.quality.psf_estimated,
        }

    def _randomness(self) -> dict[str, Any]:
        return {
            "lungs": list(self.described),
            "n": self.spatial.n,
            "csr_p": self.spatial.csr_p,
            "clark_evans": self.spatial.clark_evans,
            "clustered": self.spatial.clustered,
            "p_adjustment": "Holm over all tests but the first, which is csr_p",
            "tests": [asdict(test) for test in self.spatial.tests],
        }

    def _involvement(self) -> dict[str, Any]:
        shares = {
            name: _share(self.spatial.share(structure, within_mm))
            for name, (structure, within_mm) in _SHELLS_MM.items()
        }
        return {
            **shares,
            "shells": [asdict(share) for share in self.spatial.shares],
            "zones": [asdict(zone) for zone in self.spatial.zones],
        }

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


def _lung(anatomy: Anatomy, side: str) -> dict[str, Any] | None:
    """A lung as plain data, without the sentences, which stand in the notes."""
    lung = anatomy.lung(side)
    if lung is None:
        return None
    zones = anatomy.zone_labels[anatomy.evaluable_labels == SIDES[side]]
    voxels = np.bincount(zones, minlength=len(ZONES) + 1)
    return {
        "volume_ml": lung.volume_ml,
        "evaluable_ml": lung.evaluable_ml,
        "excluded": [asdict(part) for part in lung.excluded],
        "hemithorax_ml": lung.hemithorax_ml,
        "rind_mm": lung.rind_mm,
        "evaluable_share": lung.evaluable_share,
        "zones": [
            {"zone": zone, "evaluable_ml": float(voxels[label]) * anatomy.geometry.voxel_ml}
            for zone, label in ZONES.items()
        ],
    }


def _share(share: Share | None) -> dict[str, Any]:
    """The keys of the contract, null where the structure is unknown."""
    keys = ("within_mm", "observed", "expected", "ratio", "low", "high", "p", "auc")
    return {key: None if share is None else getattr(share, key) for key in keys}


def _by_diameter(pairs: tuple[tuple[float, float], ...]) -> list[dict[str, float]]:
    return [{"diameter_mm": diameter, "value": value} for diameter, value in pairs]
