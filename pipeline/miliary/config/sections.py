"""The configuration as a whole: one section a step."""

from __future__ import annotations

from dataclasses import dataclass, field

from miliary.config.calibrate import CalibrateSettings
from miliary.config.compare import CompareSettings
from miliary.config.detect import DetectSettings
from miliary.config.fissures import FissureSettings
from miliary.config.lungs import LungSettings
from miliary.config.measure import MeasureSettings
from miliary.config.pattern import PatternSettings
from miliary.config.quality import QualitySettings
from miliary.config.reading import ReadSettings
from miliary.config.report import ReportSettings
from miliary.config.run import RunSettings
from miliary.config.sizes import SizeSettings
from miliary.config.spatial import SpatialSettings
from miliary.config.vessels import VesselSettings


@dataclass(frozen=True)
class Config:
    """Every setting of an analysis.

    Parameters
    ----------
    read, lungs, vessels, fissures, quality, detect, measure, calibrate : settings
        One section a step.
    sizes, spatial, pattern, compare, report : settings
        The same, for what follows from the nodules.
    run : RunSettings
        How cases are run; part of no result.
    """

    read: ReadSettings = field(default_factory=ReadSettings)
    lungs: LungSettings = field(default_factory=LungSettings)
    vessels: VesselSettings = field(default_factory=VesselSettings)
    fissures: FissureSettings = field(default_factory=FissureSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    detect: DetectSettings = field(default_factory=DetectSettings)
    measure: MeasureSettings = field(default_factory=MeasureSettings)
    calibrate: CalibrateSettings = field(default_factory=CalibrateSettings)
    sizes: SizeSettings = field(default_factory=SizeSettings)
    spatial: SpatialSettings = field(default_factory=SpatialSettings)
    pattern: PatternSettings = field(default_factory=PatternSettings)
    compare: CompareSettings = field(default_factory=CompareSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        for name in ("shell_mm", "contact_mm"):
            wanted, shells = getattr(self.pattern, name), self.spatial.shells_mm
            if wanted not in shells:
                raise ValueError(
                    f"pattern.{name} must be one of spatial.shells_mm, got {wanted:g}; choose "
                    f"{', '.join(f'{shell:g}' for shell in shells)}, or add it there"
                )
