"""Settings of `miliary.reading`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadSettings:
    """Settings of the step."""
