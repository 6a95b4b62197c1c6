"""Documents that live elsewhere in the repository, as pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Page to the document that it is a copy of.
DOCUMENTS = {
    "architecture": "ARCHITECTURE.md",
    "changes": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "benchmarks": "benchmarks/README.md",
    "model-card": "pipeline/miliary/weights/MODEL_CARD.md",
    "fissure-prior": "pipeline/miliary/weights/FISSURE_PRIOR.md",
}

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def page(document: str) -> str:
    """Give a document with its links leading to pages; what is no page is named as code."""
    source = ROOT / document
    return _LINK.sub(lambda found: _linked(found, source), source.read_text("utf-8"))


def _linked(found: re.Match[str], source: Path) -> str:
    mark, text, target, anchor = found.groups()
    path = (source.parent / target).resolve()
    if mark:
        return found[0] if not path.exists() else f"![{text}]({_from_reference(path)})"
    for name, document in DOCUMENTS.items():
        if path == ROOT / document:
            return f"[{text}]({name}.md{anchor or ''})"
    if path == ROOT / "README.md":
        return f"[{text}](../index.md)"
    if path.is_relative_to(ROOT / "docs"):
        return f"[{text}]({_from_reference(path)}{anchor or ''})"
    return f"{text} (`{path.relative_to(ROOT).as_posix()}`)" if text != target else f"`{text}`"


def _from_reference(path: Path) -> str:
    return (
        Path("..", *path.relative_to(ROOT / "docs").parts).as_posix()
        if path.is_relative_to(ROOT / "docs")
        else Path("../..", *path.relative_to(ROOT).parts).as_posix()
    )


PAGES: dict[str, Callable[[], str]] = {
    name: partial(page, document) for name, document in DOCUMENTS.items()
}
