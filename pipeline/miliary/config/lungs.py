"""Settings of `miliary.lungs`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LungSettings:
    """Settings of the step."""
