"""The example scripts with their words, code and pictures."""

from __future__ import annotations

import ast
from pathlib import Path

from generate.markdown import fence

FOLDER = Path(__file__).resolve().parents[1] / "examples"

_HEAD = """# Examples

Each is a script of `docs/examples/` that the tests run as it stands. An editor that knows `# %%`
cells opens them as notebooks (VS Code, Spyder, PyCharm; Jupyter with jupytext).
"""


def scripts() -> list[Path]:
    """Give the scripts in the order in which they are shown."""
    return sorted(FOLDER.glob("[0-9]*.py"))


def page() -> str:
    """Give the page."""
    return "\n".join([_HEAD, *map(_section, scripts())])


def _section(path: Path) -> str:
    text = path.read_text("utf-8")
    about = ast.get_docstring(ast.parse(text)) or ""
    title, _, rest = about.partition("\n")
    code = text.split('"""', 2)[2].strip()
    parts = [f"## {title.rstrip('.')}", "", rest.strip(), "", f"`docs/examples/{path.name}`:", ""]
    parts += [fence("python", code), ""]
    picture = FOLDER.parent / "pictures" / f"{path.stem}.png"
    if picture.exists():
        parts += [f"![What it draws](../pictures/{picture.name})", ""]
    return "\n".join(parts)
