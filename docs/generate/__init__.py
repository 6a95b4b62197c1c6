"""Pages of the documentation that are made of the code, so that they cannot be untrue.

Each module gives one or two pages as Markdown; `write_pages` writes those that changed. Nothing
here needs Sphinx, so that tests can look at the same text.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from generate import api, codes, commands, copies, examples, outputs, settings, validation

#: Name of the file below `docs/reference/` to the function that gives its text.
PAGES: dict[str, Callable[[], str]] = {
    "commands": commands.page,
    "settings": settings.page,
    "codes": codes.page,
    "tables": outputs.tables_page,
    "summary": outputs.summary_page,
    "validation": validation.page,
    "examples": examples.page,
    "api": api.page,
    "steps": api.steps_page,
    "kernels": api.kernels_page,
    **copies.PAGES,
}

FOLDER = Path(__file__).resolve().parents[1] / "reference"


def write_pages(folder: Path = FOLDER) -> list[Path]:
    """Write every page whose text is not there yet; takes others away."""
    folder.mkdir(exist_ok=True)
    written = []
    for name, page in PAGES.items():
        path, text = folder / f"{name}.md", page()
        # An unchanged page is left alone, or Sphinx would read it again.
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            written.append(path)
    for path in folder.glob("*.md"):
        if path.stem not in PAGES:
            path.unlink()
    return written


if __name__ == "__main__":
    print("\n".join(map(str, write_pages())))
