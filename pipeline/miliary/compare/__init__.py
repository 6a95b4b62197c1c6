"""What changed between scans of one patient: rates a lung and zone, volumes, sizes, rind."""

from miliary.compare.change import compare
from miliary.compare.records import CaseRecord, LungRecord, RindRecord
from miliary.compare.results import Comparison
from miliary.compare.rows import Change, LungChange, Rate

__all__ = [
    "CaseRecord",
    "Change",
    "Comparison",
    "LungChange",
    "LungRecord",
    "Rate",
    "RindRecord",
    "compare",
]
