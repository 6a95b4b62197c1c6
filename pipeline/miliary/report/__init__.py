"""The pages for people: one a case, one for a cohort."""

from miliary.report.cohort import render_index
from miliary.report.page import render_report
from miliary.report.thumbnail import THUMBNAIL, render_thumbnail

__all__ = ["THUMBNAIL", "render_index", "render_report", "render_thumbnail"]
