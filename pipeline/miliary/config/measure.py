"""Settings of `miliary.measure`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasureSettings:
    """Settings of the step."""
