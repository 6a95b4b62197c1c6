"""Every code with its meaning and cure."""

from __future__ import annotations

from generate.markdown import code, sentence, table
from miliary.codes import CODES

_HEAD = """# Every code, and its cure

A code stands in `cases.csv`, in `series.csv`, in what `miliary series` prints, and as `code` of a
`MiliaryError` in Python. Beside it stands a sentence about the very case: what must hold, what was
got instead, with file names and millimetres.

The exit status of a command is 0 when every case is done, 1 for wrong usage or configuration, 2
when some cases failed and the others are valid, 3 when all failed, and 130 when it was
interrupted. A scan without any nodule is done, not failed.
"""

_KINDS = {
    "E_": ("## Failures and refusals", "The case, or the series, has no result."),
    "SKIP_": ("## What is no chest CT", "Listed in `series.csv`, and left out without a failure."),
    "W_": (
        "## Done, with a reservation",
        "The case has its result; some of these make it `degraded`.",
    ),
}


def page() -> str:
    """Give the page."""
    parts = [_HEAD]
    for prefix, (heading, text) in _KINDS.items():
        rows = [
            [code(name), sentence(found.meaning), found.cure]
            for name, found in CODES.items()
            if name.startswith(prefix)
        ]
        parts += [heading, "", text, "", table(["code", "what happened", "what to do"], rows), ""]
    return "\n".join(parts)
