"""Settings of `miliary.detect`."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting


@dataclass(frozen=True)
class DetectSettings:
    """Finding nodules."""

    threshold: float = setting(
        0.7,
        "operating point: candidates of at least this probability are nodules",
        source="model card of the detector: 9 false positives a litre in phantoms and 7 in a real "
        "scan, for one nodule of 1.6 to 2.2 mm in a hundred less than at 0.6 (development seeds)",
    )
    keep_all: bool = setting(False, "keep every candidate with its score in nodules.csv")
    min_separation_mm: float = setting(
        1.6,
        "of two candidates nearer than this the likelier one is kept",
        unit="mm",
        source="below the 2.5 mm at which neighbours must stay two, above half a nodule of 3 mm",
    )

    larger_times: float = setting(
        2.2,
        "larger nodules are looked for on a grid this many times coarser",
        source="nodules of 4 to 10 mm then look as wide as those of 1.8 to 4.5 mm, which the "
        "detector was trained on",
    )
    larger_threshold: float = setting(
        0.8,
        "operating point of the search for larger nodules, no less than `threshold`",
        source="160 balls of 5 to 10 mm put into a real scan: 95 % at 0.8, 97 % at 0.6; false ones "
        "there none and 0.5 a litre, in three phantoms 0.7 and 2.3 (development seeds)",
    )
    larger_from_mm: float = setting(
        5.0,
        "narrower ones are left to the search for small nodules",
        unit="mm",
        source="that search finds 0.94 and more of 4 and 5 mm; from 3.8 mm on, pairs of touching "
        "nodules of 3 mm were taken for one",
    )
    larger_to_mm: float = setting(
        15.0, "wider ones are no nodules", unit="mm", source="the largest ball that is fitted"
    )

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be a probability, 0 to 1, got {self.threshold}")
        if not 0 <= self.larger_threshold <= 1:
            raise ValueError(
                f"larger_threshold must be a probability, 0 to 1, got {self.larger_threshold}"
            )
        if not self.larger_times > 1:
            raise ValueError(f"larger_times must be above 1, got {self.larger_times}")
        if not 0 < self.larger_from_mm < self.larger_to_mm:
            raise ValueError(
                "larger_from_mm must be above 0 and below larger_to_mm, "
                f"got {self.larger_from_mm} and {self.larger_to_mm}"
            )
        if not self.min_separation_mm >= 0:
            raise ValueError(f"min_separation_mm must be 0 or more, got {self.min_separation_mm}")
