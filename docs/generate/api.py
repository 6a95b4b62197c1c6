"""Pages of the interface in Python, filled from docstrings by Sphinx."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import miliary

_HEAD = """# In Python, name by name

Everything that `import miliary` gives, from the docstrings; `help(miliary.detect)` prints the same.
Arrays are `[z, y, x]` (z to the head, y to the back, x to the patient's left); points are world
`(x, y, z)` in mm, DICOM patient coordinates (LPS), at voxel centres. Only `Geometry` converts.
"""

_STEPS = """# What the steps give each other

Frozen dataclasses travel between the steps: what `miliary.analyze` and each step give. Failures
that a user can cause are in `miliary.errors`, [every code](codes.md) in `miliary.codes`.
"""

_KERNELS = """# Numerical kernels

Functions of plain arrays, without any notion of a scan, a file or a setting: distances, components,
filters, point-pair counts, envelopes. They can be used alone. Physical parameters have no defaults.
"""

#: Modules of the types that users meet.
_TYPES = (
    "miliary.findings",
    "miliary.anatomy",
    "miliary.nodules",
    "miliary.compare",
    "miliary.errors",
    "miliary.codes",
    "miliary.schemas",
)


def page() -> str:
    """Give the page of the public names."""
    parts = [_HEAD]
    for name in miliary.__all__:
        if name.startswith("_"):
            continue
        thing = getattr(miliary, name)
        kind = "autoclass" if inspect.isclass(thing) else "autofunction"
        more = "   :members:\n" if inspect.isclass(thing) else ""
        parts += [f"## `{name}`", "", _rst(f".. {kind}:: miliary.{name}\n{more}"), ""]
    return "\n".join(parts)


def steps_page() -> str:
    """Give the page of the types between the steps."""
    parts = [_STEPS]
    for module in _TYPES:
        names = _public(module)
        parts += [f"## `{module}`", "", (inspect.getdoc(importlib.import_module(module)) or ""), ""]
        parts += [_rst("\n".join(_directive(module, name) for name in names)), ""]
    return "\n".join(parts)


def kernels_page() -> str:
    """Give the page of the kernels."""
    parts = [_KERNELS]
    package = importlib.import_module("miliary.kernels")
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        module = f"miliary.kernels.{found.name}"
        parts += [f"## `{found.name}`", ""]
        parts += [_rst(f".. automodule:: {module}\n   :members:\n   :member-order: bysource\n"), ""]
    return "\n".join(parts)


def _directive(module: str, name: str) -> str:
    thing = getattr(importlib.import_module(module), name)
    if inspect.isclass(thing):
        return f".. autoclass:: {module}.{name}\n   :members:\n"
    if inspect.isfunction(thing):
        return f".. autofunction:: {module}.{name}\n"
    return f".. autodata:: {module}.{name}\n   :no-value:\n"


def _public(module: str) -> list[str]:
    """Give what a module offers: its `__all__`, or what it defines itself."""
    held = importlib.import_module(module)
    shown = getattr(held, "__all__", None)
    if shown is not None:
        return [name for name in shown if callable(getattr(held, name))]
    return [
        name
        for name, thing in vars(held).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module
    ]


def _rst(text: str) -> str:
    return f"```{{eval-rst}}\n{text}\n```"
