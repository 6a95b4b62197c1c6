"""Settings of `miliary.sizes`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SizeSettings:
    """Settings of the step."""
