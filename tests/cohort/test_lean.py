"""What the processes of a run import: no more than a case needs, and nothing stays changed."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Each costs a case, or who reads the headers, 20 to 300 ms.
HEAVY = (
    *("matplotlib", "SimpleITK", "scipy.optimize", "numpy.f2py", "requests", "miliary.compare"),
    *("PIL.ImageCms", "numpydoc"),
)


def loaded(code: str) -> set[str]:
    told = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "modules",
    [("miliary.cohort.case",), ("miliary.cli.cohort", "miliary.io.series", "miliary.cohort.pages")],
)
def test_a_run_imports_nothing_heavy_that_it_does_not_need(modules):
    there = loaded(
        "from miliary.cohort.lean import lean_imports\n"
        f"with lean_imports():\n    import {', '.join(modules)}\n"
        "import sys"
    )
    assert there >= set(modules)
    assert not there & set(HEAVY)


def test_afterwards_all_can_be_imported_and_garbage_is_looked_for():
    there = loaded(
        "import numpy, gc; before = list(numpy.__all__), set(dir(numpy))\n"
        "from miliary.cohort.lean import lean_imports\n"
        "with lean_imports():\n    from scipy import special\n"
        "assert before == (list(numpy.__all__), set(dir(numpy))) and gc.isenabled()\n"
        "import numpy.f2py, numpy.testing, scipy.optimize"
    )
    assert there >= {"numpy.f2py", "numpy.testing", "scipy.optimize"}


def test_what_was_set_before_is_set_after_a_failure_too():
    loaded(
        "import gc, sys, numpy; gc.disable(); before = list(numpy.__all__)\n"
        "from miliary.cohort.lean import lean_imports\n"
        "try:\n    with lean_imports():\n        sys.modules.pop('requests'); 1 / 0\n"
        "except ZeroDivisionError:\n    pass\n"
        "assert not gc.isenabled() and before == list(numpy.__all__)\n"
        "assert 'requests' not in sys.modules\n"
        "import sys"
    )


def test_imports_of_a_case_leave_missing_modules_alone():
    there = loaded(
        "from miliary.cohort.lean import import_lean\n"
        "assert import_lean(('scipy.ndimage', 'no_such_module')) is True\n"
        "assert import_lean(('scipy.ndimage',)) is False\n"
        "import sys"
    )
    assert "scipy.ndimage" in there
    assert "PIL.ImageCms" not in there
