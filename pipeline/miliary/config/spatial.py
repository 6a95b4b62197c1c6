"""Settings of `miliary.spatial`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SpatialSettings:
    """Settings of the step."""
