"""Settings of `miliary.detect`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting


@dataclass(frozen=True)
class DetectSettings:
    """Finding nodules."""

    threshold: float = setting(
        0.85,
        "operating point: candidates of at least this probability are nodules",
        source="model card of the detector",
    )
    keep_all: bool = setting(False, "keep every candidate with its score in nodules.csv")
    min_separation_mm: float = setting(
        1.6,
        "of two candidates nearer than this the likelier one is kept",
        unit="mm",
        source="below the 2.5 mm at which neighbours must stay two, above half a nodule of 3 mm",
    )
    false_positives_per_l: float = setting(
        10.0,
        "expected false positives at the operating point",
        unit="per litre of lung",
        source="model card of the detector: scans that took no part in training",
    )
