"""What changed between scans of one patient: rates a lung and zone, volumes, sizes."""

from miliary.compare.change import compare
from miliary.compare.records import (
    CaseRecord,
    Change,
    Comparison,
    LungChange,
    LungRecord,
    Rate,
)

__all__ = ["CaseRecord", "Change", "Comparison", "LungChange", "LungRecord", "Rate", "compare"]
