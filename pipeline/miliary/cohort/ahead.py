"""The process of a first case, started before anything else is imported here."""

from __future__ import annotations

from miliary.cohort.apart import get_ready

#: What a case needs, and what its libraries would import one by one when first used.
CASE_IMPORTS = ("miliary.cohort.case", "PIL.JpegImagePlugin", "PIL.WebPImagePlugin")


def await_case() -> None:
    """Start the process of a first case; it imports while this one does, and reads headers."""
    get_ready(CASE_IMPORTS)
