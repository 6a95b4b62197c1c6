"""Small pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table; a bar within a cell is escaped, a line break becomes a space."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines)


def cell(text: str) -> str:
    """Make a text fit for a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Set a text as code."""
    return f"`{text}`"


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def fence(language: str, text: str) -> str:
    """Set lines as a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"
