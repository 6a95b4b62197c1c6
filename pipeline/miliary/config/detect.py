"""Settings of `miliary.detect`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectSettings:
    """Settings of the step."""
