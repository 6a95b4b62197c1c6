"""Imports without what libraries import of others and a case has no use for."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator
from typing import Any

#: What is asked for and done without: by pydicom to download test files and for the colours of
#: pictures, by scikit-image to add to docstrings, where its developers' tools are installed.
_UNWANTED = ("requests", "PIL.ImageCms", "numpydoc")

#: SciPy imports whatever NumPy names, be it the generator of Fortran wrappers.
_UNUSED_OF_NUMPY = {"f2py", "testing"}


def import_lean(names: tuple[str, ...]) -> bool:
    """Import modules in this way, if they can be imported.

    Parameters
    ----------
    names : tuple of str
        Modules. Who uses one that cannot be imported is told what is wrong with it.

    Returns
    -------
    bool
        Whether any of them was not there yet.
    """
    missing = [name for name in names if name not in sys.modules]
    with lean_imports():
        for name in missing:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    return bool(missing)


@contextlib.contextmanager
def lean_imports() -> Iterator[None]:
    """Import pydicom and SciPy without a fifth of what they would: a quarter of a second.

    For the processes of `miliary run` alone. Afterwards all can be imported as ever.

    Yields
    ------
    None
        To import in.
    """
    blocked = [name for name in _UNWANTED if name not in sys.modules]
    # What stands for a module and is None cannot be imported.
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    numpy: Any = importlib.import_module("numpy")
    named = numpy.__all__
    submodules: set[str] = getattr(numpy, "__numpy_submodules__", set())
    numpy.__all__ = [name for name in named if name not in _UNUSED_OF_NUMPY]
    # What `dir` tells besides. Another version may have no such set, and imports a little more.
    hidden = submodules & _UNUSED_OF_NUMPY
    submodules -= hidden
    # Modules stay: to look for garbage among them takes a tenth of their time.
    looks_for_garbage = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks_for_garbage:
            gc.enable()
        numpy.__all__ = named
        submodules |= hidden
        for name in blocked:
            # What another thread has imported meanwhile stays.
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
