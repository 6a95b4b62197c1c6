"""From numbers to a name: which distribution it is, and whether it is miliary, and why."""

from miliary.pattern.counts import (
    LungCount,
    Sight,
    count_by_lung,
    involved_lungs,
)
from miliary.pattern.judge import judge
from miliary.pattern.name import CLASSES, name_pattern

__all__ = [
    "CLASSES",
    "LungCount",
    "Sight",
    "count_by_lung",
    "involved_lungs",
    "judge",
    "name_pattern",
]
