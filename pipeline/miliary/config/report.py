"""Settings of `miliary.report`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportSettings:
    """Settings of the step."""
