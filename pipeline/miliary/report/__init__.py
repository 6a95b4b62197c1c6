"""Pages for people to look at."""

from miliary.report.cohort import render_index
from miliary.report.page import render_report

__all__ = ["render_index", "render_report"]
