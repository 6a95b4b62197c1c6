"""Settings of `miliary.vessels`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VesselSettings:
    """Settings of the step."""
