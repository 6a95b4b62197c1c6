"""Settings of `miliary.pattern`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PatternSettings:
    """Settings of the step."""
