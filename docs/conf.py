"""How Sphinx builds the documentation: `scripts/docs`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import miliary  # noqa: E402
from generate import write_pages  # noqa: E402

write_pages()

project = "miliary"
version = release = miliary.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
# numpydoc brings it; nothing here asks for it, and it looks for .rst files.
autosummary_generate = False
exclude_patterns = ["generate", "examples", "reference/README.md"]
source_suffix = {".md": "markdown"}
nitpicky = False

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4

autodoc_typehints = "none"
autodoc_preserve_defaults = True
add_module_names = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = f"miliary {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_math_renderer = "mathml"
templates_path: list[str] = []
pygments_style = "sphinx"


def visit_inline(self: Any, node: nodes.math) -> None:
    """Write a formula within a line as MathML, which browsers draw without any script."""
    self.body.append(latex2mathml.tex2mathml(node.astext()))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    """Write a formula of its own."""
    self.body.append(latex2mathml.tex2mathml(node.astext(), as_block=True))
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Tell Sphinx of the renderer: the ones it has fetch a script, or need LaTeX."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
