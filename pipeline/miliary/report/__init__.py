"""The pages for people: one a case, one for a cohort, and the scan in three planes."""

from miliary.report.cohort import render_index
from miliary.report.page import render_report
from miliary.report.thumbnail import THUMBNAIL, render_thumbnail
from miliary.report.viewer import VIEWER, render_viewer

__all__ = [
    "THUMBNAIL",
    "VIEWER",
    "render_index",
    "render_report",
    "render_thumbnail",
    "render_viewer",
]
