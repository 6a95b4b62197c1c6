"""Settings of `miliary.detect`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting


@dataclass(frozen=True)
class DetectSettings:
    """Finding nodules."""

    threshold: float = setting(
        0.6,
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

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be a probability, 0 to 1, got {self.threshold}")
        if not self.min_separation_mm >= 0:
            raise ValueError(f"min_separation_mm must be 0 or more, got {self.min_separation_mm}")
