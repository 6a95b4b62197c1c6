"""Settings of `miliary run` over many cases."""

from __future__ import annotations

from dataclasses import dataclass

from miliary.config.fields import setting


@dataclass(frozen=True)
class RunSettings:
    """How cases are run; nothing here changes a result, nor the hash of the configuration."""

    timeout_s: float = setting(
        3600.0,
        "longest time that a case may take; it is then ended and fails with E_TIMEOUT",
        unit="s",
        source="judgement: thirty times a usual scan on one core",
    )
    memory_mb: float = setting(
        0.0,
        "most memory that a case may take, or it fails with E_MEMORY; 0 for its share of the "
        "machine",
        unit="MB",
        source="judgement: the share of a machine is what hurts nobody else",
    )
    memory_share: float = setting(
        0.9,
        "part of the memory free at the start that all cases together may take",
        source="judgement: the rest is for the system and its file cache",
    )
    base_mb: float = setting(
        600.0,
        "memory that a case is expected to need whatever its size",
        unit="MB",
        source="measured on four scans of 96 to 400 slices of 512 x 512, all processes of a case "
        "together: 450 MB beside what grows; a third added",
    )
    voxel_bytes: float = setting(
        14.0,
        "memory that a case is expected to need for each voxel of its series",
        unit="bytes",
        source="measured: 96, 143, 275 and 400 slices of 512 x 512 took 0.73, 0.95, 1.11 and 1.53 "
        "GB, which is about 10 beside the 450 MB; a third added. `benchmarks/cohort.py memory` "
        "measures it again",
    )
    attempts: int = setting(
        3,
        "times that a case is tried when its process is killed from outside",
        source="judgement: a machine that goes down or a cleaner of memory may strike twice; a "
        "case that crashes, hangs or takes too much memory by itself is not tried again",
    )
    page_rows: int = setting(
        5000,
        "most cases on index.html; failed ones come first, and cases.csv has all",
        source="measured: a page of 5,000 rows has 3 MB and opens at once; 100,000 do not",
    )

    def __post_init__(self) -> None:
        for name in ("timeout_s", "base_mb", "voxel_bytes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.memory_mb < 0:
            raise ValueError(f"memory_mb must be at least 0, got {self.memory_mb}")
        if not 0 < self.memory_share <= 1:
            raise ValueError(f"memory_share must be above 0 and at most 1, got {self.memory_share}")
        for name in ("attempts", "page_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
