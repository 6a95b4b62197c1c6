"""Settings of `miliary.calibrate`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CalibrateSettings:
    """Settings of the step."""
